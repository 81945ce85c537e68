"""Batches of epochs, gathered from one tensor that holds the whole recording."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from p300.errors import InputError
from p300.storage.maps import announce_rows, is_mapped
from p300.storage.memory import available_memory

#: An augmentation of :mod:`p300.training.augmentation`: epochs and labels to epochs.
Augmentation = Callable[[Tensor, Tensor], Tensor]

#: Most flashes in a batch of validation or test flashes.
LARGEST_BATCH = 2048

#: Flashes that are laid out at once; they fit into the processor's cache.
N_LAID_OUT = 32


class EpochsDataModule(pl.LightningDataModule):
    """The flashes that a network trains, validates and is tested on.

    A batch is gathered from one tensor of epochs in one operation, so no single epoch is copied
    and no worker process is started. The order of the training flashes and all random numbers of
    a step depend only on the seed, the training epoch and the number of the step. A training that
    is resumed after a training epoch therefore goes on as if it had not been interrupted.

    Parameters
    ----------
    epochs : ndarray or Tensor of float32, shape (n_flashes, n_chans, n_times)
        All epochs, shared and never copied, perhaps mapped from a file. They are moved to the
        trainer's device if they take less than half of its free memory; else batches are.
    is_target : array-like of bool, shape (n_flashes,)
        Labels; only those of the flashes below are read.
    train, validation, test : ndarray of bool, shape (n_flashes,), or None
        The flashes of each part.
    batch_size : int
        Flashes per step. If several processes train one network, each gets an equal part.
    seed : int
        Random seed of the order of the training flashes and of all random numbers in training.
    repeat_targets : bool
        Repeat the rarer class in each training epoch until both classes are equally frequent.
    augmentations : sequence of callable
        Of :mod:`p300.training.augmentation`: applied to a training batch before the network. Those
        with a method ``fit`` are fitted to the training flashes first
        (:func:`p300.training.preparation.prepare_training`).
    soft_labels : array-like of float, shape (n_flashes,), or None
        Labels from 0 to 1 that the training batches carry instead of the hard ones, such as those
        of a teacher (:mod:`p300.training.distillation`); only those of the training flashes are
        read.
    person : array-like of str, shape (n_flashes,), or None
        Whose flash each is; None if all are of one person.

    Raises
    ------
    InputError
        If there is no flash per step, or something needs hard labels.

    Attributes
    ----------
    by_person : bool
        Whether a training epoch goes through the people one after the other, with flashes of one
        person in each batch (:class:`p300.training.callbacks.FederatedAveraging`).
    reads_time_first : bool
        Whether the network reads all electrodes of a sample side by side in memory. Batches are
        then laid out like this, so that they do not depend on the layout of the epochs.

    Examples
    --------
    >>> is_target = np.arange(12) % 6 == 0
    >>> rows = np.arange(12) < 6
    >>> data = EpochsDataModule(np.zeros((12, 2, 3), "f4"), is_target, rows, ~rows)
    >>> epochs, labels = data.gather(torch.tensor([0, 7]))
    >>> epochs.shape, labels.tolist()
    (torch.Size([2, 2, 3]), [True, False])
    """

    def __init__(
        self,
        epochs: np.ndarray | Tensor,
        is_target: ArrayLike,
        train: np.ndarray,
        validation: np.ndarray | None = None,
        test: np.ndarray | None = None,
        *,
        batch_size: int = 64,
        seed: int = 0,
        repeat_targets: bool = False,
        augmentations: Sequence[Augmentation] = (),
        soft_labels: ArrayLike | None = None,
        person: ArrayLike | None = None,
    ):
        super().__init__()
        if batch_size < 1:
            raise InputError(f"got batch_size={batch_size}; expected at least 1 flash per step")
        self.epochs = torch.as_tensor(epochs)
        self._labels = self.is_target = torch.as_tensor(np.asarray(is_target, bool))
        self.train = torch.as_tensor(np.flatnonzero(train))
        self.validation, self.test = (
            torch.as_tensor(np.flatnonzero([] if rows is None else rows))
            for rows in (validation, test)
        )
        self.batch_size, self.seed = batch_size, seed
        self.repeat_targets, self.augmentations = repeat_targets, list(augmentations)
        self.soft_labels: Tensor | None = None
        if soft_labels is not None:
            self.soft_labels = torch.as_tensor(np.asarray(soft_labels, np.float32))
            self._check_soft_labels(self.soft_labels)
        people = np.zeros(len(self.epochs)) if person is None else np.asarray(person)
        self.person = torch.as_tensor(np.unique(people, return_inverse=True)[1])
        self.by_person = self.reads_time_first = False

    def _check_soft_labels(self, soft_labels: Tensor) -> None:
        """Refuse what soft labels are wrong for."""
        own = soft_labels[self.train]
        if not ((own >= 0) & (own <= 1)).all():  # nor nan
            raise InputError(
                f"got soft labels from {own.min():.3g} to {own.max():.3g} of the {len(own)} "
                "training flashes; expected 0 to 1; give each of them the probability of a target"
            )
        if self.repeat_targets:
            raise InputError(
                "got soft labels and repeat_targets, which needs hard ones; expected each flash "
                "once; set protocol.repeat_targets=false, or teacher=none"
            )
        for augmentation in self.augmentations:
            if not getattr(augmentation, "changes_single_epochs", False):
                raise InputError(
                    f"got soft labels and {type(augmentation).__name__}, which may mix flashes by "
                    "their hard labels; expected augmentations that state changes_single_epochs; "
                    "leave it out, or set teacher=none"
                )

    def setup(self, stage: str | None = None) -> None:
        """Move the epochs to the device the trainer computes on, if they fit."""
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        if self.epochs.device != device and fits(self.epochs, device):
            self.epochs = self.epochs.to(device)
        self.is_target = self.is_target.to(self.epochs.device)
        if self.soft_labels is not None:
            self.soft_labels = self.soft_labels.to(self.epochs.device)

    def gather(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the epochs and labels of some flashes: (n, n_chans, n_times) and (n,)."""
        rows = rows.to(self.epochs.device)
        if is_time_first(self.epochs):
            epochs = self.epochs.mT.index_select(0, rows).mT
        else:
            if self.epochs.device.type == "cpu" and is_mapped(self.epochs.data_ptr()):
                announce_rows(self.epochs.data_ptr(), self.epochs[0].nbytes, rows.tolist())
            if self.reads_time_first:
                epochs = self._laid_out(rows)
            else:
                epochs = self.epochs.index_select(0, rows)
        return epochs, self.is_target.index_select(0, rows)

    def training_labels(self, rows: Tensor) -> Tensor:
        """Return the labels that training flashes carry: bool, or float if they are soft."""
        labels = self.is_target if self.soft_labels is None else self.soft_labels
        return labels.index_select(0, rows.to(labels.device))

    def _laid_out(self, rows: Tensor) -> Tensor:
        """Gather epochs with all electrodes of a sample side by side, without a second batch."""
        _, n_chans, n_times = self.epochs.shape
        epochs = self.epochs.new_empty(len(rows), n_times, n_chans)
        for part, some in zip(epochs.split(N_LAID_OUT), rows.split(N_LAID_OUT), strict=True):
            part.copy_(self.epochs.index_select(0, some).mT)
        return epochs.mT

    def order(self, epoch: int) -> Tensor:
        """Draw the order of the training flashes in a training epoch, counted from 0."""
        rows = self.repeated
        generator = torch.Generator().manual_seed(mixed(self.seed, epoch))
        return rows[torch.randperm(len(rows), generator=generator)]

    @property
    def repeated(self) -> Tensor:
        """The training flashes, those of the rarer class repeatedly if asked."""
        rows = self.train
        return equal_classes(rows, self._labels[rows]) if self.repeat_targets else rows

    @property
    def n_flashes_of_people(self) -> list[int]:
        """Flashes in a training epoch of each person who has one, in the order of their names."""
        counts = torch.bincount(self.person[self.repeated]).tolist()
        return [n for n in counts if n]

    def divided(self, rows: Tensor) -> Iterator[Tensor]:
        """Yield the flashes of each person in the order given; all at once if not asked."""
        if self.by_person:
            yield from (rows[self.person[rows] == k] for k in self.person[rows].unique())
        else:
            yield rows

    def augmented(self, epochs: Tensor, is_target: Tensor) -> Tensor:
        """Apply the augmentations to a batch."""
        for augment in self.augmentations:
            epochs = augment(epochs, is_target)
        return epochs

    def train_dataloader(self) -> TrainingBatches:
        """Return the training flashes in batches, in a new order in each training epoch."""
        return TrainingBatches(self)

    def val_dataloader(self) -> Batches:
        """Return the validation flashes in batches."""
        return Batches(self, self.validation)

    def test_dataloader(self) -> Batches:
        """Return the test flashes in batches."""
        return Batches(self, self.test)

    predict_dataloader = test_dataloader

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Gather the epochs and labels of a batch, on the device."""
        assert self.trainer is not None
        step, rows = batch if isinstance(batch, tuple) else (None, batch)
        if step is not None:
            epoch, process = self.trainer.current_epoch, self.trainer.global_rank
            set_seed(step_seed(self.seed, epoch, process, step))
        epochs, is_target = self.gather(rows)
        if step is not None and self.soft_labels is not None:
            is_target = self.training_labels(rows)
        return epochs.to(device), is_target.to(device)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augment a training batch."""
        assert self.trainer is not None
        epochs, is_target = batch
        return (self.augmented(epochs, is_target) if self.trainer.training else epochs), is_target


