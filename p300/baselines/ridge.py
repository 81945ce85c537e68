"""Ridge regression on smooth time courses: a Gaussian process prior on the weights in time."""

from __future__ import annotations

import numpy as np
from sklearn.utils.validation import check_is_fitted

from p300.baselines.base import ClassicalDetector
from p300.learning.linear import (
    PENALTY_PER_CHANNEL,
    quiet_weights,
    several_penalties,
    usual_basis,
)
from p300.learning.sums import EpochSums
from p300.metrics import roc_auc

#: Penalties tried, relative to the mean eigenvalue of the covariance.
PENALTIES = np.logspace(-3, 3, 13)

#: Standard errors by which a penalty may be worse than the best, and closer to the usual one.
NEAR = 0.5


class GaussianProcessRidge(ClassicalDetector):
    """Linear discriminant of smooth time courses of every electrode, with a ridge penalty.

    Half of the covariance is that of noise which is stationary during an epoch
    (:meth:`EpochSums.covariance`). Loud flashes count less: by one over their squared amplitude,
    where this is above the median. Each electrode is divided by its standard deviation in
    training, so that electrodes with a large amplitude do not get more weight. A score of 0 is
    midway between the means of the classes.

    Parameters
    ----------
    length_scale_s : float or None
        Seconds over which a weight changes, the kernel's length scale. None: 0.03 s, or 0.05 s for
        more than :data:`~p300.learning.linear.MANY` electrodes.
    sfreq : float
        Sampling rate of the epochs in Hz.
    penalty : float or None
        Ridge penalty relative to the mean eigenvalue of the covariance. None chooses among
        :data:`PENALTIES` by the AUC of left-out groups; with fewer than three groups it is
        :data:`~p300.learning.linear.PENALTY_PER_CHANNEL` times the number of electrodes.
    toeplitz : float
        Fraction of the covariance that is averaged over the time of an epoch.
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

    def __init__(
        self, length_scale_s=None, sfreq=120.0, penalty=None, toeplitz=0.5, remove_mean=True
    ):
        self.length_scale_s = length_scale_s
        self.sfreq = sfreq
        self.penalty = penalty
        self.toeplitz = toeplitz
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
        epochs = self._centred(epochs)
        groups = np.arange(len(epochs)) if groups is None else np.asarray(groups)
        blocks = blocks_of(groups) if self.penalty is None else np.zeros(len(epochs), int)
        weight = quiet_weights(epochs)
        n_chans, n_times = epochs.shape[1:]
        basis = usual_basis(n_chans, n_times, self.sfreq, self.length_scale_s)
        rows = [np.flatnonzero(blocks == k) for k in range(blocks.max() + 1)]
        sums = [EpochSums.of(epochs[k], is_target[k], weight[k], basis) for k in rows]
        whole = sums[0]
        for one in sums[1:]:
            whole += one
        self.penalty_ = self.penalty or PENALTY_PER_CHANNEL * n_chans
        found = [
            self._left_out_aucs(whole - one, epochs[k], is_target[k])
            for one, k in zip(sums, rows, strict=True)
            if min(*one.n, *(whole - one).n) > 0
        ]
        if self.penalty is None and len(found) > 2:
            self.penalty_ = choose_penalty(np.array(found), self.penalty_)
        self.weights_ = self._weights(whole, [self.penalty_])[0]
        self.intercept_ = -float(whole.means.mean(axis=0).ravel() @ self.weights_.ravel())
        return self

    def _weights(self, sums, penalties):
        """Compute the weights for several penalties, shape (n_penalties, n_chans, n_times)."""
        # centring the weights once replaces centring every epoch
        return self._centred(several_penalties(sums, penalties, self.toeplitz))

    def _left_out_aucs(self, sums, epochs, is_target):
        """Compute the AUC of epochs that are not in the sums, for each penalty."""
        weights = self._weights(sums, PENALTIES).reshape(len(PENALTIES), -1)
        scores = epochs.reshape(len(epochs), -1) @ weights.T.astype(epochs.dtype)
        return [roc_auc(is_target, column) for column in scores.T]

    def _score(self, epochs):
        return epochs.reshape(len(epochs), -1) @ self.weights_.ravel() + self.intercept_

    def epoch_weights(self):
        """Return the weight of each electrode and sample in the score: (n_chans, n_times)."""
        check_is_fitted(self)
        return self.weights_


def blocks_of(groups, n_blocks=5):
    """Divide groups into at most five blocks, or one if there are fewer than three groups."""
    unit = np.unique(groups, return_inverse=True)[1]
    n_units = unit.max() + 1
    return unit * min(n_blocks, n_units) // n_units if n_units > 2 else np.zeros_like(unit)


def choose_penalty(aucs, usual):
    """Choose a penalty by the AUC of left-out blocks.

    Of those that are as good as the best, to within :data:`NEAR` standard errors of the difference
    over blocks, it is the one closest to the usual penalty: the best of thirteen is best by
    chance where there are few blocks.

    Parameters
    ----------
    aucs : ndarray, shape (n_blocks, n_penalties)
        For each of :data:`PENALTIES`.
    usual : float

    Examples
    --------
    >>> aucs = np.full((4, 13), 0.7)
    >>> choose_penalty(aucs, 0.05)
    0.03162277660168379
    """
    best = aucs.mean(axis=0).argmax()
    behind = aucs[:, [best]] - aucs
    error = behind.std(axis=0, ddof=1) / np.sqrt(len(aucs))
    far = np.abs(np.log(PENALTIES / usual))
    return float(PENALTIES[np.where(behind.mean(axis=0) <= NEAR * error, far, np.inf).argmin()])
