"""Epochs to batches: the whole recording as one tensor that batches are gathered from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor


class Batches:
    """Iterate over rows of resident tensors, in a new random order each pass or in their own.

    Unlike a ``DataLoader`` it copies no single epoch and starts no worker: a batch is one
    gather.

    Parameters
    ----------
    tensors : tuple of Tensor
        With the same first axis.
    rows : Tensor of int64, shape (n_rows,)
        Which rows to go through.
    batch_size : int
        Rows a batch; the last may be smaller.
    generator : torch.Generator or None
        Draws a new order for each pass; None keeps the order of ``rows``.
    is_target : Tensor of bool, shape (n_rows,), or None
        Labels of ``rows``; given, each pass repeats the rarer class until both are equal.
    """

    def __init__(
        self,
        tensors: tuple[Tensor, ...],
        rows: Tensor,
        batch_size: int,
        generator: torch.Generator | None = None,
        is_target: Tensor | None = None,
    ):
        if is_target is not None:
            rows = equal_classes(rows, is_target)
        self.tensors, self.rows, self.batch_size = tensors, rows, batch_size
        self.generator = generator

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        rows = self.rows
        if self.generator is not None:
            rows = rows[torch.randperm(len(rows), generator=self.generator).to(rows.device)]
        for batch in rows.split(self.batch_size):
            yield tuple(t[batch] for t in self.tensors)


class EpochsDataModule(pl.LightningDataModule):
    """Training and validation flashes of one network.

    Parameters
    ----------
    epochs : ndarray or Tensor of float32, shape (n_flashes, n_chans, n_times)
        All epochs, shared and never copied on the CPU; moved to the trainer's device once.
    is_target : array-like of bool, shape (n_flashes,)
        Labels; those of flashes that are neither trained nor validated on are not read.
    train, validation : ndarray of bool, each of shape (n_flashes,)
        The two parts.
    batch_size : int
        Flashes a batch.
    seed : int
        Of the order of the training flashes.
    repeat_targets : bool
        Repeat the rarer class in each pass until both are equal.
    """

    def __init__(
        self,
        epochs: np.ndarray | Tensor,
        is_target,
        train: np.ndarray,
        validation: np.ndarray,
        *,
        batch_size: int = 64,
        seed: int = 0,
        repeat_targets: bool = False,
    ):
        super().__init__()
        self.epochs = torch.as_tensor(epochs)
        self.is_target = torch.as_tensor(np.asarray(is_target, bool))
        self.rows = {
            "train": torch.as_tensor(np.flatnonzero(train)),
            "validation": torch.as_tensor(np.flatnonzero(validation)),
        }
        self.batch_size, self.seed, self.repeat_targets = batch_size, seed, repeat_targets

    def setup(self, stage: str | None = None) -> None:
        """Move the epochs to the device the trainer computes on."""
        if self.trainer is not None:
            device = self.trainer.strategy.root_device
            self.epochs, self.is_target = self.epochs.to(device), self.is_target.to(device)
            self.rows = {part: rows.to(device) for part, rows in self.rows.items()}

    def train_dataloader(self) -> Batches:
        """Go through the training flashes in a new order each pass."""
        generator = torch.Generator().manual_seed(self.seed)
        rows = self.rows["train"]
        is_target = self.is_target[rows] if self.repeat_targets else None
        tensors = (self.epochs, self.is_target)
        return Batches(tensors, rows, self.batch_size, generator, is_target)

    def val_dataloader(self) -> Batches:
        """Go through the validation flashes in the order of the recording."""
        return Batches((self.epochs, self.is_target), self.rows["validation"], 2048)


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