class TrainingBatches:
    """The batches of a training epoch: the number of each step, and its flashes.

    If several processes train one network, each gets an equal part of every batch.
    """

    def __init__(self, data: EpochsDataModule):
        assert data.trainer is not None
        self.data, self.trainer = data, data.trainer
        self.rank, self.n_processes = self.trainer.global_rank, self.trainer.world_size
        self.batch_size = max(1, data.batch_size // self.n_processes)

    def __len__(self) -> int:
        if self.data.by_person:
            return sum(math.ceil(n / self.batch_size) for n in self.data.n_flashes_of_people)
        n_flashes = math.ceil(len(self.data.repeated) / self.n_processes)
        return math.ceil(n_flashes / self.batch_size)

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        # a generator: in a resumed training, Lightning counts the epoch after it asks for this
        order = self.data.order(self.trainer.current_epoch)
        if self.n_processes > 1:  # equally many for each, so some flashes come twice
            n_missing = -len(order) % self.n_processes
            order = torch.cat([order, order[:n_missing]])[self.rank :: self.n_processes]
        device = self.data.epochs.device
        parts = (rows.to(device).split(self.batch_size) for rows in self.data.divided(order))
        yield from enumerate(itertools.chain.from_iterable(parts))


class Batches:
    """Flashes in their own order, in batches; each of several processes gets a part."""

    def __init__(self, data: EpochsDataModule, rows: Tensor):
        assert data.trainer is not None
        rows = rows[data.trainer.global_rank :: data.trainer.world_size]
        self.batches = rows.split(LARGEST_BATCH) if len(rows) else ()

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.batches)


