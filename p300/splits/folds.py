"""Splits of a cross-validation: each fold tests another part of the units, trains on the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.proposals import Proposal
from p300.splits.splits import Split, hold_out
from p300.splits.units import (
    UNITS,
    count_units,
    fewest_units,
    finer_units,
    people,
    unit_of,
)

if TYPE_CHECKING:
    import pandas as pd


def k_fold(
    flashes: pd.DataFrame,
    *,
    fold: int,
    n_folds: int = 5,
    by: str = "character",
    seed: int = 0,
    **validation: Any,
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
    seed, **validation
        Seed, ``validation_fraction``, ``validation_by`` and ``window_s`` of :func:`hold_out`.

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
        by = "run" if fewest_units(flashes, "run") >= n_folds else "block"
    unit = unit_of(flashes, by)
    part = np.empty(len(unit), int)
    for rows in [np.arange(len(unit))] if by == "subject" else people(flashes):
        numbers = np.unique(unit[rows], return_inverse=True)[1]
        part[rows] = numbers * n_folds // (numbers.max() + 1)
    n_units = count_units(flashes, by) if by == "subject" else fewest_units(flashes, by)
    if n_units < n_folds:
        ways = [Proposal("n_folds", n_units, "split.n_folds")] if n_units > 1 else []
        ways += finer_units(flashes, by, n_folds)
        raise InputError(
            f"{n_folds} folds by {by}: got {n_units} {by}s"
            f"{'' if by == 'subject' else ' of a subject'}; expected at least one per fold; set "
            f"{' or '.join(map(str, ways)) or 'fewer folds'}",
            ways,
        )
    name = f"fold {fold} of {n_folds}, by {by}"
    return held_out(flashes, part == fold, name, seed=[seed, fold], **validation)


def leave_one_out(
    flashes: pd.DataFrame, *, fold: int, by: str = "run", seed: int = 0, **validation: Any
) -> Split:
    """Test on one unit and train on all the others.

    Parameters
    ----------
    flashes : DataFrame
        The flash table.
    fold : int
        Which unit, from 0, in the order of the table; :func:`count_units` counts them.
    by : {"subject", "session", "run", "character", "block"}
        The unit. In an oddball, runs replace characters.
    seed, **validation
        As in :func:`k_fold`.

    Returns
    -------
    Split

    Raises
    ------
    InputError
        If there is no such unit, or only one.
    """
    if by == "character" and flashes["character"].isna().all():
        by = "run"
    unit = unit_of(flashes, by)
    n_units = count_units(flashes, by)
    if n_units < 2:
        ways = finer_units(flashes, by, 2)
        raise InputError(
            f"leave one {by} out: got {n_units} {by}; expected at least two"
            f"{'; set ' if ways else ''}{''.join(map(str, ways))}",
            ways,
        )
    if not isinstance(fold, int) or not 0 <= fold < n_units:
        raise InputError(
            f"leave one {by} out: got fold={fold} of {n_units} {by}s; expected one of 0 to "
            f"{n_units - 1}"
        )
    first = flashes[unit == fold].iloc[0]
    place = f"block {fold}" if by == "block" else " ".join(f"{c} {first[c]}" for c in UNITS[by])
    return held_out(flashes, unit == fold, f"test {place}", seed=[seed, fold], **validation)


def held_out(flashes: pd.DataFrame, is_test: np.ndarray, name: str, **how: Any) -> Split:
    """Split into the test part, and training and validation part of the others."""
    part = flashes.assign(part=np.where(is_test, "test", "other"))
    return replace(hold_out(part, test={"part": ["test"]}, **how), name=name)
