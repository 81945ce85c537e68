"""``p300 benchmark``: detectors x tasks x seeds: tables with intervals, and figures.

Trains every experiment on every task with every seed, pools folds per subject, and writes
cells.csv, summary.csv, summary.md, auc.png and accuracy.png. Finished cells are kept: the same
command continues after an interruption, tries failed cells again, and runs changed ones.

  p300 benchmark                                       LDA and CNN-1 on simulated people
  p300 benchmark tasks=real experiments=[lda,cnn1]     the recordings below P300_DATA_ROOT
  p300 benchmark tasks=public only=[epfl]              published data sets that you have
  p300 benchmark "overrides=['logger=csv']"            overrides of every run
  p300 benchmark tasks=real only=[iib,muse] seeds=[0]  some of the tasks
  p300 benchmark twins=primers experiments=twins       what primers of deep learning teach
  p300 benchmark hydra/launcher=joblib                 on all cores; submitit_slurm: on a cluster
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.experiments.benchmark.cells import check_files, plan_cells
from p300.experiments.benchmark.running import run_cells
from p300.experiments.benchmark.summary import write_summary
from p300.experiments.benchmark.twins import named_experiments
from p300.experiments.command_line import run_with_hydra
from p300.experiments.jobs.job import failures_of, text_of_outcomes
from p300.terminal import show, step

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.experiments.jobs.runner import Runner


log = logging.getLogger("p300.experiments.benchmark.running")


def main() -> None:
    """Run the command with the arguments of the command line."""
    run_with_hydra("benchmark", run_many)


def run_many(cfg: DictConfig, runner: Runner, *_: Any) -> None:
    """Run the cells that are not finished, then write tables and figures of all finished ones.

    Raises
    ------
    SystemExit
        If a cell failed; the message lists all failures.
    """
    from omegaconf import OmegaConf

    folder = Path(cfg.folder)
    tasks: Any = OmegaConf.to_container(cfg.tasks, resolve=True)
    twins: Any = OmegaConf.to_container(cfg.twins, resolve=True)
    experiments = named_experiments(cfg.experiments, twins)
    cells = plan_cells(tasks, experiments, cfg.seeds, cfg.overrides, folder, only=cfg.only)
    check_files(tasks, cfg.only)
    finished, failures = run_cells(cells, runner)
    if finished:
        with step("tables and figures"):
            compared = "" if twins and cfg.reference not in experiments else cfg.reference
            text = write_summary(finished, folder, failures, compared, twins)
        show(text)
        log.info("tables and figures: %s", os.path.relpath(folder))
    log.info("%s", text_of_outcomes(runner.jobs))
    again = "the same command tries them again"
    if reasons := failures_of(runner.jobs, "benchmark", again):
        sys.exit(reasons)
