"""``p300 train``: train a detector, keep its best training epoch, spell the held-out text.

Reads a recording, splits it, preprocesses it, trains, and prints the text read from the test
part after 1, 2, … repetitions. Without arguments: CNN-1 on a simulated recording.

  p300 train                                        the embedded simulated recording
  p300 train data=bci2_iib experiment=mcnn3         another recording, another row of the table
  p300 train -m experiment=cnn1,lda seed=0,1,2      a sweep: six runs
  p300 train -m … hydra/launcher=joblib             on all cores; submitit_slurm: on a cluster
  p300 train -m … hydra.sweep.dir=FOLDER            go on with a sweep that was interrupted
  p300 train search=cnn                             let Optuna look for the best values
  p300 train model.n_filters=5 protocol=paper       any value of the configuration
  p300 train --cfg job                              show the configuration and stop

The run folder (runs/…) holds config.yaml, checkpoint.pt, scores.csv, integrity.txt, train.log, the
curves of each network (networks/N/metrics.csv), W&B's offline files, and, written last,
results.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.experiments.configuration import run_with_hydra
from p300.experiments.folder import objective, run_job
from p300.experiments.run import train_run
from p300.experiments.sweep.jobs import conclude

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main() -> None:
    """Run the command with the arguments of the command line."""
    try:
        run_with_hydra("train", train)
    finally:
        conclude()


def train(cfg: DictConfig) -> float:
    """Train as configured into Hydra's output folder.

    Returns
    -------
    float
        The validation AUC (``nan`` without a validation part), for a hyper-parameter search.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)

    def run() -> dict[str, Any]:
        return train_run(cfg, folder, hydra.runtime.choices)

    return objective(run_job(run, folder) if hydra.mode is RunMode.MULTIRUN else run())
