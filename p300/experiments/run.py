"""``p300 train``: from a recording to a trained detector and the text it reads."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.experiments.build import checked_split
from p300.experiments.configuration import as_config, check_subject, compose_training, conf_dir
from p300.experiments.fitting.combine import finish
from p300.experiments.fitting.fit import fit_all
from p300.experiments.fitting.run import Run
from p300.experiments.folder import begin_folder
from p300.experiments.identity import code_digest
from p300.experiments.prepare import Shared, check_labels, prepare
from p300.experiments.processes import check_shared, is_helper
from p300.experiments.results import write_json
from p300.experiments.tracking import end_tracking, log_results, log_run, start_tracking
from p300.splits import check_monitor
from p300.storage.files import PARTIAL, folder_lock
from p300.terminal import quietly

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger("p300.experiments.run")


@dataclass
class Request:
    """A run that is asked for; ``callbacks`` are added to the configured ones."""

    cfg: DictConfig
    folder: Path
    choices: Mapping[str, str]
    callbacks: Sequence[Any] = field(default=())


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
        As :func:`train_run`, and if there is no such key or choice.

    Examples
    --------
    >>> train("runs/mine", "experiment=cnn3", "seed=1")  # doctest: +SKIP
    """
    from hydra import initialize_config_dir

    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg, choices = compose_training(overrides)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with quietly(folder / "train.log"):
        return train_run(Request(cfg, folder, choices))


def train_run(request: Request, shared: Shared | None = None) -> dict[str, Any]:
    """Train one detector as configured and write its run folder.

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
    with ExitStack() as at_end:
        run = begin(request, shared or Shared(), at_end)
        fit_all([run])
        return conclude(run)


def begin(request: Request, shared: Shared, at_end: ExitStack) -> Run:
    """Start a run: write its configuration, read and split its recording, cut its epochs.

    When ``at_end`` closes, the folder is unlocked and the W&B run finished.
    """
    cfg, folder = request.cfg, request.folder
    if not is_helper():
        at_end.enter_context(folder_lock(folder))
    check_shared(cfg)
    check_monitor(cfg.protocol.monitor)
    check_subject(cfg)
    config = as_config(cfg, request.choices)
    begin_folder(folder, config)
    recording = shared.recording(cfg, folder)
    split = checked_split(cfg, recording)
    check_labels(recording, split)
    log.info("%r", recording)
    log.info("%s", split)
    run = Run(cfg, config, recording, split, folder, callbacks=request.callbacks)
    run.content = {"recording_sha256": recording.checksum, "code_sha256": code_digest(config)}
    run.tracker = start_tracking(cfg, config, folder)
    at_end.callback(end_tracking, run)
    prepare(run, shared)
    return run


def conclude(run: Run) -> dict[str, Any]:
    """Finish a fitted run: write everything into its folder, ``results.json`` last."""
    results = finish(run)
    if run.tracker is not None:
        log_run(run.tracker, run.cfg, results, run.recording.speller, run.folder)
    if is_helper():
        return results
    log_results(run, results)
    write_json(run.folder / "results.json", results)
    run.is_finished = True
    for pattern in ("networks/*.ckpt", f"**/*{PARTIAL}"):  # needed only to resume
        for left in run.folder.glob(pattern):
            left.unlink()
    log.info("run folder: %s", os.path.relpath(run.folder))
    return results
