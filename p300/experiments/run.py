"""``p300 train``: from a recording to a trained detector and the text it reads."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.errors import InputError
from p300.experiments.combine import finish
from p300.experiments.configuration import compose_training, conf_dir
from p300.experiments.fit import fit_all
from p300.experiments.folder import write_config
from p300.experiments.prepare import Run, Shared, check_labels, prepare
from p300.splits import Split, check_monitor
from p300.storage.files import PARTIAL, folder_lock

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.experiments.prepare import Run, Shared
    from p300.recording import Recording

log = logging.getLogger("p300.experiments.run")

#: Not 0 in a process that helps another with one run, as Lightning and Slurm number them.
HELPERS = ("LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


def train(folder: str | Path, *overrides: str) -> dict[str, Any]:
    """Train from Python, as ``p300 train OVERRIDES hydra.run.dir=FOLDER`` does.

    Parameters
    ----------
    folder : path
        The run folder, made here; it must not hold a run yet.
    *overrides : str
        As on the command line: ``"data=bci2_iib"``, ``"experiment=cnn1"``, ``"seed=1"``.

    Returns
    -------
    dict
        What ``results.json`` holds.

    Raises
    ------
    InputError
        As :func:`train_run`, or if the folder already holds a run.

    Examples
    --------
    >>> train("runs/mine", "experiment=cnn3", "seed=1")  # doctest: +SKIP
    """
    from hydra import initialize_config_dir

    folder = Path(folder)
    if (folder / "config.yaml").exists():
        raise InputError(f"{folder} already holds a run; expected a new folder")
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg, choices = compose_training(overrides)
    folder.mkdir(parents=True, exist_ok=True)
    return train_run(cfg, folder, choices)


def train_run(
    cfg: DictConfig, folder: Path, choices: Mapping[str, str], shared: Shared | None = None
) -> dict[str, Any]:
    """Train one detector as configured and write its run folder.

    Parameters
    ----------
    cfg : DictConfig
        As composed from ``conf/train.yaml``.
    folder : Path
        The run folder. In one where this very training was interrupted, it goes on.
    choices : mapping of str to str
        Which file was chosen of each configuration group.
    shared : Shared or None
        What earlier runs of this process have left.

    Returns
    -------
    dict
        What ``results.json`` holds.

    Raises
    ------
    InputError
        If recording, split or configuration cannot be used, or the folder holds another run.
        ``results.json`` is then missing from the run folder, and no other command takes it for a
        finished run.
    """
    (found,) = train_runs([(cfg, folder, choices)], shared)
    if isinstance(found, Exception):
        raise found
    return found


def train_runs(
    requests: Sequence[tuple[DictConfig, Path, Mapping[str, str]]],
    shared: Shared | None = None,
    call: Callable[[int, Callable[[], Any]], Any] = lambda k, work: work(),
) -> list[dict[str, Any] | Exception]:
    """Train several detectors in one process, each into its own run folder.

    What they have in common is done once: recordings are read, epochs cut, and networks that
    differ in nothing but seeds and flashes are trained side by side.

    Parameters
    ----------
    requests : sequence of (DictConfig, Path, mapping)
        As :func:`train_run` takes them.
    shared : Shared or None
        What earlier runs of this process have left.
    call : callable
        Calls what is done for one run alone; given its place and the work. A sweep sends what is
        logged meanwhile to that run.

    Returns
    -------
    list of dict or Exception
        What each ``results.json`` holds, or why there is none; one that fails costs only itself.
    """
    from p300.experiments.fit import fit_all
    from p300.experiments.prepare import Shared

    shared = shared or Shared()
    runs: dict[int, Run] = {}
    found: dict[int, dict[str, Any] | Exception] = {}
    locks = contextlib.ExitStack()

    def begin_alone(cfg: DictConfig, folder: Path, choices: Mapping[str, str]) -> Run:
        if not any(os.environ.get(name, "0") != "0" for name in HELPERS):
            locks.enter_context(folder_lock(folder))
        return begin(cfg, folder, choices, shared)

    try:
        for k, request in enumerate(requests):
            try:
                runs[k] = call(k, functools.partial(begin_alone, *request))
            except Exception as error:
                found[k] = error
        fit_all(list(runs.values()))
        for k, run in runs.items():
            try:
                found[k] = call(k, functools.partial(conclude, run))
            except Exception as error:
                found[k] = error
    finally:
        for run in runs.values():
            if run.tracker is not None:
                run.tracker.finish()
        locks.close()
    return [found[k] for k in range(len(requests))]


def begin(cfg: DictConfig, folder: Path, choices: Mapping[str, str], shared: Shared) -> Run:
    """Begin a run: its configuration written, its recording read and split, its epochs cut."""
    from omegaconf import OmegaConf

    from p300.experiments.build import build_split
    from p300.experiments.prepare import Run, prepare
    from p300.experiments.tracking import start_tracking

    check_monitor(cfg.protocol.monitor)
    config = OmegaConf.to_container(cfg, resolve=True)
    config["choices"] = {k: v for k, v in choices.items() if not k.startswith("hydra/")}
    write_config(folder, config)
    recording = shared.recording(cfg, folder)
    split = build_split(cfg, recording.flashes)
    check_labels(recording, split)
    log.info("%r", recording)
    log.info("%s", split)
    tracker = start_tracking(cfg, config, folder)
    run = Run(cfg, config, recording, split, folder, tracker)
    try:
        prepare(run, shared)
    except BaseException:
        if tracker is not None:
            tracker.finish()
        raise
    return run


def conclude(run: Run) -> dict[str, Any]:
    """Finish a fitted run: everything into its folder, results.json last."""
    from p300.experiments.combine import finish
    from p300.experiments.results import write_json
    from p300.experiments.tracking import log_run

    results = finish(run)
    if run.tracker is not None:
        log_run(run.tracker, run.cfg, results, run.recording.speller, run.folder)
    write_json(run.folder / "results.json", results)
    for pattern in ("networks/*.ckpt", f"**/*{PARTIAL}"):  # of a training that is complete
        for left in run.folder.glob(pattern):
            left.unlink()
    log.info("run folder: %s", os.path.relpath(run.folder))
    return results


def fit_and_score(
    cfg: DictConfig, config: dict, recording: Recording, split: Split, folder: Path, tracker=None
) -> dict[str, Any]:
    """Preprocess, fit every member, write checkpoint and scores; return what was found.

    Raises
    ------
    InputError
        If something cannot be fitted.
    """
    run = Run(cfg, config, recording, split, folder, tracker)
    prepare(run, Shared())
    fit_all([run])
    return finish(run)
