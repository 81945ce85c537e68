"""The configuration of a command: its files, composed by Hydra."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import p300
from p300.errors import InputError
from p300.storage.untrusted import OWN_FOLDERS, add_own_modules, own_folders
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
    """Compose a command's configuration from its arguments and call its task with it.

    Bad input, a full disk or a disk without write permission ends the command with one sentence
    on standard error and status 1. A bug keeps its traceback.

    Parameters
    ----------
    command : str
        Name of the command and of ``conf/{command}.yaml``.
    task : callable
        Called with the composed configuration.
    """
    import hydra
    from hydra.errors import CompactHydraException, InstantiationException
    from omegaconf.errors import MissingMandatoryValue

    def guarded(cfg: DictConfig) -> Any:
        try:
            with messages_of(cfg):
                return task(cfg)
        except (InputError, OSError) as error:
            reason = str(error)
        except MissingMandatoryValue as error:
            reason = f"{error.full_key} is missing; expected {error.full_key}=…"
        except InstantiationException as error:
            if not isinstance(error.__cause__, InputError | OSError):
                raise
            reason = str(error.__cause__)
        raise CompactHydraException(f"p300 {command}: {reason}")

    check_plugins(command, sys.argv[1:])
    add_own_folders(sys.argv)
    if "quiet=true" in sys.argv:
        add_override(sys.argv, "hydra/hydra_logging=none")  # or it lists the jobs of a sweep
    logging.raiseExceptions = False  # no traceback if a log file cannot be written any more
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing them
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=command)(guarded)()
    except CompactHydraException as error:
        sys.exit("\n".join(str(e) for e in (error, error.__cause__) if e is not None))
    except OSError as error:  # Hydra could not write its own files
        sys.exit(f"p300 {command}: {error}")


def check_plugins(command: str, overrides: Sequence[str]) -> None:
    """Check that the plugins of the chosen options are installed.

    Hydra itself would only report an unknown choice.

    Raises
    ------
    SystemExit
        If a plugin is missing; the message names the package to install.
    """
    for override in overrides:
        chosen = "search" if override.startswith("search=") else override
        module, extra = PLUGINS.get(chosen, ("hydra", ""))
        if importlib.util.find_spec(module) is None:
            sys.exit(
                f"p300 {command}: {override} needs a Hydra plugin that is not installed; "
                f"install it with `pip install 'p300[{extra}]'`"
            )


def add_own_folders(arguments: list[str]) -> None:
    """Add the user's own configuration files, and the modules beside them, to a command.

    Own folders are those that ``--config-dir DIR`` and the environment variable ``P300_CONF``
    name. A folder ``DIR/model`` adds choices to the group ``model``, and ``DIR/mine.py`` can be
    named by ``_target_``. Processes that the command starts find both too.

    Parameters
    ----------
    arguments : list of str
        Arguments of the command line; the search path of Hydra is added.

    Raises
    ------
    SystemExit
        If a folder does not exist, or a file has the name of one of p300's.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir", "-cd")
    given = parser.parse_known_args(arguments[1:])[0].config_dir
    folders = [Path(given).resolve()] if given else []
    folders += [folder.resolve() for folder in own_folders()]
    for folder in folders:
        if not folder.is_dir():
            sys.exit(
                f"{arguments[0]}: got the folder {folder} from --config-dir or {OWN_FOLDERS}; "
                f"expected a folder that exists"
            )
        for path in folder.glob("*/*.yaml"):  # of two files Hydra would silently take p300's
            if (conf_dir() / path.relative_to(folder)).exists():
                sys.exit(f"{arguments[0]}: {path} has the name of a file of p300; rename it")
    if not folders:
        return
    for name in (OWN_FOLDERS, "PYTHONPATH"):
        known = filter(None, os.environ.get(name, "").split(os.pathsep))
        os.environ[name] = os.pathsep.join(dict.fromkeys([*map(str, folders), *known]))
    add_own_modules()
    add_override(arguments, search_path())


def add_override(arguments: list[str], override: str) -> None:
    """Add an override to a command line, beside its others: an option between them is refused.

    Examples
    --------
    >>> line = ["p300 train", "-m", "seed=0,1", "--cfg", "job"]
    >>> add_override(line, "quiet=true")
    >>> line
    ['p300 train', '-m', 'quiet=true', 'seed=0,1', '--cfg', 'job']
    """
    overrides = [k for k, a in enumerate(arguments) if "=" in a and not a.startswith("-")]
    arguments.insert(overrides[0] if overrides else len(arguments), override)


def search_path() -> str:
    """Return the override that adds the user's own folders to the search path of Hydra."""
    return f"hydra.searchpath=[{','.join(f'file://{folder}' for folder in own_folders())}]"


def conf_dir() -> Path:
    """Find the folder of configuration files: in the package, or beside it in a checkout."""
    package = Path(p300.__file__).resolve().parent
    return package / "conf" if (package / "conf").is_dir() else package.parent / "conf"


log = logging.getLogger("p300.experiments.run")


def compose_training(overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """Compose the configuration of a run, and find the file that each group uses.

    Call it after ``initialize_config_dir``, from which Hydra knows the configuration files.
    """
    from hydra import compose
    from omegaconf import OmegaConf, open_dict

    own = [search_path()] if own_folders() else []
    cfg = compose("train", overrides=[*own, *overrides], return_hydra_config=True)
    choices = cast(dict[str, str], OmegaConf.to_container(cfg.hydra.runtime.choices))
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg, choices


def check_subject(cfg: DictConfig) -> None:
    """Check that a given ``subject`` changes which recording is read, or how it is split.

    Raises
    ------
    InputError
        If nothing reads it: runs for several people would all be the same.
    """
    from omegaconf import OmegaConf

    if "subject" not in cfg or OmegaConf.is_missing(cfg, "subject") or cfg.subject is None:
        return
    other = cfg.copy()
    other.subject = f"not {cfg.subject}"
    try:
        is_read = _what_subject_chooses(cfg) != _what_subject_chooses(other)
    except Exception:  # of any kind: a resolver of one's own reads it, and refuses the other
        is_read = True
    if not is_read:
        data = cfg.get("data")
        what = "the run's own recording" if data is None else f"data={data.read['_target_']}"
        raise InputError(
            f"got subject={cfg.subject}, which {what} does not read; expected no subject; leave "
            "it out"
        )


def _what_subject_chooses(cfg: DictConfig) -> Any:
    from omegaconf import OmegaConf

    parts = [cfg.get("data"), cfg.get("split")]
    plain: Any = [None if p is None else OmegaConf.to_container(p, resolve=True) for p in parts]
    return [{k: v for k, v in (part or {}).items() if k != "subject"} for part in plain]


def messages_of(cfg: DictConfig) -> AbstractContextManager[None]:
    """Return the context in which a command prints as its ``progress`` and ``quiet`` say.

    No bars are shown where another run of a sweep may write to the same terminal.
    """
    from hydra.core.hydra_config import HydraConfig

    is_alone = not HydraConfig.initialized() or (
        HydraConfig.get().runtime.choices.get("hydra/launcher") in (None, "basic")
    )
    return messages(
        progress=bool(cfg.get("progress", True)) and is_alone, quiet=bool(cfg.get("quiet", False))
    )
