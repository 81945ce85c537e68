"""Loggers of the curves of a network in training: a CSV file, and W&B if it is on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.logger import Logger


def network_loggers(folder: Path, number: int, tracker: Any) -> list[Logger]:
    """Build the loggers of one network: a CSV file, and W&B if there is a tracker.

    The file of an interrupted training is deleted; a resumed training logs its values again.
    """
    (folder / "networks" / str(number) / "metrics.csv").unlink(missing_ok=True)
    loggers: list[Logger] = [CSVLogger(folder / "networks", name=str(number), version="")]
    return loggers if tracker is None else [*loggers, EpochLogger(tracker, number)]


class EpochLogger(Logger):
    """Logger of one network to a W&B run, one step per training epoch, as ``network_N/…``.

    Parameters
    ----------
    tracker : wandb.Run
        The W&B run of all networks.
    number : int
        The number of this network.
    """

    name, version = "wandb", ""

    def __init__(self, tracker: Any, number: int):
        super().__init__()
        self.tracker, self.section = tracker, f"network_{number}"
        epochs = f"{self.section}/epoch"  # the x axis; the summary has the run's own results
        tracker.define_metric(f"{self.section}/*", step_metric=epochs, summary="none")

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Send the values of one training epoch."""
        values = metrics | {"epoch": metrics["epoch"] + 1}
        self.tracker.log({f"{self.section}/{k.replace('/', '_')}": v for k, v in values.items()})

    def log_hyperparams(self, *args, **kwargs) -> None:
        """Do nothing; the W&B run already has the configuration."""
