"""Checks of the ways in which a split could leak.

The checks do not trust the code of the split: they follow characters, sample indices and samples.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.recording import CHARACTER_KEY
from p300.splits import PARTS, Split, check_monitor
from p300.splits.splits import UNITS

if TYPE_CHECKING:
    import pandas as pd

    from p300.recording import Recording


@dataclass(frozen=True)
class Check:
    """The result of one check: what must hold, whether it does, and the numbers.

    Parameters
    ----------
    name : str
        What must hold.
    passed : bool or None
        None for a note that is neither good nor bad.
    detail : str
        The numbers behind it.
    """

    name: str
    passed: bool | None
    detail: str

    def __post_init__(self):
        if self.passed is not None:  # a numpy bool is neither True nor False
            object.__setattr__(self, "passed", bool(self.passed))

    def __str__(self):
        status = {True: "PASS", False: "FAIL", None: "NOTE"}[self.passed]
        return f"{status}  {self.name}: {self.detail}"


def check_characters(flashes: pd.DataFrame, split: Split) -> Check:
    """Check that no character (or run, without characters) has flashes in two parts."""
    key, unit = CHARACTER_KEY, "character"
    if flashes["character"].isna().any():
        key, unit = UNITS["run"], "run"
    number = flashes.groupby(key, sort=False, dropna=False).ngroup().to_numpy()
    units = {name: set(number[rows]) for name, rows in parts(split)}
    shared = set().union(*(a & b for a, b in itertools.combinations(units.values(), 2)))
    counts = ", ".join(f"{name} {len(found)}" for name, found in units.items())
    detail = f"{counts} {unit}s, {len(shared)} of them on two sides"
    return Check(f"no {unit} is on two sides", not shared, detail)


def check_samples(recording: Recording, split: Split, tmin: float, tmax: float) -> Check:
    """Check that no raw sample is read by epochs of two parts."""
    read = {
        name: np.concatenate(samples_read(recording, rows, tmin, tmax))
        for name, rows in parts(split)
    }
    seconds = ", ".join(
        f"{name} {np.count_nonzero(rows) / recording.sfreq:.0f} s" for name, rows in read.items()
    )
    n_shared = sum(np.count_nonzero(a & b) for a, b in itertools.combinations(read.values(), 2))
    detail = f"{seconds} of {recording.duration_s:.0f} s read, {n_shared} samples on two sides"
    return Check("no raw sample is read on two sides", n_shared == 0, detail)


def samples_read(recording: Recording, rows, tmin: float, tmax: float) -> list[np.ndarray]:
    """Mark in each segment the raw samples within the epochs of some flashes.

    Returns
    -------
    list of ndarray of bool, each of shape (n_samples,)
    """
    masks = []
    segment, onset = (recording.flashes[c].to_numpy()[rows] for c in ("segment", "onset"))
    for k, signal in enumerate(recording.segments):
        n_samples = signal.shape[1]
        steps = np.zeros(n_samples + 1, int)
        for sign, edge in ((1, tmin), (-1, tmax)):
            sample = np.ceil((onset[segment == k] + edge) * recording.sfreq - 1e-6).astype(int)
            np.add.at(steps, np.clip(sample, 0, n_samples), sign)
        masks.append(steps[:-1].cumsum() > 0)
    return masks


def check_copies(recording: Recording, split: Split, tmin: float, tmax: float) -> Check:
    """Check that no epoch's raw samples have a copy in another part, in any segment."""
    length = math.ceil((tmax - tmin) * recording.sfreq - 1e-6)
    segment, onset = (recording.flashes[c].to_numpy() for c in ("segment", "onset"))
    first = np.ceil((onset + tmin) * recording.sfreq - 1e-6).astype(int)

    def digest(k: int) -> bytes:
        epoch = recording.segments[segment[k]][:, first[k] : first[k] + length]
        return hashlib.blake2b(epoch.tobytes()).digest()

    found = [set(map(digest, np.flatnonzero(rows).tolist())) for _, rows in parts(split)]
    n_copies = sum(len(a & b) for a, b in itertools.combinations(found, 2))
    detail = f"{n_copies} copies among {sum(map(len, found))} epochs"
    return Check("no epoch of one side is a copy of one on another", n_copies == 0, detail)


def check_validation(flashes: pd.DataFrame, split: Split) -> Check:
    """Check that validation is as separate from the test part as the training part is.

    Training and test part differ by subject, session, run or only by character. Validation and
    test part must differ by the same unit.
    """
    name = "validation comes from the training side"
    if not split.validation.any():
        return Check(name, True, "there is no validation part, nothing is chosen by one")
    for unit, key in UNITS.items():
        if flashes[key].isna().any(axis=None):
            continue
        number = flashes.groupby(key, sort=False).ngroup().to_numpy()
        test = set(number[split.test])
        if not test & set(number[split.train]):
            n = len(test & set(number[split.validation]))
            detail = f"training and test part share no {unit}; validation and test part share {n}"
            return Check(name, n == 0, f"{detail} of {len(test)}")
    return Check(name, False, "training and test part share every unit, down to characters")


def check_selection(monitor: str) -> Check:
    """Check that the best training epoch is chosen by a validation value."""
    name = "nothing is chosen by a test value"
    try:
        check_monitor(monitor)
    except InputError as error:
        return Check(name, False, str(error))
    return Check(name, True, f"the monitor is {monitor}")


def parts(split: Split) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and rows of each part that is not empty."""
    return ((name, getattr(split, name)) for name in PARTS if getattr(split, name).any())
