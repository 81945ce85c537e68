"""``p300 reproduce``: the paper's tables, measured and printed side by side."""

from __future__ import annotations

import functools
import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from p300.errors import InputError
from p300.experiments.benchmark.cells import plan_cells
from p300.experiments.benchmark.paper import SUBJECTS, find_files, tables
from p300.experiments.benchmark.running import run_cells
from p300.experiments.configuration import run_with_hydra
from p300.storage.files import atomic_write, folder_lock
from p300.terminal import show

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger("p300.experiments.benchmark.paper")


def main() -> None:
    """Run the command with the arguments of the command line."""
    run_with_hydra("reproduce", reproduce)


def reproduce(cfg: DictConfig) -> None:
    """Train the seven classifiers on both subjects and write ``tables.md``.

    The competition's files are used if they are found. Otherwise full-size files are simulated
    into the folder, and every table says so. Finished runs are not run again.
    """
    folder = Path(cfg.folder)
    root, source = find_files(Path(cfg.root), folder, dict(cfg.simulated))
    log.info("%s", source)
    tasks = {
        subject: {
            "protocol": "within",
            "runs": [f"data=bci3_ii 'data.root={root}' data.subject={subject}"],
        }
        for subject in SUBJECTS
    }
    cells = plan_cells(
        tasks, cfg.experiments, [cfg.seed], cfg.overrides, folder / "runs", group=folder.name
    )
    with folder_lock(
        folder, functools.partial(log.info, "folder in use by %s; waiting for its end")
    ):
        failures = run_cells(cells)
    if failures:
        raise InputError(
            f"{len(failures)} of {len(cells)} runs failed; the first, "
            f"{next(iter(failures)).folder}: {next(iter(failures.values()))}"
        )
    results = {
        (cell.experiment, cell.task): json.loads((cell.folder / "results.json").read_text("utf-8"))
        for cell in cells
    }
    text = tables(results, list(cfg.experiments), source)
    with atomic_write(folder / "tables.md") as file:
        file.write(text)
    show(text)
    log.info("tables: %s", os.path.relpath(folder / "tables.md"))
