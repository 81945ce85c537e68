"""Splits of a cross-validation: each fold tests another part of the units, trains on the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.flashes import rows_by
from p300.splits.splits import Split, hold_out
from p300.splits.units import UNITS, count_units, unit_of

if TYPE_CHECKING:
    import pandas as pd


def k_fold(
    flashes: pd.DataFrame,
    *,
    fold: int,
    n_folds: int = 5,
    by: str = "character",
    validation_fraction: float = 0.15,
    validation_by: str = "character",
    window_s: tuple[float, float] = (0.0, 0.65),
    seed: int = 0,
) -> Split:
    """Test on one of k equal parts of the units and train on the others.

    Parameters
    ----------
    flashes : DataFrame
        The flash table.
    fold : int
        Which part, from 0. All folds together test every flash once.
    n_folds : int
        Number of parts. Each has consecutive units of every subject, as equal in number as
        possible, so that few characters have neighbours on the other side.
    by : {"subject", "session", "run", "character", "block"}
        The unit that goes to one side as a whole. In an oddball, runs replace characters, and
        blocks of time replace runs where a subject has fewer than ``n_folds``.
    validation_fraction, validation_by, window_s, seed
        As in :func:`hold_out`.

    Returns
    -------
    Split

    Raises
    ------
    InputError
        If there is no such fold, or a fold would be empty.
    """
    if not isinstance(fold, int) or not 0 <= fold < n_folds or n_folds < 2:
        raise InputError(
            f"got fold={fold} of {n_folds}; expected at least two folds, and one of 0 to "
            f"{n_folds - 1}"
        )
    if by == "character" and flashes["character"].isna().all():
        by = "run" if _fewest(flashes, "run") >= n_folds else "block"
    unit = unit_of(flashes, by)
    part = np.empty(len(unit), int)
    for rows in [np.arange(len(unit))] if by == "subject" else _people(flashes):
        numbers = np.unique(unit[rows], return_inverse=True)[1]
        part[rows] = numbers * n_folds // (numbers.max() + 1)
    n_units = count_units(flashes, by) if by == "subject" else _fewest(flashes, by)
    if n_units < n_folds:
        raise InputError(
            f"{n_folds} folds by {by}: got {n_units} {by}s"
            f"{'' if by == 'subject' else ' of a subject'}; expected at least one per fold; "
            f"{f'set n_folds={n_units}, or ' if n_units > 1 else ''}divide by a smaller unit (by="
            "block: parts of a run)"
        )
    return _test_on(
        flashes,
        part,
        fold,
        f"fold {fold} of {n_folds}, by {by}",
        validation_fraction=validation_fraction,
        validation_by=validation_by,
        window_s=window_s,
        seed=[seed, fold],
    )


def leave_one_out(
    flashes: pd.DataFrame,
    *,
    fold: int,
    by: str = "run",
    validation_fraction: float = 0.15,
    validation_by: str = "character",
    window_s: tuple[float, float] = (0.0, 0.65),
    seed: int = 0,
) -> Split:
    """Test on one unit and train on all the others.

    Parameters
    ----------
    flashes : DataFrame
        The flash table.
    fold : int
        Which unit, from 0, in the order of the table; :func:`count_units` counts them.
    by, validation_fraction, validation_by, window_s, seed
        As in :func:`hold_out`.

    Returns
    -------
    Split

    Raises
    ------
    InputError
        If there is no such unit, or only one.
    """
    units, n_units = unit_of(flashes, by), count_units(flashes, by)
    if n_units < 2 or not 0 <= fold < n_units:
        raise InputError(
            f"leave one {by} out, fold {fold}: the recording has {n_units} {by}s; expected at "
            "least two and a fold below their number; blocks of time divide a single run (block)"
        )
    first = flashes[units == fold].iloc[0]
    place = f"block {fold}" if by == "block" else " ".join(f"{c} {first[c]}" for c in UNITS[by])
    return _test_on(
        flashes,
        units,
        fold,
        f"test {place}",
        validation_fraction=validation_fraction,
        validation_by=validation_by,
        window_s=window_s,
        seed=[seed, fold],
    )


def _test_on(flashes: pd.DataFrame, part: np.ndarray, fold: int, name: str, **how: Any) -> Split:
    """Split by the number of each flash's part; the part ``fold`` is the test part."""
    return replace(hold_out(flashes.assign(part=part), test={"part": [fold]}, **how), name=name)


def _people(flashes: pd.DataFrame) -> list[np.ndarray]:
    """Return the rows of each subject."""
    return rows_by(flashes["subject"].to_numpy(str))


def _fewest(flashes: pd.DataFrame, by: str) -> int:
    """Return the smallest number of units that a subject has."""
    unit = unit_of(flashes, by)
    return min(len(np.unique(unit[rows])) for rows in _people(flashes))
