"""Batches of epochs, gathered from one tensor that holds the whole recording."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from p300.errors import InputError

#: The flashes of one training step, for each network that is still in training.
Rows = dict[int, Tensor]

#: Training steps per Lightning batch. Lightning's own time for a batch is long compared with one
#: step of a small network.
N_STEPS = 8

#: Bytes from which epochs are not copied: half of the memory, or 4 GB where its size is unknown.
MOST_BYTES = (
    os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    if hasattr(os, "sysconf")
    else 4 << 30
)


class EpochsDataModule(pl.LightningDataModule):
    """The flashes that one or several networks train and validate on.

    All networks share one tensor of epochs. A batch is the indices of its flashes. :meth:`gather`
    reads these from the tensor in one operation, so no single epoch is copied and no worker
    process is started.

    Parameters
    ----------
    epochs : ndarray or Tensor of float32, shape (n_flashes, n_chans, n_times)
        All epochs, shared and never copied on the CPU unless ``time_first`` asks for another
        order in memory; moved to the trainer's device once.
    is_target : array-like of bool, shape (n_flashes,)
        Labels; only those of training and validation flashes are read.
    train, validation : sequence of ndarray of bool, each of shape (n_flashes,)
        The training flashes and the validation flashes of each network.
    batch_size : int
        Flashes per step.
    seeds : sequence of int
        For each network, the random seed of the order of its training flashes.
    repeat_targets : bool
        Repeat the rarer class in each training epoch until both classes are equally frequent.
    time_first : bool
        Store all electrodes of a sample side by side in memory; shapes do not change. Epochs
        larger than half of the memory, perhaps mapped from a file of a cache, are not copied.

    Attributes
    ----------
    in_training : list of int
        The networks that still train; the others get no batches.
    """

    def __init__(
        self,
        epochs: np.ndarray | Tensor,
        is_target: ArrayLike,
        train: Sequence[np.ndarray],
        validation: Sequence[np.ndarray],
        *,
        batch_size: int = 64,
        seeds: Sequence[int] = (0,),
        repeat_targets: bool = False,
        time_first: bool = False,
    ):
        super().__init__()
        epochs = torch.as_tensor(epochs)
        time_first = time_first and epochs.nbytes < MOST_BYTES
        self.epochs = epochs.mT.contiguous().mT if time_first else epochs
        self._labels = self.is_target = torch.as_tensor(np.asarray(is_target, bool))
        self.train = [torch.as_tensor(np.flatnonzero(rows)) for rows in train]
        self.validation = [torch.as_tensor(np.flatnonzero(rows)) for rows in validation]
        if batch_size < 1:
            raise InputError(f"got batch_size={batch_size}; expected at least 1 flash per step")
        self.batch_size, self.seeds = batch_size, list(seeds)
        self.repeat_targets, self.time_first = repeat_targets, time_first
        self.in_training = list(range(len(self.train)))

    def setup(self, stage: str | None = None) -> None:
        """Move the epochs to the device the trainer computes on."""
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        self.epochs, self.is_target = self.epochs.to(device), self.is_target.to(device)
        self.validation = [rows.to(device) for rows in self.validation]

    def gather(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the epochs and labels of some flashes: (n, n_chans, n_times) and (n,)."""
        if self.time_first:
            epochs = self.epochs.mT.index_select(0, rows).mT
        else:
            epochs = self.epochs.index_select(0, rows)
        return epochs, self.is_target.index_select(0, rows)

    def order(self, k: int, n_epochs: int) -> Tensor:
        """Draw the order of a network's training flashes after ``n_epochs`` training epochs.

        It depends only on the seed and on ``n_epochs``, so that a resumed training sees the same
        order as an uninterrupted one.
        """
        rows = self.repeated(k)
        generator = torch.Generator().manual_seed(mixed(self.seeds[k], n_epochs))
        return rows[torch.randperm(len(rows), generator=generator)]

    def repeated(self, k: int) -> Tensor:
        """Return a network's training flashes, those of the rarer class repeatedly if asked."""
        rows = self.train[k]
        return equal_classes(rows, self._labels[rows]) if self.repeat_targets else rows

    def train_dataloader(self) -> Batches:
        """Return the training flashes as batches, in a new order in each training epoch."""
        return Batches(self)

    def val_dataloader(self) -> list[int]:
        """Return one empty batch per training epoch; :attr:`validation` has the flashes."""
        return [0]

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Return the batch unchanged; the epochs are on the device already."""
        return batch


class Batches:
    """The steps of one training epoch: the flashes to learn from, for each network in training.

    A batch has :data:`N_STEPS` steps, each with its number. If several processes train one
    network, each gets an equal part of every step.
    """

    def __init__(self, data: EpochsDataModule):
        assert data.trainer is not None
        self.data, self.trainer = data, data.trainer
        self.rank, self.n_processes = self.trainer.global_rank, self.trainer.world_size
        self.batch_size = max(1, data.batch_size // self.n_processes)

    def __len__(self) -> int:
        return math.ceil(self.n_steps / N_STEPS)

    @property
    def n_steps(self) -> int:
        """Steps of a training epoch, by the network with most flashes, in training or not."""
        n_flashes = max(len(self.data.repeated(k)) for k in range(len(self.data.train)))
        return math.ceil(math.ceil(n_flashes / self.n_processes) / self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, Rows]]]:
        device = self.data.epochs.device
        parts = {
            k: self._order(k).to(device).split(self.batch_size) for k in self.data.in_training
        }
        for first in range(0, self.n_steps, N_STEPS):
            steps = range(first, min(first + N_STEPS, self.n_steps))
            yield [(s, {k: p[s] for k, p in parts.items() if s < len(p)}) for s in steps]

    def _order(self, k: int) -> Tensor:
        order = self.data.order(k, self.trainer.current_epoch)
        if self.n_processes > 1:  # equally many for each, so some flashes come twice
            n_missing = -len(order) % self.n_processes
            order = torch.cat([order, order[:n_missing]])[self.rank :: self.n_processes]
        return order


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


def mixed(*numbers: int) -> int:
    """Compute one random seed from several numbers, a different one for every combination.

    Examples
    --------
    >>> mixed(0, 1) == mixed(1, 0)
    False
    """
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
