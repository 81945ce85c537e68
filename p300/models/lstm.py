"""A recurrent network that reads the epoch in order of time.

S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Comput. 9:1735-1780, 1997, doi
10.1162/neco.1997.9.8.1735; gated recurrent units: K. Cho et al., 2014, arXiv 1406.1078; both
directions: M. Schuster, K. K. Paliwal, 1997, doi 10.1109/78.650093. No paper fixes sizes for
P300 epochs of 78 samples; these are kept near the other networks here.
"""

from __future__ import annotations

from torch import Tensor, nn


class RecurrentNet(nn.Module):
    """LSTM or GRU over time, in one or both directions; all its states are classified.

    A convolution makes one step of every 25 ms and looks at 50 ms for it: below 20 Hz nothing is
    lost at 40 steps a second, and 25 steps instead of 78 run three times as fast. Every state
    has weights of its own in the last layer, because a P300 is known by when it comes, which
    the last state alone, or the states' mean, would forget.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch.
    sfreq : float
        Sampling rate in Hz; with ``step_s`` it sets how many samples make a step.
    cell : {"lstm", "gru"}
        The recurrent unit.
    bidirectional : bool
        Whether a second network reads the epoch from its end.
    n_filters : int
        Filters over electrodes and 50 ms, the input of every step.
    hidden_size : int
        Units of each direction.
    n_layers : int
        Recurrent layers, one upon the other.
    step_s : float
        Seconds from step to step; a step sees twice as much.
    drop_prob : float
        Before, between and after the recurrent layers.

    Examples
    --------
    >>> import torch
    >>> RecurrentNet(64, 2, 78, 120.0, cell="gru")(torch.zeros(5, 64, 78)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        n_chans: int,
        n_outputs: int,
        n_times: int,
        sfreq: float,
        *,
        cell: str = "lstm",
        bidirectional: bool = False,
        n_filters: int = 16,
        hidden_size: int = 32,
        n_layers: int = 1,
        step_s: float = 0.025,
        drop_prob: float = 0.25,
    ):
        super().__init__()
        cells = {"lstm": nn.LSTM, "gru": nn.GRU}
        if cell not in cells:
            raise ValueError(f"RecurrentNet: cell {cell!r}; expected one of {list(cells)}")
        step = max(1, round(step_s * sfreq))
        kernel = min(2 * step, n_times)
        n_steps = (n_times - kernel) // step + 1
        self.steps = nn.Sequential(
            nn.Conv1d(n_chans, n_filters, kernel, stride=step, bias=False),
            nn.BatchNorm1d(n_filters),
            nn.ELU(),
            nn.Dropout(drop_prob),
        )
        self.recurrent = cells[cell](
            n_filters,
            hidden_size,
            n_layers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=drop_prob if n_layers > 1 else 0.0,
        )
        self.drop = nn.Dropout(drop_prob)
        self.final_layer = nn.Linear(n_steps * hidden_size * (1 + bidirectional), n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (batch, n_outputs), of epochs (batch, n_chans, n_times)."""
        x = self.steps(x)  # (batch, n_filters, n_steps)
        x = x.transpose(1, 2)  # (batch, n_steps, n_filters)
        x, _ = self.recurrent(x)  # (batch, n_steps, n_directions * hidden_size)
        x = self.drop(x).flatten(1)  # (batch, n_steps * n_directions * hidden_size)
        return self.final_layer(x)  # (batch, n_outputs)
