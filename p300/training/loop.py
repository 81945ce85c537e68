"""The training of networks from start to end: checked, run or resumed, with its results."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from p300.errors import InputError
from p300.splits import check_monitor
from p300.storage.files import replace
from p300.storage.tensors import write_tensors
from p300.training.datamodule import EpochsDataModule
from p300.training.module import NetworkFit, TrainingModule, log_epoch


class SavedTraining(pl.callbacks.Checkpoint):
    """File of an unfinished training, from which the same training is resumed.

    It is written at the end of a training epoch if the last write is some seconds old, and once
    more when the training ends. The next training epoch depends only on the weights, the state of
    the optimizer, the seed and the number of the epoch. All of them are known, so a training that
    was killed and resumed ends as an uninterrupted one.

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
        is_ours = isinstance(saved, dict) and saved.get("key") == self.key and "fits" in saved
        return saved if is_ours else None

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the key of the training."""
        checkpoint["key"] = self.key

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the file if the last write is old."""
        assert isinstance(pl_module, TrainingModule)
        is_old = time.monotonic() - self._written >= self.every_s
        is_old = trainer.strategy.broadcast(is_old)  # clocks differ; all processes write, or none
        if not is_old or not pl_module.active:
            return
        partial = self.path.with_name(self.path.name + ".partial")
        trainer.save_checkpoint(partial)  # called by all processes, written by the first
        if trainer.is_global_zero:
            replace(partial, self.path)
        self._written = time.monotonic()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the results of the training."""
        assert isinstance(pl_module, TrainingModule)
        if trainer.is_global_zero:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            content: dict[str, Any] = {"key": self.key, "is_complete": True}
            pl_module.on_save_checkpoint(content)
            write_tensors(self.path, content)


def train_networks(
    fits: Sequence[NetworkFit],
    data: EpochsDataModule,
    *,
    saved: SavedTraining,
    trainer: Callable[..., pl.Trainer],
    monitor: str = "validation/auc",
    patience: int = 15,
    is_compiled: bool = False,
    watch: Callable[[pl.Trainer, TrainingModule], None] | None = None,
) -> list[dict[str, float] | InputError]:
    """Train networks with early stopping, and keep the best training epoch of each.

    Parameters
    ----------
    fits : sequence of NetworkFit
        Fits of one kind. Afterwards their networks have the weights of their best training epochs.
    data : EpochsDataModule
        Their flashes.
    saved : SavedTraining
        The file from which the training is resumed, if it was interrupted or has ended.
    trainer : callable
        Builds a ``Trainer`` from keyword arguments.
    monitor : {"validation/auc", "validation/loss"}
        The value that chooses the best training epoch.
    patience : int
        Training epochs without improvement after which a network stops.
    is_compiled : bool
        Compile the networks with ``torch.compile``.
    watch : callable or None
        Called with the trainer and the module before the training begins.

    Returns
    -------
    list of dict or InputError
        For each network ``best_epoch`` (from 1), ``n_epochs`` and the monitored value, or the
        error that stopped it.

    Raises
    ------
    InputError
        If ``monitor`` is a test value, or a part has flashes of one class only.
    """
    check_monitor(monitor)
    for part, parts in (("train", data.train), ("validation", data.validation)):
        for rows in parts:
            n_targets = int(data.is_target[rows].sum())
            if not 0 < n_targets < len(rows):
                raise InputError(
                    f"the {part} part has {n_targets} targets among {len(rows)} flashes; "
                    f"expected both targets and nontargets"
                )
    module = TrainingModule(fits, data, monitor, patience, is_compiled)
    before = saved.read()
    if before is not None:
        for fit, progress in zip(fits, before["fits"], strict=True):
            fit.history = progress["history"]
            for measured in fit.history:
                log_epoch(fit, measured)
    if before is None or not before.get("is_complete"):
        fitting = trainer(callbacks=[saved], logger=False, enable_progress_bar=False)
        if watch is not None:
            watch(fitting, module)
        resumed = None if before is None else saved.path
        fitting.fit(module, datamodule=data, ckpt_path=resumed, weights_only=True)
        before = saved.read() if fitting.world_size > 1 else None
    if before is not None:  # results of other processes, or of an earlier one
        module.on_load_checkpoint(before)
    return [_ended(fit, monitor) for fit in fits]


def _ended(fit: NetworkFit, monitor: str) -> dict[str, float] | InputError:
    for logger in fit.loggers:
        logger.finalize("success" if fit.error is None else "failed")
    if fit.error is not None:
        return fit.error
    assert fit.best_state is not None
    fit.network.load_state_dict(fit.best_state)
    fit.network.eval().cpu()
    best, n_epochs = fit.best_epoch(monitor), len(fit.history)
    return {"best_epoch": best, "n_epochs": n_epochs, monitor: fit.history[best - 1][monitor]}
