"""Which flashes train, which validate and which test; a character is never split.

A split is made on the flash table, before any signal is cut. Units (characters, runs,
sessions, subjects) go to one side whole, validation is taken from the training side, and
training or validation flashes whose epoch shares a raw sample with a test epoch are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.proposals import Proposal
from p300.splits.units import finer_units, unit_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of a flash table for training, validation and test.

    Parameters
    ----------
    train, validation, test : ndarray of bool, each of shape (n_flashes,)
        No row is in two of them; a row may be in none.
    name : str
        Name in messages and reports.
    before : ndarray of bool, shape (n_flashes,), or None
        Unlabelled flashes of the tested people, which a detector that learns while it spells
        reads before the test part.

    Raises
    ------
    InputError
        If a row is used twice.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    name: str = "split"
    before: np.ndarray | None = None

    def __post_init__(self) -> None:
        parts = [self.train, self.validation, self.test]
        parts += [] if self.before is None else [self.before]
        n_twice = int((np.sum(parts, axis=0) > 1).sum())
        if n_twice:
            raise InputError(
                f"{self.name}: {n_twice} flashes are in two parts; expected each in one at most"
            )

    def without_validation(self) -> Split:
        """Return the split with validation moved to training, for detectors that do not use it."""
        none = np.zeros_like(self.validation)
        return replace(self, train=self.train | self.validation, validation=none)

    def __str__(self) -> str:
        counts = (f"{part} {getattr(self, part).sum()}" for part in PARTS)
        return f"{self.name}: {', '.join(counts)} flashes"


#: What a flash can be used for.
PARTS = ("train", "validation", "test")


def hold_out(
    flashes: pd.DataFrame,
    *,
    test: Mapping[str, Sequence] | None = None,
    by: str | None = None,
    test_fraction: float | None = None,
    validation_fraction: float = 0.15,
    validation_by: str = "character",
    n_characters: int | None = None,
    window_s: tuple[float, float] = (0.0, 0.65),
    seed: int | Sequence[int] = 0,
) -> Split:
    """Hold out a test part, then a validation part from what is left.

    Parameters
    ----------
    flashes : DataFrame
        The flash table.
    test : mapping of column to values, or None
        Flashes that match in every column are the test part ("session": ["12"]). None draws
        ``test_fraction`` of the units ``by`` instead, a quarter of the characters if not given.
    by, validation_by : {"subject", "session", "run", "character", "block"}
        The unit that goes to one side as a whole. Where flashes belong to no character (a plain
        oddball), runs replace characters, and blocks of time a single run
        (:data:`p300.splits.units.N_BLOCKS`).
    test_fraction, validation_fraction : float
        Fraction of the units drawn (at least one, and at least one is left); validation is drawn
        from the training side. 0 leaves the part empty.
    n_characters : int or None
        Keep only this number of first characters of each subject's training side, as after a
        short calibration; the test part stays the same. A single character leaves the
        validation part empty, since a character is never split.
    window_s : (float, float)
        The epoch around each onset, [tmin, tmax) in seconds, to find shared raw samples.
    seed : int or sequence of int
        Random seed of the draws.

    Returns
    -------
    Split

    Raises
    ------
    InputError
        If a column or value is not in the table, a fraction is not in [0, 1), there are too few
        units to divide, or the test part is both named and to be drawn.
    """
    rng, usable = np.random.default_rng(seed), np.ones(len(flashes), bool)
    if test is not None and (by, test_fraction) != (None, None):
        raise InputError(
            f"got test={dict(test)}, which names the test part, and "
            f"{f'by={by}' if by else f'test_fraction={test_fraction}'}, which draws it; expected "
            "one of them; leave out test to draw it (split=by_character, by_run, by_block, "
            "by_session or by_subject)"
        )
    if test is None:
        by, test_fraction = by or "character", 0.25 if test_fraction is None else test_fraction
        by = _divisible(flashes, usable, by)
        is_test = _drawn(flashes, usable, by, test_fraction, rng, "test")
        name = f"{test_fraction:g} of the {by}s held out, seed {seed}"
    else:
        named = {column: _listed(values) for column, values in test.items()}
        is_test = _matching(flashes, named)
        name = "test " + ", ".join(f"{k} {'+'.join(v)}" for k, v in named.items())
    if n_characters is not None:
        usable = first_characters(flashes, ~is_test, n_characters)
        validation_fraction = 0 if n_characters == 1 else validation_fraction
        name += f", first {n_characters} training characters"
    rest = usable & ~is_test & ~shares_samples(flashes, is_test, window_s)
    validation_by = _divisible(flashes, rest, validation_by)
    validation = _drawn(flashes, rest, validation_by, validation_fraction, rng, "validation")
    train = rest & ~validation & ~shares_samples(flashes, validation, window_s)
    return Split(train, validation, is_test, name)


def first_characters(flashes: pd.DataFrame, rows: np.ndarray, n: int) -> np.ndarray:
    """Select the first n characters of each subject among some flashes.

    Parameters
    ----------
    flashes : DataFrame
        The flash table, in the order of the recording.
    rows : ndarray of bool, shape (n_flashes,)
        The flashes to select from.
    n : int
        Characters per subject; runs, where flashes belong to no character.

    Returns
    -------
    ndarray of bool, shape (n_flashes,)

    Raises
    ------
    InputError
        If a subject has fewer, or ``n`` is less than 1.
    """
    unit, subject = unit_of(flashes, "character"), flashes["subject"].to_numpy()
    kept = np.zeros(len(flashes), bool)
    for name in dict.fromkeys(subject[rows]):
        own = rows & (subject == name)
        units = np.unique(unit[own])  # numbered in the order of the table
        if not 1 <= n <= len(units):
            raise InputError(
                f"got n_characters={n} and {len(units)} training characters of subject {name}; "
                f"expected 1 to {len(units)}"
            )
        kept |= own & np.isin(unit, units[:n])
    return kept


def shares_samples(
    flashes: pd.DataFrame, rows: np.ndarray, window_s: tuple[float, float]
) -> np.ndarray:
    """Find the flashes whose epoch shares raw samples with an epoch of ``rows``.

    Parameters
    ----------
    flashes : DataFrame
        The flash table.
    rows : ndarray of bool, shape (n_flashes,)
        The flashes to compare with.
    window_s : (float, float)
        The epoch around each onset, [tmin, tmax) in seconds.

    Returns
    -------
    ndarray of bool, shape (n_flashes,)
        True for ``rows`` themselves too.

    Examples
    --------
    >>> from p300.recording import flash_table
    >>> flashes = flash_table(onset=[0.0, 0.5, 1.0])
    >>> shares_samples(flashes, np.array([True, False, False]), (0.0, 0.65)).tolist()
    [True, True, False]
    """
    length = window_s[1] - window_s[0]
    onset, segment = flashes["onset"].to_numpy(), flashes["segment"].to_numpy()
    shares = rows.copy()
    for k in np.unique(segment[rows]):
        here = segment == k
        others = np.sort(onset[here & rows])
        after = np.searchsorted(others, onset[here])
        neighbours = others[np.clip([after - 1, after], 0, len(others) - 1)]
        # half-open windows that only touch share nothing; 1 µs absorbs rounding of the onsets
        shares[here] |= np.abs(neighbours - onset[here]).min(axis=0) < length - 1e-6
    return shares


def is_maximised(monitor: str) -> bool:
    """Return whether the best value is the largest, as for an AUC, or the smallest.

    Examples
    --------
    >>> is_maximised("validation/auc"), is_maximised("validation/loss")
    (True, False)
    """
    return not monitor.endswith("loss")


def check_monitor(monitor: str) -> None:
    """Check that a network is chosen by the validation loss or AUC.

    Raises
    ------
    InputError
        For any other value; a test value has a message of its own.
    """
    if monitor not in ("validation/auc", "validation/loss"):
        by_test = "would choose the network by its test result"
        reason = by_test if monitor.startswith("test") else "is not computed"
        raise InputError(
            f"monitor {monitor!r} {reason}; expected 'validation/auc' or 'validation/loss'"
        )


def _drawn(
    flashes: pd.DataFrame,
    among: np.ndarray,
    by: str,
    fraction: float,
    rng: np.random.Generator,
    what: str,
) -> np.ndarray:
    if not 0 <= fraction < 1:
        raise InputError(f"got {what}_fraction={fraction:g}; expected at least 0 and less than 1")
    if fraction == 0:
        return np.zeros_like(among)
    unit = unit_of(flashes, by)
    units = np.unique(unit[among])
    if len(units) < 2:
        name, group = ("by", "split") if what == "test" else ("validation_by", "protocol")
        ways = finer_units(flashes[among], by, 2, name)
        ways.append(Proposal(f"{what}_fraction", 0, f"{group}.{what}_fraction"))
        raise InputError(
            f"{what}: {len(units)} {by} to draw from, which cannot be divided; expected at least "
            f"two; set {' or '.join(map(str, ways))}",
            ways,
        )
    n_drawn = min(max(1, round(fraction * len(units))), len(units) - 1)
    return among & np.isin(unit, rng.choice(units, n_drawn, replace=False))


def _divisible(flashes: pd.DataFrame, among: np.ndarray, by: str) -> str:
    """Return the unit to draw; blocks of time for characters in an oddball of a single run."""
    if by == "character" and flashes["character"].isna().all():
        runs = unit_of(flashes, "run")[among]
        return "block" if len(np.unique(runs)) == 1 else "run"
    return by


def _listed(values: Any) -> list[str]:
    """Return the values as text; a single one is a list of one, and 1.0 is "1"."""
    several = [values] if isinstance(values, str) or not np.ndim(values) else list(values)
    is_whole = [isinstance(v, float | np.floating) and float(v).is_integer() for v in several]
    return [str(int(v) if whole else v) for v, whole in zip(several, is_whole, strict=True)]


def _matching(flashes: pd.DataFrame, wanted: Mapping[str, Sequence[str]]) -> np.ndarray:
    rows = np.ones(len(flashes), bool)
    for column, values in wanted.items():
        if column == "is_target":
            raise InputError(
                "test: got the labels (is_target); expected a test part with both classes, such "
                "as subject, session, run or character"
            )
        if column not in flashes:
            raise InputError(f"test: no column {column!r}; expected some of {list(flashes)}")
        have = flashes[column].astype(str)
        absent = sorted(set(values) - set(have))
        if absent:
            raise InputError(
                f"test: {column} {absent} is not in the recording; expected some of "
                f"{sorted(have.unique())[:20]}"
            )
        rows &= have.isin(values).to_numpy()
    if not rows.any() or rows.all():
        n_found = f"{rows.sum()} of {len(rows)} flashes match"
        raise InputError(f"test {dict(wanted)}: {n_found}; expected some, not all")
    return rows
