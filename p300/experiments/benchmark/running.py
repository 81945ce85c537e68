"""Run the cells of a benchmark, as jobs of any launcher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from p300.experiments.benchmark.cells import Cell
from p300.experiments.jobs.job import Job

if TYPE_CHECKING:
    from p300.experiments.jobs.runner import Runner


def run_cells(cells: Sequence[Cell], runner: Runner) -> tuple[list[Cell], dict[Cell, str]]:
    """Run every cell that is not finished; after a failed cell, go on with the next.

    The first runs of cells, whose weights their networks start from, are run before.

    Returns
    -------
    finished : list of Cell
        Each with the folder of its results, which may be another than was planned.
    failures : dict of Cell to str
        The failed cells, each with a sentence, which is in the cell's ``error.txt`` too.
    """
    firsts = list(dict.fromkeys(cell.first for cell in cells if cell.first))
    before = [job_of(cell, k) for k, cell in enumerate(firsts)]
    if before:
        runner.run(before)
    where = {cell: job.folder for cell, job in zip(firsts, before, strict=True)}
    jobs = [job_of(started(cell, where), k) for k, cell in enumerate(cells)]
    runner.run(jobs)
    pairs = [(replace(c, folder=job.folder), job) for c, job in zip(cells, jobs, strict=True)]
    finished = [cell for cell, job in pairs if job.has_results]
    return finished, {c: job.reason or job.outcome for c, job in pairs if not job.has_results}


def started(cell: Cell, folders: Mapping[Cell, Path]) -> Cell:
    """Return a cell with the override that names the folder of its first run, if it has one."""
    if cell.first is None:
        return cell
    override = f"pretrained={folders[cell.first].resolve()}"
    return replace(cell, overrides=(*cell.overrides, override))


def job_of(cell: Cell, number: int) -> Job:
    """Return the job of a cell, whose W&B run is named by it."""
    parts = list(filter(None, [cell.task, cell.experiment, cell.label]))
    name = "-".join([*parts, f"seed{cell.seed}"])
    wandb = {"group": cell.group, "job_type": "benchmark", "name": name}
    title = f"{' '.join(parts)} seed {cell.seed}"
    return Job(number, list(cell.overrides), cell.folder, title, wandb)