def time_first(epochs: np.ndarray | Tensor) -> Tensor:
    """Store all electrodes of a sample side by side in memory; shapes do not change.

    Epochs larger than a quarter of the free memory, perhaps mapped from a file, are not copied.
    Their batches are laid out when they are gathered, which takes longer and gives the same.
    """
    epochs = torch.as_tensor(epochs)
    if epochs.nbytes > available_memory() / 4:
        return epochs
    return epochs.mT.contiguous().mT


def is_time_first(epochs: Tensor) -> bool:
    """Return whether the electrodes of a sample are side by side in memory."""
    return not epochs.is_contiguous() and epochs.mT.is_contiguous()


def fits(epochs: Tensor, device: torch.device) -> bool:
    """Return whether epochs take less than half of the free memory of a GPU; else True."""
    return device.type != "cuda" or epochs.nbytes < torch.cuda.mem_get_info(device)[0] / 2


def step_seed(seed: int, epoch: int, process: int, step: int) -> int:
    """Compute the seed of all random numbers of a training step."""
    return mixed(seed, epoch, 1 + process) + step


def set_seed(seed: int) -> None:
    """Set the seed of the random numbers drawn from now on, on the CPU and on GPUs."""
    torch.default_generator.manual_seed(seed)  # a fraction of torch.manual_seed's time
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(seed)


def equal_classes(rows: Tensor, is_target: Tensor) -> Tensor:
    """Repeat the rows of the rarer class until both classes are equally frequent.

    Examples
    --------
    >>> is_target = torch.tensor([True, False, False, False, False])
    >>> equal_classes(torch.arange(5), is_target).tolist()
    [1, 2, 3, 4, 0, 0, 0, 0]
    """
    rarer, other = sorted((rows[is_target], rows[~is_target]), key=len)
    if not len(rarer):
        return rows
    whole, rest = divmod(len(other), len(rarer))
    return torch.cat([other, rarer.repeat(whole), rarer[:rest]])


@functools.lru_cache(maxsize=1024)
def mixed(*numbers: int) -> int:
    """Compute one random seed from several numbers, a different one for every combination.

    Examples
    --------
    >>> mixed(0, 1) == mixed(1, 0)
    False
    """
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
