"""LeNet-5 with the epoch as its image: rows are electrodes, columns are samples.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
recognition", Proc. IEEE 86:2278-2324, 1998, doi 10.1109/5.726791.
"""

from __future__ import annotations

from torch import Tensor, nn


class LeNet(nn.Module):
    """Two layers of 5 x 5 kernels and pools of 2 x 2, then 120 and 84 units.

    It assumes that neighbouring rows are neighbours on the scalp, which depends on the order of
    the electrodes. It is a general-purpose network for comparison, not a recommendation. For a
    32 x 32 image with ten classes it has the 61,706 parameters of the usual LeNet-5 (every map of
    the second layer reads all maps of the first). If there are fewer electrodes than a kernel has
    rows, the kernel is smaller. A single row is not halved.

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

    trains_side_by_side = True

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
        maps, rows, columns = 1, n_chans, n_times
        layers: list[nn.Module] = []
        for n_maps in (6, 16):
            kernel = min(5, rows), min(5, columns)
            rows, columns = rows - kernel[0] + 1, columns - kernel[1] + 1
            pool = min(2, rows), min(2, columns)
            rows, columns = rows // pool[0], columns // pool[1]
            layers += [nn.Conv2d(maps, n_maps, kernel), nn.Tanh(), nn.AvgPool2d(pool)]
            maps = n_maps
        self.convolutions = nn.Sequential(*layers)
        self.hidden = nn.Sequential(
            nn.Linear(maps * rows * columns, 120),
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
