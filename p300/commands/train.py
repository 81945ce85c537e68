"""``p300 train``: from a recording to a trained detector and the text it reads."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.experiments.configuration import run_with_hydra
from p300.experiments.folder import objective, run_job
from p300.experiments.run import train_run
from p300.experiments.sweep.jobs import conclude

if TYPE_CHECKING:
    from omegaconf import DictConfig


log = logging.getLogger("p300.experiments.run")


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
