"""A recurrent network that reads the samples of an epoch in their order.

S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Comput. 9:1735-1780, 1997, doi
10.1162/neco.1997.9.8.1735; gated recurrent units: K. Cho et al., 2014, arXiv 1406.1078; plain
recurrent units: J. L. Elman, 1990, doi 10.1207/s15516709cog1402_1; both directions: M. Schuster,
K. K. Paliwal, 1997, doi 10.1109/78.650093. No paper fixes sizes for P300 epochs of 78 samples;
these are similar to those of the other networks here.
"""

from __future__ import annotations

from torch import Tensor, nn


class RecurrentNet(nn.Module):
    """LSTM, GRU or RNN over time, in one or both directions; all its states are classified.

    A convolution computes one step per 25 ms from 50 ms of signal. At 40 steps per second nothing
    below 20 Hz is lost, and 25 steps instead of 78 are three times as fast. Every state has its
    own weights in the last layer, because the latency identifies a P300. The last state alone, or
    the mean of the states, would lose the latency.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch.
    sfreq : float
        Sampling rate in Hz; with ``step_s`` it sets the samples per step.
    cell : {"lstm", "gru", "rnn"}
        The recurrent unit; "rnn" has no gates.
    bidirectional : bool
        Whether a second network reads the epoch from its end.
    n_filters : int
        Filters over electrodes and 50 ms; their outputs are the input of every step.
    hidden_size : int
        Units of each direction.
    n_layers : int
        Recurrent layers in a row.
    step_s : float
        Seconds from step to step; the signal of a step is twice as long.
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
        cells: dict[str, type[nn.LSTM | nn.GRU | nn.RNN]] = {
            "lstm": nn.LSTM,
            "gru": nn.GRU,
            "rnn": nn.RNN,
        }
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
