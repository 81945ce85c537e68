"""Ridge regression on smooth time courses: a Gaussian process prior on the weights in time.

A weight per electrode and sample is drawn, a priori, from a Gaussian process whose kernel is the
squared exponential: neighbouring samples get similar weights. C. E. Rasmussen, C. K. I. Williams,
"Gaussian Processes for Machine Learning", MIT Press, 2006, sections 2.1 and 4.2.
"""

from __future__ import annotations

import numpy as np

from p300.baselines.base import ClassicalDetector, center
from p300.metrics import roc_auc

#: Penalties tried, relative to the mean eigenvalue of the features' covariance.
PENALTIES = np.logspace(-3, 3, 13)


class GaussianProcessRidge(ClassicalDetector):
    """Ridge regression of the class on smooth time courses of every electrode.

    Each electrode is divided by its standard deviation in training, so that loud ones do not
    weigh more. Both classes count the same and a score of 0 lies midway between their means.

    Parameters
    ----------
    length_scale_s : float
        Seconds over which a weight changes, the kernel's length scale.
    sfreq : float
        Rate of the epochs in Hz.
    penalty : float or None
        Ridge penalty relative to the mean eigenvalue of the features' covariance; None chooses
        among :data:`PENALTIES` by the AUC of left-out groups, or takes 1 where groups are fewer
        than three.
    remove_mean : bool
        Whether each epoch's mean is taken off each channel first.

    Attributes
    ----------
    weights_ : ndarray, shape (n_chans, n_times)
        Of each electrode and sample, in the epochs' own unit.
    penalty_ : float
        The penalty used.

    Examples
    --------
    >>> X, y = np.random.default_rng(0).normal(size=(60, 8, 78)), np.arange(60) % 6 == 0
    >>> GaussianProcessRidge().fit(X, y).weights_.shape
    (8, 78)
    """

    def __init__(self, length_scale_s=0.03, sfreq=120.0, penalty=None, remove_mean=True):
        self.length_scale_s = length_scale_s
        self.sfreq = sfreq
        self.penalty = penalty
        self.remove_mean = remove_mean

    def fit(self, X, y, groups=None):
        """Learn from epochs ``X`` (n_flashes, n_chans, n_times) with classes ``y``.

        Parameters
        ----------
        X, y : array-like
            Epochs and classes.
        groups : array-like of int, shape (n_flashes,), or None
            Numbers, in order, of what is left out whole when the penalty is chosen; more than
            five are left out in five blocks. None makes blocks of neighbouring flashes.
        """
        epochs, is_target = self._check(X, y)
        groups = np.arange(len(epochs)) if groups is None else np.asarray(groups)
        self._fit(epochs, is_target, groups)
        return self

    def _fit(self, epochs, is_target, groups):
        n_flashes, n_chans, n_times = epochs.shape
        epochs = center(epochs) if self.remove_mean else epochs
        spread = epochs.std(axis=(0, 2), dtype=np.float64)
        spread = np.where(spread > 0, spread, 1.0)[:, np.newaxis]
        basis = smooth_basis(n_times, self.length_scale_s * self.sfreq)
        features = ((epochs / spread) @ basis).reshape(n_flashes, -1)
        desired = np.where(is_target, 0.5 / is_target.mean(), -0.5 / (~is_target).mean())
        self.penalty_ = self.penalty or choose_penalty(features, desired, groups)
        weights = ridge_weights(features, desired, [self.penalty_])[:, 0]
        middle = (features[is_target].mean(axis=0) + features[~is_target].mean(axis=0)) / 2
        self.intercept_ = -float(middle @ weights)
        self.weights_ = weights.reshape(n_chans, -1) @ basis.T / spread
        if self.remove_mean:  # of the weights, once, instead of every epoch
            self.weights_ = center(self.weights_)

    def _score(self, epochs):
        return epochs.reshape(len(epochs), -1) @ self.weights_.ravel() + self.intercept_


def smooth_basis(n_times, length_scale):
    """Give the leading directions of a Gaussian process in time, each by its prior deviation.

    Parameters
    ----------
    n_times : int
        Samples.
    length_scale : float
        Of the squared-exponential kernel, in samples.

    Returns
    -------
    ndarray, shape (n_times, n_functions)
        ``basis @ basis.T`` is the kernel, less what is below a thousandth of its largest
        eigenvalue.

    Examples
    --------
    >>> smooth_basis(78, 3.6).shape
    (78, 27)
    """
    time = np.arange(n_times)
    kernel = np.exp(-0.5 * np.square((time[:, np.newaxis] - time) / length_scale))
    values, vectors = np.linalg.eigh(kernel)
    kept = values > 1e-3 * values[-1]
    return vectors[:, kept] * np.sqrt(values[kept])


def choose_penalty(features, desired, groups, n_blocks=5):
    """Choose the penalty with the highest mean AUC over left-out blocks of whole groups."""
    unit = np.unique(groups, return_inverse=True)[1]
    n_units = unit.max() + 1
    block = unit * min(n_blocks, n_units) // n_units
    found = []
    for k in range(block.max() + 1) if n_units > 2 else ():
        out, is_target = block == k, desired > 0
        if all(0 < is_target[rows].sum() < rows.sum() for rows in (out, ~out)):
            weights = ridge_weights(features[~out], desired[~out], PENALTIES)
            found.append([roc_auc(is_target[out], s) for s in (features[out] @ weights).T])
    return float(PENALTIES[np.mean(found, axis=0).argmax()]) if found else 1.0


def ridge_weights(features, desired, penalties):
    """Solve centred ridge regression for several penalties by one eigendecomposition.

    Parameters
    ----------
    features : ndarray, shape (n_flashes, n_features)
        Not changed.
    desired : ndarray, shape (n_flashes,)
        What to predict.
    penalties : sequence of float
        Relative to the mean eigenvalue of the features' covariance.

    Returns
    -------
    ndarray, shape (n_features, n_penalties)
    """
    centered = features - features.mean(axis=0)
    n_flashes, n_features = centered.shape
    is_dual = n_features > n_flashes
    gram = (centered @ centered.T if is_dual else centered.T @ centered) / n_flashes
    values, vectors = np.linalg.eigh(gram)
    size = np.trace(gram) / n_features or 1.0
    projected = vectors.T @ (desired if is_dual else centered.T @ desired) / n_flashes
    shrunk = projected[:, np.newaxis] / (values[:, np.newaxis] + size * np.asarray(penalties))
    weights = vectors @ shrunk
    return centered.T @ weights if is_dual else weights
