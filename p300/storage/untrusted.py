"""Files from elsewhere: what they may make this process do, which is to hold numbers.

PyTorch reads a file of plain containers and tensors without running code, but believes what it
says of sizes; Hydra calls whatever a configuration names. Both are held to account here, before
a checkpoint or a run folder of somebody else is used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from p300.errors import InputError

#: Packages whose classes a checkpoint may name.
TRUSTED = ("p300.models.", "p300.baselines.", "braindecode.models.")

#: Names further packages to trust, such as ``mylab.networks,mylab.readers``.
TRUST_VARIABLE = "P300_TRUST"

#: What the configuration in a checkpoint or run folder may call: it reads, and it splits.
CALLED = re.compile(r"p300\.(readers\.[a-z]\w*\.read|simulation\.simulate_data_set|splits\.\w+)")


def trusted_packages() -> tuple[str, ...]:
    """List what a checkpoint's classes may begin with; ``P300_TRUST`` adds to it.

    Examples
    --------
    >>> trusted_packages()
    ('p300.models.', 'p300.baselines.', 'braindecode.models.')
    """
    named = os.environ.get(TRUST_VARIABLE, "").split(",")
    return TRUSTED + tuple(f"{name.strip().rstrip('.')}." for name in named if name.strip())


def restricted(config: Mapping[str, Any]) -> dict[str, Any]:
    """Take from a configuration that came with a file the power to call anything.

    Parameters
    ----------
    config : mapping
        Plain containers; ``data`` and ``split`` are what is called when a run is evaluated or
        reported.

    Returns
    -------
    dict
        In which a ``data.read`` or ``split`` that names anything but this package's readers and
        splits, at any depth, calls :func:`refuse`.

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
    """Stand in the place of what a file names and may not call.

    Raises
    ------
    InputError
        Always.
    """
    raise InputError(
        f"the run names {name}, which is not called for a file that may come from elsewhere; "
        f"expected a reader or split of p300, or its package in {TRUST_VARIABLE}"
    )


def _restricted(call: Any) -> Any:
    added = trusted_packages()[len(TRUSTED) :]
    for value in _targets(call):
        if not (CALLED.fullmatch(value) or value.startswith(added)):
            return {"_target_": f"{__name__}.{refuse.__name__}", "name": value}
    return call


def _targets(value: Any) -> Iterator[str]:
    """Give whatever would be called or looked up, at any depth."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "_target_":
                yield str(inner)
            else:
                yield from _targets(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _targets(inner)
    elif isinstance(value, str) and "${" in value:
        yield value
