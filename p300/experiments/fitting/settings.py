"""Checks of settings before a run begins: whole numbers, the trainer, its callbacks."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

from p300.errors import InputError
from p300.experiments.build import build, naming
from p300.experiments.fitting.trainer import needs_own_trainer, quiet_lightning

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger("p300.experiments.fit")

#: Numbers that must be at least 1.
COUNTS = (
    "threads",
    "ensemble.n_members",
    "protocol.batch_size",
    "protocol.max_epochs",
    "protocol.patience",
)


def check_counts(cfg: DictConfig) -> None:
    """Check the numbers of a run that must be whole and at least 1.

    Raises
    ------
    InputError
        If one is not.
    """
    from omegaconf import OmegaConf

    for name in COUNTS:
        found = OmegaConf.select(cfg, name)
        if not isinstance(found, int) or isinstance(found, bool) or found < 1:
            raise InputError(f"got {name}={found}; expected a whole number of at least 1")
    for name in ("limit_train_batches", "max_steps", "max_epochs"):
        if cfg.trainer.get(name) in (0, 0.0):
            raise InputError(
                f"got trainer.{name}={cfg.trainer[name]}, which trains nothing; expected more"
            )
    if cfg.trainer.get("fast_dev_run"):
        log.warning(
            "trainer.fast_dev_run tries a few batches: the results are of an untrained network"
        )


def check_trainer(cfg: DictConfig) -> None:
    """Check that the trainer can be built, if it is not the shipped one.

    Raises
    ------
    InputError
        If it cannot, such as for want of a GPU.
    """
    shipped = {"accelerator": "auto", "precision": "32-true", "devices": 1}
    is_shipped = all(cfg.trainer[name] == value for name, value in shipped.items())
    if is_shipped and not needs_own_trainer(cfg):
        return
    quiet_lightning()
    with naming("trainer", cfg.trainer), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        build(cfg.trainer)(logger=False, enable_progress_bar=False)
