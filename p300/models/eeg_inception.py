"""EEG-Inception: filters of three lengths side by side, twice.

E. Santamaria-Vazquez, V. Martinez-Cagigal, F. Vaquerizo-Villar, R. Hornero, "EEG-Inception: a
novel deep convolutional neural network for assistive ERP-based brain-computer interfaces", IEEE
Trans. Neural Syst. Rehabil. Eng. 28:2773-2782, 2020, doi 10.1109/TNSRE.2020.3048106.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class EEGInception(nn.Module):
    """Two inception modules (temporal-spatial, temporal) and two output convolutions.

    The paper uses 8 channels, 128 Hz and one second. Its scales of 500, 250 and 125 ms are 64, 32
    and 16 samples, with 14,926 parameters; at 120 Hz they are 60, 30 and 15 samples. The four
    pools reduce 78 samples to 19, 9, 4 and 2. Every electrode has maps of its own before the
    spatial layer, so computing time and memory grow with the number of electrodes.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch.
    sfreq : float
        Sampling rate in Hz; with ``scales_s`` it sets the lengths of the kernels.
    n_filters : int
        Temporal filters of each scale.
    scales_s : sequence of float
        Lengths of the kernels of the first module in seconds.
    depth : int
        Spatial filters per temporal filter.
    drop_prob : float
        After every layer.
    max_norm_spatial : float
        Largest norm of a spatial filter; see :meth:`apply_constraints`.

    Examples
    --------
    >>> EEGInception(8, 2, 78, 120.0)(torch.zeros(5, 8, 78)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        n_chans: int,
        n_outputs: int,
        n_times: int,
        sfreq: float,
        *,
        n_filters: int = 8,
        scales_s: Sequence[float] = (0.5, 0.25, 0.125),
        depth: int = 2,
        drop_prob: float = 0.25,
        max_norm_spatial: float = 1.0,
    ):
        super().__init__()
        n_steps = n_times // 4 // 2 // 2 // 2
        if n_steps < 1:
            raise ValueError(
                f"EEGInception: {n_times} samples are fewer than the 32 that its pools average; "
                "expected a longer epoch"
            )
        kernels = [max(1, int(scale * sfreq)) for scale in scales_s]
        n_maps, n_spatial = n_filters * len(kernels), n_filters * depth
        self.max_norm_spatial = max_norm_spatial

        def end(n_maps: int, *pool: nn.Module) -> tuple[nn.Module, ...]:
            return (nn.BatchNorm2d(n_maps, eps=1e-3), nn.ELU(), *pool, nn.Dropout(drop_prob))

        self.spatio_temporal = nn.ModuleList(
            nn.Sequential(
                _same_length(1, n_filters, kernel, bias=True),
                *end(n_filters),
                nn.Conv2d(n_filters, n_spatial, (n_chans, 1), groups=n_filters, bias=False),
                *end(n_spatial),
            )
            for kernel in kernels
        )
        self.temporal = nn.ModuleList(
            nn.Sequential(
                _same_length(n_maps * depth, n_filters, max(1, kernel // 4)), *end(n_filters)
            )
            for kernel in kernels
        )
        self.pool_1, self.pool_2 = nn.AvgPool2d((1, 4)), nn.AvgPool2d((1, 2))
        self.output = nn.Sequential(
            _same_length(n_maps, n_maps // 2, 8),
            *end(n_maps // 2, nn.AvgPool2d((1, 2))),
            _same_length(n_maps // 2, n_maps // 4, 4),
            *end(n_maps // 4, nn.AvgPool2d((1, 2))),
        )
        self.final_layer = nn.Linear(n_maps // 4 * n_steps, n_outputs)
        self.apply_constraints()

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (batch, n_outputs), of epochs (batch, n_chans, n_times)."""
        x = x.unsqueeze(1)  # (batch, 1, n_chans, n_times)
        x = torch.cat([scale(x) for scale in self.spatio_temporal], 1)  # (batch, 48, 1, n_times)
        x = self.pool_1(x)  # (batch, 48, 1, n_times // 4)
        x = torch.cat([scale(x) for scale in self.temporal], 1)  # (batch, 24, 1, n_times // 4)
        x = self.pool_2(x)  # (batch, 24, 1, n_times // 8)
        x = self.output(x)  # (batch, 6, 1, n_times // 32)
        return self.final_layer(x.flatten(1))  # (batch, n_outputs)

    @torch.no_grad()
    def apply_constraints(self) -> None:
        """Shrink the spatial filters to their largest norm, in place.

        Call it after every step of the optimizer.
        """
        for layer in self.spatio_temporal.modules():
            if isinstance(layer, nn.Conv2d) and layer.groups > 1:
                layer.weight.renorm_(p=2, dim=0, maxnorm=self.max_norm_spatial)


def _same_length(n_maps_in: int, n_maps: int, kernel: int, bias: bool = False) -> nn.Module:
    return nn.Sequential(
        nn.ZeroPad2d(((kernel - 1) // 2, kernel // 2, 0, 0)),
        nn.Conv2d(n_maps_in, n_maps, (1, kernel), bias=bias),
    )
