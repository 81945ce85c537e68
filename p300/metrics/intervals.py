"""How sure a number is: intervals over characters, paired tests over people, calibration.

The uncertainty of an AUC is taken over *units* that are drawn with replacement: characters,
since the flashes of one character are not independent. Such an interval speaks of these
people on another day of spelling, not of other people.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from p300.recording import CHARACTER_KEY

if TYPE_CHECKING:
    import pandas as pd

#: Fewer people cannot differ significantly in a signed-rank test: 2 / 2**5 > 0.05.
MIN_SUBJECTS = 6


def resampling_units(flashes: pd.DataFrame, block_s: float = 30.0) -> np.ndarray:
    """Give a number to the stretches of a recording that are resampled whole.

    Parameters
    ----------
    flashes : DataFrame
        The flash table.
    block_s : float
        Where flashes belong to no character, length of the blocks that take their place; about
        what a character of 15 repetitions lasts.

    Returns
    -------
    ndarray of int, shape (n_flashes,)
        From 0, in the order of the table.

    Examples
    --------
    >>> from p300.recording import flash_table
    >>> resampling_units(flash_table(onset=[0.0, 29.9, 30.0, 61.0])).tolist()
    [0, 0, 1, 2]
    """
    key = CHARACTER_KEY
    if flashes["character"].isna().any():
        block = (flashes["onset"] // block_s).astype(int)
        flashes, key = (
            flashes.assign(block=block),
            ["subject", "session", "run", "segment", "block"],
        )
    return flashes.groupby(key, sort=False, dropna=False).ngroup().to_numpy()


def bootstrap_weights(n_units: int, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """Draw how often each unit occurs in each bootstrap sample.

    Returns
    -------
    ndarray of int, shape (n_draws, n_units)
        Every row sums to ``n_units``.
    """
    return rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=n_draws)


def auc_counts(is_target, scores, unit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count how often the targets of one unit score above the nontargets of another.

    Any weighting of units then has its AUC in one product (:func:`weighted_auc`), which makes
    thousands of bootstrap samples as cheap as one.

    Parameters
    ----------
    is_target : array-like of bool, shape (n_flashes,)
        The truth.
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
        below = np.searchsorted(nontargets, targets, "left")
        up_to = np.searchsorted(nontargets, targets, "right")
        wins[:, k] = np.bincount(target_unit, (below + up_to) / 2, n_units)
    return wins, *(np.bincount(unit[rows], minlength=n_units) for rows in (is_target, ~is_target))


def weighted_auc(wins, n_targets, n_nontargets, weights) -> np.ndarray:
    """Compute the AUC of each weighting of the units of :func:`auc_counts`.

    Parameters
    ----------
    wins, n_targets, n_nontargets
        Of :func:`auc_counts`; ``wins`` may be a mean over several detectors' scores.
    weights : ndarray, shape (n_draws, n_units)
        Of :func:`bootstrap_weights`; ones give the AUC itself.

    Returns
    -------
    ndarray, shape (n_draws,)
        ``nan`` where a draw misses a class.

    Examples
    --------
    >>> counts = auc_counts([False, False, True, True], [0.1, 0.4, 0.35, 0.8], [0, 1, 0, 1])
    >>> weighted_auc(*counts, np.ones((1, 2))).tolist()
    [0.75]
    """
    right = ((weights @ wins) * weights).sum(axis=1)
    pairs = (weights @ n_targets) * (weights @ n_nontargets)
    return np.divide(right, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


def interval(draws, confidence: float = 0.95) -> tuple[float, float]:
    """Take the percentile interval of bootstrap draws; ``nan`` draws are left out.

    Examples
    --------
    >>> interval(np.arange(101), 0.5)
    (25.0, 75.0)
    """
    draws = np.asarray(draws, float)
    draws = draws[np.isfinite(draws)]
    if not len(draws):
        return math.nan, math.nan
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def signed_rank_test(differences) -> float:
    """Test whether people differ in one direction (Wilcoxon, two-sided).

    Parameters
    ----------
    differences : array-like of float, shape (n_subjects,)
        One paired difference a person.

    Returns
    -------
    float
        The p-value; ``nan`` for fewer than :data:`MIN_SUBJECTS` people, who cannot reach 0.05
        whatever they do.

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


def holm(p_values) -> np.ndarray:
    """Correct p-values for their number by Holm's step-down rule.

    Parameters
    ----------
    p_values : array-like of float, shape (n_tests,)
        ``nan`` for tests that were not made; they stay so and do not count.

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


def calibration_error(is_target, log_odds, *, n_bins: int = 10) -> float:
    """Compute the expected calibration error of probabilities, given as log odds.

    Parameters
    ----------
    is_target : array-like of bool, shape (n_flashes,)
        The truth.
    log_odds : array-like of float, shape (n_flashes,)
        Of a target, as the detector reckons.
    n_bins : int
        Bins of equal width between 0 and 1.

    Returns
    -------
    float
        Mean over flashes of |mean probability - share of targets| of the flash's bin; 0 is
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


def brier_score(is_target, log_odds) -> float:
    """Compute the mean square error of probabilities, given as log odds.

    Always naming the share q of targets gives q (1 - q): 0.139 on a 6 x 6 matrix.

    Examples
    --------
    >>> brier_score([True, False, False], [0.0, 0.0, 0.0])
    0.25
    """
    from scipy.special import expit

    return float(
        np.square(expit(np.asarray(log_odds, float)) - np.asarray(is_target, bool)).mean()
    )
