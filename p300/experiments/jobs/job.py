"""A job: one run among many, how it ended, and the table of all."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from p300.experiments.folder import read_results, value_of, write_failure
from p300.storage.files import write_text

#: Possible outcomes of a job, as the table at the end names them.
OUTCOMES = (
    "finished",
    "taken from before",
    "same as another",
    "pruned",
    "failed",
    "not finished",
)


@dataclass(eq=False)
class Job:
    """One run among many.

    Parameters
    ----------
    number : int
        Its number in the sweep or benchmark.
    overrides : sequence of str
        What would be typed after ``p300 train``.
    folder : Path
        Its run folder, or that of the finished run whose results it takes.
    label : str
        What tells it from the others; empty for its overrides.
    wandb : dict
        Name, group and type of its W&B run.
    trial : dict
        Of a search: which trial of which study it is.
    key : str
        :func:`~p300.experiments.identity.fingerprint` of its resolved configuration.
    outcome : str
        One of :data:`OUTCOMES`.
    reason : str
        Reason of a failure, one sentence.
    """

    number: int
    overrides: Sequence[str]
    folder: Path
    label: str = ""
    wandb: dict[str, Any] = field(default_factory=dict)
    trial: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    outcome: str = "not finished"
    reason: str = ""

    @property
    def title(self) -> str:
        """What tells it from the others."""
        return self.label or " ".join(self.overrides)

    @property
    def has_results(self) -> bool:
        """Whether its run has results, its own or another's."""
        return self.outcome in OUTCOMES[:3]

    def value(self, path: str = "validation.detection.auc") -> float:
        """Return a number of its results by its path; ``nan`` where there is none."""
        return value_of(read_results(self.folder), path) if self.has_results else math.nan

    def fail(self, reason: str) -> None:
        """Set why there are no results, and write it into ``error.txt``."""
        self.outcome, self.reason = "failed", reason
        write_failure(self.folder, reason)

    def settle(self) -> bool:
        """Set the outcome from the files in the folder; return False if there are none."""
        if (self.folder / "results.json").exists():
            self.outcome, self.reason = "finished", ""
        elif (self.folder / "pruned.txt").exists():
            self.outcome = "pruned"
        elif (self.folder / "error.txt").exists():
            self.outcome = "failed"
            self.reason = (self.folder / "error.txt").read_text("utf-8").strip()
        else:
            return False
        return True


def write_jobs(path: Path, jobs: Sequence[Job]) -> None:
    """Write what a process of a launcher needs to know of some jobs."""
    rows = [asdict(job) | {"folder": str(job.folder.resolve())} for job in jobs]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(rows, indent=1, default=list) + "\n")


def read_jobs(path: Path) -> list[Job]:
    """Read what :func:`write_jobs` wrote."""
    rows = json.loads(path.read_text("utf-8"))
    return [Job(**{**row, "folder": Path(row["folder"])}) for row in rows]


def table_of_outcomes(jobs: Sequence[Job], title: str) -> Any:
    """Build the table that a sweep ends with: how many jobs ended how."""
    from rich.table import Table

    counts = Counter(job.outcome for job in jobs)
    always = ("finished", "taken from before", "failed")
    shown = [name for name in OUTCOMES if counts[name] or name in always]
    table = Table(title=f"{title}: {len(jobs)} runs", title_justify="left")
    for name in shown:
        table.add_column(name, justify="right")
    table.add_row(*(str(counts[name]) for name in shown))
    return table


def text_of_outcomes(jobs: Sequence[Job]) -> str:
    """Return how many jobs ended how, on one line.

    Examples
    --------
    >>> text_of_outcomes([Job(k, [], Path(), outcome="finished") for k in range(3)])
    '3 runs: 3 finished'
    """
    counts = Counter(job.outcome for job in jobs)
    found = ", ".join(f"{counts[name]} {name}" for name in OUTCOMES if counts[name])
    return f"{len(jobs)} runs: {found}"


def failures_of(jobs: Sequence[Job], command: str, again: str) -> str:
    """Return what a command ends with if a job has no results; "" if all have.

    Parameters
    ----------
    jobs : sequence of Job
    command : str
        The command, such as "train".
    again : str
        How to try the failed ones again.
    """
    failed = [job for job in jobs if job.outcome in ("failed", "not finished")]
    if not failed:
        return ""
    lines = [f"{os.path.relpath(job.folder)}: {job.reason or job.outcome}" for job in failed]
    n = f"{len(failed)} of {len(jobs)} runs"
    return f"p300 {command}: {n} failed; {again}\n  " + "\n  ".join(dict.fromkeys(lines))
