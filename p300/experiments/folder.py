"""Run folders: which runs of a sweep (``p300 train -m``) are finished, and how one job is run.

A run is identified by its resolved configuration, not by the name of its folder or by what was
typed. A sweep that was interrupted goes on with the same command in the same folder
(``hydra.sweep.dir=FOLDER``): finished runs are taken as they are, all others are run again. The
results of another version of p300 are taken too, and this is reported; remove the folder to run
it again.

Launchers do not know of this. :mod:`hydra_plugins.p300_launcher` stands between the sweeper and
the chosen launcher, and calls the functions here and in :mod:`p300.experiments.sweep.jobs`.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import logging
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.errors import InputError
from p300.storage.files import LOCK, folder_lock, write_text

if TYPE_CHECKING:
    from omegaconf import DictConfig


log = logging.getLogger("p300.experiments.folder")

#: Parts of a run's configuration that do not change its results.
WITHOUT_EFFECT = ("cache", "choices", "logger", "progress", "quiet", "save_every_s", "threads")


def fingerprint(config: Mapping[str, Any]) -> str:
    """Compute a hash of everything in a resolved configuration that can change the results.

    Examples
    --------
    >>> one = fingerprint({"seed": 0, "model": {"n_filters": 10}, "quiet": True})
    >>> one == fingerprint({"model": {"n_filters": 10.0}, "seed": 0, "quiet": False})
    True
    >>> one == fingerprint({"model": {"n_filters": 10}, "seed": 1})
    False
    """
    kept = {k: v for k, v in config.items() if k not in WITHOUT_EFFECT}
    return hashlib.sha256(json.dumps(_comparable(kept), sort_keys=True).encode()).hexdigest()


def finished_runs(folder: str | Path) -> dict[str, Path]:
    """Find every finished run below a folder.

    Returns
    -------
    dict of str to Path
        :func:`fingerprint` to run folder; of several equal ones, the first by name.
    """
    runs: dict[str, Path] = {}
    for here, folders, files in os.walk(folder):
        if "config.yaml" not in files:
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            continue
        folders.clear()  # no run holds another
        if "results.json" in files:
            runs.setdefault(run_key(Path(here)), Path(here))
    return runs


def run_key(run: Path) -> str:
    """Compute the :func:`fingerprint` of the configuration in a run folder."""
    from omegaconf import OmegaConf

    config: Any = OmegaConf.to_container(OmegaConf.load(run / "config.yaml"))
    return fingerprint(config)


def read_results(run: Path) -> dict[str, Any]:
    """Read the results of a finished run."""
    return json.loads((run / "results.json").read_text("utf-8"))


def objective(results: Mapping[str, Any]) -> float:
    """Return the value that a search maximises: the validation AUC, or ``nan`` without one.

    Examples
    --------
    >>> objective({"validation": {"detection": {"auc": 0.75}}}), objective({})
    (0.75, nan)
    """
    auc = results.get("validation", {}).get("detection", {}).get("auc")
    return math.nan if auc is None else float(auc)


def run_job(run: Callable[[], dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Run one job of a sweep, in the process that its launcher started.

    If a batch system starts a job twice, an unfinished job goes on from its saved training, or
    begins again. The reason of a failure is written into ``error.txt``.

    Parameters
    ----------
    run : callable
        Trains into the folder and returns the results.
    folder : Path
        The run folder; it holds Hydra's files already.
    """
    if (folder / "results.json").exists():
        return read_results(folder)
    make_ready(folder)
    try:
        with noting_failure(folder):
            return run()
    finally:
        gc.collect()  # a trainer and its network hold each other, and the recording, until then


def make_ready(folder: Path) -> None:
    """Remove what an earlier start left in a run folder, except a training that can go on.

    Raises
    ------
    InputError
        If another process uses the folder.
    """
    kept = {".hydra", "train.log", LOCK}  # these are of this start
    with folder_lock(folder):
        if can_go_on(folder):
            kept |= {"config.yaml", "networks"}
        for path in folder.iterdir():
            if path.name not in kept:
                (shutil.rmtree if path.is_dir() else os.unlink)(path)


@contextlib.contextmanager
def noting_failure(folder: Path) -> Iterator[None]:
    """Write the error of the block, if it fails, into a run folder."""
    try:
        yield
    except Exception as error:
        text = sentence(error)
        write_failure(folder, text)
        log.warning("failed, and the sweep goes on: %s", text)
        if isinstance(_cause(error), InputError | OSError):
            raise
        raise RuntimeError(text) from error  # of a type that can be sent to another process


def write_failure(folder: Path, reason: str) -> None:
    """Write why a run failed into its ``error.txt``."""
    with contextlib.suppress(OSError):  # a full disk, perhaps the reason itself
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "error.txt", reason + "\n")


def can_go_on(folder: Path) -> bool:
    """Return whether an interrupted run saved a training that can go on."""
    return (folder / "config.yaml").exists() and any(folder.glob("networks/*.ckpt"))


def sentence(error: BaseException) -> str:
    """Format an error as one line; the message of an InputError needs no type before it.

    Examples
    --------
    >>> sentence(ZeroDivisionError("division by zero"))
    'ZeroDivisionError: division by zero'
    """
    error = _cause(error)
    text = " ".join(str(error).split())
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"


def _cause(error: BaseException) -> BaseException:
    """Return the cause of Hydra's own exception if it could not build an object."""
    if type(error).__name__ == "InstantiationException" and error.__cause__ is not None:
        return error.__cause__
    return error


def _comparable(value: Any) -> Any:
    """Convert integers to floats, so that 10 and 10.0 are one configuration."""
    if isinstance(value, Mapping):
        return {str(k): _comparable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_comparable(v) for v in value]
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 2**53 else value


def is_finished(folder: Path, cfg: DictConfig) -> bool:
    """Return whether a folder holds a finished run of exactly this configuration."""
    from omegaconf import OmegaConf

    if not all((folder / name).exists() for name in ("results.json", "config.yaml")):
        return False
    wanted: Any = OmegaConf.to_container(cfg, resolve=True)
    return run_key(folder) == fingerprint(wanted)


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write the resolved configuration into a run folder, or check that it is there already.

    Raises
    ------
    InputError
        If the folder holds a finished run, or an unfinished one of another configuration.
    """
    from omegaconf import OmegaConf

    path = folder / "config.yaml"
    if (folder / "results.json").exists():
        raise InputError(f"{folder} holds a finished run; expected a new folder")
    if path.exists() and run_key(folder) != fingerprint(config):
        raise InputError(
            f"{folder} holds an unfinished run with another configuration; expected a new folder, "
            f"or the same configuration to continue it; or delete the folder"
        )
    write_text(path, OmegaConf.to_yaml(OmegaConf.create(config)))
