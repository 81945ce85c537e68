"""The five-layer spatial and temporal convolutional network of Cecotti & Graeser 2011."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d

from p300.models import _fast


class CecottiCNN(nn.Module):
    """CNN-1 and its smaller variants: spatial filters, then temporal filters that sub-sample.

    Parameters
    ----------
    n_chans : int
        Electrodes; 64 in CNN-1, 8 in CNN-2a and CNN-2b.
    n_outputs : int
        2: no P300, P300.
    n_times : int
        Samples per epoch; samples after the last whole kernel are not used.
    sfreq : float
        Sampling rate in Hz; part of the common signature, not used.
    n_filters : int
        Spatial filters N_s: 10 in CNN-1, 1 in CNN-3.
    n_maps_per_filter : int
        Temporal maps per spatial map.
    kernel_length : int
        Samples of a temporal kernel; also its stride.
    n_hidden : int
        Neurons of the first full layer.

    Notes
    -----
    H. Cecotti, A. Graeser, IEEE TPAMI 33(3):433-445 (2011), section 3. The paper's output neurons
    are logistic; :meth:`forward` returns the inputs of that logistic, and the loss applies it.
    The paper prints 3,347 parameters for CNN-3; its own formula gives 3,437.

    Examples
    --------
    >>> CecottiCNN(64, 2, 78)(torch.zeros(5, 64, 78)).shape
    torch.Size([5, 2])
    >>> sum(p.numel() for p in CecottiCNN(64, 2, 78).parameters())
    31652
    """

    reads_time_first = True  # the order in memory that the product over electrodes needs
    engine = "fast"  # or "textbook"
    trains_side_by_side = True

    def __init__(
        self,
        n_chans: int,
        n_outputs: int = 2,
        n_times: int = 78,
        sfreq: float = 120.0,
        *,
        n_filters: int = 10,
        n_maps_per_filter: int = 5,
        kernel_length: int = 13,
        n_hidden: int = 100,
    ):
        super().__init__()
        if n_times < kernel_length:
            raise ValueError(
                f"{n_times} samples per epoch; expected at least the {kernel_length} of the kernel"
            )
        self.n_steps, self.kernel_length = n_times // kernel_length, kernel_length
        n_maps = n_filters * n_maps_per_filter
        self.spatial_weight = nn.Parameter(torch.empty(n_filters, n_chans))
        self.spatial_bias = nn.Parameter(torch.empty(n_filters, 1))
        self.temporal_weight = nn.Parameter(
            torch.empty(n_filters, n_maps_per_filter, kernel_length)
        )
        self.temporal_bias = nn.Parameter(torch.empty(n_filters, n_maps_per_filter, 1))
        self.hidden = nn.Linear(n_maps * self.n_steps, n_hidden)
        self.final_layer = nn.Linear(n_hidden, n_outputs)
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (batch, n_outputs), of epochs (batch, n_chans, n_times)."""
        if self.engine == "textbook":
            x = self.maps(x)  # L1 and L2: (batch, n_filters * n_maps * n_steps)
        else:
            x = _fast.cecotti_maps(self, x)  # the same
        x = torch.sigmoid(self.hidden(x))  # L3: (batch, n_hidden)
        return self.final_layer(x)  # L4: (batch, n_outputs)

    def maps(self, x: Tensor) -> Tensor:
        """Filter in space, then in time: the paper's two convolutions, eqs. (5) and (6)."""
        space = self.spatial_weight.unsqueeze(2)  # (n_filters, n_chans, 1)
        x = conv1d(x, space, self.spatial_bias.flatten())  # L1: (batch, n_filters, n_times)
        x = scaled_tanh(x)
        time = self.temporal_weight.flatten(0, 1).unsqueeze(1)  # (n_filters * n_maps, 1, 13)
        x = conv1d(
            x, time, self.temporal_bias.flatten(), stride=self.kernel_length, groups=len(space)
        )  # L2: (batch, n_filters * n_maps, n_steps)
        return scaled_tanh(x).flatten(1)

    def reset_parameters(self) -> None:
        """Draw weights and thresholds around zero with standard deviation 1 / n_inputs.

        This is how the paper's "standard distribution around ±1/n" is interpreted. With the usual
        1 / sqrt(n_inputs), the first weights would be so large that they would rank the
        electrodes (eq. 12), and not the learned weights.
        """
        for weight, bias in self.layers():
            n_inputs = weight.shape[-1]
            nn.init.normal_(weight, std=1 / n_inputs)
            nn.init.normal_(bias, std=1 / n_inputs)

    def layers(self) -> list[tuple[Tensor, Tensor]]:
        """List weight and threshold of the four trained layers, L1 to L4."""
        return [
            (self.spatial_weight, self.spatial_bias),
            (self.temporal_weight, self.temporal_bias),
            (self.hidden.weight, self.hidden.bias),
            (self.final_layer.weight, self.final_layer.bias),
        ]

    def learning_rates(self, base: float = 0.2) -> list[dict]:
        """Return each layer's learning rate by the paper's eqs. (9) and (10).

        Parameters
        ----------
        base : float
            The paper's λ.

        Returns
        -------
        list of dict
            Parameter groups for an optimizer: ``params`` and ``lr``.
        """
        n_shared = [self.n_steps * self.kernel_length, self.n_steps, None, None]
        groups = []
        for (weight, bias), shared in zip(self.layers(), n_shared, strict=True):
            rate = base / math.sqrt(weight.shape[-1])
            groups.append({"params": [weight, bias], "lr": 2 * rate / shared if shared else rate})
        return groups

    def electrode_power(self) -> Tensor:
        """Compute each electrode's sum of absolute spatial weights, eq. (12): (n_chans,)."""
        return self.spatial_weight.detach().abs().sum(0)

    def spatial_filters(self) -> Tensor:
        """Return the weights of each spatial map, L1: shape (n_filters, n_chans)."""
        return self.spatial_weight.detach()

    def temporal_kernels(self) -> Tensor:
        """Return the weights of each temporal map, L2: shape (n_filters * n_maps, kernel_length).

        The maps that read one spatial filter follow each other.
        """
        return self.temporal_weight.detach().flatten(0, 1)


def scaled_tanh(x: Tensor) -> Tensor:
    """Compute 1.7159 tanh(2x / 3), which maps ±1 to ±1 (LeCun et al. 1998)."""
    return 1.7159 * torch.tanh(2 / 3 * x)
