"""``p300 benchmark``: many detectors on many tasks with many seeds, and tables with intervals."""

from __future__ import annotations

import functools
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from p300.experiments.benchmark.cells import known_experiments, plan_cells
from p300.experiments.benchmark.running import run_cells
from p300.experiments.benchmark.summary import write_summary
from p300.experiments.configuration import run_with_hydra
from p300.storage.files import folder_lock
from p300.terminal import show, step

if TYPE_CHECKING:
    from omegaconf import DictConfig


log = logging.getLogger("p300.experiments.benchmark.running")


def main() -> None:
    """Run the command with the arguments of the command line."""
    run_with_hydra("benchmark", benchmark)


def benchmark(cfg: DictConfig) -> None:
    """Run the cells that are not finished, then write tables and figures of all finished ones.

    Raises
    ------
    SystemExit
        If a cell failed; the message lists all failures.
    """
    from omegaconf import OmegaConf

    folder = Path(cfg.folder)
    tasks = OmegaConf.to_container(cfg.tasks, resolve=True)
    experiments = known_experiments() if cfg.experiments == "all" else cfg.experiments
    cells = plan_cells(tasks, experiments, cfg.seeds, cfg.overrides, folder, only=cfg.only)
    with folder_lock(
        folder, functools.partial(log.info, "folder in use by %s; waiting for its end")
    ):
        failures = run_cells(cells)
        finished = [cell for cell in cells if cell not in failures]
        if finished:
            with step("tables and figures"):
                text = write_summary(finished, folder, failures, cfg.reference, cfg.draws)
            show(text)
            log.info("tables and figures: %s", os.path.relpath(folder))
    if failures:
        lines = [f"{os.path.relpath(c.folder)}: {why}" for c, why in failures.items()]
        sys.exit(
            f"p300 benchmark: {len(failures)} of {len(cells)} cells failed; the same command "
            "tries them again\n  " + "\n  ".join(lines)
        )
