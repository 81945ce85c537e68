"""A detector that knows nothing: for reading from nothing, which needs no training."""

from __future__ import annotations

import numpy as np

from p300.baselines.base import ClassicalDetector


class Untrained(ClassicalDetector):
    """Gives every flash the score 0, whatever it was fitted to.

    Examples
    --------
    >>> X, y = np.random.default_rng(0).normal(size=(12, 8, 78)), np.arange(12) % 6 == 0
    >>> Untrained().fit(X, y).decision_function(X[:3]).tolist()
    [0.0, 0.0, 0.0]
    """

    intercept_ = 0.0
    n_parameters = 0

    def _fit(self, epochs, is_target):
        """Learn nothing."""

    def _score(self, epochs):
        return np.zeros(len(epochs))

    def epoch_weights(self):
        """Return the weight of each electrode and sample in the score: 0."""
        return np.zeros(self.epoch_shape_)
