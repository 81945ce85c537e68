"""Confidence intervals over characters, paired tests over subjects, and calibration.

The uncertainty of an AUC is computed over *units* that are drawn with replacement: characters,
since the flashes of one character are not independent. Such an interval holds for the same
subjects on another day of spelling, not for other subjects.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from p300.recording import CHARACTER_KEY

if TYPE_CHECKING:
    import pandas as pd

#: With fewer subjects a signed-rank test cannot be significant: 2 / 2**5 > 0.05.
MIN_SUBJECTS = 6


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
    if flashes["character"].isna().any():
        flashes = flashes.assign(block=flashes["onset"] // block_s)
        key = ["subject", "session", "run", "segment", "block"]
    return flashes.groupby(key, sort=False, dropna=False).ngroup().to_numpy()


def bootstrap_weights(n_units: int, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """Draw how often each unit occurs in each bootstrap sample.

    Returns
    -------
    ndarray of int, shape (n_draws, n_units)
        Every row sums to ``n_units``.
    """
    return rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=n_draws)


def auc_counts(
    is_target: ArrayLike, scores: ArrayLike, unit: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count how often the targets of one unit score above the nontargets of another.

    The AUC of any weighting of the units is then one product (:func:`weighted_auc`). So
    thousands of bootstrap samples cost as little as one.

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
        Output of :func:`bootstrap_weights`; ones for the AUC itself.

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


def interval(draws: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """Compute the percentile interval of bootstrap draws; ``nan`` draws are left out.

    Examples
    --------
    >>> interval(np.arange(101), 0.5)
    (25.0, 75.0)
    """
    values = np.asarray(draws, float)
    values = values[np.isfinite(values)]
    if not len(values):
        return math.nan, math.nan
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def signed_rank_test(differences: ArrayLike) -> float:
    """Test whether the paired differences are centred on 0 (Wilcoxon signed-rank, two-sided).

    Parameters
    ----------
    differences : array-like of float, shape (n_subjects,)
        One paired difference per subject.

    Returns
    -------
    float
        The p-value; ``nan`` for fewer than :data:`MIN_SUBJECTS` subjects, with whom no result
        can reach 0.05.

    Examples
    --------
    >>> signed_rank_test([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])  # 2 / 2**6
    0.03125
    """
    from scipy.stats import wilcoxon

    differences = np.asarray(differences, float)
    if len(differences) < MIN_SUBJECTS:
        return math.nan
    if not differences.any():
        return 1.0
    return float(wilcoxon(differences).pvalue)


def holm(p_values: ArrayLike) -> np.ndarray:
    """Correct p-values for multiple comparisons by Holm's step-down method.

    Parameters
    ----------
    p_values : array-like of float, shape (n_tests,)
        ``nan`` for tests that were not made; they stay ``nan`` and do not count.

    Returns
    -------
    ndarray, shape (n_tests,)

    Notes
    -----
    S. Holm, Scand J Statist 6:65 (1979).

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p_values = np.asarray(p_values, float)
    corrected = np.full(p_values.shape, np.nan)
    made = np.flatnonzero(np.isfinite(p_values))
    order = made[np.argsort(p_values[made], kind="stable")]
    scaled = p_values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return corrected


def calibration_error(is_target: ArrayLike, log_odds: ArrayLike, *, n_bins: int = 10) -> float:
    """Compute the expected calibration error of probabilities, given as log odds.

    Parameters
    ----------
    is_target : array-like of bool, shape (n_flashes,)
        Labels.
    log_odds : array-like of float, shape (n_flashes,)
        Log odds of a target, as the detector estimates them.
    n_bins : int
        Bins of equal width between 0 and 1.

    Returns
    -------
    float
        Mean over flashes of |mean probability - fraction of targets| in the flash's bin; 0 is
        perfect.

    Notes
    -----
    C. Guo et al., "On calibration of modern neural networks", ICML 2017, eq. (3).

    Examples
    --------
    >>> calibration_error([True, False], [0.0, 0.0]), calibration_error([True, False], [-99, 99])
    (0.0, 1.0)
    """
    from scipy.special import expit

    probability = expit(np.asarray(log_odds, float))
    bins = np.minimum((probability * n_bins).astype(int), n_bins - 1)
    excess = np.bincount(bins, probability - np.asarray(is_target, bool))
    return float(np.abs(excess).sum() / len(probability))


def brier_score(is_target: ArrayLike, log_odds: ArrayLike) -> float:
    """Compute the mean squared error of probabilities, given as log odds.

    A constant probability equal to the fraction q of targets scores q (1 - q): 0.139 on a 6 x 6
    matrix.

    Examples
    --------
    >>> brier_score([True, False, False], [0.0, 0.0, 0.0])
    0.25
    """
    from scipy.special import expit

    errors = expit(np.asarray(log_odds, float)) - np.asarray(is_target, bool)
    return float(np.square(errors).mean())
