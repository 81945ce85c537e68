"""The configuration of a command: its files, composed by Hydra."""

from __future__ import annotations

import contextlib
import difflib
import logging
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import p300
from p300.errors import InputError
from p300.experiments.identity import flatten
from p300.experiments.names import run_name
from p300.proposals import as_meant, quoted
from p300.storage.untrusted import own_folders
from p300.terminal import messages

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: Of more keys with a name, none is likely to be meant.
MOST_NEAR = 4


def search_path() -> str:
    """Return the override that adds the user's own folders to the search path of Hydra."""
    folders = (quoted(f"p300-own://{folder}") for folder in own_folders())
    return f"hydra.searchpath=[{','.join(folders)}]"


def conf_dir() -> Path:
    """Find the folder of configuration files: in the package, or beside it in a checkout."""
    package = Path(p300.__file__).resolve().parent
    return package / "conf" if (package / "conf").is_dir() else package.parent / "conf"


log = logging.getLogger("p300.experiments.run")


@contextlib.contextmanager
def shipped_configuration() -> Iterator[None]:
    """Let Hydra know p300's configuration files; an application around this keeps its own."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    known = GlobalHydra.instance()
    before = known.hydra
    known.clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = before


def compose_training(overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """Compose the configuration of a run, and find the file that each group uses.

    Call it inside of :func:`shipped_configuration`, or of a command.

    Raises
    ------
    InputError
        If there is no such key or choice.
    """
    from hydra.errors import HydraException, OverrideParseException

    try:
        return Composer().compose(overrides)
    except OverrideParseException as error:
        raise InputError(how_to_type(error.override)) from error
    except HydraException as error:
        reason = str(error).partition("\n")[0]
        near = near_misses("train", str(error), overrides)
        raise InputError("; ".join([reason, *near])) from error


class Composer:
    """Composes the configurations of many runs.

    Hydra takes 0.1 s for one. Configurations that choose the same files and differ in single
    values are composed once, and get their values afterwards.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], tuple[DictConfig, dict[str, str]]] = {}

    def compose(self, overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
        """Compose one; return it and the file that each group uses."""
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        files, values = divided(overrides := without_null(overrides))
        cfg, choices = self._composed(tuple(files))
        cfg = cfg.copy()
        try:
            for key, value in values:
                OmegaConf.update(cfg, key, value, merge=True)
        except OmegaConfBaseException:  # Hydra's own message is better
            cfg = self._composed(tuple(overrides))[0].copy()
        if cfg.name is None:
            cfg.name = run_name(choices, overrides)
        return cfg, dict(choices)

    def _composed(self, overrides: tuple[str, ...]) -> tuple[DictConfig, dict[str, str]]:
        from hydra import compose
        from omegaconf import OmegaConf, open_dict

        if overrides not in self._known:
            own = [search_path()] if own_folders() else []
            cfg = compose("train", overrides=[*own, *overrides], return_hydra_config=True)
            choices: Any = OmegaConf.to_container(cfg.hydra.runtime.choices)
            with open_dict(cfg):
                del cfg["hydra"]
            self._known[overrides] = cfg, choices
        return self._known[overrides]


def without_null(overrides: Sequence[str]) -> list[str]:
    """Write ``group=null`` as ``~group``, which is how Hydra leaves out a group.

    Examples
    --------
    >>> without_null(["experiment=null", "model=mlp", "subject=null"])
    ['~experiment', 'model=mlp', 'subject=null']
    """
    return [
        f"~{key}" if value == "null" and (conf_dir() / key).is_dir() else f"{key}{equals}{value}"
        for key, equals, value in (override.partition("=") for override in overrides)
    ]


def divided(overrides: Sequence[str]) -> tuple[list[str], list[tuple[str, Any]]]:
    """Divide overrides into those that choose files, add or remove, and plain values.

    Examples
    --------
    >>> divided(["data=bnci", "seed=3", "model.n_filters=[1,2]", "+data.read.runs=[1]"])
    (['data=bnci', '+data.read.runs=[1]'], [('seed', 3), ('model.n_filters', [1, 2])])
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    files, values = [], []
    folders = [conf_dir(), *own_folders()]
    for text, override in zip(
        overrides, OverridesParser.create().parse_overrides(list(overrides)), strict=True
    ):
        key = override.key_or_group
        is_group = "/" in key or any(any((folder / key).glob("*.yaml")) for folder in folders)
        is_plain = not (is_group or override.is_add() or override.is_delete())
        is_plain = is_plain and not (override.is_force_add() or override.is_sweep_override())
        if is_plain and not key.startswith("hydra"):
            values.append((key, override.value()))
        else:
            files.append(text)
    return files, values


def as_config(cfg: DictConfig, choices: Mapping[str, str]) -> dict[str, Any]:
    """Return a resolved configuration as plain containers, with the choice of each group."""
    from omegaconf import OmegaConf

    config: Any = OmegaConf.to_container(cfg, resolve=True)
    return config | {"choices": {k: v for k, v in choices.items() if not k.startswith("hydra/")}}


def is_sweep() -> bool:
    """Return whether Hydra runs several jobs."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    return HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN


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


def groups_of(command: str) -> list[str]:
    """List the configuration groups that a command takes."""
    path = conf_dir() / f"{command}.yaml"
    text = path.read_text("utf-8") if path.exists() else ""
    groups = re.findall(r"^  - (\w+):", text, re.MULTILINE)
    for other in re.findall(r"^  - ([a-z]\w*)$", text, re.MULTILINE):  # audit is built on train
        groups += groups_of(other)
    return sorted(groups)


def known_files(group: str) -> list[str]:
    """List the choices of a configuration group: p300's and the user's own."""
    folders = [conf_dir(), *own_folders()]
    return sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})


