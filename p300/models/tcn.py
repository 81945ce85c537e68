"""A temporal convolutional network: residual blocks with growing receptive fields.

S. Bai, J. Z. Kolter, V. Koltun, "An empirical evaluation of generic convolutional and recurrent
networks for sequence modeling", 2018, arXiv 1803.01271.
"""

from __future__ import annotations

from torch import Tensor, nn


class TCN(nn.Module):
    """Steps of 25 ms, then causal dilated blocks; the last step depends on the whole epoch.

    A convolution over electrodes and 50 ms computes the steps: 25 steps from 78 samples at 120 Hz,
    with less than half the work of single samples. Dilation doubles from block to block. With
    kernels of 5 steps, two blocks have a receptive field of 25 steps; longer epochs get more
    blocks. Batch normalisation replaces weight normalisation. Every step has its own weights in
    the last layer. Using only the last step, as the paper does, is less accurate with some
    thousand flashes.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch; the samples set the number of blocks.
    sfreq : float
        Sampling rate in Hz; with ``step_s`` it sets the samples per step.
    n_filters : int
        Filters over electrodes and 50 ms, and maps of every block.
    kernel : int
        Steps that a convolution reads, before dilation.
    step_s : float
        Seconds from step to step; the signal of a step is twice as long.
    drop_prob : float
        After every convolution.

    Examples
    --------
    >>> import torch
    >>> TCN(64, 2, 78, 120.0)(torch.zeros(5, 64, 78)).shape
    torch.Size([5, 2])
    """

    trains_side_by_side = True

    def __init__(
        self,
        n_chans: int,
        n_outputs: int,
        n_times: int,
        sfreq: float,
        *,
        n_filters: int = 16,
        kernel: int = 5,
        step_s: float = 0.025,
        drop_prob: float = 0.25,
    ):
        super().__init__()
        step = max(1, round(step_s * sfreq))
        n_samples = min(2 * step, n_times)
        n_steps = (n_times - n_samples) // step + 1
        self.steps = nn.Sequential(
            nn.Conv1d(n_chans, n_filters, n_samples, stride=step, bias=False),
            nn.BatchNorm1d(n_filters),
            nn.ELU(),
            nn.Dropout(drop_prob),
        )
        self.blocks = nn.Sequential()
        dilation, n_seen = 1, 1
        while n_seen < n_steps or not self.blocks:
            self.blocks.append(_Block(n_filters, kernel, dilation, drop_prob))
            n_seen += 2 * (kernel - 1) * dilation
            dilation *= 2
        self.final_layer = nn.Linear(n_filters * n_steps, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (batch, n_outputs), of epochs (batch, n_chans, n_times)."""
        x = self.steps(x)  # (batch, n_filters, n_steps)
        x = self.blocks(x)  # (batch, n_filters, n_steps)
        x = x.flatten(1)  # (batch, n_filters * n_steps)
        return self.final_layer(x)  # (batch, n_outputs)


class _Block(nn.Module):
    """Two dilated causal convolutions and a residual connection."""

    def __init__(self, n_filters: int, kernel: int, dilation: int, drop_prob: float):
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [
                nn.ZeroPad1d(((kernel - 1) * dilation, 0)),
                nn.Conv1d(n_filters, n_filters, kernel, dilation=dilation, bias=False),
                nn.BatchNorm1d(n_filters),
                nn.ReLU(),
                nn.Dropout(drop_prob),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.layers(x)).relu()  # (batch, n_filters, n_steps)
