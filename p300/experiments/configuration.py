"""Configurations: where they lie, composed by Hydra, and handed to a command."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import p300
from p300.errors import InputError
from p300.terminal import messages

if TYPE_CHECKING:
    from omegaconf import DictConfig


#: Choices that need a plugin of Hydra: its module, and the extra that installs it.
PLUGINS = {
    "hydra/launcher=joblib": ("hydra_plugins.hydra_joblib_launcher", "sweep"),
    "hydra/launcher=submitit_local": ("hydra_plugins.hydra_submitit_launcher", "slurm"),
    "hydra/launcher=submitit_slurm": ("hydra_plugins.hydra_submitit_launcher", "slurm"),
    "hydra/sweeper=optuna": ("hydra_plugins.hydra_optuna_sweeper", "sweep"),
    "search": ("hydra_plugins.hydra_optuna_sweeper", "sweep"),
}


def run_with_hydra(command: str, task: Callable) -> None:
    """Compose the command's configuration from the arguments and hand it to its task.

    Bad input ends in one sentence on standard error and status 1, and so does a disk that is full
    or cannot be written to. A bug keeps its traceback.

    Parameters
    ----------
    command : str
        Names ``conf/{command}.yaml``.
    task : callable
        Takes the composed configuration.
    """
    import hydra
    from hydra.errors import CompactHydraException, InstantiationException
    from omegaconf.errors import MissingMandatoryValue

    def guarded(cfg):
        try:
            with messages_of(cfg):
                return task(cfg)
        except (InputError, OSError) as error:
            raise CompactHydraException(f"p300 {command}: {error}") from None
        except MissingMandatoryValue as error:
            missing = f"{error.full_key} is missing; expected {error.full_key}=…"
            raise CompactHydraException(f"p300 {command}: {missing}") from None
        except InstantiationException as error:
            if isinstance(error.__cause__, InputError | OSError):
                raise CompactHydraException(f"p300 {command}: {error.__cause__}") from None
            raise

    check_plugins(command, sys.argv[1:])
    if "quiet=true" in sys.argv:
        beside = sys.argv.index("quiet=true")  # overrides that an option parts are refused
        sys.argv.insert(beside, "hydra/hydra_logging=none")  # which lists the jobs of a sweep
    logging.raiseExceptions = False  # a log that cannot be written on is not worth a traceback
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here, and not into Hydra's own report
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=command)(guarded)()
    except CompactHydraException as error:
        sys.exit("\n".join(str(e) for e in (error, error.__cause__) if e is not None))
    except OSError as error:  # where Hydra writes
        sys.exit(f"p300 {command}: {error}")


def check_plugins(command: str, overrides: Sequence[str]) -> None:
    """Say what to install for a choice whose plugin is missing; Hydra would not know it at all.

    Raises
    ------
    SystemExit
        In one sentence.
    """
    for override in overrides:
        chosen = "search" if override.startswith("search=") else override
        module, extra = PLUGINS.get(chosen, ("hydra", ""))
        if importlib.util.find_spec(module) is None:
            sys.exit(
                f"p300 {command}: {override} needs a plugin of Hydra that is not installed; "
                f"expected `pip install 'p300[{extra}]'`"
            )


def conf_dir() -> Path:
    """Find the configuration files: in the installed package, or beside it in a checkout."""
    package = Path(p300.__file__).resolve().parent
    return package / "conf" if (package / "conf").is_dir() else package.parent / "conf"


log = logging.getLogger("p300.experiments.run")


def compose_training(overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """Compose the configuration of a run, and which file was chosen of each group.

    Hydra must know the configuration files already (``initialize_config_dir``).
    """
    from hydra import compose
    from omegaconf import OmegaConf, open_dict

    cfg = compose("train", overrides=list(overrides), return_hydra_config=True)
    choices = OmegaConf.to_container(cfg.hydra.runtime.choices)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg, choices


def messages_of(cfg: DictConfig):
    """Let a command say what its ``progress`` and ``quiet`` ask for; a block for ``with``.

    Bars are left out where another run of a sweep may be writing to the same terminal.
    """
    from hydra.core.hydra_config import HydraConfig

    is_alone = not HydraConfig.initialized() or (
        HydraConfig.get().runtime.choices.get("hydra/launcher") in (None, "basic")
    )
    return messages(
        progress=bool(cfg.get("progress", True)) and is_alone, quiet=bool(cfg.get("quiet", False))
    )
