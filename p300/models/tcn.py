"""A temporal convolutional network: residual blocks that look back ever further.

S. Bai, J. Z. Kolter, V. Koltun, "An empirical evaluation of generic convolutional and recurrent
networks for sequence modeling", 2018, arXiv 1803.01271.
"""

from __future__ import annotations

from torch import Tensor, nn


class TCN(nn.Module):
    """Spatial filters, then causal dilated blocks until the last step has seen all of the epoch.

    Dilation doubles from block to block: with kernels of 5 samples, four blocks look back over
    121 samples, enough for 78 at 120 Hz; other lengths get the blocks they need. Batch instead
    of weight normalisation, and spatial filters first, so that the blocks cost the same for any
    number of electrodes.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch; the samples set the number of blocks.
    sfreq : float
        Sampling rate in Hz; not used, the kernels are counted in samples.
    n_filters : int
        Spatial filters, and maps of every block.
    kernel : int
        Samples that a convolution reads, before dilation.
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
        drop_prob: float = 0.25,
    ):
        super().__init__()
        self.spatial = nn.Conv1d(n_chans, n_filters, 1)
        self.blocks = nn.Sequential()
        dilation, n_seen = 1, 1
        while n_seen < n_times or not self.blocks:
            self.blocks.append(_Block(n_filters, kernel, dilation, drop_prob))
            n_seen += 2 * (kernel - 1) * dilation
            dilation *= 2
        self.final_layer = nn.Linear(n_filters, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Give logits, shape (batch, n_outputs), for epochs (batch, n_chans, n_times)."""
        x = self.spatial(x)  # (batch, n_filters, n_times)
        x = self.blocks(x)  # (batch, n_filters, n_times)
        x = x[..., -1]  # (batch, n_filters): the one step that has seen the whole epoch
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
        return (x + self.layers(x)).relu()  # (batch, n_filters, n_times)
