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
    """One linear SVM per part of the training characters, on channels of its own; mean score.

    A part is 900 flashes in the paper: five characters, 17 parts. Its SVM starts with all
    channels. Channels are removed until one is left, each time those without which
    TP / (TP + FP + FN) on the other parts is highest; the best set is kept. The penalty is
    chosen by the same number before channels are removed. For speed, a removal is judged by the
    score without the channel's contribution, and the SVM is fitted again only after channels are
    removed (four of 64 at a time).

    Parameters
    ----------
    n_flashes_per_part : int
        About how many flashes train one SVM; characters are never split.
    min_parts : int
        Minimum number of parts; fewer than ``min_parts * n_flashes_per_part`` flashes make the
        parts smaller.
    Cs : sequence of float
        Inverse strengths of the penalty to choose from.
    n_samples_per_bin : int
        Samples averaged into a feature: 6 at 120 Hz are 20 features per second and channel.
    remove_mean : bool
        Whether the mean of each epoch and channel is subtracted first.
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
        """Fit to epochs ``X`` with classes ``y``.

        Parameters
        ----------
        X : ndarray, shape (n_flashes, n_chans, n_times)
            Epochs in the order of the recording.
        y : ndarray, shape (n_flashes,)
            Classes.
        characters : ndarray, shape (n_flashes,), or None
            Character of each flash; None divides the flashes into equal blocks.
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
        found = []
        for k in range(part.max() + 1):
            train = part == k
            valid = ~train if part.max() else train
            found.append(_eliminate_channels(features, is_target, train, valid, self.Cs))
        coefs, intercepts = zip(*found, strict=True)
        self.coefs_ = np.stack(coefs)  # (n_parts, n_chans, n_bins), 0 where a channel is removed
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
    """Fit on ``train``; return the weights (n_chans, n_bins) and offset best on ``valid``."""
    n_chans, n_bins = features.shape[1:]

    def fit(channels, C):
        chosen = features[train][:, channels].reshape(train.sum(), -1)
        weights, intercept = fit_linear_svm(chosen, is_target[train], C)
        coef = np.zeros((n_chans, n_bins))
        coef[channels] = weights.reshape(-1, n_bins)
        return coef, intercept

    def contributions(coef):  # (n_valid, n_chans)
        return np.einsum("ncb,cb->nc", features[valid], coef, optimize=True)

    channels, truth = np.arange(n_chans), is_target[valid]
    fits = [fit(channels, C) for C in Cs]
    overlaps = [_overlap(contributions(coef).sum(1) + offset, truth) for coef, offset in fits]
    first = int(np.argmax(overlaps))
    best_overlap, best = overlaps[first], fits[first]
    coef, intercept = best
    n_removed = max(1, n_chans // 16)
    while len(channels) > n_removed:
        parts = contributions(coef)
        without = parts.sum(1, keepdims=True) + intercept - parts[:, channels]
        removed = np.argsort(-_overlap(without, truth[:, None]), kind="stable")[:n_removed]
        channels = np.delete(channels, removed)
        coef, intercept = fit(channels, Cs[first])
        value = _overlap(contributions(coef).sum(1) + intercept, truth)
        if value >= best_overlap:  # of two equal sets, the one with fewer channels
            best_overlap, best = value, (coef, intercept)
    return best


def _overlap(scores, truth):
    """Compute TP / (TP + FP + FN) of ``scores > 0``, along the first axis."""
    found = scores > 0
    return (found & truth).sum(0) / np.maximum((found | truth).sum(0), 1)
