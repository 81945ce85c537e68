"""How to repeat a run: configuration and command, without private values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from p300.experiments.configuration import conf_dir
from p300.experiments.finished import overrides_of
from p300.experiments.identity import flatten
from p300.proposals import in_shell
from p300.report.page import Listing, Section, Table, Text
from p300.storage.privacy import LEFT_OUT, PRIVATE, public
from p300.storage.untrusted import own_folders


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a configuration from a YAML file."""
    from omegaconf import OmegaConf

    return cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(path)))


def configuration(config: Mapping[str, Any], title: str = "Every value") -> Listing:
    """Return a configuration as YAML, collapsed."""
    from omegaconf import OmegaConf

    return Listing(OmegaConf.to_yaml(OmegaConf.create(public(dict(config)))), title)


def shared_configuration(folders: Iterable[str | Path]) -> tuple[dict[str, Any], Table | Text]:
    """Split the runs' configurations into values that all share and values that differ."""
    paths = [Path(folder) / "config.yaml" for folder in folders]
    nested = [read_yaml(path) if path.exists() else {} for path in paths]
    configs = [flatten({k: v for k, v in c.items() if k != "choices"}) for c in nested]
    keys = list(dict.fromkeys(key for config in configs for key in config))
    missing = object()
    values = {key: [config.get(key, missing) for config in configs] for key in keys}
    shared = {k: v[0] for k, v in values.items() if all(x == v[0] for x in v)}
    differing = [
        (key, _listed(v for v in values[key] if v is not missing))
        for key in keys
        if key not in shared
    ]
    if not differing:
        return shared, Text("All runs have the same configuration.")
    table = Table("Values that differ", ("key", "values"), differing, is_folded=len(differing) > 8)
    return shared, table


def typed(folder: Path) -> list[str] | None:
    """Return the overrides that were typed, as Hydra saved them; None if it did not."""
    from omegaconf import OmegaConf

    several = folder / "multirun.yaml"
    one = folder / "overrides.yaml"
    one = one if one.exists() else folder / ".hydra" / "overrides.yaml"
    if several.exists():
        overrides = OmegaConf.load(several).hydra.overrides.task
    elif one.exists():
        overrides = OmegaConf.load(one)
    else:
        return None
    return [str(override) for override in overrides]


def training_command(folder: Path, config: Mapping[str, Any]) -> str:
    """Return the command that trains a run again: as typed, or from its configuration."""
    overrides = typed(folder)
    given = overrides_of(config) if overrides is None else overrides
    return command("train", [*own_folder(config.get("choices", {})), *given])


def own_folder(choices: Mapping[str, str | None]) -> list[str]:
    """Return the options that a command needs if a choice is a file of the user's own.

    Examples
    --------
    >>> own_folder({"model": "cecotti", "search": None}), own_folder({"model": "mine"})[0]
    ([], '--config-dir')
    """
    files = (conf_dir() / group / f"{choice}.yaml" for group, choice in choices.items() if choice)
    if all(file.exists() for file in files):
        return []
    folders = [str(folder) for folder in own_folders()] or ["YOUR_FOLDER"]
    return [word for folder in folders for word in ("--config-dir", folder)]


def command(name: str, overrides: list[str]) -> str:
    """Format a command for a shell.

    Examples
    --------
    >>> print(command("benchmark", ["overrides=['logger=csv']", "seeds=[0]"]))
    p300 benchmark "overrides=['logger=csv']" seeds=[0]
    """
    shown = []
    for override in overrides:
        key, equals, _ = override.partition("=")
        shown.append(f"{key}={LEFT_OUT}" if equals and PRIVATE.search(key) else override)
    return " ".join(["p300", name, *map(_quoted, shown)])


def repeat_section(line: str, others: str = "") -> Section:
    """Build the section with the command that repeats a run."""
    always = (
        "Real recordings are read from the folder that P300_DATA_ROOT names. Random seeds fix "
        "the initial weights, the order of the flashes and the validation part. Another "
        "processor or version can still change the last digits of a network's result."
    )
    texts = [Text(text) for text in (others, always) if text]
    return Section("How to repeat it", [Listing(line, is_command=True), *texts])


def _listed(values: Iterable[Any], n_most: int = 6) -> str:
    texts = list(dict.fromkeys(map(str, values)))
    return ", ".join(texts[:n_most]) + (f" … ({len(texts)})" if len(texts) > n_most else "")


def _quoted(word: str) -> str:
    return word if re.fullmatch(r"[\w@%+=:,./~\[\]-]+", word) else in_shell(word)
