"""What is learned from the training flashes before a network is trained with their labels."""

from __future__ import annotations

import logging
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from p300.models.protocols import LearnsUnlabelled
from p300.training.datamodule import mixed, set_seed
from p300.training.loop import NetworkFit

log = logging.getLogger(__name__)

#: Distinguishes the seed of this from those of the training epochs, which are counted from 0.
BEFORE_TRAINING = 2**32 - 1


@runtime_checkable
class FittedAugmentation(Protocol):
    """An augmentation that is fitted to the training flashes, such as a generator of epochs."""

    def fit(self, epochs: Tensor, is_target: Tensor) -> dict[str, float]:
        """Fit to all training epochs (n_flashes, n_chans, n_times) and labels (n_flashes,).

        Return numbers about the fit, for ``results.json``.
        """


def prepare_training(fit: NetworkFit, *, from_start: bool = True) -> dict[str, float]:
    """Fit the augmentations of a training, and let its network learn without labels.

    Only flashes of the training part are read. The random numbers depend on the seed of the
    training alone, so an interrupted training is prepared again with the same result. Weights
    that are frozen learn here too: they stay as they are in the training with labels.

    Parameters
    ----------
    fit : NetworkFit
        Its augmentations are fitted if they are a :class:`FittedAugmentation`. Its network learns
        if it is :class:`~p300.models.protocols.LearnsUnlabelled`.
    from_start : bool
        Whether the network starts from random weights; one that was trained before learns nothing
        here.

    Returns
    -------
    dict of str to float
        What they state about themselves.
    """
    fitted: list[Any] = [a for a in fit.data.augmentations if isinstance(a, FittedAugmentation)]
    network: Any = fit.module.network
    learns = from_start and isinstance(network, LearnsUnlabelled)
    if not (fitted or learns):
        return {}
    set_seed(mixed(fit.data.seed, BEFORE_TRAINING))
    epochs, is_target = fit.data.gather(fit.data.train)
    stated: dict[str, float] = {}
    for augmentation in fitted:
        stated |= augmentation.fit(epochs, is_target)
    if learns:
        frozen = [weight for weight in network.parameters() if not weight.requires_grad]
        for weight in frozen:
            weight.requires_grad_(True)
        stated |= network.learn_unlabelled(epochs)
        for weight in frozen:
            weight.requires_grad_(False)
    numbers = ", ".join(f"{name} {value:.3g}" for name, value in stated.items())
    log.info("learned before the training with labels: %s", numbers or "no number is stated")
    return stated
