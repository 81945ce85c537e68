"""Paired tests over subjects, and their correction for many comparisons."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

#: With fewer subjects a signed-rank test cannot be significant: 2 / 2**5 > 0.05.
MIN_SUBJECTS = 6


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
