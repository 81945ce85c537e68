"""The first layers of some networks, computed with fewer operations.

Each function computes the same as layers of a network, up to rounding; tests/models checks this
for every network. A network uses these functions unless its ``engine`` is "textbook".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from p300.models.cecotti import CecottiCNN


def cecotti_maps(network: CecottiCNN, x: Tensor) -> Tensor:
    """Compute layers L1 and L2 of the paper's network as two matrix products.

    The spatial kernels span all electrodes and the temporal ones do not overlap. So L1 is one
    product over electrodes, and L2 one product over samples for each spatial filter.

    A scaled tanh is a logistic function between two linear ones, 1.7159 tanh(2x / 3) =
    3.4318 / (1 + exp(-4x / 3)) - 1.7159, and a processor computes that six times as fast. The
    linear ones are applied to the weights before and after it, which are fewer than the samples.

    Parameters
    ----------
    network : CecottiCNN
    x : Tensor, shape (batch, n_chans, n_times)

    Returns
    -------
    Tensor, shape (batch, n_filters * n_maps * n_steps)
    """
    batch, step, n_steps = len(x), network.kernel_length, network.n_steps
    inner, outer = 4 / 3, 2 * 1.7159
    x = x[..., : n_steps * step].mT.flatten(0, 1)  # (batch * n_times, n_chans)
    bias, weight = inner * network.spatial_bias, inner * network.spatial_weight
    x = (weight @ x.mT).add_(bias).sigmoid_()  # (n_filters, batch * n_times)
    x = x.unflatten(1, (batch * n_steps, step))  # (n_filters, batch * n_steps, 13)
    weight = inner * outer * network.temporal_weight  # (n_filters, n_maps, 13)
    bias = inner * network.temporal_bias - weight.sum(2, keepdim=True) / 2
    x = (weight @ x.mT).add_(bias).sigmoid_()  # (n_filters, n_maps, batch * n_steps)
    x = outer * x - outer / 2
    return x.unflatten(2, (batch, n_steps)).permute(2, 0, 1, 3).flatten(1)


def time_and_space(temporal: nn.Conv2d, spatial: nn.Conv2d, x: Tensor) -> Tensor:
    """Compute ``spatial(temporal(x))``, two layers in a row, as one convolution.

    Parameters
    ----------
    temporal, spatial : nn.Conv2d
        Kernels of shape (1, kernel) and (n_chans, 1).
    x : Tensor, shape (batch, n_chans, n_times)

    Returns
    -------
    Tensor, shape (batch, n_filters, n_times - kernel + 1)
    """
    in_time = temporal.weight[:, 0, 0]  # (n_temporal, kernel)
    in_space = spatial.weight[..., 0]  # (n_filters, n_temporal, n_chans)
    kernel = torch.einsum("ofc,fk->ock", in_space, in_time)  # (n_filters, n_chans, kernel)
    assert temporal.bias is not None
    bias = in_space.sum(2) @ temporal.bias  # (n_filters,)
    if spatial.bias is not None:
        bias = bias + spatial.bias
    return functional.conv1d(x, kernel, bias)


def normalised_time_and_space(
    temporal: nn.Conv2d, norm: nn.BatchNorm2d, spatial: nn.Conv2d, x: Tensor
) -> Tensor:
    """Compute ``spatial(norm(temporal(x)))`` of EEGNet at a tenth of the cost.

    The three layers are linear once the mean and variance of the batch are known. So the spatial
    filters come before the temporal ones, and the maps of all electrodes are never computed. The
    statistics of those maps follow from the mean and second moment of the samples.

    Parameters
    ----------
    temporal : nn.Conv2d
        ``f1`` kernels of shape (1, kernel), without bias; the epoch is padded with zeros.
    norm : nn.BatchNorm2d
        Its running statistics are updated in training.
    spatial : nn.Conv2d
        ``depth`` kernels of shape (n_chans, 1) for each temporal filter, without bias.
    x : Tensor, shape (batch, n_chans, n_times)

    Returns
    -------
    Tensor, shape (batch, f1 * depth, n_times)
    """
    f1 = len(temporal.weight)
    depth = len(spatial.weight) // f1
    responses = impulse_responses(temporal, x.shape[-1])  # (f1, n_times, n_times)
    scale, shift = _batch_norm(norm, x, responses)  # (f1, 1, 1, 1) each
    weight = spatial.weight.squeeze(-1).flatten(1)  # (f1 * depth, n_chans)
    x = torch.einsum("oc,bct->obt", weight, x)  # (f1 * depth, batch, n_times)
    x = x.reshape(f1, -1, x.shape[-1]) @ responses  # (f1, depth * batch, n_times)
    x = x.unflatten(1, (depth, -1))  # (f1, depth, batch, n_times)
    x = x * scale + shift * weight.sum(1).reshape(f1, depth, 1, 1)
    return x.flatten(0, 1).transpose(0, 1)  # (batch, f1 * depth, n_times)


def impulse_responses(temporal: nn.Conv2d, n_times: int) -> Tensor:
    """Return each temporal filter as a matrix by which a row of samples is multiplied.

    Returns
    -------
    Tensor, shape (f1, n_times, n_times)
        Axes: filter, sample in, sample out.
    """
    kernel = temporal.weight[:, 0, 0]  # (f1, kernel)
    before = (kernel.shape[1] - 1) // 2
    after = kernel.shape[1] - 1 - before
    kernel = functional.pad(kernel, (n_times - 1 - before, n_times - 1 - after))
    return kernel.unfold(1, n_times, 1).flip(2)


def _batch_norm(norm: nn.BatchNorm2d, x: Tensor, responses: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the factor and the offset by which ``norm`` changes each map."""
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None and var is not None
    if norm.training:
        rows = x.flatten(0, 1)  # (batch * n_chans, n_times)
        second_moment = rows.T @ rows / len(rows)  # (n_times, n_times)
        mean = (rows.mean(0) @ responses).mean(-1)  # (f1,)
        var = ((second_moment @ responses) * responses).sum((1, 2)) / x.shape[-1] - mean**2
        with torch.no_grad():
            unbiased = var * x.numel() / (x.numel() - 1)
            assert norm.running_mean is not None and norm.running_var is not None
            assert norm.momentum is not None and norm.num_batches_tracked is not None
            norm.running_mean.mul_(1 - norm.momentum).add_(mean, alpha=norm.momentum)
            norm.running_var.mul_(1 - norm.momentum).add_(unbiased, alpha=norm.momentum)
            norm.num_batches_tracked += 1
    scale = norm.weight * torch.rsqrt(var.clamp(min=0) + norm.eps)
    shift = norm.bias - mean * scale
    return scale.reshape(-1, 1, 1, 1), shift.reshape(-1, 1, 1, 1)


def pieces(convolution: nn.Conv1d, x: Tensor) -> Tensor:
    """Compute a convolution whose kernels do not overlap as one product per piece.

    Parameters
    ----------
    convolution : nn.Conv1d
        Its stride is the length of its kernels.
    x : Tensor, shape (batch, n_chans, n_pieces * piece)

    Returns
    -------
    Tensor, shape (batch, n_filters, n_pieces)
    """
    x = x.mT.reshape(len(x), -1, convolution.weight[0].numel())  # (batch, n_pieces, …)
    weight = convolution.weight.mT.flatten(1)  # (n_filters, piece * n_chans)
    return functional.linear(x, weight, convolution.bias).mT
