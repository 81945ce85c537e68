"""EEGNet: one temporal filter bank, one spatial filter per frequency, one separable layer.

V. J. Lawhern et al., "EEGNet: a compact convolutional neural network for EEG-based
brain-computer interfaces", J. Neural Eng. 15:056013, 2018, doi 10.1088/1741-2552/aace8c,
arXiv 1611.08024 (table 2, figure 1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class EEGNet(nn.Module):
    """EEGNet-8,2: 8 temporal filters, 2 spatial filters for each of them.

    The paper works at 128 Hz. Its kernels last half a second, so their lengths follow ``sfreq``:
    64 and 16 samples there, 60 and 15 at 120 Hz. The pools keep their 4 and 8 samples: 78
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
        D of the paper: spatial filters for each temporal one.
    kernel_s : float
        Length of the temporal and of the separable kernel in seconds.
    pool_1, pool_2 : int
        Samples averaged after the spatial and after the separable layer.
    drop_prob : float
        The paper takes 0.5 within and 0.25 across subjects.
    max_norm_spatial, max_norm_final : float
        Largest norm of a spatial filter and of an output's weights; see
        :meth:`apply_constraints`.

    Examples
    --------
    >>> EEGNet(64, 2, 78, 120.0)(torch.zeros(5, 64, 78)).shape
    torch.Size([5, 2])
    """

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
        self.max_norm_spatial = max_norm_spatial
        self.max_norm_final = max_norm_final
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
        """Give logits, shape (batch, n_outputs), for epochs (batch, n_chans, n_times)."""
        x = self.filter_in_time_and_space(x)  # (batch, 16, n_times)
        x = self.spatial_end(x)  # (batch, 16, n_times // 4)
        x = self.separable(x)  # (batch, 16, n_times // 32)
        x = x.flatten(1)  # (batch, 16 * (n_times // 32))
        return self.final_layer(x)  # (batch, n_outputs)

    def filter_in_time_and_space(self, x: Tensor) -> Tensor:
        """Do ``spatial(temporal_norm(temporal(x)))`` at a tenth of the price.

        The three are linear once the batch's mean and variance are known, so electrodes are
        summed before time is filtered, and the maps of all electrodes never exist. The
        statistics of those maps follow from the samples' mean and second moment.
        """
        f1, depth = (
            len(self.temporal.weight),
            len(self.spatial.weight) // len(self.temporal.weight),
        )
        answers = self._answers_to_impulses(x.shape[-1])  # (f1, n_times, n_times)
        scale, shift = self._batch_norm(x, answers)  # (f1, 1, 1, 1) each
        spatial = self.spatial.weight.squeeze(-1).flatten(1)  # (f1 * depth, n_chans)
        x = torch.einsum("oc,bct->obt", spatial, x)  # (f1 * depth, batch, n_times)
        x = x.reshape(f1, -1, x.shape[-1]) @ answers  # (f1, depth * batch, n_times)
        x = x.unflatten(1, (depth, -1))  # (f1, depth, batch, n_times)
        x = x * scale + shift * spatial.sum(1).reshape(f1, depth, 1, 1)
        return x.flatten(0, 1).transpose(0, 1)  # (batch, f1 * depth, n_times)

    def spatial_filters(self) -> Tensor:
        """Give the spatial filters, those of one temporal filter together: (f1 * depth, n_chans).

        Each reads what one temporal filter leaves of the epoch (:meth:`spatial_inputs`).
        """
        return self.spatial.weight.detach().squeeze(-1).flatten(1)

    def temporal_kernels(self) -> Tensor:
        """Give the weights of each temporal filter: shape (f1, kernel)."""
        return self.temporal.weight.detach()[:, 0, 0]

    @torch.no_grad()
    def spatial_inputs(self, x: Tensor):
        """Yield, for each temporal filter, which spatial filters read it, and what they read.

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
        for k, answer in enumerate(self._answers_to_impulses(x.shape[-1])):
            yield slice(k * depth, (k + 1) * depth), x @ answer

    def _answers_to_impulses(self, n_times: int) -> Tensor:
        """Give each temporal filter as a matrix that a row of samples is multiplied by."""
        kernel = self.temporal.weight[:, 0, 0]  # (f1, kernel)
        before = (kernel.shape[1] - 1) // 2
        after = kernel.shape[1] - 1 - before
        kernel = functional.pad(kernel, (n_times - 1 - before, n_times - 1 - after))
        return kernel.unfold(1, n_times, 1).flip(2)  # (f1, n_times in, n_times out)

    def _batch_norm(self, x: Tensor, answers: Tensor) -> tuple[Tensor, Tensor]:
        """Give the factor and the offset by which ``temporal_norm`` changes each map."""
        norm = self.temporal_norm
        mean, var = norm.running_mean, norm.running_var
        if self.training:
            rows = x.flatten(0, 1)  # (batch * n_chans, n_times)
            second_moment = rows.T @ rows / len(rows)  # (n_times, n_times)
            mean = (rows.mean(0) @ answers).mean(-1)  # (f1,)
            var = ((second_moment @ answers) * answers).sum((1, 2)) / x.shape[-1] - mean**2
            with torch.no_grad():
                unbiased = var * x.numel() / (x.numel() - 1)
                norm.running_mean.lerp_(mean, norm.momentum)
                norm.running_var.lerp_(unbiased, norm.momentum)
                norm.num_batches_tracked += 1
        scale = norm.weight * torch.rsqrt(var.clamp(min=0) + norm.eps)
        shift = norm.bias - mean * scale
        return scale.reshape(-1, 1, 1, 1), shift.reshape(-1, 1, 1, 1)

    @torch.no_grad()
    def apply_constraints(self) -> None:
        """Shrink spatial filters and output weights to their largest norms, in place.

        To be called after every step of the optimizer, as Keras does in the authors' code.
        """
        for layer, max_norm in (
            (self.spatial, self.max_norm_spatial),
            (self.final_layer, self.max_norm_final),
        ):
            layer.weight.copy_(layer.weight.renorm(p=2, dim=0, maxnorm=max_norm))
