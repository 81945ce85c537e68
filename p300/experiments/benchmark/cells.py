"""The cells of a benchmark: which runs of ``p300 train`` it consists of."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p300.errors import InputError
from p300.experiments.configuration import known_files
from p300.experiments.jobs.sweep import expand_sweeps

#: What is trained and tested on. Some are curves, over what is counted by a key of the split.
PROTOCOLS = (
    "within",
    "cross-session",
    "leave-one-subject-out",
    "learning-curve",
    "new-person",
    "people-pool",
    "session",
)

#: Keys of a split that a curve is over, and what they count.
CURVES = {
    "split.n_characters": "training character",
    "split.n_own": "own character",
    "split.n_people": "other person",
}


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
    first : Cell or None
        The run whose weights its network starts from.
    """

    task: str
    protocol: str
    experiment: str
    label: str
    seed: int
    overrides: tuple[str, ...]
    folder: Path
    group: str = ""
    first: Cell | None = None


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
        may hold sweeps). With ``pretrained_by``, a line of overrides, each run starts from the
        weights of a first run: the same with these overrides.
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
    check_known("experiment", experiments, known_files("experiment"))
    cells: list[Cell] = []
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
        chains = [
            [*first, (label, run)]
            for first, label, run in zip(
                first_runs(runs, task.get("pretrained_by")), labels, runs, strict=True
            )
        ]
        for experiment, chain, seed in itertools.product(experiments, chains, seeds):
            cell: Cell | None = None
            for label, run in chain:
                given = (f"experiment={experiment}", *run, *overrides, f"seed={seed}")
                here = folder / name / experiment / label / f"seed-{seed}"
                cell = Cell(name, protocol, experiment, label, seed, given, here, of, first=cell)
            assert cell is not None
            cells.append(cell)
    return cells


def first_runs(
    runs: Sequence[Sequence[str]], changes: str | None
) -> list[list[tuple[str, Sequence[str]]]]:
    """Return label and overrides of the run that precedes each run of a task; [] without one.

    Examples
    --------
    >>> first_runs([["split.fold=1", "split.n_own=3"]], "split.n_own=0")
    [[('pretrained', ('split.fold=1', 'split.n_own=0'))]]
    """
    if changes is None:
        return [[] for _ in runs]
    found = [replace_overrides(run, changes.split()) for run in runs]
    different = list(dict.fromkeys(found))
    labels = ["_".join(filter(None, ["pretrained", one])) for one in run_labels(different)]
    return [[(labels[different.index(one)], one)] for one in found]


def replace_overrides(overrides: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """Replace overrides by others of the same keys, and add those of other keys.

    Examples
    --------
    >>> replace_overrides(["data=bnci", "split.n_own=5"], ["split.n_own=0", "seed=1"])
    ('data=bnci', 'split.n_own=0', 'seed=1')
    """
    keys = {override.partition("=")[0] for override in others}
    kept = [override for override in overrides if override.partition("=")[0] not in keys]
    return (*kept, *others)


def check_files(tasks: Mapping[str, Mapping[str, Any]], only: Sequence[str] | None = None) -> None:
    """Check that the recordings of all tasks are there, before anything is trained.

    Parameters
    ----------
    tasks : mapping
        Name to what is known of it: ``files``, the folder of its recordings, and ``source``, where
        to get them; tasks without ``files`` are not checked.
    only : sequence of str or None
        Names of the tasks to run; None runs all.

    Raises
    ------
    InputError
        If folders are missing; the message has all of them, and how to run the other tasks.
    """
    names = list(only or tasks)
    folders = {name: tasks[name]["files"] for name in names if "files" in tasks[name]}
    missing = [name for name, folder in folders.items() if not Path(folder).is_dir()]
    if not missing:
        return
    places = "; ".join(f"{n}: {folders[n]} (from {tasks[n].get('source', '–')})" for n in missing)
    others = [name for name in names if name not in missing]
    way = f"run the others with only=[{','.join(others)}]" if others else "get one of them"
    raise InputError(
        f"got no recordings of {len(missing)} of {len(names)} tasks: {places}; expected these "
        f"folders, named in data/README.md; set P300_DATA_ROOT, or {way}"
    )


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
