"""Training networks to their end: refused, resumed, or run, and what became of each."""

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
    """An unfinished training on disk, from which the same training goes on.

    It is written at the end of a pass, when the last writing is some seconds old, and once more
    when the training ends. What follows a pass follows from the weights, the optimizer's state,
    the seed and the number of the pass, all of which are there: a training that was killed ends
    as an undisturbed one.

    Parameters
    ----------
    path : Path
        The file. An interrupted writing leaves the one before.
    key : str
        Names the training; a file with another one is not used.
    every_s : float
        Seconds between two writings.
    """

    def __init__(self, path: Path, key: str, every_s: float = 10.0):
        self.path, self.key, self.every_s = path, key, every_s
        self._written = time.monotonic()

    def read(self) -> dict[str, Any] | None:
        """Read the file; None if there is none, or it is of another training or damaged."""
        try:
            saved = torch.load(self.path, weights_only=True, map_location="cpu")
        except Exception:  # torch raises many kinds for a damaged file, and it is made anew
            return None
        is_ours = isinstance(saved, dict) and saved.get("key") == self.key and "fits" in saved
        return saved if is_ours else None

    def on_save_checkpoint(self, trainer, pl_module, checkpoint: dict[str, Any]) -> None:
        """Name the training."""
        checkpoint["key"] = self.key

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: TrainingModule) -> None:
        """Write the file if the last one is old."""
        is_old = time.monotonic() - self._written >= self.every_s
        is_old = trainer.strategy.broadcast(is_old)  # clocks differ, and all write or none
        if not is_old or not pl_module.active:
            return
        partial = self.path.with_name(self.path.name + ".partial")
        trainer.save_checkpoint(partial)  # by all processes, written by the first
        if trainer.is_global_zero:
            replace(partial, self.path)
        self._written = time.monotonic()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: TrainingModule) -> None:
        """Write what the training came to."""
        if trainer.is_global_zero:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            content = {"key": self.key, "fits": pl_module.progress(), "is_complete": True}
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
    """Train networks until each has not improved for a while; keep the best pass of each.

    Parameters
    ----------
    fits : sequence of NetworkFit
        Of one kind; their networks hold the weights of their best passes afterwards.
    data : EpochsDataModule
        Their flashes.
    saved : SavedTraining
        Where the training is kept while it runs, and when it has ended, for another try.
    trainer : callable
        Keyword arguments to a ``Trainer``.
    monitor : {"validation/auc", "validation/loss"}
        Chooses the best pass.
    patience : int
        Passes without improvement before a network stops.
    is_compiled : bool
        Compile the networks with ``torch.compile``.
    watch : callable or None
        Told of trainer and detector before they begin.

    Returns
    -------
    list of dict or InputError
        For each network ``best_epoch`` (from 1), ``n_epochs`` and the monitored value, or why it
        has none.

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
    detector = TrainingModule(fits, data, monitor, patience, is_compiled)
    before = saved.read()
    if before is not None:
        for fit, progress in zip(fits, before["fits"], strict=True):
            fit.history = progress["history"]
            for n_epochs in range(len(fit.history)):
                log_epoch(fit, n_epochs)
    if before is None or not before.get("is_complete"):
        fitting = trainer(callbacks=[saved], logger=False, enable_progress_bar=False)
        if watch is not None:
            watch(fitting, detector)
        if before is None:
            fitting.fit(detector, datamodule=data)
        else:
            fitting.fit(detector, datamodule=data, ckpt_path=saved.path, weights_only=True)
        before = saved.read() if fitting.world_size > 1 else None
    if before is not None:  # what other processes, or an earlier one, came to
        detector.load_progress(before["fits"])
    return [_ended(fit, monitor) for fit in fits]


def _ended(fit: NetworkFit, monitor: str) -> dict[str, float] | InputError:
    for logger in fit.loggers:
        logger.finalize("success" if fit.error is None else "failed")
    if fit.error is not None:
        return fit.error
    fit.network.load_state_dict(fit.best_state)
    fit.network.eval().cpu()
    best = fit.best_epoch(monitor)
    return {
        "best_epoch": best,
        "n_epochs": len(fit.history),
        monitor: fit.history[best - 1][monitor],
    }
