"""Units that flashes are resampled with, and the AUC of any weighting of them.

The flashes of one character are not independent. Therefore the uncertainty of an AUC is computed
over *units*: characters, or blocks of time where there are none. Such an interval holds for the
same subjects on another day of spelling, not for other subjects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from p300.flashes import CHARACTER_KEY

if TYPE_CHECKING:
    import pandas as pd


def resampling_units(flashes: pd.DataFrame, block_s: float = 30.0) -> np.ndarray:
    """Return the unit that each flash is resampled with: its character, or a block of time.

    Parameters
    ----------
    flashes : DataFrame
        The flash table.
    block_s : float
        Length in seconds of the blocks that replace characters where flashes belong to none;
        about the duration of a character of 15 repetitions.

    Returns
    -------
    ndarray of int, shape (n_flashes,)
        Unit of each flash, from 0, in the order of the table.

    Examples
    --------
    >>> from p300.recording import flash_table
    >>> resampling_units(flash_table(onset=[0.0, 29.9, 30.0, 61.0])).tolist()
    [0, 0, 1, 2]
    """
    key = CHARACTER_KEY
    if unit_name(flashes) == "blocks":
        flashes = flashes.assign(block=flashes["onset"] // block_s)
        key = ["subject", "session", "run", "segment", "block"]
    return flashes.groupby(key, sort=False, dropna=False).ngroup().to_numpy()


def unit_name(flashes: pd.DataFrame) -> str:
    """Return what :func:`resampling_units` numbers: "characters" or "blocks".

    Examples
    --------
    >>> from p300.recording import flash_table
    >>> unit_name(flash_table(onset=[0.0, 29.9]))
    'blocks'
    """
    return "blocks" if flashes["character"].isna().any() else "characters"


def auc_counts(
    is_target: ArrayLike, scores: ArrayLike, unit: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count how often the targets of one unit score above the nontargets of another.

    The AUC of any weighting of the units is then one product (:func:`weighted_auc`). So
    leaving out each unit in turn costs as little as one AUC.

    Parameters
    ----------
    is_target : array-like of bool, shape (n_flashes,)
        Labels.
    scores : array-like of float, shape (n_flashes,)
        Larger = more target-like.
    unit : array-like of int, shape (n_flashes,)
        Unit of each flash, 0 to ``n_units - 1``.

    Returns
    -------
    wins : ndarray, shape (n_units, n_units)
        Pairs (target of the row's unit, nontarget of the column's) that are in the right
        order; ties count one half.
    n_targets, n_nontargets : ndarray of int, shape (n_units,)
    """
    is_target, scores, unit = np.asarray(is_target, bool), np.asarray(scores), np.asarray(unit)
    n_units = int(unit.max()) + 1
    wins = np.zeros((n_units, n_units))
    targets, target_unit = scores[is_target], unit[is_target]
    for k in range(n_units):
        nontargets = np.sort(scores[~is_target & (unit == k)])
        n_below, n_up_to = (nontargets.searchsorted(targets, side) for side in ("left", "right"))
        wins[:, k] = np.bincount(target_unit, (n_below + n_up_to) / 2, n_units)
    n_targets = np.bincount(target_unit, minlength=n_units)
    return wins, n_targets, np.bincount(unit[~is_target], minlength=n_units)


def weighted_auc(
    wins: np.ndarray, n_targets: np.ndarray, n_nontargets: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Compute the AUC of each weighting of the units of :func:`auc_counts`.

    Parameters
    ----------
    wins, n_targets, n_nontargets
        Output of :func:`auc_counts`; ``wins`` may be a mean over several detectors' scores.
    weights : ndarray, shape (n_draws, n_units)
        How much each unit counts: ones for the AUC itself, 0 where a unit is left out.

    Returns
    -------
    ndarray, shape (n_draws,)
        ``nan`` where a class is missing in a draw.

    Examples
    --------
    >>> counts = auc_counts([False, False, True, True], [0.1, 0.4, 0.35, 0.8], [0, 1, 0, 1])
    >>> weighted_auc(*counts, np.ones((1, 2))).tolist()
    [0.75]
    """
    right = ((weights @ wins) * weights).sum(axis=1)
    pairs = (weights @ n_targets) * (weights @ n_nontargets)
    return np.divide(right, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)
