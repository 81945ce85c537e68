"""Files from elsewhere: what they may make this process do, which is to hold numbers.

PyTorch reads a file of plain containers and tensors without running code, but believes what it
says of sizes; Hydra calls whatever a configuration names. Both are held to account here, before
a checkpoint or a run folder of somebody else is used.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from p300.errors import InputError

#: Packages whose classes a checkpoint may name.
TRUSTED = ("p300.models.", "p300.baselines.", "braindecode.models.")

#: Names further packages to trust, such as ``mylab.networks,mylab.readers``.
TRUST_VARIABLE = "P300_TRUST"

#: What the configuration in a checkpoint or run folder may call: it reads, and it splits.
CALLED = re.compile(r"p300\.(readers\.[a-z]\w*\.read|simulation\.simulate_data_set|splits\.\w+)")

#: Values in all, beyond which containers are taken for an attempt to fill the memory.
MAX_VALUES = 1_000_000


def read_tensors(path: Path) -> Any:
    """Read a file of plain containers and tensors, which runs no code and claims no memory.

    Parameters
    ----------
    path : Path
        As ``torch.save`` writes it: an archive, whose parts are not compressed.

    Raises
    ------
    InputError
        If it is damaged or of another kind, or says more than it holds.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
        n_bytes = path.stat().st_size
        if any(part.compress_type for part in parts):
            raise ValueError("its parts are compressed")
        if sum(part.file_size for part in parts) > n_bytes:
            raise ValueError(f"its parts claim more than its {n_bytes} bytes")
        content = torch.load(path, weights_only=True, map_location="cpu")
        # a tensor that claims more bytes than its part of the file reads memory beyond them
        held = Counter(part.file_size for part in parts if "/data/" in part.filename)
        tensors = (value for value in walk(content) if isinstance(value, torch.Tensor))
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in tensors}
        beyond = Counter(s.nbytes() for s in storages.values() if s.nbytes()) - held
        if beyond:
            raise ValueError(f"a tensor claims {max(beyond)} bytes that are not there")
    except OSError:
        raise
    except Exception as error:  # torch raises many kinds for a damaged or hostile file
        reason = f": {error}" if type(error) is ValueError else ""
        raise InputError(
            f"{path}: cannot be read as a checkpoint ({type(error).__name__}{reason}); expected a "
            f"file of plain containers and tensors, as `p300 train` writes it"
        ) from error
    return content


def walk(content: Any) -> Iterator[Any]:
    """Give every value in nested containers.

    Raises
    ------
    ValueError
        If there are more than :data:`MAX_VALUES`, as in containers that hold themselves.
    """
    waiting, n_values = [content], 0
    while waiting:
        value = waiting.pop()
        n_values += 1
        if n_values > MAX_VALUES:
            raise ValueError(f"it holds more than {MAX_VALUES} values")
        if isinstance(value, Mapping):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            waiting += value
        else:
            yield value


def n_weights(values: Iterable[Any]) -> int:
    """Count the numbers in those values that are tensors."""
    return sum(value.numel() for value in values if isinstance(value, torch.Tensor))


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
    {'_target_': 'p300.untrusted.refuse', 'name': 'os.system'}
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
