"""ShallowConvNet: the logarithm of band power, learned.

R. T. Schirrmeister et al., "Deep learning with convolutional neural networks for EEG decoding
and visualization", Hum. Brain Mapp. 38:5391-5420, 2017, doi 10.1002/hbm.23730, arXiv 1703.05051;
sizes for 128 Hz and the bounds on the weights: V. J. Lawhern et al., 2018, arXiv 1611.08024.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from p300.models import _fast


class ShallowConvNet(nn.Module):
    """Filters in time and space, the mean of their squares, the logarithm of the mean.

    It was designed for oscillations. Squaring loses the sign of a wave, so it is worse than other
    networks for P300s. The paper uses 250 Hz and seconds of signal; kernel, pool and stride have
    the durations of Lawhern et al. (13, 35 and 7 samples at 128 Hz; 12, 32 and 7 at 120 Hz). With
    64 channels, 128 samples and 128 Hz it has their 104,002 parameters.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch.
    sfreq : float
        Sampling rate in Hz; sets kernel, pool and stride in samples.
    n_filters : int
        Temporal filters, and spatial filters over all of them.
    kernel_s, pool_s, stride_s : float
        Length of a temporal filter, length of a mean, and distance of the means, in seconds.
    drop_prob : float
        Before the last layer.
    max_norm, max_norm_final : float
        Largest norm of a filter and of an output's weights; see :meth:`apply_constraints`.

    Examples
    --------
    >>> ShallowConvNet(64, 2, 78, 120.0)(torch.zeros(5, 64, 78)).shape
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
        n_filters: int = 40,
        kernel_s: float = 0.1,
        pool_s: float = 0.27,
        stride_s: float = 0.055,
        drop_prob: float = 0.5,
        max_norm: float = 2.0,
        max_norm_final: float = 0.5,
    ):
        super().__init__()
        kernel = min(max(1, round(kernel_s * sfreq)), n_times)
        pool = min(max(1, round(pool_s * sfreq)), n_times - kernel + 1)
        stride = max(1, round(stride_s * sfreq))
        n_steps = (n_times - kernel + 1 - pool) // stride + 1
        self.max_norm, self.max_norm_final = max_norm, max_norm_final
        self.temporal = nn.Conv2d(1, n_filters, (1, kernel))
        self.spatial = nn.Conv2d(n_filters, n_filters, (n_chans, 1), bias=False)
        self.norm = nn.BatchNorm1d(n_filters)
        self.pool = nn.AvgPool1d(pool, stride)
        self.drop = nn.Dropout(drop_prob)
        self.final_layer = nn.Linear(n_filters * n_steps, n_outputs)
        self.apply_constraints()

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (batch, n_outputs), of epochs (batch, n_chans, n_times)."""
        if self.engine == "textbook":
            x = self.spatial(self.temporal(x.unsqueeze(1))).squeeze(2)  # (batch, n_filters, …)
        else:
            x = _fast.time_and_space(self.temporal, self.spatial, x)  # the same
        x = self.norm(x).square()  # same
        x = self.pool(x).clamp(min=1e-7).log()  # (batch, n_filters, n_steps)
        x = self.drop(x).flatten(1)  # (batch, n_filters * n_steps)
        return self.final_layer(x)  # (batch, n_outputs)

    def temporal_kernels(self) -> Tensor:
        """Return the weights of each temporal filter: shape (n_filters, kernel)."""
        return self.temporal.weight.detach()[:, 0, 0]

    @torch.no_grad()
    def apply_constraints(self) -> None:
        """Shrink filters and output weights to their largest norms, in place.

        Call it after every step of the optimizer.
        """
        for layer in (self.temporal, self.spatial):
            layer.weight.renorm_(p=2, dim=0, maxnorm=self.max_norm)
        self.final_layer.weight.renorm_(p=2, dim=0, maxnorm=self.max_norm_final)
