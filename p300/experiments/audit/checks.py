"""Checks of the ways in which a split could leak, as lines of an audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.flashes import CHARACTER_KEY
from p300.splits import Split, check_monitor
from p300.splits.leaks import (
    copied_epochs,
    is_validation_separate,
    parts,
    samples_read,
    shared_samples,
    shared_units,
)
from p300.splits.units import UNITS

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


def check_characters(flashes: pd.DataFrame, split: Split, epoch_s: float) -> Check:
    """Check that no character has flashes in two parts, nor a run that is not cut into blocks."""
    shared = shared_units(flashes, split, epoch_s)
    unit, key = ("character", CHARACTER_KEY) if "character" in shared else ("run", UNITS["run"])
    number = flashes.groupby(key, sort=False, dropna=False).ngroup().to_numpy()
    counts = ", ".join(f"{name} {len(set(number[rows]))}" for name, rows in parts(split))
    n_shared = sum(shared.values())
    rule = "" if unit == "character" else ", except in blocks of time"
    detail = f"{counts} {unit}s, {n_shared} of them on two sides"
    return Check(f"no {unit} is on two sides{rule}", n_shared == 0, detail)


def check_samples(recording: Recording, split: Split, tmin: float, tmax: float) -> Check:
    """Check that no raw sample is read by epochs of two parts."""
    seconds = ", ".join(
        f"{name} {sum(map(np.count_nonzero, read)) / recording.sfreq:.0f} s"
        for name, read in (
            (name, samples_read(recording, rows, tmin, tmax)) for name, rows in parts(split)
        )
    )
    n_shared = shared_samples(recording, split, tmin, tmax)
    detail = f"{seconds} of {recording.duration_s:.0f} s read, {n_shared} samples on two sides"
    return Check("no raw sample is read on two sides", n_shared == 0, detail)


def check_copies(recording: Recording, split: Split, tmin: float, tmax: float) -> Check:
    """Check that no epoch's raw samples have a copy in another part, in any segment."""
    n_copies = copied_epochs(recording, split, tmin, tmax)
    n_epochs = sum(np.count_nonzero(rows) for _, rows in parts(split))
    detail = f"{n_copies} copies among {n_epochs} epochs"
    return Check("no epoch of one side is a copy of one on another", n_copies == 0, detail)


def check_validation(flashes: pd.DataFrame, split: Split) -> Check:
    """Check that validation is as separate from the test part as the training part is."""
    passed, detail = is_validation_separate(flashes, split)
    return Check("validation comes from the training side", passed, detail)


def check_selection(monitor: str) -> Check:
    """Check that the best training epoch is chosen by a validation value."""
    name = "nothing is chosen by a test value"
    try:
        check_monitor(monitor)
    except InputError as error:
        return Check(name, False, str(error))
    return Check(name, True, f"the monitor is {monitor}")
