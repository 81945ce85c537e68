"""Train as configured: one run, several at once, or one per fold of a cross-validation."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from p300.errors import InputError
from p300.experiments.build import reason_of
from p300.experiments.configuration import as_config, compose_training, shipped_configuration
from p300.experiments.fitting.fit import fit_all
from p300.experiments.fitting.run import Run
from p300.experiments.folder import begin_folder, holds, read_results, value_of
from p300.experiments.folds import count_folds, is_cross_validation, of_fold, pool
from p300.experiments.identity import code_digest
from p300.experiments.prepare import Shared
from p300.experiments.processes import is_helper
from p300.experiments.results import SESSION, told_by, write_json
from p300.experiments.run import Request, begin, check_start, conclude
from p300.experiments.tracking import log_results, log_run, start_tracking
from p300.storage.files import folder_lock
from p300.terminal import quietly

log = logging.getLogger("p300.experiments.run")

#: Does the work of the run at a position, with what it prints where it belongs.
Caller = Callable[[int, Callable[[], Any]], Any]

#: Most folds that are trained at once: the epochs of each may lie in memory.
LARGEST = 8


def train(folder: str | Path, *overrides: str) -> dict[str, Any]:
    """Train from Python, as ``p300 train OVERRIDES hydra.run.dir=FOLDER`` does.

    Nothing is printed; messages go to ``train.log`` in the folder.

    Parameters
    ----------
    folder : path
        The run folder; it must not hold a finished run yet.
    *overrides : str
        As on the command line: ``"data=bci2_iib"``, ``"experiment=cnn1"``, ``"seed=1"``.

    Returns
    -------
    dict
        The content of ``results.json``.

    Raises
    ------
    InputError
        As :func:`train_one`, and if there is no such key or choice.

    Examples
    --------
    >>> train("runs/mine", "experiment=cnn3", "seed=1")  # doctest: +SKIP
    """
    with shipped_configuration():
        cfg, choices = compose_training(overrides)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with quietly(folder / "train.log"):
        return train_one(Request(cfg, folder, choices))


def train_one(request: Request, shared: Shared | None = None) -> dict[str, Any]:
    """Train one detector as configured, or one per fold, and write the run folder.

    Parameters
    ----------
    request : Request
        If its folder holds the same run, interrupted, that run continues.
    shared : Shared or None
        What earlier runs of this process have left for the next ones.

    Returns
    -------
    dict
        The content of ``results.json``.

    Raises
    ------
    InputError
        If recording, split or configuration cannot be used, or the folder holds another run.
        ``results.json`` is then missing from the run folder, so that other commands treat the
        run as not finished.
    """
    shared = shared or Shared()
    if is_cross_validation(request.cfg):
        return cross_validate(request, shared)
    with ExitStack() as at_end:
        run = begin(request, shared, at_end)
        fit_all([run])
        return conclude(run)


def train_several(
    requests: Sequence[Request], shared: Shared, call: Caller = lambda k, work: work()
) -> list[dict[str, Any] | Exception]:
    """Train several detectors in one process; networks of one kind train side by side.

    Parameters
    ----------
    requests : sequence of Request
    shared : Shared
        What earlier runs of this process have left for the next ones.
    call : callable
        Called with the position of a run and a function that does the work of this run alone.

    Returns
    -------
    list of dict or Exception
        The content of each ``results.json``, or the error of that run. The other runs continue.
    """
    runs: dict[int, Run] = {}
    found: dict[int, dict[str, Any] | Exception] = {}
    with ExitStack() as at_end:
        for k, request in enumerate(requests):
            try:
                if is_cross_validation(request.cfg):
                    found[k] = call(k, functools.partial(cross_validate, request, shared))
                else:
                    runs[k] = call(k, functools.partial(begin, request, shared, at_end))
            except Exception as error:
                found[k] = error
        fit_all(list(runs.values()))
        for k, run in runs.items():
            try:
                found[k] = call(k, functools.partial(conclude, run))
            except Exception as error:
                found[k] = error
    return [found[k] for k in range(len(requests))]


def cross_validate(request: Request, shared: Shared) -> dict[str, Any]:
    """Train one detector per fold, each in a run folder of its own, and pool their test scores.

    Finished folds of the same configuration are taken as they are.

    Returns
    -------
    dict
        The content of ``results.json``, of the form of a run's, with the results of each fold;
        nothing in a process that only helps.

    Raises
    ------
    InputError
        If a fold cannot be trained, or a fold's folder holds another run.
    """
    cfg, folder = request.cfg, request.folder
    check_start(cfg)
    with folder_lock(folder):
        config = as_config(cfg, request.choices)
        begin_folder(folder, config)
        recording = shared.recording(cfg, folder)
        n_folds = count_folds(cfg.split, recording.flashes)
        folds = [of_fold(request, k) for k in range(n_folds)]
        waiting = [k for k, fold in enumerate(folds) if not _is_finished(fold)]
        log.info("%r", recording)
        log.info("%d folds, %d of them to train", n_folds, len(waiting))
        for first in range(0, len(waiting), LARGEST):
            _train_folds([folds[k] for k in waiting[first : first + LARGEST]], shared)
        if is_helper():  # the first process has the results
            return {}
        tracker = start_tracking(cfg, config, folder)
        content = {"recording_sha256": recording.checksum, "code_sha256": code_digest(config)}
        try:
            results = pool(cfg, config, folder, recording, [fold.folder for fold in folds])
            results = {**results, **content, **told_by(recording)}
            if tracker is not None:
                log_run(tracker, cfg, results, recording.speller, folder)
            log_results(cfg, config, folder, results)
            write_json(folder / "results.json", results)
        finally:
            if tracker is not None:
                tracker.finish(exit_code=0 if (folder / "results.json").exists() else 1)
    log.info("run folder: %s", os.path.relpath(folder))
    return results


def _train_folds(folds: Sequence[Request], shared: Shared) -> None:
    def call(k: int, work: Callable[[], Any]) -> Any:
        folds[k].folder.mkdir(parents=True, exist_ok=True)
        with quietly(folds[k].folder / "train.log", append=True):
            return work()

    for fold, results in zip(folds, train_several(folds, shared, call), strict=True):
        number = fold.cfg.split.fold
        if isinstance(results, Exception):
            raise InputError(f"fold {number}: {reason_of(results)}") from results
        log.info("fold %d: test AUC %.3f", number, value_of(results, "test.detection.auc"))
        if SESSION in results:
            learned = value_of(results, f"{SESSION}.detection.auc")
            log.info("fold %d: AUC %.3f learning while spelling", number, learned)


def _is_finished(fold: Request) -> bool:
    """Return whether a fold has its results; :func:`begin_folder` refuses those of another."""
    config = as_config(fold.cfg, fold.choices)
    if not holds(fold.folder, config):
        return False
    return read_results(fold.folder).get("code_sha256") == code_digest(config)
