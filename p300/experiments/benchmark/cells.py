"""The cells of a benchmark: which runs of ``p300 train`` it consists of."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p300.errors import InputError
from p300.experiments.configuration import conf_dir
from p300.storage.untrusted import own_folders

PROTOCOLS = ("within", "cross-session", "leave-one-subject-out", "learning-curve")


@dataclass(frozen=True)
class Cell:
    """One run of the benchmark.

    Parameters
    ----------
    task, protocol, experiment : str
        Where it belongs in the benchmark.
    label : str
        Distinguishes it from the task's other cells, such as "subject-6"; empty for a single one.
    seed : int
        Of the training.
    overrides : tuple of str
        What would be typed after ``p300 train``.
    folder : Path
        Its run folder.
    group : str
        Group of its W&B run.
    """

    task: str
    protocol: str
    experiment: str
    label: str
    seed: int
    overrides: tuple[str, ...]
    folder: Path
    group: str = ""


def plan_cells(
    tasks: Mapping[str, Mapping[str, Any]],
    experiments: Sequence[str],
    seeds: Sequence[int],
    overrides: Sequence[str],
    folder: Path,
    *,
    only: Sequence[str] | None = None,
    group: str | None = None,
) -> list[Cell]:
    """List every run of a benchmark.

    Parameters
    ----------
    tasks : mapping
        Name to ``protocol`` (one of :data:`PROTOCOLS`) and ``runs`` (lines of overrides, which
        may hold sweeps).
    experiments : sequence of str
        Files of ``conf/experiment``.
    seeds : sequence of int
        Of the training.
    overrides : sequence of str
        For every run.
    folder : Path
        Of the benchmark; a cell's is ``folder/task/experiment/label/seed-N``.
    only : sequence of str or None
        Names of the tasks to run; None runs all.
    group : str or None
        W&B runs are grouped as ``group/task``; None for the folder's name.

    Raises
    ------
    InputError
        If a task, protocol or experiment is not known, or two runs of a task are the same.
    """
    names = list(only or tasks)
    check_known("task", names, tasks)
    check_known("experiment", experiments, known_experiments())
    cells = []
    for name in names:
        task = tasks[name]
        check_known("protocol", [task["protocol"]], PROTOCOLS)
        runs = [run for line in task["runs"] for run in expand_sweeps(line)]
        labels = run_labels(runs)
        if len(set(labels)) < len(labels):
            raise InputError(
                f"task {name}: two of its {len(runs)} runs are the same: {labels}; expected "
                "different overrides"
            )
        protocol, of = task["protocol"], f"{group or folder.resolve().name}/{name}"
        labelled = list(zip(labels, runs, strict=True))
        for experiment, (label, run), seed in itertools.product(experiments, labelled, seeds):
            given = (f"experiment={experiment}", *run, *overrides, f"seed={seed}")
            here = folder / name / experiment / label / f"seed-{seed}"
            cells.append(Cell(name, protocol, experiment, label, seed, given, here, of))
    return cells


def expand_sweeps(line: str) -> list[list[str]]:
    """Expand what would be typed after ``p300 train -m`` into the overrides of each run.

    Examples
    --------
    >>> expand_sweeps("data=bnci subject=6,7")
    [['data=bnci', 'subject=6'], ['data=bnci', 'subject=7']]
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    choices = []
    for override in OverridesParser.create().parse_overrides(shlex.split(line)):
        if override.is_sweep_override():
            key = override.get_key_element()
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            choices.append([str(override.input_line)])
    return [list(run) for run in itertools.product(*choices)]


def run_labels(runs: Sequence[Sequence[str]]) -> list[str]:
    """Name each run by the overrides that not all of them share.

    Examples
    --------
    >>> run_labels([["data=bnci", "split.fold=0"], ["data=bnci", "split.fold=1"]])
    ['fold-0', 'fold-1']
    """
    shared = set(runs[0]).intersection(*runs)
    labels = []
    for run in runs:
        parts = [re.sub(r"^[^=]*\.", "", override) for override in run if override not in shared]
        labels.append("_".join(re.sub(r"[^\w.]+", "-", part).strip("-") for part in parts))
    return labels


def known_experiments() -> list[str]:
    """List the names of the files in ``conf/experiment``, and in the user's own folders."""
    folders = [conf_dir(), *own_folders()]
    return sorted({path.stem for f in folders for path in (f / "experiment").glob("*.yaml")})


def check_known(what: str, names: Sequence[str], known: Collection[str]) -> None:
    """Check that names are among the known ones.

    Parameters
    ----------
    what : str
        What the names stand for, such as "task"; for the message.
    names : sequence of str
        To check.
    known : collection of str
        All names that are allowed.

    Raises
    ------
    InputError
        If a name is not known.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        named, allowed = ", ".join(map(repr, unknown)), ", ".join(known)
        raise InputError(f"unknown {what} {named}; expected one of {allowed}")
