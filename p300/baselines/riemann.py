"""Riemannian geometry of covariances: tangent space, and distance to the class means.

M. Congedo, A. Barachant, R. Bhatia, "Riemannian geometry for EEG-based brain-computer
interfaces; a primer and a review", Brain-Computer Interfaces 4:155-174, 2017, doi
10.1080/2326263X.2017.1297192; covariances of evoked potentials: A. Barachant, M. Congedo, "A
plug&play P300 BCI using information geometry", 2014, arXiv 1409.0107. Means, logarithms and
distances are pyRiemann's. It is imported where it is used, since its import takes seconds.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from p300.baselines.base import ClassicalDetector
from p300.baselines.xdawn import covariance_of_all, oas_covariances, xdawn_filters


class XdawnTangentSpace(ClassicalDetector):
    """xDAWN covariances, tangent space at their mean, balanced logistic regression.

    Parameters
    ----------
    n_filters : int
        xDAWN filters for each of the two classes; at most the number of electrodes.
    C : float
        Inverse strength of the regression's penalty.
    remove_mean : bool
        Whether the mean of each epoch and channel is subtracted first.
    """

    def __init__(self, n_filters=4, C=1.0, remove_mean=True):
        self.n_filters = n_filters
        self.C = C
        self.remove_mean = remove_mean

    def _covariances(self, epochs):
        signals = self.filters_.astype(epochs.dtype) @ self._centred(epochs)
        return _covariances_with(self.prototypes_, signals)

    def _tangent(self, covariances):
        from pyriemann.geometry.tangentspace import tangent_space

        return tangent_space(covariances, self.reference_)

    def _fit(self, epochs, is_target):
        from pyriemann.geometry.mean import mean_riemann

        cleaned = self._centred(epochs)
        covariance = covariance_of_all(cleaned)
        filters, prototypes = [], []
        for of_class in (~is_target, is_target):
            filters.append(xdawn_filters(cleaned, of_class, self.n_filters, covariance))
            prototypes.append(filters[-1] @ cleaned[of_class].mean(axis=0))
        self.filters_ = np.concatenate(filters)  # (2 * n_filters, n_chans)
        self.prototypes_ = np.concatenate(prototypes)  # (2 * n_filters, n_times)
        covariances = self._covariances(epochs)  # (n_flashes, 4 * n_filters, 4 * n_filters)
        self.reference_ = mean_riemann(covariances)
        regression = LogisticRegression(C=self.C, class_weight="balanced", max_iter=1000)
        regression.fit(self._tangent(covariances), is_target)
        self.coef_, self.intercept_ = regression.coef_[0], float(regression.intercept_[0])

    def _score(self, epochs):
        return self._tangent(self._covariances(epochs)) @ self.coef_ + self.intercept_


class ERPCovMDM(ClassicalDetector):
    """Covariances with the mean evoked responses of both classes; the nearer class mean decides.

    The score is the squared distance to the mean of nontargets minus that to the mean of targets.

    Parameters
    ----------
    n_components : int or None
        Leading components of each mean evoked response that are added to the covariances, at
        most the number of electrodes. None uses all electrodes: with 64, matrices of 192 x 192
        and minutes instead of seconds.
    remove_mean : bool
        Whether the mean of each epoch and channel is subtracted first.
    """

    def __init__(self, n_components=4, remove_mean=True):
        self.n_components = n_components
        self.remove_mean = remove_mean

    def _covariances(self, epochs):
        return _covariances_with(self.prototypes_, self._centred(epochs))

    def _fit(self, epochs, is_target):
        from pyriemann.geometry.mean import mean_riemann

        cleaned, prototypes = self._centred(epochs), []
        for of_class in (~is_target, is_target):
            evoked = cleaned[of_class].mean(axis=0)  # (n_chans, n_times)
            if self.n_components is not None:
                components = np.linalg.svd(evoked, full_matrices=False)[0]
                evoked = components[:, : self.n_components].T @ evoked
            prototypes.append(evoked)
        self.prototypes_ = np.concatenate(prototypes)
        covariances = self._covariances(epochs)
        self.means_ = np.stack([mean_riemann(covariances[c]) for c in (~is_target, is_target)])

    def _score(self, epochs):
        from pyriemann.geometry.distance import distance_riemann

        covariances = self._covariances(epochs)
        nontarget, target = (distance_riemann(covariances, m, squared=True) for m in self.means_)
        return nontarget - target


def _covariances_with(prototypes, signals):
    shape = (len(signals), *prototypes.shape)
    return oas_covariances(np.concatenate([np.broadcast_to(prototypes, shape), signals], axis=1))
