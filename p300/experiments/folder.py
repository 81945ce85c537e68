"""Run folders: whose they are, what they hold, and how a run begins and fails in one.

A folder is used for a run if it is empty, or if an earlier start of a run marked it as its own
and left no results. Of what that start left, only files that runs write are removed. A folder with
anything else is left alone, and finished results are never removed.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from p300.errors import InputError
from p300.experiments.identity import fingerprint
from p300.storage.files import LOCK, PARTIAL, write_text

log = logging.getLogger("p300.experiments.folder")

#: The file that marks a folder as that of a run.
MARKER = ".p300"

#: What is put into the folder of a run before it begins.
HYDRAS = (".hydra", "overrides.yaml", "train.log")

#: Names of what only a run writes, beside partial files.
WRITTEN = {
    "checkpoint.pt",
    "config.yaml",
    "error.txt",
    "held_out.csv",
    "integrity.txt",
    "learning.npz",
    "networks",
    "pruned.txt",
    "scores.csv",
    "session.csv",
    "training.json",
}

#: What a run writes and other programs write too. Nothing but this and the above is ever removed.
ALSO_OF_OTHERS = {"train.log", "wandb"}


def finished_runs(folder: str | Path) -> Iterator[Path]:
    """Find every finished run below a folder, in the order of their names."""
    for here, folders, files in os.walk(folder):
        folders.sort()
        if "config.yaml" not in files:
            folders[:] = [f for f in folders if not f.startswith(".")]
            continue
        folders.clear()  # no run holds another
        if "results.json" in files:
            yield Path(here)


def run_key(run: Path) -> str:
    """Compute the :func:`fingerprint` of the configuration in a run folder."""
    from omegaconf import OmegaConf

    config: Any = OmegaConf.to_container(OmegaConf.load(run / "config.yaml"))
    return fingerprint(config)


def holds(folder: Path, config: Mapping[str, Any]) -> bool:
    """Return whether a folder holds the finished run of a resolved configuration."""
    return (folder / "results.json").exists() and run_key(folder) == fingerprint(config)


def read_results(run: Path) -> dict[str, Any]:
    """Read the results of a finished run."""
    return json.loads((run / "results.json").read_text("utf-8"))


def value_of(results: Mapping[str, Any], path: str = "validation.detection.auc") -> float:
    """Return a number of the results by its path, or ``nan`` where there is none.

    Examples
    --------
    >>> results = {"validation": {"detection": {"auc": 0.75}}, "fit_s": 2}
    >>> value_of(results), value_of(results, "fit_s"), value_of({})
    (0.75, 2.0, nan)
    """
    value: Any = results
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, int | float) else math.nan


def can_be_used(folder: Path) -> bool:
    """Return whether a run may begin in a folder: a new one, or that of an unfinished run."""
    if not folder.exists():
        return True
    names = {path.name for path in folder.iterdir()} - {LOCK, *HYDRAS}
    if MARKER in names:
        return "results.json" not in names
    return all(_is_left_half(name) for name in names)


def _is_left_half(name: str) -> bool:
    """Return whether a file was left by a run that was killed before its folder was marked."""
    return name.endswith(PARTIAL) and name.startswith(tuple(f"{n}." for n in (MARKER, *HYDRAS)))


def free_folder(wanted: Path, taken: set[Path]) -> Path:
    """Find a folder for a run: as wanted, or the next number or suffix that can be used.

    Examples
    --------
    >>> free_folder(Path("nowhere/3"), {Path("nowhere/3"), Path("nowhere/4")}).name
    '5'
    """

    def names() -> Iterator[str]:
        yield wanted.name
        for k in itertools.count(1):
            yield str(int(wanted.name) + k) if wanted.name.isdigit() else f"{wanted.name}_{k + 1}"

    folders = map(wanted.with_name, names())
    return next(folder for folder in folders if folder not in taken and can_be_used(folder))


def begin_folder(folder: Path, config: Mapping[str, Any]) -> None:
    """Make a run folder, or clear that of an unfinished run; write the configuration into it.

    A training that was saved there is kept if it is of the same configuration.

    Raises
    ------
    InputError
        If the folder holds a finished run, a training of another configuration that can go on, or
        files of the same names that no run wrote.
    """
    from omegaconf import OmegaConf

    if (folder / "results.json").exists():
        raise InputError(f"{folder} holds a finished run; expected a new folder")
    if can_go_on(folder) and run_key(folder) != fingerprint(config):
        raise InputError(
            f"{folder} holds an unfinished run with another configuration; expected a new folder, "
            f"or the same configuration to continue it; or delete the folder"
        )
    if (folder / MARKER).exists():
        clear(folder, keep_training=can_go_on(folder))
    elif can_be_used(folder):
        mark(folder)
    elif left := sorted(WRITTEN & {path.name for path in folder.iterdir()}):
        raise InputError(f"{folder} holds {', '.join(left)}, not of a run; expected a new folder")
    write_text(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(dict(config))))


def mark(folder: Path) -> None:
    """Make a folder, and mark it as that of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / MARKER, "a run of p300\n")
    for path in folder.iterdir():
        if _is_left_half(path.name):
            path.unlink()


def clear(folder: Path, keep_training: bool) -> None:
    """Remove what an unfinished run left, but for its log, and a training that can go on."""
    kept = {"train.log", *(["networks", "wandb"] if keep_training else [])}
    removed = (WRITTEN | ALSO_OF_OTHERS) - kept
    for path in folder.iterdir():
        if path.name in removed or path.name.endswith(PARTIAL):
            (shutil.rmtree if path.is_dir() else os.unlink)(path)


def write_failure(folder: Path, reason: str) -> None:
    """Write why a run failed into its ``error.txt``."""
    with contextlib.suppress(OSError):  # a full disk, perhaps the reason itself
        if can_be_used(folder) and not (folder / MARKER).exists():
            mark(folder)
        write_text(folder / "error.txt", reason + "\n")


def can_go_on(folder: Path) -> bool:
    """Return whether an interrupted run saved a training that can go on."""
    return (folder / "config.yaml").exists() and any(folder.glob("networks/*.ckpt"))
