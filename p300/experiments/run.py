"""One run: from a recording to a trained detector and the text it reads."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.experiments.build import checked_split
from p300.experiments.configuration import as_config, check_subject
from p300.experiments.fitting.combine import finish
from p300.experiments.fitting.run import Run
from p300.experiments.folder import begin_folder
from p300.experiments.identity import code_digest
from p300.experiments.prepare import Shared, check_labels, prepare
from p300.experiments.processes import check_shared, is_helper
from p300.experiments.results import write_json
from p300.experiments.tracking import end_tracking, log_results, log_run, start_tracking
from p300.splits import check_monitor
from p300.storage.files import PARTIAL, folder_lock

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


def check_start(cfg: DictConfig) -> None:
    """Check what a configuration alone tells, before anything is read.

    Raises
    ------
    InputError
        If the process helps with no run, the monitored value or the subject cannot be used.
    """
    check_shared(cfg)
    check_monitor(cfg.protocol.monitor)
    check_subject(cfg)


def begin(request: Request, shared: Shared, at_end: ExitStack) -> Run:
    """Start a run: write its configuration, read and split its recording, cut its epochs.

    When ``at_end`` closes, the folder is unlocked and the W&B run finished.
    """
    cfg, folder = request.cfg, request.folder
    if not is_helper():
        at_end.enter_context(folder_lock(folder))
    check_start(cfg)
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
    log_results(run.cfg, run.config, run.folder, results, run.loggers.get(1))
    write_json(run.folder / "results.json", results)
    run.is_finished = True
    for pattern in ("networks/*.ckpt", f"**/*{PARTIAL}"):  # needed only to resume
        for left in run.folder.glob(pattern):
            left.unlink()
    log.info("run folder: %s", os.path.relpath(run.folder))
    return results
