"""A residual network: each block learns what to add to its input.

K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016, doi
10.1109/CVPR.2016.90 (figure 2; projections by option B); for time series: Z. Wang, W. Yan,
T. Oates, IJCNN 2017, arXiv 1611.06455.
"""

from __future__ import annotations

from torch import Tensor, nn


class ResNet(nn.Module):
    """One convolution, then three stages of two residual blocks with 16, 32 and 64 maps.

    An electrode is what a colour is in an image: one of the maps that the first layer reads. The
    second and third stage begin with a step of 2 samples: 78 become 39 and 20. The paper averages
    over the whole image at its end. Here every sample keeps its own weights in the last layer,
    because the latency identifies a P300.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch.
    sfreq : float
        Sampling rate in Hz; not used, kernels are counted in samples as in the paper.
    shortcuts : bool
        Whether a block's input is added to its output; without, it is the paper's plain network.
    drop_prob : float
        Before the last layer; the paper has none.

    Examples
    --------
    >>> import torch
    >>> ResNet(64, 2, 78, 120.0)(torch.zeros(5, 64, 78)).shape
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
        shortcuts: bool = True,
        drop_prob: float = 0.5,
    ):
        super().__init__()
        self.stem = nn.Sequential(*_convolution(n_chans, 16, 3), nn.ReLU())
        self.blocks = nn.Sequential(
            ResidualBlock(16, 16, shortcut=shortcuts),
            ResidualBlock(16, 16, shortcut=shortcuts),
            ResidualBlock(16, 32, step=2, shortcut=shortcuts),
            ResidualBlock(32, 32, shortcut=shortcuts),
            ResidualBlock(32, 64, step=2, shortcut=shortcuts),
            ResidualBlock(64, 64, shortcut=shortcuts),
        )
        self.drop = nn.Dropout(drop_prob)
        n_steps = (n_times + 3) // 4
        self.final_layer = nn.Linear(64 * n_steps, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (batch, n_outputs), of epochs (batch, n_chans, n_times)."""
        x = self.stem(x)  # (batch, 16, n_times)
        x = self.blocks(x)  # (batch, 64, about n_times / 4)
        x = self.drop(x).flatten(1)  # (batch, 64 * n_steps)
        return self.final_layer(x)  # (batch, n_outputs)


class ResidualBlock(nn.Module):
    """Two convolutions of 3 samples, whose input is added to their output.

    Parameters
    ----------
    n_maps, n_filters : int
        Maps before and after it.
    step : int
        Samples from output to output.
    shortcut : bool
        Whether the input is added, by a convolution of one sample if its shape is another.
    """

    def __init__(self, n_maps: int, n_filters: int, *, step: int = 1, shortcut: bool = True):
        super().__init__()
        self.residual = nn.Sequential(
            *_convolution(n_maps, n_filters, 3, step),
            nn.ReLU(),
            *_convolution(n_filters, n_filters, 3),
        )
        changes = step > 1 or n_maps != n_filters
        self.shortcut: nn.Module | None = None
        if shortcut:
            projection = nn.Sequential(*_convolution(n_maps, n_filters, 1, step))
            self.shortcut = projection if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return maps, shape (batch, n_filters, n_times / step), of (batch, n_maps, n_times)."""
        residual = self.residual(x)  # (batch, n_filters, n_times / step)
        if self.shortcut is not None:
            residual = residual + self.shortcut(x)
        return residual.relu()


def _convolution(n_maps: int, n_filters: int, kernel: int, step: int = 1) -> list[nn.Module]:
    convolution = nn.Conv1d(n_maps, n_filters, kernel, step, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm1d(n_filters)]
