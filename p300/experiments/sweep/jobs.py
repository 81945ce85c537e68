"""The jobs of a sweep: which have to be run and where, what became of each, how it ends."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from p300 import __version__
from p300.experiments.folder import can_go_on, finished_runs, objective, read_results, run_key
from p300.storage.files import LOCK, atomic_write, folder_lock

log = logging.getLogger("p300.experiments.folder")

#: By any of these a folder without ``results.json`` is known as a run that was not finished.
TRACES = (".hydra", "train.log", "config.yaml", "error.txt")

#: What can become of a job, in the words of the table at the end.
OUTCOMES = ("finished", "taken from before", "same as another", "failed", "not finished")


@dataclass(eq=False)
class Job:
    """One combination of a sweep.

    Parameters
    ----------
    number : int
        Counted by the sweeper.
    overrides : sequence of str
        What the sweeper chose.
    key : str
        :func:`fingerprint` of the resolved configuration.
    folder : Path
        Its run folder; that of the run whose results were taken, where they were.
    composed : bytes
        Its whole configuration, pickled: composing it takes a tenth of a second.
    outcome : str
        One of :data:`OUTCOMES`.
    value : float
        The validation AUC; ``nan`` where there is none.
    reason : str
        Of a failure, one sentence.
    """

    number: int
    overrides: Sequence[str]
    key: str
    folder: Path
    composed: bytes = b""
    outcome: str = "not finished"
    value: float = math.nan
    reason: str = ""

    def take(self, results: Mapping[str, Any], outcome: str) -> None:
        """Set what a finished run found."""
        self.outcome, self.value, self.reason = outcome, objective(results), ""

    def fail(self, reason: str) -> None:
        """Set why there are no results."""
        self.outcome, self.value, self.reason = "failed", math.nan, reason

    def lose(self, reason: str) -> None:
        """Set why it ended without saying so itself, and write that where it would have."""
        self.fail(reason)
        with contextlib.suppress(OSError):  # a full disk, perhaps the reason itself
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.folder / "error.txt") as file:
                file.write(reason + "\n")


@dataclass
class Sweep:
    """The sweep that this process conducts: where, and its jobs so far."""

    folder: Path | None = None
    jobs: list[Job] = field(default_factory=list)
    locks: contextlib.ExitStack | None = None

    def keep_others_out(self) -> None:
        """Wait until nobody else conducts a sweep in the folder, or still runs a job of one."""
        if self.locks is not None:
            return

        def tell(holder: str) -> None:
            log.info("%s is at work in %s; waiting for its end", holder, self.folder)

        self.locks = contextlib.ExitStack()
        self.locks.enter_context(folder_lock(self.folder, tell))
        # workers outlive a conductor that is killed: each ends the job it has begun
        for lock in sorted(self.folder.glob(f"*/**/{LOCK}")):
            with folder_lock(lock.parent, tell):
                pass


_sweep = Sweep()


def current() -> Sweep:
    """Give the sweep of this process, to be added to."""
    return _sweep


def sort_out(jobs: Sequence[Job], earlier: Sequence[Job], folder: Path) -> list[Job]:
    """Find which jobs have yet to be run, and set the outcome of the others.

    Parameters
    ----------
    jobs : sequence of Job
        New ones.
    earlier : sequence of Job
        Already done in this sweep.
    folder : Path
        Of the sweep.

    Returns
    -------
    list of Job
        Those to run, no two of one configuration, each with a folder of its own: what a run that
        was not finished left there is removed, save where its training can go on.
    """
    finished = finished_runs(folder)
    met = {job.key: job for job in reversed(earlier)}
    pending: list[Job] = []
    for job in jobs:
        if job.key in met:
            continue  # settled by `copy_outcomes`, when that one is done
        met[job.key] = job
        if job.key in finished:
            job.folder = finished[job.key]
            job.take(read_results(job.folder), "taken from before")
        else:
            pending.append(job)
    taken = {job.folder for job in met.values() if job not in pending} | set(finished.values())
    for job in pending:
        job.folder = free_folder(job.folder, taken)
        taken.add(job.folder)
        if can_go_on(job.folder) and run_key(job.folder) == job.key:
            (job.folder / "error.txt").unlink(missing_ok=True)
        elif job.folder.exists():
            shutil.rmtree(job.folder)
    return pending


def copy_outcomes(jobs: Sequence[Job]) -> None:
    """Give the later ones of jobs of one configuration what became of the first."""
    first: dict[str, Job] = {}
    for job in jobs:
        other = first.setdefault(job.key, job)
        if other is job:
            continue
        job.folder, job.value, job.reason = other.folder, other.value, other.reason
        has_results = other.outcome in ("finished", "taken from before")
        job.outcome = "same as another" if has_results else other.outcome


def free_folder(wanted: Path, taken: set[Path]) -> Path:
    """Find a folder for a run: as wanted, or the next number or suffix that is free.

    Only what a run that was not finished left behind may stand in a folder that is free.

    Examples
    --------
    >>> free_folder(Path("nowhere/3"), {Path("nowhere/3"), Path("nowhere/4")}).name
    '5'
    """

    def is_free(folder: Path) -> bool:
        if folder in taken or (folder / "results.json").exists():
            return False
        return not folder.exists() or any((folder / name).exists() for name in TRACES)

    folder, k = wanted, 1
    while not is_free(folder):
        k += 1
        number = wanted.name.isdigit()
        folder = wanted.with_name(
            str(int(wanted.name) + k - 1) if number else f"{wanted.name}_{k}"
        )
    return folder


def settle(jobs: Sequence[Job]) -> list[Job]:
    """Set the outcome of jobs from what they left in their folders.

    Returns
    -------
    list of Job
        Those that left neither results nor a reason.
    """
    lost = []
    for job in jobs:
        if (job.folder / "results.json").exists():
            job.take(read_results(job.folder), "finished")
        elif (job.folder / "error.txt").exists():
            job.fail((job.folder / "error.txt").read_text("utf-8").strip())
        elif job.outcome != "failed":
            lost.append(job)
    return lost


def conclude() -> None:
    """End the sweep of this process, if it conducted one: a table, and every failure.

    Raises
    ------
    SystemExit
        With the failures, if a job failed.
    """
    from p300.terminal import console_handlers, not_shown_yet, show

    if _sweep.locks is not None:
        _sweep.locks.close()
        _sweep.locks = None
    if not _sweep.jobs:
        return
    for handler in list(logging.root.handlers):
        if isinstance(handler, logging.FileHandler):  # the last job's log ends with that job
            logging.root.removeHandler(handler)
            handler.close()
    for handler in console_handlers():
        handler.addFilter(not_shown_yet)
    folder, jobs = os.path.relpath(_sweep.folder), list(_sweep.jobs)
    _sweep.folder, _sweep.jobs = None, []
    show(summary(jobs, folder))
    failed = [job for job in jobs if job.outcome == "failed"]
    if failed:
        lines = [f"{os.path.relpath(job.folder)}: {job.reason}" for job in failed]
        sys.exit(
            f"p300 train: {len(failed)} of {len(jobs)} runs failed; the same command with "
            f"hydra.sweep.dir={folder} tries them again\n  " + "\n  ".join(dict.fromkeys(lines))
        )


def summary(jobs: Sequence[Job], folder: str):
    """Make the table that a sweep ends with."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    counts = {name: sum(job.outcome == name for job in jobs) for name in OUTCOMES}
    always = ("finished", "taken from before", "failed")
    shown = [name for name in OUTCOMES if counts[name] or name in always]
    table = Table(title=f"sweep {folder}: {len(jobs)} runs", title_justify="left")
    for name in shown:
        table.add_column(name, justify="right")
    table.add_row(*(str(counts[name]) for name in shown))
    lines = [Text(f"compare them: p300 compare {folder}")]
    others = other_versions(jobs)
    if others:
        lines.insert(0, Text(f"made by another version than {__version__}: {others}"))
    return Group(table, *lines)


def other_versions(jobs: Sequence[Job]) -> str:
    """Count the runs taken from before that another version of p300 made."""
    runs = {job.folder for job in jobs if job.outcome == "taken from before"}
    made = [read_results(run).get("version", __version__) for run in sorted(runs)]
    others = sorted({version for version in made if version != __version__})
    return ", ".join(f"{made.count(version)} run(s) by {version}" for version in others)
