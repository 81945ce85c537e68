"""Units of the flash table; division of a training part into ensemble members and folds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.flashes import CHARACTER_KEY, rows_by
from p300.proposals import Proposal

if TYPE_CHECKING:
    import pandas as pd

#: The columns that name one unit of each kind.
UNITS = {
    "subject": ["subject"],
    "session": ["subject", "session"],
    "run": ["subject", "session", "run"],
    "character": CHARACTER_KEY,
}

#: Blocks of time into which a run is divided: flashes that follow each other, equally many.
N_BLOCKS = 10


def unit_of(flashes: pd.DataFrame, by: str) -> np.ndarray:
    """Return the number of each flash's unit; in an oddball, runs replace characters.

    A block is one of :data:`N_BLOCKS` parts of a run, equal in flashes, in the order of time.

    Parameters
    ----------
    flashes : DataFrame
        The flash table.
    by : {"subject", "session", "run", "character", "block"}
        The kind of unit.

    Returns
    -------
    ndarray of int, shape (n_flashes,)

    Raises
    ------
    InputError
        If there is no such kind of unit.
    """
    if by == "block":
        return _blocks(flashes)
    if by not in UNITS:
        raise InputError(f"split by {by!r}; expected one of {[*UNITS, 'block']}")
    if by == "character" and flashes["character"].isna().all():
        by = "run"
    return flashes.groupby(UNITS[by], sort=False, dropna=False).ngroup().to_numpy()


def count_units(flashes: pd.DataFrame, by: str) -> int:
    """Count the subjects, sessions, runs or characters of a flash table."""
    return int(unit_of(flashes, by).max()) + 1


def people(flashes: pd.DataFrame) -> list[np.ndarray]:
    """Return the rows of each subject."""
    return rows_by(flashes["subject"].to_numpy(str))


def fewest_units(flashes: pd.DataFrame, by: str) -> int:
    """Return the smallest number of units that a subject has."""
    unit = unit_of(flashes, by)
    return min(len(np.unique(unit[rows])) for rows in people(flashes))


def finer_units(flashes: pd.DataFrame, by: str, n: int, name: str = "by") -> list[Proposal]:
    """Propose, for the argument ``name``, a smaller unit of which each subject has ``n``, or none.

    Examples
    --------
    >>> from p300.recording import flash_table
    >>> flashes = flash_table(onset=[0.0, 1.0, 2.0, 3.0], run=[1, 1, 2, 2])
    >>> [str(one) for one in finer_units(flashes, "session", 2)]
    ["by='run'"]
    """
    spells = flashes["character"].notna().any()
    known = ["subject", "session", "run", "character" if spells else "block"]
    finer = known[known.index(by) + 1 :] if by in known else []
    found = [Proposal(name, u, f"split.{name}") for u in finer if fewest_units(flashes, u) >= n]
    return found[:1]


def _blocks(flashes: pd.DataFrame) -> np.ndarray:
    """Return the number of each flash's block, over all runs in the order of the table.

    Raises
    ------
    InputError
        If a character would lie in two blocks.
    """
    run = flashes.groupby(UNITS["run"], sort=False, dropna=False).ngroup().to_numpy()
    place = np.lexsort((flashes["onset"], flashes["segment"], run))
    n = np.bincount(run)
    within = np.empty(len(run), int)
    within[place] = np.concatenate([np.arange(size) for size in n]) if len(n) else []
    block = run * N_BLOCKS + within * N_BLOCKS // n[run]
    spelled = flashes[CHARACTER_KEY].assign(block=block)[flashes["character"].notna()]
    n_blocks = spelled.groupby(CHARACTER_KEY, sort=False, dropna=False)["block"].nunique()
    if n_divided := int((n_blocks > 1).sum()):
        raise InputError(
            f"split by block: {n_divided} of {len(n_blocks)} characters lie in several blocks; "
            "expected whole characters on each side; divide by character (split.by=character "
            "split.validation_by=character)"
        )
    return block


def blocks_of_both_classes(is_target: np.ndarray) -> np.ndarray:
    """Return the number of each flash's block, where nothing but the labels is known.

    The flashes of each class are cut into :data:`N_BLOCKS` consecutive parts, or as many as the
    rarer class has flashes. A block is one part of each class. In the order of a recording it is
    a stretch of time; flashes that are sorted by their label have both labels in every block.

    Parameters
    ----------
    is_target : ndarray of bool, shape (n_flashes,)
        Labels.

    Returns
    -------
    ndarray of int, shape (n_flashes,)

    Examples
    --------
    >>> blocks_of_both_classes(np.array([False, True, False, False, True, False])).tolist()
    [0, 0, 0, 1, 1, 1]
    """
    blocks = np.empty(len(is_target), int)
    classes = [np.flatnonzero(is_target == label) for label in (False, True)]
    n_blocks = max(1, min(N_BLOCKS, *map(len, classes)))
    for rows in classes:
        blocks[rows] = np.arange(len(rows)) * n_blocks // max(1, len(rows))
    return blocks


def member_rows(
    flashes: pd.DataFrame,
    train: np.ndarray,
    *,
    n_members: int = 1,
    share: str = "all",
    seed: int = 0,
) -> list[np.ndarray]:
    """Divide the training flashes among the members of an ensemble.

    Parameters
    ----------
    flashes : DataFrame
        The flash table.
    train : ndarray of bool, shape (n_flashes,)
        The training part.
    n_members : int
        Networks in the ensemble.
    share : {"all", "nontarget_fifths", "consecutive"}
        ``all``: every member gets all flashes (MCNN-3). ``nontarget_fifths``: all targets and
        one of ``n_members`` equal random parts of the nontargets (MCNN-1). ``consecutive``: one
        of ``n_members`` equal blocks of consecutive characters (MCNN-2).
    seed : int
        Random seed of the random parts.

    Returns
    -------
    list of ndarray of bool
        One mask per member.

    Notes
    -----
    Cecotti & Graeser 2011, section 4.1. The paper does not say whether MCNN-1's fifths are
    random or consecutive; they are random here.
    """
    if n_members < 1:
        raise InputError(f"got n_members={n_members} of an ensemble; expected at least 1")
    if share == "all":
        return [train.copy() for _ in range(n_members)]
    if share == "nontarget_fifths":
        shared = train & flashes["is_target"].fillna(False).to_numpy(bool)
        unit = np.arange(len(flashes))
        kept = np.random.default_rng(seed).permutation(np.flatnonzero(train & ~shared))
    elif share == "consecutive":
        shared, unit = np.zeros_like(train), unit_of(flashes, "character")
        kept = np.unique(unit[train])
        if len(kept) < n_members:
            fewer = Proposal("n_members", len(kept), "ensemble.n_members")
            raise InputError(
                f"{len(kept)} training characters for {n_members} members; expected at least one "
                f"per member; set {fewer}",
                [fewer],
            )
    else:
        raise InputError(
            f"got share={share!r}; expected 'all', 'nontarget_fifths' or 'consecutive'"
        )
    return [shared | (train & np.isin(unit, part)) for part in np.array_split(kept, n_members)]


def inner_folds(flashes: pd.DataFrame, rows: np.ndarray, k: int = 5) -> np.ndarray:
    """Divide a training part into folds, used to choose parameters and to combine members.

    Parameters
    ----------
    flashes : DataFrame
        The flash table, in the order of the recording.
    rows : ndarray of bool, shape (n_flashes,)
        The training part.
    k : int
        Number of folds, at least two; fewer where there are fewer units.

    Returns
    -------
    ndarray of int, shape (n_flashes,)
        The fold of each training flash, from 0; -1 elsewhere. Folds are blocks of consecutive
        whole subjects if there are several, otherwise of characters, in an oddball of runs. A
        single unit is cut into two halves in time.

    Raises
    ------
    InputError
        If there are fewer than two flashes or folds.
    """
    if rows.sum() < 2 or k < 2:
        raise InputError(f"{k} inner folds of {rows.sum()} flashes; expected at least two of each")
    by = "subject" if flashes["subject"][rows].nunique() > 1 else "character"
    unit = np.unique(unit_of(flashes, by)[rows], return_inverse=True)[1]
    if unit.max() == 0:
        unit, k = np.arange(len(unit)), 2
    n_units = unit.max() + 1
    folds = np.full(len(flashes), -1)
    folds[rows] = unit * min(k, n_units) // n_units
    return folds
