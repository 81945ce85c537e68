"""The file from which a training that was killed is resumed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from p300.storage.files import replace
from p300.storage.tensors import write_tensors
from p300.training.callbacks.curves import TrainingCurve
from p300.training.callbacks.epoch import EpochCallback


class SavedTraining(EpochCallback):
    """File of an unfinished training, from which the same training is resumed.

    It is written at the end of a training epoch if the last write is some seconds old. The next
    training epoch depends only on what Lightning saves (weights, optimizer, callbacks), the seed
    and the number of the epoch. A training that was killed and resumed therefore ends as an
    uninterrupted one. When the training has ended, the file holds its results instead.

    Parameters
    ----------
    path : Path
        The file. An interrupted write leaves the file as it was.
    key : str
        Identifies the training; a file with another key is not used.
    every_s : float
        Seconds between two writes.
    """

    def __init__(self, path: Path, key: str, every_s: float = 10.0):
        self.path, self.key, self.every_s = path, key, every_s
        self._written = time.monotonic()

    def read(self) -> dict[str, Any] | None:
        """Read the file; return None if it is missing, damaged or of another training."""
        try:
            saved = torch.load(self.path, weights_only=True, map_location="cpu")
        except Exception:  # of many kinds, for a damaged file; it is written again
            return None
        return saved if isinstance(saved, dict) and saved.get("key") == self.key else None

    def write_results(self, results: Any, curves: Sequence[TrainingCurve]) -> None:
        """Replace the file by the results of the training: plain containers and tensors.

        The curves are among them. If the training was of several runs, a run that is made anew
        has lost its file of them.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        histories = [curve.read() for curve in curves]
        write_tensors(self.path, {"key": self.key, "results": results, "curves": histories})

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the key of the training."""
        checkpoint["key"] = self.key

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the file if the last write is old."""
        is_old = time.monotonic() - self._written >= self.every_s
        is_old = trainer.strategy.broadcast(is_old)  # clocks differ; all processes write, or none
        if not is_old or trainer.should_stop or getattr(trainer, "fast_dev_run", False):
            return
        partial = self.path.with_name(self.path.name + ".partial")
        trainer.save_checkpoint(partial)  # called by all processes, written by the first
        if trainer.is_global_zero:
            replace(partial, self.path)
        self._written = time.monotonic()
