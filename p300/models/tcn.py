"""A temporal convolutional network: residual blocks that look back ever further.

S. Bai, J. Z. Kolter, V. Koltun, "An empirical evaluation of generic convolutional and recurrent
networks for sequence modeling", 2018, arXiv 1803.01271.
"""

from __future__ import annotations

from torch import Tensor, nn


class TCN(nn.Module):
    """Steps of 25 ms, then causal dilated blocks until the last step has seen all of the epoch.

    A convolution over electrodes and 50 ms makes the steps: 25 of 78 samples at 120 Hz, less
    than half the work of single samples. Dilation doubles from block to block: with kernels of 5
    steps, two blocks look back over 25 steps; longer epochs get the blocks they need. Batch
    instead of weight normalisation. Every step has weights of its own in the last layer: to read
    the last step only, as the paper does, costs accuracy on some thousand flashes.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch; the samples set the number of blocks.
    sfreq : float
        Sampling rate in Hz; with ``step_s`` it sets how many samples make a step.
    n_filters : int
        Filters over electrodes and 50 ms, and maps of every block.
    kernel : int
        Steps that a convolution reads, before dilation.
    step_s : float
        Seconds from step to step; a step sees twice as much.
    drop_prob : float
        After every convolution.

    Examples
    --------
    >>> import torch
    >>> TCN(64, 2, 78, 120.0)(torch.zeros(5, 64, 78)).shape
    torch.Size([5, 2])
    """

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
    """Two dilated convolutions that never read the future, and a way around them."""

    def __init__(self, n_filters, kernel, dilation, drop_prob):
        super().__init__()
        layers = []
        for _ in range(2):
            layers += [
                nn.ZeroPad1d(((kernel - 1) * dilation, 0)),
                nn.Conv1d(n_filters, n_filters, kernel, dilation=dilation, bias=False),
                nn.BatchNorm1d(n_filters),
                nn.ReLU(),
                nn.Dropout(drop_prob),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return (x + self.layers(x)).relu()  # (batch, n_filters, n_steps)
