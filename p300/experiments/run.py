"""``p300 train``: from a recording to a trained detector and the text it reads."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from p300.errors import InputError
from p300.experiments.build import checked_split
from p300.experiments.configuration import check_subject, compose_training, conf_dir
from p300.experiments.fitting.combine import finish
from p300.experiments.fitting.fit import fit_all
from p300.experiments.fitting.run import Run
from p300.experiments.folder import write_config
from p300.experiments.prepare import Shared, check_labels, prepare
from p300.experiments.results import write_json
from p300.experiments.tracking import log_run, start_tracking
from p300.splits import Split, check_monitor
from p300.storage.files import PARTIAL, folder_lock
from p300.terminal import quietly

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.recording import Recording

log = logging.getLogger("p300.experiments.run")

#: Numbers of processes that share one run, by Lightning and Slurm; 0 in the first of them.
HELPERS = ("LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


def train(folder: str | Path, *overrides: str) -> dict[str, Any]:
    """Train from Python, as ``p300 train OVERRIDES hydra.run.dir=FOLDER`` does.

    Nothing is printed; messages go to ``train.log`` in the folder.

    Parameters
    ----------
    folder : path
        The run folder, which is created; it must not hold a run yet.
    *overrides : str
        As on the command line: ``"data=bci2_iib"``, ``"experiment=cnn1"``, ``"seed=1"``.

    Returns
    -------
    dict
        The content of ``results.json``.

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
        raise InputError(
            f"{folder} already holds a run; expected a new folder, or delete this one"
        )
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg, choices = compose_training(overrides)
    folder.mkdir(parents=True, exist_ok=True)
    with quietly(folder / "train.log"):
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
        The run folder. If it holds the same run, interrupted, that run continues.
    choices : mapping of str to str
        The file that each configuration group uses.
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

    Work that they have in common is done once: reading a recording, cutting its epochs. Networks
    that differ only in seeds and flashes are trained side by side.

    Parameters
    ----------
    requests : sequence of (DictConfig, Path, mapping)
        As :func:`train_run` takes them.
    shared : Shared or None
        What earlier runs of this process have left for the next ones.
    call : callable
        Called with the position of a run in ``requests`` and with a function that does the work
        of this run alone; returns what the function returns. A sweep uses it to write log messages
        to the log of that run.

    Returns
    -------
    list of dict or Exception
        The content of each ``results.json``, or the error of that run. The other runs continue.
    """
    shared = shared or Shared()
    runs: dict[int, Run] = {}
    found: dict[int, dict[str, Any] | Exception] = {}
    with ExitStack() as at_end:
        for k, request in enumerate(requests):
            try:
                runs[k] = call(k, functools.partial(begin, *request, shared, at_end))
            except Exception as error:
                found[k] = error
        fit_all(list(runs.values()))
        for k, run in runs.items():
            try:
                found[k] = call(k, functools.partial(conclude, run))
            except Exception as error:
                found[k] = error
    return [found[k] for k in range(len(requests))]


def begin(
    cfg: DictConfig, folder: Path, choices: Mapping[str, str], shared: Shared, at_end: ExitStack
) -> Run:
    """Start a run: write its configuration, read and split its recording, cut its epochs.

    When ``at_end`` closes, the folder is unlocked and the W&B run finished.
    """
    from omegaconf import OmegaConf

    if not any(os.environ.get(name, "0") != "0" for name in HELPERS):
        at_end.enter_context(folder_lock(folder))
    check_monitor(cfg.protocol.monitor)
    check_subject(cfg)
    config = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    config["choices"] = {k: v for k, v in choices.items() if not k.startswith("hydra/")}
    write_config(folder, config)
    recording = shared.recording(cfg, folder)
    split = checked_split(cfg, recording)
    check_labels(recording, split)
    log.info("%r", recording)
    log.info("%s", split)
    run = Run(cfg, config, recording, split, folder, start_tracking(cfg, config, folder))
    if run.tracker is not None:
        at_end.callback(run.tracker.finish)
    prepare(run, shared)
    return run


def conclude(run: Run) -> dict[str, Any]:
    """Finish a fitted run: write everything into its folder, ``results.json`` last."""
    results = finish(run)
    if run.tracker is not None:
        log_run(run.tracker, run.cfg, results, run.recording.speller, run.folder)
    write_json(run.folder / "results.json", results)
    for pattern in ("networks/*.ckpt", f"**/*{PARTIAL}"):  # needed only to resume
        for left in run.folder.glob(pattern):
            left.unlink()
    log.info("run folder: %s", os.path.relpath(run.folder))
    return results


def fit_and_score(
    cfg: DictConfig, config: dict, recording: Recording, split: Split, folder: Path
) -> dict[str, Any]:
    """Preprocess, fit every member, write checkpoint and scores; return the results.

    Raises
    ------
    InputError
        If something cannot be fitted.
    """
    run = Run(cfg, config, recording, split, folder)
    prepare(run, Shared())
    fit_all([run])
    return finish(run)
