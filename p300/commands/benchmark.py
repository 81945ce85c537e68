"""``p300 benchmark``: detectors x tasks x seeds: tables with intervals, and figures.

Trains every experiment on every task with every seed, pools folds per subject, and writes
cells.csv, summary.csv, summary.md, auc.png and accuracy.png. Finished cells are kept: the same
command continues after an interruption, tries failed cells again, and runs changed ones.

  p300 benchmark                                       LDA and CNN-1 on simulated people
  p300 benchmark tasks=real experiments=[lda,cnn1]     the recordings below P300_DATA_ROOT
  p300 benchmark "overrides=['logger=csv']"            overrides of every run
  p300 benchmark tasks=real only=[iib,muse] seeds=[0]  some of the tasks
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.experiments.benchmark.cells import known_experiments, plan_cells
from p300.experiments.benchmark.running import run_cells
from p300.experiments.benchmark.summary import write_summary
from p300.storage.files import folder_lock
from p300.terminal import show, step

if TYPE_CHECKING:
    from omegaconf import DictConfig


log = logging.getLogger("p300.experiments.benchmark.running")


def benchmark(cfg: DictConfig) -> None:
    """Run the cells that are not finished, then write tables and figures of all finished ones.

    Raises
    ------
    SystemExit
        If a cell failed; the message lists all failures.
    """
    from omegaconf import OmegaConf

    folder = Path(cfg.folder)
    tasks: Any = OmegaConf.to_container(cfg.tasks, resolve=True)
    experiments = known_experiments() if cfg.experiments == "all" else cfg.experiments
    cells = plan_cells(tasks, experiments, cfg.seeds, cfg.overrides, folder, only=cfg.only)
    with folder_lock(folder, log.info):
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
