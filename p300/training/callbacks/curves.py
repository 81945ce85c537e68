"""The values of a network after every training epoch: kept, written, and sent to loggers."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger

from p300.splits import is_maximised
from p300.training.callbacks.epoch import EpochCallback


class TrainingCurve(EpochCallback):
    """What was logged after every training epoch, in memory and in a CSV file.

    The file has one row per training epoch, counted from 0. A training that is resumed keeps the
    rows of the training epochs before. Lightning's ``CSVLogger`` would begin anew.

    Parameters
    ----------
    path : Path or None
        The file; None writes none.

    Attributes
    ----------
    history : list of dict
        ``epoch`` and the values logged in it.
    """

    def __init__(self, path: Path | None = None):
        self.path = path
        self.history: list[dict[str, float]] = []
        self._validated = -1

    def add(self, values: Mapping[str, float], is_first: bool = True) -> None:
        """Add the values of a training epoch; the first of several processes writes the file."""
        self.history.append(dict(values))
        if self.path is not None and is_first:
            write_csv(self.path, self.history)

    def read(self) -> list[dict[str, float]]:
        """Return the values, from the file if another process trained."""
        if not self.history and self.path is not None and self.path.exists():
            with self.path.open(encoding="utf-8", newline="") as file:
                rows = csv.DictReader(file)
                self.history = [{k: float(v) for k, v in row.items() if v} for row in rows]
        return self.history

    def restore(self, history: Sequence[Mapping[str, float]]) -> None:
        """Take the values of a training so far, and write the file."""
        self.history = [dict(row) for row in history]
        if self.path is not None:
            write_csv(self.path, self.history)

    def best_epoch(self, monitor: str) -> int:
        """Find the number of the best training epoch, from 1; of equal ones the first."""
        values = {row["epoch"]: row[monitor] for row in self.history if monitor in row}
        best = max(values.values()) if is_maximised(monitor) else min(values.values())
        return 1 + next(int(epoch) for epoch, value in values.items() if value == best)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember that this training epoch was validated; not each has to be."""
        self._validated = trainer.current_epoch

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the values of the training epoch."""
        is_validated = self._validated == trainer.current_epoch
        logged = {
            name: value.item()
            for name, value in trainer.callback_metrics.items()
            if is_validated or not name.startswith("validation/")  # those are of an earlier one
        }
        self.add({"epoch": trainer.current_epoch, **logged}, trainer.is_global_zero)

    def state_dict(self) -> dict[str, Any]:
        """Return the values so far, for a training that is resumed."""
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the values so far."""
        self.history = state_dict["history"]


def write_csv(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write rows as CSV; values that a row lacks are empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def log_to(loggers: Sequence[Logger], values: Mapping[str, float], step: int) -> None:
    """Send the values of a training epoch to Lightning's loggers."""
    for logger in loggers:
        logger.log_metrics(dict(values), step=step)
        logger.save()
