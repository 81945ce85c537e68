"""The callback by which a search ends a training without promise."""

from __future__ import annotations

import warnings
from typing import Any

import pytorch_lightning as pl


class Pruning(pl.Callback):
    """Tells a study the validation value after every training epoch, and ends what it prunes.

    Parameters
    ----------
    journal : str
        Path of the study's journal; several processes and computers may share it.
    study : str
        Name of the study.
    number : int
        Number of the trial.
    monitor : str
        The value that is told.
    """

    def __init__(self, journal: str, study: str, number: int, monitor: str = "validation/auc"):
        self.journal, self.study, self.number = journal, study, number
        self.monitor = monitor
        self._trial: Any = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find the trial in the journal."""
        import optuna

        from p300.experiments.jobs.search import open_study

        study = open_study(self.journal, self.study)
        trial_id = study.trials[self.number]._trial_id
        self._trial = optuna.trial.Trial(study, trial_id)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell the value; end the training if the study prunes it.

        Raises
        ------
        optuna.TrialPruned
            If it is worse than most at this training epoch.
        """
        import optuna

        value = trainer.callback_metrics.get(self.monitor)
        if trainer.sanity_checking or value is None:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a training that is resumed tells some values twice
            self._trial.report(float(value), trainer.current_epoch)
        if self._trial.should_prune():
            raise optuna.TrialPruned(f"pruned after training epoch {trainer.current_epoch + 1}")
