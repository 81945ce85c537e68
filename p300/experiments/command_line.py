"""The command line of a command that Hydra composes: its options, plugins, errors."""

from __future__ import annotations

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
    how_to_type,
    is_sweep,
    messages_of,
    near_misses,
    search_path,
    without_null,
)
from p300.experiments.names import run_name
from p300.experiments.processes import is_helper, options_of_helper
from p300.proposals import quoted
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


#: Hydra's options that are followed by a value.
TAKES_VALUE = {
    *("--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn"),
    *("--cfg", "-c", "--package", "-p", "--experimental-rerun"),
}
MAY_TAKE_VALUE = {"--info", "-i"}


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
    from hydra.errors import CompactHydraException, OverrideParseException

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
    options, overrides = divided(without_null(sys.argv[1:]))
    check_plugins(command, overrides)
    check_folder(command, overrides)
    added = [search_path()] if own_folders() else []
    if is_helper():
        added += options_of_helper(overrides)
    if "quiet=true" in [*added, *overrides]:
        added.append("hydra/hydra_logging=none")  # or it lists the jobs of a sweep
    sys.argv[1:] = [*options, *added, *overrides]
    logging.raiseExceptions = False  # no traceback if a log file cannot be written any more
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing them
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=command)(guarded)()
    except OverrideParseException as error:
        sys.exit(f"p300 {command}: {how_to_type(error.override)}")
    except CompactHydraException as error:
        lines = [str(e) for e in (error, error.__cause__) if e is not None]
        near = near_misses(command, " ".join(lines), overrides)
        if near:  # Hydra's advice is to add the key as it is
            lines = [re.sub(r"\n?To append to your config use \S+", "", line) for line in lines]
        sys.exit("\n".join([*lines, *near]))
    except (InputError, OSError) as error:  # of a plan of jobs, or of Hydra's own files
        sys.exit(f"p300 {command}: {error_of_user(error)}")
    except KeyboardInterrupt:
        reason = failures[0] if failures else f"interrupted{how_to_go_on()}"
        print(f"p300 {command}: {reason}", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    if failures:
        sys.exit(f"p300 {command}: {failures[0]}")


def with_quoted_paths(arguments: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Quote the values of some keys for Hydra, which takes few characters as they are.

    Examples
    --------
    >>> with_quoted_paths(["run=lr=0.1[a]", "seed=1", "run='a b'", "run=März"], ["run"])
    ["run='lr=0.1[a]'", 'seed=1', "run='a b'", "run='März'"]
    """
    named = []
    for argument in arguments:
        key, _, value = argument.partition("=")
        is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        if key in keys and re.search(r"[^\w/.+%*@?|$\\, -]", value, re.ASCII) and not is_quoted:
            argument = f"{key}={quoted(value)}"
        named.append(argument)
    return named


def names_path(argument: str) -> bool:
    """Return whether an argument is a path and no override, whatever its length.

    Examples
    --------
    >>> names_path("a.csv"), names_path("seed=1"), names_path("data.codes={" + "S 1: 1, " * 99)
    (True, False, False)
    """
    return "=" not in argument or os.path.exists(argument)


def with_path(arguments: Sequence[str], key: str) -> list[str]:
    """Let the first argument that is no override name a file; options come first."""
    options, arguments = divided(arguments)
    for k, argument in enumerate(arguments):
        if names_path(argument):
            arguments[k] = f"{key}={quoted(str(Path(argument).expanduser().absolute()))}"
            break
    return [*options, *arguments]


def divided(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divide a command line into options and overrides: Hydra refuses an option between them.

    Examples
    --------
    >>> divided(["seed=1", "--config-dir", "a=b", "quiet=true", "-m"])
    (['--config-dir', 'a=b', '-m'], ['seed=1', 'quiet=true'])
    >>> divided(["--info", "defaults", "seed=1"]), divided(["--info", "seed=1"])
    ((['--info', 'defaults'], ['seed=1']), (['--info'], ['seed=1']))
    """
    options, overrides, last = [], [], ""
    for argument in arguments:
        is_value = last in TAKES_VALUE or (last in MAY_TAKE_VALUE and "=" not in argument)
        if is_value or argument.startswith("-"):
            options.append(argument)
        else:
            overrides.append(argument)
        last = "" if is_value else argument
    return options, overrides


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
    from omegaconf.errors import InterpolationToMissingValueError, MissingMandatoryValue

    if isinstance(error, MissingMandatoryValue | InterpolationToMissingValueError):
        other = re.search(r"Missing mandatory value: ([\w.]+)", str(error))  # that it stands for
        key = other[1] if other else error.full_key
        return f"{key} is missing; expected {key}=…"
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return error_of_user(error.__cause__)  # type: ignore[arg-type]
    if isinstance(error, InputError):
        return error.typed
    return str(error) if isinstance(error, OSError) else None


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


def add_own_folders(command: str, arguments: Sequence[str]) -> list[str]:
    """Add the user's own configuration files, and the modules beside them, to any command.

    Own folders are those that ``--config-dir DIR`` and the environment variable ``P300_CONF``
    name. A folder ``DIR/model`` adds choices to the group ``model``, and ``DIR/mine.py`` can be
    named by ``_target_``. Processes that the command starts find both too.

    Parameters
    ----------
    command : str
        Name of the command, for messages.
    arguments : sequence of str
        Of the command line.

    Returns
    -------
    list of str
        The other arguments; the folders are in ``P300_CONF``.

    Raises
    ------
    SystemExit
        If a folder does not exist, or a file has the name of one of p300's.
    """
    given, others = [], []
    remaining = iter(arguments)
    for argument in remaining:
        option, equals, value = argument.partition("=")
        if option in ("--config-dir", "-cd"):
            given.append(value if equals else next(remaining, ""))
        else:
            others.append(argument)
    if "" in given:
        sys.exit(f"p300 {command}: got --config-dir without a folder; expected --config-dir DIR")
    folders = [folder.resolve() for folder in [*map(Path, given), *own_folders()]]
    for folder in folders:
        if not os.path.isdir(folder):
            sys.exit(
                f"p300 {command}: got the folder {folder} from --config-dir or {OWN_FOLDERS}; "
                f"expected a folder that exists"
            )
        for path in folder.glob("*/*.yaml"):  # of two files Hydra would silently take p300's
            if (conf_dir() / path.relative_to(folder)).exists():
                sys.exit(f"p300 {command}: {path} has the name of a file of p300; rename it")
    if folders:
        names = list(map(str, folders))
        paths = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        os.environ[OWN_FOLDERS] = os.pathsep.join(dict.fromkeys(names))
        os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*names, *paths]))
        add_own_modules()
    return others
