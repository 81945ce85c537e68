"""Where the curves of a network go while it trains: a CSV file, and W&B where it is on."""

from __future__ import annotations

from pathlib import Path

from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.logger import Logger


def network_loggers(folder: Path, number: int, tracker) -> list[Logger]:
    """Make what keeps the curves of one network: a CSV file, and W&B where it is on.

    A file that an interrupted training left is begun anew; what it held is logged again.
    """
    (folder / "networks" / str(number) / "metrics.csv").unlink(missing_ok=True)
    loggers: list[Logger] = [CSVLogger(folder / "networks", name=str(number), version="")]
    return loggers if tracker is None else [*loggers, EpochLogger(tracker, number)]


class EpochLogger(Logger):
    """Sends what one network logs to a W&B run, one step a pass, as ``network_N/…``.

    Parameters
    ----------
    tracker : wandb.Run
        The run of all networks.
    number : int
        Of this one.
    """

    name, version = "wandb", ""

    def __init__(self, tracker, number: int):
        super().__init__()
        self.tracker, self.section = tracker, f"network_{number}"
        epochs = f"{self.section}/epoch"  # the x axis; the summary has the run's own results
        tracker.define_metric(f"{self.section}/*", step_metric=epochs, summary="none")

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Send the values of one pass."""
        values = {k.replace("/", "_"): v for k, v in metrics.items() if k != "epoch"}
        values["epoch"] = metrics["epoch"] + 1
        self.tracker.log({f"{self.section}/{k}": v for k, v in values.items()})

    def log_hyperparams(self, *args, **kwargs) -> None:
        """Do nothing: the run has its configuration."""
