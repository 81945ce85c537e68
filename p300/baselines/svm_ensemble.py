"""The winner of BCI Competition III, data set II: an ensemble of support vector machines.

A. Rakotomamonjy, V. Guigue, "BCI competition III: dataset II - ensemble of SVMs for BCI P300
speller", IEEE Trans. Biomed. Eng. 55:1147-1154, 2008, doi 10.1109/TBME.2008.915728; the authors'
summary: https://www.bbci.de/competition/iii/results/albany/AlainRakotomamonjy_desc.txt.
"""

from __future__ import annotations

import numpy as np

from p300.baselines.base import LinearOnBins
from p300.baselines.svm import fit_linear_svm
from p300.errors import InputError


class SVMEnsemble(LinearOnBins):
    """One linear SVM a part of the training characters, each on its own channels; mean score.

    A part is 900 flashes in the paper: five characters, 17 parts. Its SVM starts with all
    channels and loses those without which TP / (TP + FP + FN) on the other parts is highest,
    until one is left; the best set on the way is kept. The penalty is chosen by the same number,
    before channels go. To be quick, a channel's leaving is judged by the score without its
    share, and the SVM is fitted anew only when channels have left (four of 64 at a time).

    Parameters
    ----------
    n_flashes_per_part : int
        About how many flashes train one SVM; characters are never cut.
    min_parts : int
        Fewer flashes than that times the former make smaller parts.
    Cs : sequence of float
        Inverse strengths of the penalty to choose from.
    n_samples_per_bin : int
        Samples averaged into a feature: 6 at 120 Hz are 20 features a second and channel.
    remove_mean : bool
        Whether each epoch's mean is taken off each channel first.
    """

    def __init__(
        self,
        n_flashes_per_part=900,
        min_parts=3,
        Cs=(1e-4, 1e-3, 1e-2, 1e-1),
        n_samples_per_bin=6,
        remove_mean=True,
    ):
        super().__init__(n_samples_per_bin, remove_mean)
        self.n_flashes_per_part = n_flashes_per_part
        self.min_parts = min_parts
        self.Cs = Cs

    def fit(self, X, y, characters=None):
        """Learn from epochs ``X`` with classes ``y``.

        Parameters
        ----------
        X : ndarray, shape (n_flashes, n_chans, n_times)
            Epochs in the order of the recording.
        y : ndarray, shape (n_flashes,)
            Classes.
        characters : ndarray, shape (n_flashes,), or None
            Which character each flash belongs to; None cuts the flashes into equal runs.
        """
        epochs, is_target = self._check(X, y)
        if characters is None:
            characters = np.arange(len(is_target))
        elif len(characters) != len(is_target):
            raise InputError(
                f"SVMEnsemble: characters of {len(characters)} flashes; expected "
                f"{len(is_target)}, as in X"
            )
        part = self._cut_into_parts(np.asarray(characters), is_target)
        features = np.asarray(self._features(epochs), np.float64)
        features = features.reshape(len(epochs), epochs.shape[1], -1)  # flash, channel, bin
        coefs, intercepts = [], []
        for k in range(part.max() + 1):
            train = part == k
            valid = ~train if part.max() else train
            coef, intercept = _eliminate_channels(features, is_target, train, valid, self.Cs)
            coefs.append(coef)
            intercepts.append(intercept)
        self.coefs_ = np.stack(coefs)  # (n_parts, n_chans, n_bins), 0 where a channel has left
        self.intercepts_ = np.array(intercepts)
        self.coef_ = self.coefs_.mean(axis=0).ravel()  # the mean of linear scores is one
        self.intercept_ = float(self.intercepts_.mean())
        return self

    def _cut_into_parts(self, characters, is_target):
        names, first, character = np.unique(characters, return_index=True, return_inverse=True)
        order = np.argsort(np.argsort(first))[character]  # 0, 1, ... by first appearance
        wanted = max(round(len(is_target) / self.n_flashes_per_part), self.min_parts)
        for n_parts in range(min(wanted, len(names)), 0, -1):
            part = order * n_parts // len(names)
            n_targets = np.bincount(part, is_target)
            if np.all(n_targets > 0) and np.all(n_targets < np.bincount(part)):
                break
        return part


def _eliminate_channels(features, is_target, train, valid, Cs):
    """Fit on ``train``; give weights (n_chans, n_bins) and offset that do best on ``valid``."""
    n_chans, n_bins = features.shape[1:]

    def fit(channels, C):
        chosen = features[train][:, channels].reshape(train.sum(), -1)
        weights, intercept = fit_linear_svm(chosen, is_target[train], C)
        coef = np.zeros((n_chans, n_bins))
        coef[channels] = weights.reshape(-1, n_bins)
        return coef, intercept

    def shares(coef):
        return np.einsum("ncb,cb->nc", features[valid], coef, optimize=True)

    channels, truth = np.arange(n_chans), is_target[valid]
    best_overlap, best = -1.0, None
    for C in Cs:
        coef, intercept = fit(channels, C)
        value = _overlap(shares(coef).sum(1) + intercept, truth)
        if value > best_overlap:
            best_overlap, best, best_C = value, (coef, intercept), C
    coef, intercept = best
    n_leaving = max(1, n_chans // 16)
    while len(channels) > n_leaving:
        share = shares(coef)
        without = share.sum(1, keepdims=True) + intercept - share[:, channels]
        leave = np.argsort(-_overlap(without, truth[:, None]), kind="stable")[:n_leaving]
        channels = np.delete(channels, leave)
        coef, intercept = fit(channels, best_C)
        value = _overlap(shares(coef).sum(1) + intercept, truth)
        if value >= best_overlap:  # of two equals the one with fewer channels
            best_overlap, best = value, (coef, intercept)
    return best


def _overlap(scores, truth):
    """Give TP / (TP + FP + FN) of ``scores > 0``, along the first axis."""
    found = scores > 0
    return (found & truth).sum(0) / np.maximum((found | truth).sum(0), 1)
