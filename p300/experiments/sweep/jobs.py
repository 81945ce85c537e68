"""The jobs of a sweep: which to run and where, how each ended, and the table at the end."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from p300 import __version__
from p300.experiments import folder as runs
from p300.storage.files import LOCK, folder_lock
from p300.terminal import console_handlers, not_shown_yet, show

log = logging.getLogger("p300.experiments.folder")

#: Any of these marks a folder without ``results.json`` as a run that was not finished.
TRACES = (".hydra", "train.log", "config.yaml", "error.txt")

#: Possible outcomes of a job, as the table at the end names them.
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
        Its run folder, or that of the finished run whose results it takes.
    composed : bytes
        Its whole configuration, pickled, since composing it takes 0.1 s.
    outcome : str
        One of :data:`OUTCOMES`.
    value : float
        The validation AUC; ``nan`` where there is none.
    reason : str
        Reason of a failure, one sentence.
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
        """Set the results of a finished run."""
        self.outcome, self.value, self.reason = outcome, runs.objective(results), ""

    def fail(self, reason: str) -> None:
        """Set why there are no results."""
        self.outcome, self.value, self.reason = "failed", math.nan, reason

    def lose(self, reason: str) -> None:
        """Set why it ended without an error of its own, and write that into ``error.txt``."""
        self.fail(reason)
        runs.write_failure(self.folder, reason)


@dataclass
class Sweep:
    """The sweep that this process runs: its folder, and its jobs so far."""

    folder: Path = Path()
    jobs: list[Job] = field(default_factory=list)
    locks: contextlib.ExitStack | None = None

    def keep_others_out(self) -> None:
        """Wait until no other process runs a sweep in the folder, or a job of one."""
        if self.locks is not None:
            return
        self.locks = contextlib.ExitStack()
        self.locks.enter_context(folder_lock(self.folder, log.info))
        # if the sweep's own process is killed, its workers still end the jobs they have begun
        for lock in sorted(self.folder.glob(f"*/**/{LOCK}")):
            with folder_lock(lock.parent, log.info):
                pass


#: The sweep of this process, to which jobs are added.
current = Sweep()


def sort_out(jobs: Sequence[Job], earlier: Sequence[Job], folder: Path) -> list[Job]:
    """Return the jobs that have yet to be run, and set the outcome of the others.

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
        Those to run, no two of one configuration, each with its own folder. What an unfinished
        run left there is removed, unless its training can go on.
    """
    finished = runs.finished_runs(folder)
    met = {job.key: job for job in reversed(earlier)}
    pending: list[Job] = []
    for job in jobs:
        if job.key in met:
            continue  # `copy_outcomes` sets its outcome when that one is done
        met[job.key] = job
        if job.key in finished:
            job.folder = finished[job.key]
            job.take(runs.read_results(job.folder), "taken from before")
        else:
            pending.append(job)
    taken = {job.folder for job in met.values() if job not in pending} | set(finished.values())
    for job in pending:
        job.folder = free_folder(job.folder, taken)
        taken.add(job.folder)
        if runs.can_go_on(job.folder) and runs.run_key(job.folder) == job.key:
            (job.folder / "error.txt").unlink(missing_ok=True)
        elif job.folder.exists():
            shutil.rmtree(job.folder)
    return pending


def copy_outcomes(jobs: Sequence[Job]) -> None:
    """Copy the outcome of the first job of a configuration to the later ones."""
    first: dict[str, Job] = {}
    for job in jobs:
        other = first.setdefault(job.key, job)
        if other is not job:
            job.folder, job.value, job.reason = other.folder, other.value, other.reason
            has_results = other.outcome in ("finished", "taken from before")
            job.outcome = "same as another" if has_results else other.outcome


def free_folder(wanted: Path, taken: set[Path]) -> Path:
    """Find a folder for a run: as wanted, or the next number or suffix that is free.

    A free folder is missing, or holds only what an unfinished run left behind.

    Examples
    --------
    >>> free_folder(Path("nowhere/3"), {Path("nowhere/3"), Path("nowhere/4")}).name
    '5'
    """

    def is_free(folder: Path) -> bool:
        if folder in taken or (folder / "results.json").exists():
            return False
        return not folder.exists() or any((folder / name).exists() for name in TRACES)

    def names() -> Iterator[str]:
        yield wanted.name
        for k in itertools.count(1):
            yield str(int(wanted.name) + k) if wanted.name.isdigit() else f"{wanted.name}_{k + 1}"

    return next(filter(is_free, map(wanted.with_name, names())))


def settle(jobs: Sequence[Job]) -> list[Job]:
    """Set the outcome of jobs from the files in their folders.

    Returns
    -------
    list of Job
        Those that left neither results nor a reason.
    """
    lost = []
    for job in jobs:
        if (job.folder / "results.json").exists():
            job.take(runs.read_results(job.folder), "finished")
        elif (job.folder / "error.txt").exists():
            job.fail((job.folder / "error.txt").read_text("utf-8").strip())
        elif job.outcome != "failed":
            lost.append(job)
    return lost


def conclude() -> None:
    """End the sweep of this process, if there is one: show the table and every failure.

    Raises
    ------
    SystemExit
        If a job failed; the message lists the failures.
    """
    if current.locks is not None:
        current.locks.close()
        current.locks = None
    if not current.jobs:
        return
    for handler in list(logging.root.handlers):
        if isinstance(handler, logging.FileHandler):  # the last job's log ends with that job
            logging.root.removeHandler(handler)
            handler.close()
    for handler in console_handlers():
        handler.addFilter(not_shown_yet)
    folder, jobs = os.path.relpath(current.folder), current.jobs
    current.jobs = []
    show(summary(jobs, folder))
    failed = [job for job in jobs if job.outcome == "failed"]
    if failed:
        lines = [f"{os.path.relpath(job.folder)}: {job.reason}" for job in failed]
        sys.exit(
            f"p300 train: {len(failed)} of {len(jobs)} runs failed; the same command with "
            f"hydra.sweep.dir={folder} tries them again\n  " + "\n  ".join(dict.fromkeys(lines))
        )


def summary(jobs: Sequence[Job], folder: str):
    """Build the table that a sweep ends with."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    counts = Counter(job.outcome for job in jobs)
    always = ("finished", "taken from before", "failed")
    shown = [name for name in OUTCOMES if counts[name] or name in always]
    table = Table(title=f"sweep {folder}: {len(jobs)} runs", title_justify="left")
    for name in shown:
        table.add_column(name, justify="right")
    table.add_row(*(str(counts[name]) for name in shown))
    kept = {job.folder for job in jobs if job.outcome == "taken from before"}
    made = Counter(runs.read_results(run).get("version", __version__) for run in kept)
    del made[__version__]
    others = ", ".join(f"{n} run(s) by {version}" for version, n in sorted(made.items()))
    lines = [f"made by another version than {__version__}: {others}"] if others else []
    return Group(table, *map(Text, [*lines, f"compare them: p300 compare {folder}"]))
