"""The command line of a command that Hydra composes: its options, plugins, errors."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.errors import InputError
from p300.experiments.configuration import (
    conf_dir,
    is_sweep,
    messages_of,
    near_misses,
    search_path,
    without_null,
)
from p300.experiments.names import run_name
from p300.experiments.processes import is_helper, options_of_helper
from p300.storage.untrusted import OWN_FOLDERS, add_own_modules, own_folders

if TYPE_CHECKING:
    from omegaconf import DictConfig


#: Choices that need a plugin of Hydra: its module, and the extra that installs it.
PLUGINS = {
    "hydra/launcher=joblib": ("hydra_plugins.hydra_joblib_launcher", "sweep"),
    "hydra/launcher=submitit_local": ("hydra_plugins.hydra_submitit_launcher", "slurm"),
    "hydra/launcher=submitit_slurm": ("hydra_plugins.hydra_submitit_launcher", "slurm"),
    "search": ("optuna", "sweep"),
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
    from hydra.errors import CompactHydraException

    failures = []

    def guarded(cfg: DictConfig) -> Any:
        try:
            with messages_of(cfg):
                if "jobs" not in cfg:
                    return task(cfg)
                from p300.experiments.jobs.chunk import run_chunk  # one job of many

                return run_chunk(Path(cfg.plan), list(cfg.jobs), cfg.device)
        except KeyboardInterrupt:
            failures.append(f"interrupted{how_to_go_on()}")
            raise
        except Exception as error:
            reason = error_of_user(error)
            if reason is None:
                raise
        if not is_sweep():  # of one raised here, Hydra would print the overrides too
            failures.append(reason)
            return None
        raise CompactHydraException(f"p300 {command}: {reason}")

    add_resolvers()
    sys.argv[1:] = without_null(sys.argv[1:])
    check_plugins(command, sys.argv[1:])
    check_folder(command, sys.argv[1:])
    add_own_folders(command, sys.argv)
    if is_helper():
        for option in options_of_helper(sys.argv):
            add_override(sys.argv, option)
    if "quiet=true" in sys.argv:
        add_override(sys.argv, "hydra/hydra_logging=none")  # or it lists the jobs of a sweep
    logging.raiseExceptions = False  # no traceback if a log file cannot be written any more
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing them
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=command)(guarded)()
    except CompactHydraException as error:
        lines = [str(e) for e in (error, error.__cause__) if e is not None]
        if near := near_misses(command, str(error)):  # Hydra's advice is to add the key as it is
            lines = [re.sub(r"\n?To append to your config use \S+", "", line) for line in lines]
        sys.exit("\n".join([*lines, *near]))
    except (InputError, OSError) as error:  # of a plan of jobs, or of Hydra's own files
        sys.exit(f"p300 {command}: {error}")
    except KeyboardInterrupt:
        reason = failures[0] if failures else f"interrupted{how_to_go_on()}"
        print(f"p300 {command}: {reason}", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    if failures:
        sys.exit(f"p300 {command}: {failures[0]}")


def check_folder(command: str, arguments: Sequence[str]) -> None:
    """Check that a command with a ``folder`` of its own is not given Hydra's.

    Raises
    ------
    SystemExit
        If it is.
    """
    text = (conf_dir() / f"{command}.yaml").read_text("utf-8")
    given = [a for a in arguments if a.startswith(("hydra.run.dir=", "hydra.sweep.dir="))]
    if given and re.search("^folder:", text, re.MULTILINE):
        folder = given[-1].partition("=")[2]
        sys.exit(f"p300 {command}: got {given[-1]}; expected folder={folder}")


def how_to_go_on() -> str:
    """Return the override by which an interrupted command goes on in its folder, if it can."""
    from hydra.core.hydra_config import HydraConfig

    if not HydraConfig.initialized():
        return ""
    hydra = HydraConfig.get()
    several = is_sweep()
    folder = Path(hydra.sweep.dir if several else hydra.runtime.output_dir)
    key = "hydra.sweep.dir" if several else "hydra.run.dir"
    return f"; the same command with {key}={os.path.relpath(folder)} goes on there"


def error_of_user(error: Exception) -> str | None:
    """Return the sentence that a command ends with; None for a bug, which keeps its traceback."""
    from hydra.errors import InstantiationException
    from omegaconf.errors import MissingMandatoryValue

    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} is missing; expected {error.full_key}=…"
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return error_of_user(error.__cause__)  # type: ignore[arg-type]
    return str(error) if isinstance(error, InputError | OSError) else None


def add_resolvers() -> None:
    """Register what Hydra's own part of the configuration calls: the name of a run."""
    from omegaconf import OmegaConf

    OmegaConf.register_new_resolver("run_name", run_name, replace=True)


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


def add_own_folders(command: str, arguments: list[str]) -> None:
    """Add the user's own configuration files, and the modules beside them, to a command.

    Own folders are those that ``--config-dir DIR`` and the environment variable ``P300_CONF``
    name. A folder ``DIR/model`` adds choices to the group ``model``, and ``DIR/mine.py`` can be
    named by ``_target_``. Processes that the command starts find both too.

    Parameters
    ----------
    command : str
        Name of the command, for messages.
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
                f"p300 {command}: got the folder {folder} from --config-dir or {OWN_FOLDERS}; "
                f"expected a folder that exists"
            )
        for path in folder.glob("*/*.yaml"):  # of two files Hydra would silently take p300's
            if (conf_dir() / path.relative_to(folder)).exists():
                sys.exit(f"p300 {command}: {path} has the name of a file of p300; rename it")
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
