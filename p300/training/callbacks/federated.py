"""Federated averaging: people train one network without giving away their EEG.

H. B. McMahan, E. Moore, D. Ramage, S. Hampson, B. Agüera y Arcas, "Communication-efficient
learning of deep networks from decentralized data", AISTATS 2017, arXiv 1602.05629.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from p300.errors import InputError
from p300.training.datamodule import EpochsDataModule

log = logging.getLogger(__name__)


class FederatedAveraging(pl.Callback):
    """Train on each person alone and average the weights, in every training epoch.

    A training epoch is a round. Every person starts from the common weights with a new optimizer
    and takes the steps of one pass over the own flashes. The common weights are then the mean of
    the people's weights, weighted by their flashes; so are the statistics of batch normalisation.
    Validation, early stopping and the weights that are kept see the common weights alone.

    It is computed on one machine. What would leave a person's machine are the weights. Three
    things stay central: the class weights of the loss come from the labels of all people, a
    ``preprocessing.scaling`` or augmentation that is fitted reads the flashes of all people, and
    the validation flashes of all people with their labels say when to stop. People's weights can
    tell something about their EEG; nothing is encrypted and no noise is added.

    With one person it is ordinary training with a new optimizer in every training epoch.

    Raises
    ------
    InputError
        If several processes train one network, batches are accumulated, or the validation is not
        at the end of a training epoch.

    Examples
    --------
    >>> callbacks = [FederatedAveraging()]  # beside those that stop and keep the best weights
    """

    def __init__(self) -> None:
        self._common: dict[str, Tensor] = {}
        self._handed_in: list[tuple[int, dict[str, Tensor]]] = []
        self._n_flashes = 0  # of the person in training; 0 between two rounds

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Let batches hold the flashes of one person each."""
        wanted: dict[str, Any] = {"world_size": 1, "accumulate_grad_batches": 1}
        wanted |= {"val_check_interval": 1.0}
        found = {name: getattr(trainer, name) for name in wanted}
        if found != wanted:
            raise InputError(
                f"got a trainer with {found} for FederatedAveraging; expected {wanted}: people "
                f"train one after the other, and have common weights after a training epoch"
            )
        trainer.datamodule.by_person = True  # type: ignore[attr-defined]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find the step at which each person begins."""
        data: EpochsDataModule = trainer.datamodule  # type: ignore[attr-defined]
        counts = data.n_flashes_of_people
        if len(counts) == 1 and not getattr(trainer, "fast_dev_run", False):
            log.warning("federated averaging: the training flashes are of one person alone")
        lengths = [math.ceil(n / data.batch_size) for n in counts]
        firsts = itertools.accumulate(lengths, initial=0)
        self._n_by_first_step = dict(zip(firsts, counts, strict=False))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the common weights, from which every person starts."""
        self._common, self._handed_in = copy_of_weights(pl_module), []

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Begin with the next person, if it is their first step."""
        if batch_idx not in self._n_by_first_step:
            return
        self._hand_in(pl_module)
        load_weights(pl_module, self._common)
        for optimizer in trainer.optimizers:
            optimizer.state.clear()
        self._n_flashes = self._n_by_first_step[batch_idx]

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Average the weights before they are validated."""
        self._average(pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Average the weights if this training epoch was not validated."""
        self._average(pl_module)

    def _average(self, module: pl.LightningModule) -> None:
        """Give the network the mean weights; people who took no step have no part in them."""
        if self._n_flashes:  # else they are averaged
            self._hand_in(module)
            load_weights(module, mean_weights(self._handed_in))

    def _hand_in(self, module: pl.LightningModule) -> None:
        """Keep the weights of the person who was in training, if there was one."""
        if self._n_flashes:
            self._handed_in.append((self._n_flashes, copy_of_weights(module)))
        self._n_flashes = 0


def mean_weights(handed_in: Sequence[tuple[int, dict[str, Tensor]]]) -> dict[str, Tensor]:
    """Compute the mean weights of people, weighted by their numbers of flashes.

    Parameters
    ----------
    handed_in : sequence of (int, dict of str to Tensor)
        The flashes of each person, and the weights and statistics of their network. At least one.

    Returns
    -------
    dict of str to Tensor
        Of the same types.

    Examples
    --------
    >>> two_people = [(1, {"bias": torch.tensor([1.0])}), (3, {"bias": torch.tensor([5.0])})]
    >>> mean_weights(two_people)
    {'bias': tensor([4.])}
    """
    shares = torch.tensor([n for n, _ in handed_in], dtype=torch.float64)
    shares /= shares.sum()
    mean = {}
    for name, first in handed_in[0][1].items():
        people = torch.stack([own[name] for _, own in handed_in], dim=-1).double()
        average = people @ shares.to(people.device)
        mean[name] = (average if first.is_floating_point() else average.round()).to(first.dtype)
    return mean


def copy_of_weights(module: pl.LightningModule) -> dict[str, Tensor]:
    """Copy the weights and statistics of the network that a module trains."""
    network: Any = module.network
    return {name: value.clone() for name, value in network.state_dict().items()}


def load_weights(module: pl.LightningModule, weights: dict[str, Tensor]) -> None:
    """Give the network that a module trains other weights and statistics."""
    network: Any = module.network
    network.load_state_dict(weights)
