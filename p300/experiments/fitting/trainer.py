"""Lightning's trainer, callbacks and loggers of a network, as configured."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.errors import InputError
from p300.experiments.build import build
from p300.experiments.processes import is_one_device
from p300.splits import is_maximised

if TYPE_CHECKING:
    import pytorch_lightning as pl
    from omegaconf import DictConfig
    from pytorch_lightning.loggers import Logger

log = logging.getLogger("p300.experiments.fitting.trainer")

#: Lightning's profilers by name; each writes a file into the folder of the network.
PROFILERS = {
    "simple": "SimpleProfiler",
    "advanced": "AdvancedProfiler",
    "pytorch": "PyTorchProfiler",
}


#: Beginnings of Lightning's warnings that say nothing about a run of p300.
QUIET = (
    "`isinstance.treespec, LeafSpec",
    "The `srun` command is available",  # one process per job
    "Checkpoint directory .* exists and is not empty",
    "A `OneCycleLR` scheduler is using 'interval': 'epoch'",  # as conf/scheduler does
)


class ConfiguredTrainer:
    """Builds the configured ``Trainer``; callbacks and loggers that it names itself are kept.

    Parameters
    ----------
    cfg : DictConfig
        The configuration of the run.
    folder : Path
        The folder of the network, for what Lightning writes.
    """

    def __init__(self, cfg: DictConfig, folder: Path):
        self.cfg, self.folder = cfg, folder

    def __call__(self, callbacks: Sequence[pl.Callback], logger: Any) -> pl.Trainer:
        """Build the trainer with these callbacks and loggers, and those of its configuration."""
        trainer = build(self.cfg.trainer)
        own = trainer.keywords
        loggers = [*as_list(logger), *(g for g in as_list(own.get("logger")) if g is not True)]
        options = {"default_root_dir": str(self.folder), "enable_progress_bar": False} | {
            "callbacks": [*callbacks, *as_list(own.get("callbacks"))],
            "logger": loggers or False,
        }
        if own.get("profiler") in PROFILERS:
            options["profiler"] = self._profiler(own["profiler"])
        for name in ("default_root_dir", "enable_progress_bar"):
            if own.get(name) is not None:
                del options[name]
        try:
            return trainer(**options)
        except (TypeError, ValueError, RuntimeError) as error:  # Lightning's many kinds
            reason = " ".join(str(error).split())
            raise InputError(
                f"got a trainer that Lightning refuses: {reason}; see trainer.*"
            ) from error

    def _profiler(self, name: str) -> Any:
        from pytorch_lightning import profilers

        self.folder.mkdir(parents=True, exist_ok=True)
        log.info("profile: %s", os.path.relpath(self.folder / "fit-profile.txt"))
        return getattr(profilers, PROFILERS[name])(dirpath=self.folder, filename="profile")


def quiet_lightning() -> None:
    """Keep what Lightning prints of itself out of the log of a run."""
    import pytorch_lightning  # noqa: F401  (which sets the level itself when it is imported)

    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for known in QUIET:
        warnings.filterwarnings("ignore", known)


def build_callbacks(cfg: DictConfig, folder: Path) -> list[pl.Callback]:
    """Build the configured callbacks; the best weights are kept in ``folder``.

    Raises
    ------
    InputError
        If a callback would choose by a test value.
    """
    from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

    names = [str(name) for name, config in cfg.callbacks.items() if config is not None]
    callbacks = [build_callback(cfg, name, folder) for name in names]
    if cfg.trainer.get("limit_val_batches") == 0:
        monitors = [c for c in callbacks if isinstance(c, EarlyStopping | ModelCheckpoint)]
        callbacks = [c for c in callbacks if c not in monitors]
        if monitors:
            log.warning(
                "trainer.limit_val_batches=0: nothing is validated, so the training does not stop "
                "early and the last weights are kept"
            )
    return callbacks


def build_callback(cfg: DictConfig, name: str, folder: Path) -> pl.Callback:
    """Build one of the configured callbacks.

    Raises
    ------
    InputError
        If it would choose by a test value, or is no callback.
    """
    from pytorch_lightning import Callback

    config = cfg.callbacks[name]
    if str(config.get("monitor", "")).startswith("test"):
        raise InputError(
            f"callbacks.{name}.monitor={config.monitor} would choose the network by its test "
            f"result; expected a value of the validation part"
        )
    filled = best_mode(config, cfg.protocol.monitor)
    if str(config["_target_"]).endswith("ModelCheckpoint") and config.get("dirpath") is None:
        filled["dirpath"] = str(folder)
    callback = build(config, **filled)
    if not isinstance(callback, Callback):
        raise InputError(
            f"callbacks.{name}={config['_target_']}: got a {type(callback).__name__}; expected a "
            f"subclass of pytorch_lightning.Callback"
        )
    return callback


def build_scheduler(cfg: DictConfig) -> Any:
    """Return what builds the configured learning rate scheduler; None for none."""
    config = cfg.scheduler.build
    return None if config is None else build(config, **best_mode(config, cfg.protocol.monitor))


def best_mode(config: Mapping[str, Any], monitor: str) -> dict[str, str]:
    """Return whether the largest or the smallest value is best, where ``mode`` is left open.

    Examples
    --------
    >>> best_mode({"monitor": "validation/auc", "mode": None}, "")
    {'mode': 'max'}
    >>> best_mode({"decay": 0.99}, "validation/auc")
    {}
    """
    if "mode" not in config or config["mode"] is not None:
        return {}
    monitor = config.get("monitor") or monitor
    return {"mode": "max" if is_maximised(monitor) else "min"}


def build_loggers(cfg: DictConfig, folder: Path, number: int, n_networks: int) -> list[Logger]:
    """Build the configured loggers of Lightning for one network of a run.

    Each gets those of these arguments that it takes and that are not configured: ``save_dir``,
    ``name``, ``run_name``, ``version``, and, if the run has several networks, ``prefix``.
    """
    import inspect

    from hydra.utils import get_class

    loggers = []
    prefix = f"network_{number}" if n_networks > 1 else ""
    for config in (cfg.logger.get("lightning") or {}).values():
        known = inspect.signature(get_class(config["_target_"])).parameters
        filled = {
            "save_dir": str(folder),
            "name": "",
            "version": f"network_{number}",
            "run_name": "-".join(filter(None, [folder.name, prefix])),
            "prefix": prefix,
        }
        filled = {k: v for k, v in filled.items() if k in known and config.get(k) is None}
        loggers.append(build(config, **filled))
    return loggers


def as_list(value: Any) -> list[Any]:
    """Return the values of a list, the only value, or nothing for None and False."""
    if value is None or value is False:
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


#: Arguments of the default callbacks that change nothing when networks train side by side.
UNWATCHED = {
    "auto_insert_metric_name", "enable_version_counter", "filename", "save_weights_only", "strict",
}  # fmt: skip

#: Arguments of the trainer that change nothing when networks train side by side.
HARMLESS = {
    "_target_", "_partial_", "accelerator", "max_epochs", "num_sanity_val_steps",
    "log_every_n_steps", "enable_model_summary", "enable_progress_bar", "deterministic",
    "detect_anomaly", "precision", "strategy", "devices",
}  # fmt: skip

#: Arguments that side-by-side training does not support, with the values that change nothing.
PLAIN: Mapping[str, Any] = {
    "num_nodes": 1,
    "max_steps": -1,
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "overfit_batches": 0.0,
    "fast_dev_run": False,
}


def needs_own_trainer(cfg: DictConfig) -> str:
    """Return what in a configuration needs a trainer for each network; "" if nothing does."""
    from omegaconf import OmegaConf

    trainer: Any = OmegaConf.to_container(cfg.trainer, resolve=True)
    if not is_one_device(trainer["devices"]) or trainer["strategy"] != "auto":
        return "trainer.devices or trainer.strategy"
    if trainer["precision"] not in ("32-true", "bf16-mixed", 32, "32"):
        return f"trainer.precision={trainer['precision']}"
    for name, value in trainer.items():
        if name not in HARMLESS and value is not None and value != PLAIN.get(name, ...):
            return f"trainer.{name}={value}"
    if cfg.scheduler.build is not None:
        return "a scheduler"
    callbacks: Any = OmegaConf.to_container(cfg.callbacks, resolve=True)
    callbacks = {name: config for name, config in callbacks.items() if config is not None}
    for name, config in callbacks.items():
        kept = {key: value for key, value in config.items() if key not in UNWATCHED}
        if kept | best_mode(config, cfg.protocol.monitor) != watched(cfg).get(name):
            return f"callbacks.{name}"
    return "" if set(callbacks) == set(watched(cfg)) else "callbacks other than the default ones"


def watched(cfg: DictConfig) -> dict[str, dict[str, Any]]:
    """Return the callbacks that side-by-side training does itself, as they are configured."""
    module, monitor = "pytorch_lightning.callbacks", cfg.protocol.monitor
    both = {"monitor": monitor} | best_mode({"mode": None}, monitor)
    early, best = f"{module}.EarlyStopping", f"{module}.ModelCheckpoint"
    return {
        "early_stopping": {"_target_": early, "patience": cfg.protocol.patience} | both,
        "best_weights": {"_target_": best} | both,
    }
