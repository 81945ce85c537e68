"""``p300 train``: train a detector, keep its best training epoch, spell the held-out text.

Reads a recording, splits it, preprocesses it, trains, and prints the text read from the test
part after 1, 2, … repetitions. Without arguments: CNN-1 on a simulated recording.

  p300 train                                        the embedded simulated recording
  p300 train data=bci2_iib experiment=mcnn3         another recording, another row of the table
  p300 train -m experiment=cnn1,lda seed=0,1,2      a sweep: six runs
  p300 train -m … hydra/launcher=joblib             on all cores; submitit_slurm: on a cluster
  p300 train -m … runs_per_job=8                    eight runs in each job of the cluster
  p300 train -m … hydra.sweep.dir=FOLDER            go on with a sweep that was interrupted
  p300 train search=cnn                             let Optuna look for the best values
  p300 train model.n_filters=5 protocol=paper       any value of the configuration
  p300 train callbacks=ema scheduler=cosine         Lightning's callbacks, a scheduler
  p300 train --cfg job                              show the configuration and stop

The run folder (runs/…) holds config.yaml, checkpoint.pt, scores.csv, integrity.txt, train.log, the
curves and best weights of each network (networks/N), W&B's offline files, and, written last,
results.json. A finished run of a sweep is taken as it is if its configuration, the content of its
recording and the code are the same; it is never deleted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.experiments.command_line import run_with_hydra
from p300.experiments.folder import value_of
from p300.experiments.jobs.job import failures_of, table_of_outcomes
from p300.experiments.jobs.sweep import expand_sweeps, sweep_jobs
from p300.experiments.names import run_name
from p300.experiments.processes import run_folder
from p300.experiments.run import Request
from p300.experiments.train import train_one
from p300.terminal import show

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.experiments.jobs.runner import Runner


def main() -> None:
    """Run the command with the arguments of the command line."""
    run_with_hydra("train", train)


def train(cfg: DictConfig) -> float:
    """Train as configured into Hydra's output folder.

    Returns
    -------
    float
        The validation AUC (``nan`` without a validation part), for sweepers other than p300's.
    """
    from hydra.core.hydra_config import HydraConfig

    hydra = HydraConfig.get()
    choices = hydra.runtime.choices
    cfg.name = cfg.name or run_name(choices, hydra.overrides.task)
    return value_of(train_one(Request(cfg, run_folder(Path(hydra.runtime.output_dir)), choices)))


def run_many(cfg: DictConfig, runner: Runner, arguments: Sequence[str], search: Any) -> float:
    """Run every combination of the arguments, or search among them; show how each job ended.

    Raises
    ------
    SystemExit
        If a job has no results; the message lists the failures.
    """
    best = float("nan")
    if search:
        from p300.experiments.jobs.search import run_search

        best = run_search(runner, arguments, search)
    else:
        runner.run(sweep_jobs(cfg, runner.folder, expand_sweeps(arguments)))
    folder = os.path.relpath(runner.folder)
    show(table_of_outcomes(runner.jobs, f"sweep {folder}"))
    show(f"compare them: p300 compare {folder}")
    again = f"the same command with hydra.sweep.dir={folder} tries them again"
    if failures := failures_of(runner.jobs, "train", again):
        sys.exit(failures)
    return best


if __name__ == "__main__":  # in the further processes that Lightning starts
    main()
