"""A split for somebody new: the others train, with a few characters of the person's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.splits.folds import held_out
from p300.splits.splits import PARTS, Split, first_characters, shares_samples
from p300.splits.units import count_units, unit_of

if TYPE_CHECKING:
    import pandas as pd


def new_person(
    flashes: pd.DataFrame,
    *,
    fold: int,
    n_own: int = 0,
    n_reserved: int = 5,
    n_people: int | None = None,
    is_labelled: bool = True,
    by: str = "subject",
    seed: int = 0,
    **validation: Any,
) -> Split:
    """Test on one person, and train on others and on the person's first characters.

    Parameters
    ----------
    flashes : DataFrame
        The flash table.
    fold : int
        Which person is new, from 0, in the order of the table.
    n_own : int
        Their first characters that are used; 0 for none.
    n_reserved : int
        Their first characters that are never tested, so that any ``n_own`` up to it is tested on
        the same flashes.
    n_people : int or None
        Other people, drawn at random; None for all, 0 for none.
    is_labelled : bool
        Whether the own characters train. Otherwise a detector that learns while it spells reads
        them before the test part, as :attr:`Split.before`.
    by : {"subject"}
        The unit of the folds.
    seed, **validation
        As in :func:`~p300.splits.k_fold`.

    Returns
    -------
    Split

    Raises
    ------
    InputError
        If there is no such person, or too few people or characters.
    """
    if by != "subject":
        raise InputError(f"new person: got by={by}; expected by=subject")
    n_subjects = count_units(flashes, "subject")
    if not isinstance(fold, int) or not 0 <= fold < n_subjects or n_subjects < 2:
        raise InputError(
            f"new person: got fold={fold} of {n_subjects} people; expected at least two, and one "
            f"of 0 to {n_subjects - 1}"
        )
    if not 0 <= n_own <= n_reserved:
        raise InputError(
            f"got n_own={n_own}; expected 0 to n_reserved={n_reserved}, which are never tested"
        )
    unit = unit_of(flashes, "subject")
    is_person = unit == fold
    reserved = np.zeros(len(flashes), bool)
    if n_reserved:
        reserved = first_characters(flashes, is_person, n_reserved)
    is_test = is_person & ~reserved
    if not is_test.any():
        raise InputError(
            f"got n_reserved={n_reserved}, which are all characters of a person; expected fewer, "
            "so that some are left to test"
        )
    own = first_characters(flashes, is_person, n_own) if n_own else np.zeros_like(is_test)
    others = np.flatnonzero(np.arange(n_subjects) != fold)
    if n_people is not None:
        fewest = 0 if n_own and is_labelled else 1
        if not fewest <= n_people <= len(others):
            raise InputError(
                f"got n_people={n_people}; expected {fewest} to {len(others)}, the other people"
            )
        others = np.random.default_rng([seed, fold]).permutation(others)[:n_people]
    used = np.isin(unit, others) | (own if is_labelled else np.zeros_like(own))
    rows = is_test | used  # nothing else is drawn for validation
    person = flashes["subject"][is_person].iloc[0]
    how = f"{n_own} own characters{'' if is_labelled else ' without labels'}"
    name = f"test subject {person}, {how}, {len(others)} other people"
    split = held_out(flashes[rows], is_test[rows], name, seed=[seed, fold], **validation)
    parts = {part: np.zeros(len(flashes), bool) for part in PARTS}
    for part, whole in parts.items():
        whole[rows] = getattr(split, part)
    window_s = validation.get("window_s", (0.0, 0.65))
    before = None
    if n_own and not is_labelled:
        before = own & ~shares_samples(flashes, is_test, window_s)
    return Split(**parts, name=name, before=before)
