"""``p300 reproduce``: compute the paper's tables, measured beside printed.

Trains the paper's seven classifiers on both subjects of BCI Competition III data set II and
writes its tables beside the printed figures. Where the competition's files are not found,
full-size files are simulated, and every table says so. Finished runs are not run again.

  p300 reproduce root=~/bci_iii
  p300 reproduce overrides=[protocol=paper]
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from p300.errors import InputError
from p300.experiments.benchmark.cells import plan_cells
from p300.experiments.benchmark.paper import SUBJECTS, find_files, tables
from p300.experiments.benchmark.running import run_cells
from p300.experiments.folder import read_results
from p300.storage.files import folder_lock, write_text
from p300.terminal import show

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger("p300.experiments.benchmark.paper")


def reproduce(cfg: DictConfig) -> None:
    """Train the seven classifiers on both subjects and write ``tables.md``.

    The competition's files are used if they are found. Otherwise full-size files are simulated
    into the folder, and every table says so. Finished runs are not run again.
    """
    folder = Path(cfg.folder)
    root, source = find_files(Path(cfg.root), folder, dict(cfg.simulated))
    log.info("%s", source)
    runs = {s: [f"data=bci3_ii 'data.root={root}' data.subject={s}"] for s in SUBJECTS}
    tasks = {subject: {"protocol": "within", "runs": runs[subject]} for subject in SUBJECTS}
    cells = plan_cells(
        tasks, cfg.experiments, [cfg.seed], cfg.overrides, folder / "runs", group=folder.name
    )
    with folder_lock(folder, log.info):
        failures = run_cells(cells)
    if failures:
        cell, why = next(iter(failures.items()))
        raise InputError(
            f"{len(failures)} of {len(cells)} runs failed; the first, {cell.folder}: {why}"
        )
    results = {(cell.experiment, cell.task): read_results(cell.folder) for cell in cells}
    text = tables(results, list(cfg.experiments), source)
    write_text(folder / "tables.md", text)
    show(text)
    log.info("tables: %s", os.path.relpath(folder / "tables.md"))
