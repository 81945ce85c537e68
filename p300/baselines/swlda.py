"""Stepwise linear discriminant analysis: the detector of the first P300 spellers.

L. A. Farwell, E. Donchin, 1988, doi 10.1016/0013-4694(88)90149-6; D. J. Krusienski et al., "A
comparison of classification techniques for the P300 speller", J. Neural Eng. 3:299-305, 2006,
doi 10.1088/1741-2560/3/4/007 (forward p < 0.10, backward p > 0.15, at most 60 features). The
steps are M. A. Efroymson's, 1960; the matrix is swept as in J. H. Goodnight, 1979, doi
10.1080/00031305.1979.10482685.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy.special import fdtrc

from p300.baselines.base import LinearOnBins


class SWLDA(LinearOnBins):
    """Least squares on the few bins that a stepwise search selects.

    The score is scaled to the log odds of a target with equal priors, as for two normal classes
    of equal variance.

    Parameters
    ----------
    n_samples_per_bin : int
        Samples averaged into a feature: 6 at 120 Hz are 20 features per second and channel.
    remove_mean : bool
        Whether the mean of each epoch and channel is subtracted first. Otherwise drifts may
        leave no feature in the fit.
    p_enter, p_remove : float
        A feature enters below the first p-value and leaves above the second.
    max_features : int
        The search stops with this many.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(300, 8, 78)), np.arange(300) % 6 == 0
    >>> X[y, 3, 36:42] += 1
    >>> np.flatnonzero(SWLDA(p_enter=1e-9, p_remove=1e-8).fit(X, y).coef_)  # channel 3, bin 6
    array([45])
    """

    def __init__(
        self, n_samples_per_bin=6, remove_mean=True, p_enter=0.10, p_remove=0.15, max_features=60
    ):
        super().__init__(n_samples_per_bin, remove_mean)
        self.p_enter = p_enter
        self.p_remove = p_remove
        self.max_features = max_features

    def _fit_features(self, features, is_target):
        kept, weights = stepwise_regression(
            features,
            is_target,
            p_enter=self.p_enter,
            p_remove=self.p_remove,
            max_features=self.max_features,
        )
        coef = np.zeros(features.shape[1])
        if len(kept) == 0:
            warnings.warn(
                f"SWLDA: no feature entered with p < {self.p_enter:g}; every score is 0",
                stacklevel=5,
            )
            return coef, 0.0
        scores = features[:, kept] @ weights
        low, high = scores[~is_target], scores[is_target]
        scale = (high.mean() - low.mean()) / max((high.var() + low.var()) / 2, 1e-30)
        coef[kept] = scale * weights
        return coef, float(-scale * (high.mean() + low.mean()) / 2)


def stepwise_regression(features, y, *, p_enter=0.10, p_remove=0.15, max_features=60):
    """Select features for a least-squares fit of ``y``, with a constant, step by step.

    Each step adds the best feature if its p-value is below ``p_enter``. It then removes every
    feature above ``p_remove``, the worst first.

    Parameters
    ----------
    features : ndarray, shape (n_flashes, n_features)
        Candidates.
    y : ndarray, shape (n_flashes,)
        Values to fit.
    p_enter, p_remove : float
        Bounds on the p-value of the partial F test.
    max_features : int
        The search stops with this many.

    Returns
    -------
    kept : ndarray of int, shape (n_kept,)
        Features of the fit, in increasing order.
    weights : ndarray, shape (n_kept,)
        Their weights.
    """
    n_flashes, n_features = features.shape
    scale = features.std(axis=0)
    usable = scale > 1e-12 * np.abs(features).max(axis=0, initial=0)
    scale[~usable] = 1
    table = np.column_stack([features / scale, np.asarray(y, float)])
    table -= table.mean(axis=0)
    table = table.T @ table / n_flashes  # swept in place below; last row and column belong to y
    inside = np.zeros(n_features, bool)
    diagonal = np.einsum("ii->i", table)[:-1]  # a view

    def p_values(of):
        n_others = inside.sum() - (of is inside)
        gain = np.where(of, table[:-1, -1] ** 2 / np.where(of, np.abs(diagonal), 1), 0)
        rest = table[-1, -1] - (0 if of is inside else gain)
        df = n_flashes - n_others - 2
        return np.where(of, fdtrc(1, df, df * gain / np.maximum(rest, 1e-30)), np.nan)

    while inside.sum() < min(max_features, n_flashes - 2):
        outside = usable & ~inside & (diagonal > 1e-7)  # not a linear combination of those inside
        if not outside.any():
            break
        p = p_values(outside)
        best = np.nanargmin(p)
        if not p[best] < p_enter:
            break
        _sweep(table, best, inside)
        while inside.any():
            p = p_values(inside)
            worst = np.nanargmax(p)
            if not p[worst] > p_remove:
                break
            _sweep(table, worst, inside)
    kept = np.flatnonzero(inside)
    return kept, table[kept, -1] / scale[kept]


def _sweep(table, k, inside):
    """Add feature ``k`` to the fit, or remove it; ``table`` and ``inside`` are changed."""
    pivot, column = table[k, k], table[:, k].copy()
    table -= np.outer(column, column / pivot)
    table[:, k] = table[k] = column / (-pivot if inside[k] else pivot)
    table[k, k] = -1 / pivot
    inside[k] = not inside[k]
