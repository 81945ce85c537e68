"""A linear support vector machine on means of neighbouring samples.

C. Cortes, V. Vapnik, "Support-vector networks", Mach. Learn. 20:273-297, 1995, doi
10.1007/BF00994018; for the P300 speller: M. Kaper et al., 2004, doi 10.1109/TBME.2004.826698.
"""

from __future__ import annotations

from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from p300.baselines.base import LinearOnBins


class LinearSVM(LinearOnBins):
    """Linear SVM on standardised features, with equal weight for both classes.

    Parameters
    ----------
    C : float
        Inverse strength of the penalty.
    n_samples_per_bin : int
        Samples averaged into a feature: 6 at 120 Hz are 20 features per second and channel.
    remove_mean : bool
        Whether the mean of each epoch and channel is subtracted first.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.random.default_rng(0).normal(size=(60, 8, 78)), np.arange(60) % 6 == 0
    >>> LinearSVM().fit(X, y).decision_function(X).shape
    (60,)
    """

    def __init__(self, C=0.01, n_samples_per_bin=6, remove_mean=True):
        super().__init__(n_samples_per_bin, remove_mean)
        self.C = C

    def _fit_features(self, features, is_target):
        return fit_linear_svm(features, is_target, self.C)


def fit_linear_svm(features, is_target, C):
    """Return weights (n_features,) and offset for features that are not standardised."""
    scaler = StandardScaler().fit(features)
    # dual=False: the result does not depend on the order of flashes or on random numbers
    svm = LinearSVC(C=C, class_weight="balanced", dual=False)
    svm.fit(scaler.transform(features), is_target)
    coef = svm.coef_[0] / scaler.scale_
    return coef, float(svm.intercept_[0] - scaler.mean_ @ coef)
