"""Limits on what a file from elsewhere may call.

PyTorch reads a file of plain containers and tensors without running code. Hydra, however, calls
everything that a configuration names. These names are checked here, before a checkpoint or a run
folder of somebody else is used. The sizes that a checkpoint claims are checked in
:mod:`p300.storage.tensors`.
"""

from __future__ import annotations

import os
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from p300.errors import InputError

#: Packages whose classes a checkpoint may name.
TRUSTED = ("p300.models.", "p300.baselines.", "braindecode.models.")

#: Environment variable with further packages to trust, such as ``mylab.networks,mylab.readers``.
TRUST_VARIABLE = "P300_TRUST"

#: Environment variable with the folders of the user's own configuration and modules.
OWN_FOLDERS = "P300_CONF"

#: What the configuration in a checkpoint or run folder may call: readers and splits.
CALLED = re.compile(
    r"p300\.(readers\.([a-z]\w*\.)+read|simulation\.simulate_data_set|splits\.\w+)"
)


def trusted_packages() -> tuple[str, ...]:
    """List the packages whose classes a checkpoint may name.

    ``P300_TRUST`` adds to them, and so do the modules in the user's own folders (``P300_CONF``).

    Examples
    --------
    >>> trusted_packages()
    ('p300.models.', 'p300.baselines.', 'braindecode.models.')
    """
    named = os.environ.get(TRUST_VARIABLE, "").split(",")
    own = sorted(module.name for module in pkgutil.iter_modules(map(str, own_folders())))
    names = dict.fromkeys(name.strip().rstrip(".") for name in [*named, *own])
    return TRUSTED + tuple(f"{name}." for name in names if name)


def check_trusted(described: Mapping[str, Any]) -> None:
    """Check that a description from elsewhere names classes of trusted packages only.

    Raises
    ------
    InputError
        If it names another, at any depth.
    """
    trusted = trusted_packages()
    for target in _targets(described):
        if not target.startswith(trusted):
            raise InputError(
                f"the checkpoint names {target!r}, and this user did not write it on this "
                f"machine; expected a class of {', '.join(trusted)}; for your own, set "
                f"{OWN_FOLDERS} to the folder of its module, or name its package in "
                f"{TRUST_VARIABLE}"
            )


def is_of_p300(described: Mapping[str, Any]) -> bool:
    """Return whether a description names only classes that a checkpoint of anyone may name."""
    return all(target.startswith(TRUSTED) for target in _targets(described))


def trusts_pickles() -> bool:
    """Return whether the user trusts pickles from elsewhere, which can run any code.

    ``P300_TRUST`` then names the package ``pickle``; no other package does.
    """
    return "pickle" in [n.strip() for n in os.environ.get(TRUST_VARIABLE, "").split(",")]


def own_folders() -> list[Path]:
    """List the folders of the user's own configuration and modules, named by ``P300_CONF``."""
    return [Path(name) for name in os.environ.get(OWN_FOLDERS, "").split(os.pathsep) if name]


def add_own_modules() -> None:
    """Make the modules in the user's own folders importable."""
    for folder in map(str, own_folders()):
        if folder not in sys.path:
            sys.path.insert(0, folder)


def restricted(config: Mapping[str, Any]) -> dict[str, Any]:
    """Restrict what a configuration that came with a file can call.

    Parameters
    ----------
    config : mapping
        Plain containers. Its ``data.read`` and ``split`` are called when a run is evaluated or
        reported.

    Returns
    -------
    dict
        A copy. A ``data.read`` or ``split`` that names, at any depth, anything but this package's
        readers and splits calls :func:`refuse` instead.

    Examples
    --------
    >>> restricted({"split": {"_target_": "os.system", "command": "id"}})["split"]
    {'_target_': 'p300.storage.untrusted.refuse', 'name': 'os.system'}
    """
    config = dict(config)
    data = config.get("data")
    if isinstance(data, Mapping) and "read" in data:
        config["data"] = {**data, "read": _restricted(data["read"])}
    if "split" in config:
        config["split"] = _restricted(config["split"])
    return config


def refuse(*_, name: str) -> None:
    """Raise an error, in place of a call that a file may not make.

    Raises
    ------
    InputError
        Always.
    """
    raise InputError(
        f"the run names {name}, which a file that may come from elsewhere must not call; expected "
        f"a reader or split of p300; if you trust it, name its package in {TRUST_VARIABLE}"
    )


def _restricted(call: Any) -> Any:
    added = trusted_packages()[len(TRUSTED) :]
    for value in _targets(call):
        if not (CALLED.fullmatch(value) or value.startswith(added)):
            return {"_target_": f"{__name__}.{refuse.__name__}", "name": value}
    return call


def _targets(value: Any) -> Iterator[str]:
    """Yield every name that would be called or looked up, at any depth."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from [str(inner)] if key == "_target_" else _targets(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _targets(inner)
    elif isinstance(value, str) and "${" in value:
        yield value
