"""Linear discriminant analysis with a shrinkage covariance: the standard baseline.

B. Blankertz et al., "Single-trial analysis and classification of ERP components - a tutorial",
NeuroImage 56:814-825, 2011, doi 10.1016/j.neuroimage.2010.06.048; shrinkage: O. Ledoit, M.
Wolf, 2004, doi 10.1016/S0047-259X(03)00096-4.
"""

from __future__ import annotations

import warnings

from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from p300.baselines.base import LinearOnBins


class ShrinkageLDA(LinearOnBins):
    """Shrinkage LDA on means of neighbouring samples, with equal class priors.

    Parameters
    ----------
    n_samples_per_bin : int
        Samples averaged into a feature: 6 at 120 Hz are 20 features per second and channel.
    remove_mean : bool
        Whether the mean of each epoch and channel is subtracted first. Otherwise the drifts that
        a 0.1 Hz high-pass leaves cost up to 0.14 of AUC.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.random.default_rng(0).normal(size=(60, 8, 78)), np.arange(60) % 6 == 0
    >>> ShrinkageLDA().fit(X, y).decision_function(X).shape
    (60,)
    """

    def _fit_features(self, features, is_target):
        lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=[0.5, 0.5])
        with warnings.catch_warnings():  # a class of one flash has no covariance
            warnings.filterwarnings("ignore", "Only one sample available")
            lda.fit(features, is_target)
        return lda.coef_[0], float(lda.intercept_[0])
