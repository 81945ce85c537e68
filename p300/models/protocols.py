"""Optional methods of a network beside ``forward``, each as a protocol.

A network needs none of them. It supports a protocol by having its methods; there is nothing to
inherit or to register. Other code asks ``isinstance(network, HasSpatialFilters)``.

============================ ==================================================================
protocol                     use
============================ ==================================================================
:class:`Constrained`         weights are bounded after every step of the optimizer
:class:`HasLayerRates`       ``protocol=paper`` gives each layer the paper's learning rate
:class:`HasElectrodePower`   ``select_electrodes.n=8`` keeps the electrodes of highest power
:class:`HasSpatialFilters`   filters and patterns are drawn on the head
:class:`HasSpatialInputs`    the same, if the input of the filters is not the epoch itself
:class:`HasTemporalKernels`  kernels and their frequency responses are drawn
:class:`LearnsUnlabelled`    the training epochs are shown without labels, before the training
:class:`ReadsPositions`      ``pretrained=RUN`` starts it from a network for other electrodes
:class:`ReadsTimeFirst`      epochs are laid out in memory as the first layer reads them
:class:`TrainsSideBySide`    several of its kind are trained as one batched network
============================ ==================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Constrained(Protocol):
    """A network whose paper bounds its weights (max-norm)."""

    def apply_constraints(self) -> None:
        """Shrink weights to their largest norms, in place."""


@runtime_checkable
class HasLayerRates(Protocol):
    """A network with a learning rate for each layer (eqs. 9 and 10 of Cecotti & Graeser)."""

    def learning_rates(self, base: float) -> list[dict[str, Any]]:
        """Return parameter groups for an optimizer: ``params`` and ``lr``."""


@runtime_checkable
class HasElectrodePower(Protocol):
    """A network that ranks electrodes by its weights (eq. 12)."""

    def electrode_power(self) -> Tensor:
        """Compute one power per electrode: shape (n_chans,)."""


@runtime_checkable
class HasSpatialFilters(Protocol):
    """A network whose filters weigh all electrodes at one instant."""

    def spatial_filters(self) -> Tensor:
        """Return the weights: shape (n_filters, n_chans)."""


@runtime_checkable
class HasSpatialInputs(Protocol):
    """A network whose spatial filters have another input than the epoch itself."""

    def spatial_inputs(self, x: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Yield spatial filters (rows) and their input, (batch, n_chans, n_times)."""


@runtime_checkable
class HasTemporalKernels(Protocol):
    """A network with filters in time alone."""

    def temporal_kernels(self) -> Tensor:
        """Return the weights: shape (n_kernels, kernel_length)."""


@runtime_checkable
class LearnsUnlabelled(Protocol):
    """A network that learns something from epochs alone before it is trained with labels.

    With ``pretrained=RUN`` it starts from that run's weights instead.
    """

    def learn_unlabelled(self, epochs: Tensor) -> dict[str, float]:
        """Learn from training epochs (n_flashes, n_chans, n_times); return what was reached.

        Random numbers come from torch, whose seed is set before. The numbers returned are written
        to ``results.json``.
        """


@runtime_checkable
class ReadsPositions(Protocol):
    """A network that takes the electrodes by their positions, so its weights fit any electrodes.

    No tensor in its ``state_dict`` depends on the number or the order of the electrodes; it has an
    argument ``ch_names``.
    """

    reads_positions: bool


@runtime_checkable
class ReadsTimeFirst(Protocol):
    """A network that is faster when all electrodes of a sample are neighbours in memory."""

    reads_time_first: bool


@runtime_checkable
class TrainsSideBySide(Protocol):
    """A network that learns the same if several of its kind are computed as one.

    It must compute an epoch by the operations of PyTorch alone, keep its weights in the tensors it
    was built with (``weight.data = …`` replaces one, ``weight.renorm_(…)`` does not), and draw
    random numbers by ``nn.Dropout`` only.
    """

    trains_side_by_side: bool
