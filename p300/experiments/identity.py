"""By what a run is known: its configuration, the code, and the content of its recording.

Results are taken from before only if all three are the same. The name of a folder, and what was
typed, do not matter.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import p300
from p300.experiments.names import has_effect
from p300.storage.untrusted import own_folders

#: Files and rooms of the package whose code can change the results of a run.
CODE = (
    "baselines",
    "detector.py",
    "electrodes.py",
    "experiments/fitting",
    "experiments/folds.py",
    "experiments/prepare.py",
    "experiments/results.py",
    "flashes.py",
    "learning",
    "losses",
    "metrics",
    "models",
    "preprocessing",
    "readers",
    "recording.py",
    "simulation",
    "speller.py",
    "spelling",
    "splits",
    "training",
)

#: Files of one's own folder that make no result.
IS_TEST = re.compile(r"(test_.*|conftest)\.py")


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Convert nested mappings to one dictionary with the full key of every value.

    Examples
    --------
    >>> flatten({"model": {"n_filters": 10}, "seed": 0})
    {'model.n_filters': 10, 'seed': 0}
    """
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def fingerprint(config: Mapping[str, Any]) -> str:
    """Compute a hash of everything in a resolved configuration that can change the results.

    Of an earlier run whose weights a network starts from, the content counts, not the path.

    Examples
    --------
    >>> one = fingerprint({"seed": 0, "model": {"n_filters": 10}, "quiet": True})
    >>> one == fingerprint({"model": {"n_filters": 10.0}, "seed": 0, "quiet": False})
    True
    >>> one == fingerprint({"model": {"n_filters": 10}, "seed": 1})
    False
    """
    kept = {k: _comparable(v) for k, v in flatten(config).items() if has_effect(k)}
    if config.get("pretrained"):
        kept["pretrained"] = _digest_of_checkpoint(str(config["pretrained"]))
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()


def code_digest(config: Mapping[str, Any]) -> str:
    """Compute a hash of the code that makes the results of a configuration.

    It covers the rooms of p300 in :data:`CODE`, and of what is not of an installed package every
    module that the configuration names, and the modules beside it.
    """
    digest = hashlib.sha256(_digest_of_package().encode())
    for path in sorted(set(_own_modules(config))):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


@functools.cache
def _digest_of_package() -> str:
    digest, root = hashlib.sha256(), Path(p300.__file__).parent
    for name in CODE:
        path = root / name
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            digest.update(str(file.relative_to(root)).encode() + file.read_bytes())
    return digest.hexdigest()


def _digest_of_checkpoint(path: str) -> str:
    file = Path(path)
    file = file / "checkpoint.pt" if file.is_dir() else file
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else path


def _own_modules(config: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the files of the user's own modules that a configuration may call."""
    for folder in own_folders():
        yield from (path for path in folder.glob("*.py") if not IS_TEST.match(path.name))
    for key, value in flatten(config).items():
        if key.split(".")[-1] == "_target_" and not str(value).startswith("p300."):
            module = str(value).rpartition(".")[0]
            if _is_own(module.partition(".")[0]) and (origin := _origin(module)):
                yield Path(origin)


def _is_own(package: str) -> bool:
    """Return whether a package lies outside of what is installed; it is not imported."""
    origin = _origin(package)
    return "site-packages" not in origin and origin.endswith(".py")


def _origin(module: str) -> str:
    """Return the file of a module; "" if there is none, or if it is a class."""
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return ""
    return "" if found is None else found.origin or ""


def _comparable(value: Any) -> Any:
    """Convert integers to floats, so that 10 and 10.0 are one configuration."""
    if isinstance(value, list | tuple):
        return [_comparable(v) for v in value]
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 2**53 else value
