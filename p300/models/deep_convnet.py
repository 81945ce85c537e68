"""DeepConvNet: four blocks of convolution and pooling, the first one in time and space.

R. T. Schirrmeister et al., "Deep learning with convolutional neural networks for EEG decoding
and visualization", Hum. Brain Mapp. 38:5391-5420, 2017, doi 10.1002/hbm.23730, arXiv 1703.05051;
sizes for 128 Hz and the bounds on the weights: V. J. Lawhern et al., 2018, arXiv 1611.08024.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from p300.models import _fast


class DeepConvNet(nn.Module):
    """25, 50, 100 and 200 filters; each block halves the number of samples.

    The paper uses 250 Hz, seconds of signal, kernels of 10 and pools of 3. As in Lawhern et al.
    kernels have 5 samples and pools 2, which also fits 78 samples at 120 Hz: 37, 16, 6 and 1
    steps. With 64 channels and 128 samples it has their 174,127 parameters. If an epoch is too
    short for a kernel or a pool, this is shortened to the samples that are left.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch.
    sfreq : float
        Sampling rate in Hz; not used, the kernels are counted in samples.
    n_filters : sequence of int
        Filters of each block.
    kernel : int
        Samples of a filter.
    drop_prob : float
        After each block.
    max_norm, max_norm_final : float
        Largest norm of a filter and of an output's weights; see :meth:`apply_constraints`.

    Examples
    --------
    >>> DeepConvNet(64, 2, 78, 120.0)(torch.zeros(5, 64, 78)).shape
    torch.Size([5, 2])
    """

    engine = "fast"  # or "textbook"

    def __init__(
        self,
        n_chans: int,
        n_outputs: int,
        n_times: int,
        sfreq: float,
        *,
        n_filters: Sequence[int] = (25, 50, 100, 200),
        kernel: int = 5,
        drop_prob: float = 0.5,
        max_norm: float = 2.0,
        max_norm_final: float = 0.5,
    ):
        super().__init__()
        self.max_norm, self.max_norm_final = max_norm, max_norm_final
        first, *others = n_filters
        fitting = min(kernel, n_times)
        self.temporal = nn.Conv2d(1, first, (1, fitting))
        self.spatial = nn.Conv2d(first, first, (n_chans, 1))
        self.blocks = nn.Sequential()
        n_steps, n_maps = n_times - fitting + 1, first
        for n_next in (*others, None):
            pool = min(2, n_steps)
            self.blocks += nn.Sequential(
                nn.BatchNorm1d(n_maps), nn.ELU(), nn.MaxPool1d(pool), nn.Dropout(drop_prob)
            )
            n_steps //= pool
            if n_next is not None:
                fitting = min(kernel, n_steps)
                self.blocks.append(nn.Conv1d(n_maps, n_next, fitting))
                n_steps, n_maps = n_steps - fitting + 1, n_next
        self.final_layer = nn.Linear(n_maps * n_steps, n_outputs)
        self.apply_constraints()

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (batch, n_outputs), of epochs (batch, n_chans, n_times)."""
        if self.engine == "textbook":
            x = self.spatial(self.temporal(x.unsqueeze(1))).squeeze(2)  # (batch, 25, n_times - 4)
        else:
            x = _fast.time_and_space(self.temporal, self.spatial, x)  # the same
        x = self.blocks(x)  # (batch, 200, n_steps), 1 step for 78 samples
        x = x.flatten(1)  # (batch, 200 * n_steps)
        return self.final_layer(x)  # (batch, n_outputs)

    def temporal_kernels(self) -> Tensor:
        """Return the weights of each temporal filter: shape (n_filters, kernel)."""
        return self.temporal.weight.detach()[:, 0, 0]

    @torch.no_grad()
    def apply_constraints(self) -> None:
        """Shrink filters and output weights to their largest norms, in place.

        Call it after every step of the optimizer.
        """
        for layer in self.modules():
            if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
                max_norm = self.max_norm_final if layer is self.final_layer else self.max_norm
                layer.weight.renorm_(p=2, dim=0, maxnorm=max_norm)
