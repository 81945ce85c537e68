"""EEGNet: one temporal filter bank, one spatial filter per frequency, one separable layer.

V. J. Lawhern et al., "EEGNet: a compact convolutional neural network for EEG-based
brain-computer interfaces", J. Neural Eng. 15:056013, 2018, doi 10.1088/1741-2552/aace8c,
arXiv 1611.08024 (table 2, figure 1).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from p300.models import _fast


class EEGNet(nn.Module):
    """EEGNet-8,2: 8 temporal filters, 2 spatial filters for each of them.

    The paper uses 128 Hz. Its kernels last half a second, so their lengths depend on ``sfreq``:
    64 and 16 samples in the paper, 60 and 15 at 120 Hz. The pools keep their 4 and 8 samples: 78
    samples become 19 and then 2. With 64 channels, 128 samples and 128 Hz the network has the
    2,258 parameters of the paper; with 64 channels and 78 samples at 120 Hz, 2,146.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch.
    sfreq : float
        Sampling rate in Hz; sets the lengths of the kernels.
    n_temporal_filters : int
        F1 of the paper.
    depth : int
        D of the paper: spatial filters per temporal filter.
    kernel_s : float
        Length of the temporal and of the separable kernel in seconds.
    pool_1, pool_2 : int
        Samples averaged after the spatial and after the separable layer.
    drop_prob : float
        The paper uses 0.5 within and 0.25 across subjects.
    max_norm_spatial, max_norm_final : float
        Largest norm of a spatial filter and of an output's weights; see
        :meth:`apply_constraints`.

    Examples
    --------
    >>> EEGNet(64, 2, 78, 120.0)(torch.zeros(5, 64, 78)).shape
    torch.Size([5, 2])
    """

    engine = "fast"  # or "textbook"
    trains_side_by_side = True

    def __init__(
        self,
        n_chans: int,
        n_outputs: int,
        n_times: int,
        sfreq: float,
        *,
        n_temporal_filters: int = 8,
        depth: int = 2,
        kernel_s: float = 0.5,
        pool_1: int = 4,
        pool_2: int = 8,
        drop_prob: float = 0.5,
        max_norm_spatial: float = 1.0,
        max_norm_final: float = 0.25,
    ):
        super().__init__()
        f1, f2 = n_temporal_filters, n_temporal_filters * depth
        kernel_1, kernel_2 = round(kernel_s * sfreq), round(kernel_s * sfreq / pool_1)
        n_steps = n_times // pool_1 // pool_2
        if n_steps < 1:
            raise ValueError(
                f"EEGNet: {n_times} samples are fewer than the {pool_1 * pool_2} that its pools "
                "average; expected a longer epoch or smaller pools"
            )
        self.max_norm_spatial, self.max_norm_final = max_norm_spatial, max_norm_final
        self.temporal = nn.Conv2d(1, f1, (1, kernel_1), bias=False)
        self.temporal_norm = nn.BatchNorm2d(f1, eps=1e-3)
        self.spatial = nn.Conv2d(f1, f2, (n_chans, 1), groups=f1, bias=False)
        self.spatial_end = nn.Sequential(
            nn.BatchNorm1d(f2, eps=1e-3), nn.ELU(), nn.AvgPool1d(pool_1), nn.Dropout(drop_prob)
        )
        self.separable = nn.Sequential(
            nn.ZeroPad1d(((kernel_2 - 1) // 2, kernel_2 // 2)),
            nn.Conv1d(f2, f2, kernel_2, groups=f2, bias=False),
            nn.Conv1d(f2, f2, 1, bias=False),
            nn.BatchNorm1d(f2, eps=1e-3),
            nn.ELU(),
            nn.AvgPool1d(pool_2),
            nn.Dropout(drop_prob),
        )
        self.final_layer = nn.Linear(f2 * n_steps, n_outputs)
        self.apply_constraints()

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (batch, n_outputs), of epochs (batch, n_chans, n_times)."""
        if self.engine == "textbook":
            x = self.time_and_space(x)  # (batch, 16, n_times)
        else:
            first = self.temporal, self.temporal_norm, self.spatial
            x = _fast.normalised_time_and_space(*first, x)  # the same
        x = self.spatial_end(x)  # (batch, 16, n_times // 4)
        x = self.separable(x)  # (batch, 16, n_times // 32)
        x = x.flatten(1)  # (batch, 16 * (n_times // 32))
        return self.final_layer(x)  # (batch, n_outputs)

    def time_and_space(self, x: Tensor) -> Tensor:
        """Filter in time, normalise, filter in space: the first three layers of figure 1."""
        kernel = self.temporal.kernel_size[1]
        zeros = (kernel - 1) // 2, kernel // 2
        x = functional.pad(x.unsqueeze(1), zeros)  # (batch, 1, n_chans, …)
        x = self.temporal(x)  # (batch, f1, n_chans, n_times)
        x = self.temporal_norm(x)
        return self.spatial(x).squeeze(2)  # (batch, f1 * depth, n_times)

    def spatial_filters(self) -> Tensor:
        """Return the spatial filters, grouped by temporal filter: (f1 * depth, n_chans).

        The input of each is the output of one temporal filter (:meth:`spatial_inputs`).
        """
        return self.spatial.weight.detach().squeeze(-1).flatten(1)

    def temporal_kernels(self) -> Tensor:
        """Return the weights of each temporal filter: shape (f1, kernel)."""
        return self.temporal.weight.detach()[:, 0, 0]

    @torch.no_grad()
    def spatial_inputs(self, x: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Yield, for each temporal filter, the spatial filters after it and their input.

        Parameters
        ----------
        x : Tensor, shape (batch, n_chans, n_times)
            Epochs.

        Yields
        ------
        slice
            Rows of :meth:`spatial_filters`.
        Tensor, shape (batch, n_chans, n_times)
            Before batch normalisation, which only scales and shifts.
        """
        depth = len(self.spatial.weight) // len(self.temporal.weight)
        for k, response in enumerate(_fast.impulse_responses(self.temporal, x.shape[-1])):
            yield slice(k * depth, (k + 1) * depth), x @ response

    @torch.no_grad()
    def apply_constraints(self) -> None:
        """Shrink spatial filters and output weights to their largest norms, in place.

        Call it after every step of the optimizer, as Keras does in the authors' code.
        """
        self.spatial.weight.renorm_(p=2, dim=0, maxnorm=self.max_norm_spatial)
        self.final_layer.weight.renorm_(p=2, dim=0, maxnorm=self.max_norm_final)
