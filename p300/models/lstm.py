"""A recurrent network that reads the epoch in order of time.

S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Comput. 9:1735-1780, 1997, doi
10.1162/neco.1997.9.8.1735; gated recurrent units: K. Cho et al., 2014, arXiv 1406.1078; both
directions: M. Schuster, K. K. Paliwal, 1997, doi 10.1109/78.650093. No paper fixes sizes for
P300 epochs of 78 samples; these are kept near the other networks here.
"""

from __future__ import annotations

from torch import Tensor, nn


class RecurrentNet(nn.Module):
    """LSTM or GRU over time, in one or both directions; its states' mean is classified.

    Steps of 3 samples: below 20 Hz nothing is lost at 40 steps a second, and 26 steps instead
    of 78 learn sooner and run three times as fast.

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
    hidden_size : int
        Units of each direction.
    n_layers : int
        Recurrent layers, one upon the other.
    step_s : float
        Seconds averaged into one step of the sequence.
    drop_prob : float
        Before the last layer, and between recurrent layers.

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
        hidden_size: int = 32,
        n_layers: int = 1,
        step_s: float = 0.025,
        drop_prob: float = 0.25,
    ):
        super().__init__()
        cells = {"lstm": nn.LSTM, "gru": nn.GRU}
        if cell not in cells:
            raise ValueError(f"RecurrentNet: cell {cell!r}; expected one of {list(cells)}")
        n_samples_per_step = min(max(1, round(step_s * sfreq)), n_times)
        self.steps = nn.AvgPool1d(n_samples_per_step)
        self.recurrent = cells[cell](
            n_chans,
            hidden_size,
            n_layers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=drop_prob if n_layers > 1 else 0.0,
        )
        self.drop = nn.Dropout(drop_prob)
        self.final_layer = nn.Linear(hidden_size * (1 + bidirectional), n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Give logits, shape (batch, n_outputs), for epochs (batch, n_chans, n_times)."""
        x = self.steps(x)  # (batch, n_chans, n_steps)
        x = x.transpose(1, 2)  # (batch, n_steps, n_chans)
        x, _ = self.recurrent(x)  # (batch, n_steps, n_directions * hidden_size)
        x = self.drop(x.mean(dim=1))  # (batch, n_directions * hidden_size)
        return self.final_layer(x)  # (batch, n_outputs)