def how_to_type(override: str) -> str:
    """Say how an override that Hydra cannot read is typed.

    Examples
    --------
    >>> print(how_to_type("data.ignore=[Beginn der Übung]"))
    got data.ignore=[Beginn der Übung]; ... type "data.ignore=['Beginn der Übung']"
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    meant = as_meant(override)
    typed = "" if meant is None else meant.typed
    how = f"type {typed}"
    if typed.endswith("(docs/check.md)"):
        how = f"write {typed}"
    else:
        try:
            OverridesParser.create().parse_override(shlex.split(typed)[0])
        except (HydraException, IndexError):
            how = "type \"KEY='VALUE'\" or \"KEY=['VALUE', 'VALUE']\""
    return (
        f"got {override}; expected KEY=VALUE, with quotes around texts of more than English "
        f"letters, digits, spaces and _-/.+, but not around the keys of a mapping; {how}"
    )


def near_misses(command: str, message: str, overrides: Sequence[str] = ()) -> list[str]:
    """Return what may have been meant by a key or a choice that Hydra did not find.

    Parameters
    ----------
    command : str
        Name of the command.
    message : str
        Hydra's.
    overrides : sequence of str
        As typed: the chosen files say which keys there are.
    """
    if found := re.search(r"Could not find '([\w/]+)/([\w.-]+)'", message):
        group, typed = found.groups()
        near = difflib.get_close_matches(typed, known_files(group), n=3, cutoff=0.5)
        return [f"did you mean {' or '.join(f'{group}={name}' for name in near)}?"] if near else []
    found = re.search(r"Could not override '([\w.]+)'", message)
    if found is None:
        return []
    inner = re.search(rf"full_key: ({re.escape(found[1])}[.\w]*)", message)
    before, _, last = (inner or found)[1].rpartition(".")
    keys = [*_keys_of(command, overrides), *groups_of(command)]
    beside = [key for key in keys if key.rpartition(".")[0] == before]
    near = [f"{key}=…" for key in _alike(last, beside)] or _in_other_files(before, last)
    near = near or [f"{key}=…" for key in _alike(last, keys)]
    return [f"did you mean {' or '.join(near)}?"] if 0 < len(near) <= MOST_NEAR else []


def _in_other_files(before: str, last: str) -> list[str]:
    """Find keys that are written alike in the files of a group, with the files to choose."""
    from omegaconf import OmegaConf

    group, known = before.partition(".")[0], dict[str, list[str]]()
    for path in sorted((conf_dir() / group).glob("*.yaml")) if group else ():
        for key in flatten(OmegaConf.to_container(OmegaConf.load(path))):  # type: ignore[arg-type]
            known.setdefault(f"{group}.{key}", []).append(f"{group}={path.stem}")
    beside = [key for key in known if key.rpartition(".")[0] == before]
    return [f"{k}=… with {' or '.join(known[k][:MOST_NEAR])}" for k in _alike(last, beside)]


def _alike(last: str, keys: Sequence[str]) -> list[str]:
    """Find the keys whose last part is a name, or else is written alike."""
    lasts: dict[str, list[str]] = {}
    for key in keys:
        lasts.setdefault(key.rpartition(".")[2], []).append(key)
    close = [last] if last in lasts else difflib.get_close_matches(last, lasts, n=2, cutoff=0.7)
    return [key for name in close for key in lasts[name]]


def _keys_of(command: str, overrides: Sequence[str]) -> list[str]:
    """List the keys of a command with the files that are chosen, or else with its own."""
    from hydra import compose
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    chosen = [
        text for text in overrides if text.partition("=")[0].lstrip("+~") in groups_of(command)
    ]
    own = [search_path()] if own_folders() else []
    with shipped_configuration():
        try:
            cfg = compose(command, overrides=[*own, *chosen])
        except HydraException:  # several choices of a sweep, or one that does not exist
            cfg = compose(command)
        return [*flatten(OmegaConf.to_container(cfg, resolve=False))]  # type: ignore[arg-type]


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
