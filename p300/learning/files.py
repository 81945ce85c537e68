"""A source on disk: arrays and numbers, read without running code."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from p300.errors import InputError
from p300.learning.source import Source
from p300.learning.sums import EpochSums
from p300.storage.files import atomic_write

#: Written into the file; one with another is refused.
FORMAT = "p300 learning source 1"

#: People whose sums are kept apart; of more, all are added up.
MOST_PEOPLE = 8

#: Numbers of a source, in the order of its parameters.
NUMBERS = ("penalty", "toeplitz", "weight", "log_odds")

#: Name of the file in a run folder and beside an exported detector.
FILE = "learning.npz"


def write_source(path: Path, source: Source) -> bytes:
    """Write a source, and return the bytes that were written.

    The products are kept in float32. The sums of more than :data:`MOST_PEOPLE` people are added
    up, so that none of them is known any more.
    """
    people = source.people
    if len(people) > MOST_PEOPLE:
        people = {"": source.whole()}
    about = {
        "format": FORMAT,
        "people": list(people),
        **{name: getattr(source, name) for name in NUMBERS},
        "power": None if np.isinf(source.power) else source.power,
    }
    arrays = {"about": np.array(json.dumps(about))}
    if source.centre is not None:
        arrays["centre"] = source.centre
    parts = dict(enumerate(people.values())) | (
        {} if source.earlier is None else {"earlier": source.earlier}
    )
    for k, sums in parts.items():
        arrays |= {"basis": sums.basis, f"n_{k}": sums.n, f"epochs_{k}": sums.epochs}
        arrays[f"products_{k}"] = sums.products.astype(np.float32)
        arrays[f"lags_{k}"] = sums.lags.astype(np.float32)
    memory = io.BytesIO()
    np.savez(memory, **arrays)  # type: ignore[arg-type]
    with atomic_write(path, "wb") as file:
        file.write(memory.getvalue())
    return memory.getvalue()


def read_source(path: str | Path) -> Source:
    """Read what :func:`write_source` wrote.

    Raises
    ------
    InputError
        If there is no such file, or it is damaged or of another kind.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError:
        raise InputError(
            f"{path}: no such file; expected what a training with learning=while_spelling writes"
        ) from None
    return source_of_bytes(data, path)


def source_of_bytes(data: bytes, where: Path) -> Source:
    """Read a source from the bytes of a file."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            if about["format"] != FORMAT:
                raise ValueError(f"its format is {about['format']!r}")
            people = {name: _sums(arrays, k) for k, name in enumerate(map(str, about["people"]))}
            earlier = _sums(arrays, "earlier") if "n_earlier" in arrays else None
            if not people:
                raise ValueError("it holds the sums of nobody")
            numbers = {name: float(about[name]) for name in NUMBERS}
            power = np.inf if about["power"] is None else float(about["power"])
            centre = np.asarray(arrays["centre"], float) if "centre" in arrays else None
    except Exception as error:  # zipfile, numpy and json raise many kinds for a damaged file
        raise InputError(
            f"{where}: damaged ({type(error).__name__}: {error}); expected what a training with "
            "learning=while_spelling writes"
        ) from error
    return Source(people, **numbers, power=power, centre=centre, earlier=earlier)


def _sums(arrays: Mapping[str, np.ndarray], k: object) -> EpochSums:
    """Read sums whose arrays fit together.

    Raises
    ------
    ValueError
        If they do not, or something is not finite.
    """
    names = ("basis", *(f"{part}_{k}" for part in ("n", "epochs", "products", "lags")))
    sums = EpochSums(*(np.asarray(arrays[name], float) for name in names))
    n_times, n_functions = sums.basis.shape
    n_chans = sums.epochs.shape[1]
    shapes = {
        "n": (2,),
        "epochs": (2, n_chans, n_times),
        "products": (n_chans * n_functions,) * 2,
        "lags": (n_times, n_chans, n_chans),
    }
    for name, shape in shapes.items():
        found = getattr(sums, name)
        if found.shape != shape or not np.isfinite(found).all():
            raise ValueError(f"{name} of shape {found.shape}, or not finite; expected {shape}")
    return sums
