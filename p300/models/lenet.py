"""LeNet-5 with the epoch as its picture: rows are electrodes, columns are samples.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
recognition", Proc. IEEE 86:2278-2324, 1998, doi 10.1109/5.726791.
"""

from __future__ import annotations

from torch import Tensor, nn


class LeNet(nn.Module):
    """Two layers of 5 x 5 kernels and halving, then 120 and 84 units.

    It takes neighbouring rows for neighbours on the scalp, which the order of the electrodes
    does not promise: a general-purpose rival, not a recommendation. On a 32 x 32 picture with
    ten classes it has the 61,706 parameters of the usual LeNet-5 (every map of the second layer
    reads all of the first). Fewer electrodes than a kernel has rows get a smaller kernel, a
    single row is not halved.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch.
    sfreq : float
        Sampling rate in Hz; not used, kernels are counted in samples as in the paper.
    drop_prob : float
        Before the last layer; the paper has none.

    Examples
    --------
    >>> import torch
    >>> LeNet(64, 2, 78, 120.0)(torch.zeros(5, 64, 78)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        n_chans: int,
        n_outputs: int,
        n_times: int,
        sfreq: float,
        *,
        drop_prob: float = 0.0,
    ):
        super().__init__()
        maps, layers = 1, []
        shape = [n_chans, n_times]
        for n_maps in (6, 16):
            kernel = [min(5, size) for size in shape]
            shape = [size - k + 1 for size, k in zip(shape, kernel, strict=True)]
            halving = [min(2, size) for size in shape]
            shape = [size // h for size, h in zip(shape, halving, strict=True)]
            layers += [nn.Conv2d(maps, n_maps, kernel), nn.Tanh(), nn.AvgPool2d(halving)]
            maps = n_maps
        self.convolutions = nn.Sequential(*layers)
        self.hidden = nn.Sequential(
            nn.Linear(maps * shape[0] * shape[1], 120),
            nn.Tanh(),
            nn.Linear(120, 84),
            nn.Tanh(),
            nn.Dropout(drop_prob),
        )
        self.final_layer = nn.Linear(84, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (batch, n_outputs), of epochs (batch, n_chans, n_times)."""
        x = x.unsqueeze(1)  # (batch, 1, n_chans, n_times)
        x = self.convolutions(x)  # (batch, 16, about n_chans / 4, about n_times / 4)
        x = x.flatten(1)  # (batch, 16 * rows * columns)
        x = self.hidden(x)  # (batch, 84)
        return self.final_layer(x)  # (batch, n_outputs)
