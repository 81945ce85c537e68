"""Ridge regression on smooth time courses: a Gaussian process prior on the weights in time.

The prior of each electrode's weights is a Gaussian process in time with a squared-exponential
kernel: neighbouring samples get similar weights. C. E. Rasmussen, C. K. I. Williams,
"Gaussian Processes for Machine Learning", MIT Press, 2006, sections 2.1 and 4.2.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve
from sklearn.utils.validation import check_is_fitted

from p300.baselines.base import ClassicalDetector
from p300.metrics import roc_auc

#: Penalties tried, relative to the mean eigenvalue of the features' covariance.
PENALTIES = np.logspace(-3, 3, 13)


class GaussianProcessRidge(ClassicalDetector):
    """Ridge regression of the class on smooth time courses of every electrode.

    Each electrode is divided by its standard deviation in training, so that electrodes with a
    large amplitude do not get more weight. Both classes have the same weight. A score of 0 is
    midway between their means.

    Parameters
    ----------
    length_scale_s : float
        Seconds over which a weight changes, the kernel's length scale.
    sfreq : float
        Sampling rate of the epochs in Hz.
    penalty : float or None
        Ridge penalty relative to the mean eigenvalue of the features' covariance. None chooses
        among :data:`PENALTIES` by the AUC of left-out groups, or uses 1 if there are fewer than
        three groups.
    remove_mean : bool
        Whether the mean of each epoch and channel is subtracted first.

    Attributes
    ----------
    weights_ : ndarray, shape (n_chans, n_times)
        Weight of each electrode and sample, for epochs in their own unit.
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
        """Fit to epochs ``X`` (n_flashes, n_chans, n_times) with classes ``y``.

        Parameters
        ----------
        X, y : array-like
            Epochs and classes.
        groups : array-like of int, shape (n_flashes,), or None
            Groups that are left out as a whole when the penalty is chosen, numbered in order.
            More than five groups are left out in five blocks. None: blocks of neighbouring
            flashes.
        """
        epochs, is_target = self._check(X, y)
        n_flashes, n_chans, n_times = epochs.shape
        groups = np.arange(n_flashes) if groups is None else np.asarray(groups)
        epochs = self._centred(epochs)
        std = epochs.std(axis=(0, 2), dtype=np.float64)
        std = np.where(std > 0, std, 1.0)[:, np.newaxis]
        basis = smooth_basis(n_times, self.length_scale_s * self.sfreq)
        features = ((epochs / std) @ basis).reshape(n_flashes, -1)
        desired = np.where(is_target, 0.5 / is_target.mean(), -0.5 / (~is_target).mean())
        ridge = Ridge(features, desired)
        self.penalty_ = self.penalty or choose_penalty(ridge, is_target, groups)
        weights = ridge.weights([self.penalty_])[:, 0]
        middle = (features[is_target].mean(axis=0) + features[~is_target].mean(axis=0)) / 2
        self.intercept_ = -float(middle @ weights)
        # centring the weights once replaces centring every epoch
        self.weights_ = self._centred(weights.reshape(n_chans, -1) @ basis.T / std)
        return self

    def _score(self, epochs):
        return epochs.reshape(len(epochs), -1) @ self.weights_.ravel() + self.intercept_

    def epoch_weights(self):
        """Return the weight of each electrode and sample in the score: (n_chans, n_times)."""
        check_is_fitted(self)
        return self.weights_


def smooth_basis(n_times, length_scale):
    """Compute the leading components of a Gaussian process, times their standard deviation.

    Parameters
    ----------
    n_times : int
        Samples.
    length_scale : float
        Length scale of the squared-exponential kernel, in samples.

    Returns
    -------
    ndarray, shape (n_times, n_functions)
        ``basis @ basis.T`` is the kernel without the eigenvalues below a thousandth of the
        largest.

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


def choose_penalty(ridge, is_target, groups, n_blocks=5):
    """Choose the penalty with the highest mean AUC over left-out blocks of whole groups."""
    unit = np.unique(groups, return_inverse=True)[1]
    n_units = unit.max() + 1
    block = unit * min(n_blocks, n_units) // n_units
    found = []
    for k in range(block.max() + 1) if n_units > 2 else ():
        out = block == k
        if all(0 < is_target[rows].sum() < rows.sum() for rows in (out, ~out)):
            scores = ridge.left_out_scores(out, PENALTIES)
            found.append([roc_auc(is_target[out], s) for s in scores.T])
    return float(PENALTIES[np.mean(found, axis=0).argmax()]) if found else 1.0


class Ridge:
    """Centred ridge regression for any penalty, from one eigendecomposition.

    Penalties are relative to the mean eigenvalue of the features' covariance.

    Parameters
    ----------
    features : ndarray, shape (n_flashes, n_features)
        Not changed.
    desired : ndarray, shape (n_flashes,)
        Values to predict.
    """

    def __init__(self, features, desired):
        self.features = features - features.mean(axis=0)
        self.desired = desired - desired.mean()
        n_flashes, n_features = features.shape
        self._is_dual = n_features > n_flashes
        inputs = self.features if self._is_dual else self.features.T
        gram = inputs @ inputs.T
        self.size = np.trace(gram) / n_features or 1.0
        self._values, self._vectors = np.linalg.eigh(gram)

    def weights(self, penalties):
        """Return the weights for several penalties, shape (n_features, n_penalties)."""
        values = self._values[:, np.newaxis] + self.size * np.asarray(penalties)
        inputs = self.features.T
        wanted = self.desired if self._is_dual else inputs @ self.desired
        weights = self._vectors @ ((self._vectors.T @ wanted)[:, np.newaxis] / values)
        return inputs @ weights if self._is_dual else weights

    def left_out_scores(self, out, penalties):
        """Score some flashes by regressions on all others, up to a constant.

        The errors of a left-out block are ``inv(I - H) @ errors``: ``errors`` are those of the
        regression on all flashes, H is the block's part of its hat matrix. R. D. Cook, S.
        Weisberg, "Residuals and Influence in Regression", Chapman & Hall, 1982, section 3.4.

        Parameters
        ----------
        out : ndarray of bool, shape (n_flashes,)
            The flashes left out.
        penalties : sequence of float
            Relative to the mean eigenvalue of all flashes' covariance.

        Returns
        -------
        ndarray, shape (n_out, n_penalties)
        """
        inputs, desired = self.features[out], self.desired[out]
        if len(inputs) > inputs.shape[1]:  # a new regression is quicker
            rest = Ridge(self.features[~out], self.desired[~out])
            return inputs @ rest.weights(self.size / rest.size * np.asarray(penalties))
        if self._is_dual:
            turned = self._vectors[out] * np.sqrt(np.maximum(self._values, 0))
        else:
            turned = inputs @ self._vectors
        errors = desired[:, np.newaxis] - inputs @ self.weights(penalties)
        scores = np.empty_like(errors)
        for k, penalty in enumerate(penalties):
            root = turned / np.sqrt(self._values + self.size * penalty)
            rest = np.eye(len(inputs)) - root @ root.T - 1 / len(self.features)
            scores[:, k] = desired - solve(rest, errors[:, k], assume_a="pos")
        return scores
