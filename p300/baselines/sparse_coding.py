"""Sparse coding: epochs as sums of few patterns of a dictionary that is learned without labels.

B. A. Olshausen, D. J. Field, "Emergence of simple-cell receptive field properties by learning a
sparse code for natural images", Nature 381:607-609, 1996, doi 10.1038/381607a0; learned batch by
batch: J. Mairal, F. Bach, J. Ponce, G. Sapiro, "Online dictionary learning for sparse coding",
ICML 2009, doi 10.1145/1553374.1553463.
"""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.decomposition import PCA, MiniBatchDictionaryLearning, sparse_encode
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from p300.baselines.base import ClassicalDetector, bin_means
from p300.baselines.lda import ShrinkageLDA

#: Principal components with less variance than this share of the strongest are left out.
LEAST_VARIANCE = 1e-6

#: Most passes over the training flashes that the dictionary is learned in.
N_PASSES = 5


class SparseCodingLDA(ClassicalDetector):
    """A dictionary of epochs learned without labels, then shrinkage LDA on the codes.

    Means of neighbouring samples are reduced to their strongest principal components, each of
    variance 1, as Olshausen and Field whiten their images. An epoch is the sum of atoms times its
    code, which minimises half of the squared error plus ``alpha`` times the sum of the code's
    absolute values (lasso). Most numbers of a code are therefore 0. Labels are used by the LDA
    alone.

    Parameters
    ----------
    n_atoms : int
        Atoms of the dictionary, at most the number of flashes. Random training epochs are the
        first ones.
    alpha : float
        Penalty of the codes; a larger one makes more of their numbers 0.
    n_components : int
        Principal components, at most the number of features and of flashes; fewer than atoms.
    n_samples_per_bin : int
        Samples averaged into a feature: 6 at 120 Hz are 20 features per second and channel.
    remove_mean : bool
        Whether the mean of each epoch and channel is subtracted first.
    random_state : int
        Seed of the first atoms and of the order of flashes.

    Attributes
    ----------
    atoms_ : ndarray, shape (n_atoms, n_components)
        The dictionary, of length at most 1 each, in principal components.
    coef_ : ndarray, shape (n_atoms,)
        Weight of each number of a code in the score.

    Examples
    --------
    >>> X, y = np.random.default_rng(0).normal(size=(60, 8, 78)), np.arange(60) % 6 == 0
    >>> detector = SparseCodingLDA(n_atoms=16).fit(X, y)
    >>> detector.decision_function(X).shape, detector.dictionary().shape
    ((60,), (16, 8, 13))
    """

    def __init__(
        self,
        n_atoms=96,
        alpha=0.5,
        n_components=48,
        n_samples_per_bin=6,
        remove_mean=True,
        random_state=0,
    ):
        self.n_atoms = n_atoms
        self.alpha = alpha
        self.n_components = n_components
        self.n_samples_per_bin = n_samples_per_bin
        self.remove_mean = remove_mean
        self.random_state = random_state

    def _features(self, epochs):
        means = bin_means(self._centred(epochs), self.n_samples_per_bin)
        return np.asarray(means.reshape(len(epochs), -1), np.float64)

    def codes(self, epochs):
        """Compute the code of each epoch: (n_flashes, n_atoms), most numbers 0."""
        check_is_fitted(self)
        components = (self._features(epochs) - self.mean_) @ self.whitening_
        with warnings.catch_warnings():  # 1,000 rounds are enough where atoms resemble each other
            warnings.simplefilter("ignore", ConvergenceWarning)
            return sparse_encode(components, self.atoms_, algorithm="lasso_cd", alpha=self.alpha)

    def _fit(self, epochs, is_target):
        features = self._features(epochs)
        pca = PCA(min(self.n_components, *features.shape), svd_solver="full").fit(features)
        variances = pca.explained_variance_
        kept = variances > LEAST_VARIANCE * max(variances[0], np.finfo(float).tiny)
        self.mean_ = pca.mean_
        self.whitening_ = pca.components_[kept].T / np.sqrt(variances[kept])
        components = (features - self.mean_) @ self.whitening_
        rng = np.random.default_rng(self.random_state)
        first = components[rng.permutation(len(components))[: self.n_atoms]]
        first = first / np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-12)
        learning = MiniBatchDictionaryLearning(
            len(first),
            alpha=self.alpha,
            max_iter=N_PASSES,
            batch_size=64,
            fit_algorithm="cd",
            dict_init=first,
            random_state=self.random_state,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            learning.fit(components)
        self.atoms_ = learning.components_
        lda = ShrinkageLDA(n_samples_per_bin=1, remove_mean=False)
        lda.fit(self.codes(epochs), is_target)
        self.coef_, self.intercept_ = lda.coef_, lda.intercept_

    def _score(self, epochs):
        return self.codes(epochs) @ self.coef_ + self.intercept_

    def dictionary(self):
        """Return the atoms as epochs of means, (n_atoms, n_chans, n_bins), in the epochs' unit."""
        check_is_fitted(self)
        n_chans = self.epoch_shape_[0] if len(self.epoch_shape_) > 1 else 1
        patterns = self.atoms_ @ np.linalg.pinv(self.whitening_)
        return patterns.reshape(len(self.atoms_), n_chans, -1)
