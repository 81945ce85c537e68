"""The progress of a training, for a bar on the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl

from p300.terminal import Step
from p300.training.callbacks.curves import TrainingCurve
from p300.training.callbacks.epoch import EpochCallback


class WatchedTraining(EpochCallback):
    """Shows how far a training is, without changing it.

    Parameters
    ----------
    epochs : Step
        Its total is the number of training epochs.
    curves : sequence of TrainingCurve
        Those of the networks in training.
    """

    def __init__(self, epochs: Step, curves: Sequence[TrainingCurve]):
        self.epochs: Step | None = epochs
        self.curves = list(curves)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the bar behind when the training goes to another process."""
        return {**self.__dict__, "epochs": None}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Let the bar look at the training whenever it is drawn."""
        if self.epochs is not None:
            self.epochs.watch(lambda: self.look(trainer))

    def look(self, trainer: pl.Trainer) -> tuple[float, str]:
        """Return the training epochs done, and a note on the validation AUC."""
        n_batches = trainer.num_training_batches or math.inf
        in_epoch = trainer.fit_loop.epoch_loop.batch_progress.current.completed / n_batches
        aucs = [
            [row["validation/auc"] for row in curve.history if "validation/auc" in row]
            for curve in self.curves
        ]
        aucs = [values for values in aucs if values]
        note = ""
        if aucs:
            last = sum(values[-1] for values in aucs) / len(aucs)
            best = sum(map(max, aucs)) / len(aucs)
            note = f"val AUC {last:.3f}, best {best:.3f}"
        return trainer.current_epoch + in_epoch, note
