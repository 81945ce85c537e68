"""Base classes of the classical detectors: checks, scores to classes, a state of plain arrays."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from p300.errors import InputError
from p300.flashes import class_of


class ClassicalDetector(ClassifierMixin, BaseEstimator):
    """A scikit-learn classifier of epochs into target and nontarget.

    A detector defines ``_fit(epochs, is_target)``, which stores arrays and numbers under names
    that end in ``_``, and ``_score(epochs)``, which reads only those and the parameters. Its
    parameter ``remove_mean`` says whether ``_centred`` subtracts the mean of each row.

    Epochs have the shape (n_flashes, n_chans, n_times). A table (n_flashes, n_features), as
    scikit-learn's own tools pass it, is one channel. The larger of the two labels is the target.
    """

    def fit(self, X, y):
        """Fit to epochs ``X`` (n_flashes, n_chans, n_times) with classes ``y``."""
        self._fit(*self._check(X, y))
        return self

    def _check(self, X, y):
        X, y = validate_data(self, X, y, allow_nd=True, dtype=[np.float64, np.float32])
        self.classes_ = two_classes(y, type(self).__name__)
        self.epoch_shape_ = tuple(X.shape[1:])
        return _with_channels(X), y == self.classes_[1]

    def decision_function(self, X):
        """Return one score per flash, shape (n_flashes,): larger = more target-like."""
        check_is_fitted(self)
        X = validate_data(self, X, allow_nd=True, dtype=[np.float64, np.float32], reset=False)
        if X.shape[1:] != self.epoch_shape_:
            raise InputError(
                f"{type(self).__name__}: epochs of shape {X.shape[1:]}; expected "
                f"{self.epoch_shape_}, as in training"
            )
        return self._score(_with_channels(X))

    def predict(self, X):
        """Return the class of each flash, shape (n_flashes,): the target's where score > 0."""
        is_target = self.decision_function(X) > 0
        return self.classes_[is_target.astype(int)]

    def _centred(self, signals):
        return center(signals) if self.remove_mean else signals

    def get_state(self) -> dict:
        """Return parameters and learned values as containers, numbers and arrays only."""
        check_is_fitted(self)
        learned = {k: v for k, v in vars(self).items() if k.endswith("_") and k[0] != "_"}
        return {"params": self.get_params(), "learned": learned}

    @classmethod
    def from_state(cls, state: dict):
        """Build a fitted detector from the output of :meth:`get_state`; tensors become arrays."""
        detector = cls(**state["params"])
        detector.__dict__.update(_as_numpy(state["learned"]))
        return detector

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.three_d_array = True
        return tags


class LinearOnBins(ClassicalDetector):
    """Linear detector: a weighted sum of the means of neighbouring samples.

    Parameters
    ----------
    n_samples_per_bin : int
        Samples averaged into a feature: 6 at 120 Hz are 20 features per second and channel.
    remove_mean : bool
        Whether the mean of each epoch and channel is subtracted first. Otherwise the drifts that
        a 0.1 Hz high-pass leaves cost up to 0.14 of AUC.
    """

    def __init__(self, n_samples_per_bin=6, remove_mean=True):
        self.n_samples_per_bin = n_samples_per_bin
        self.remove_mean = remove_mean

    def _features(self, epochs):
        return bin_means(self._centred(epochs), self.n_samples_per_bin).reshape(len(epochs), -1)

    def _fit(self, epochs, is_target):
        features = np.asarray(self._features(epochs), np.float64)
        self.coef_, self.intercept_ = self._fit_features(features, is_target)

    def _score(self, epochs):
        return self._features(epochs) @ self.coef_ + self.intercept_

    def epoch_weights(self):
        """Return the weight of each electrode and sample in the score: (n_chans, n_times).

        The score is the sum of weight times sample over an unchanged epoch, plus the offset.
        The weight of a bin is divided among its samples. With ``remove_mean`` the weights of a
        channel sum to zero, which replaces subtracting the mean of each epoch.
        """
        check_is_fitted(self)
        n_times = self.epoch_shape_[-1]
        starts = np.arange(0, n_times, self.n_samples_per_bin)
        lengths = np.diff(np.append(starts, n_times))
        weights = np.repeat(self.coef_.reshape(-1, len(starts)) / lengths, lengths, axis=1)
        return self._centred(weights)


def two_classes(y, name):
    """Return the two labels in ``y``, that of the nontargets first: the smaller one.

    scikit-learn sorts labels, and calls the second one positive.

    Parameters
    ----------
    y : ndarray, shape (n_flashes,)
        Labels of any kind that can be sorted.
    name : str
        Name of the classifier, for the message.

    Raises
    ------
    InputError
        If there is another number of labels than two, or the words mean it the other way round.

    Examples
    --------
    >>> two_classes(np.array(["Target", "NonTarget"]), "LDA").tolist()
    ['NonTarget', 'Target']
    """
    check_classification_targets(y)
    classes = np.unique(y)
    if len(classes) != 2:
        only = "Only binary classification is supported. " if len(classes) > 2 else ""
        raise InputError(
            f"{only}{name}: {len(classes)} class in y ({classes[:5].tolist()}); expected two, "
            "target and nontarget"
        )
    means = [class_of(label) for label in classes.tolist()]
    if means[0] is True or means[1] is False:
        raise InputError(
            f"{name}: got labels {classes[0]!r} and {classes[1]!r}; expected that of the targets "
            f"to be the larger one, as scikit-learn sorts them; pass y == {classes[0].item()!r}"
        )
    return classes


def center(epochs):
    """Subtract the mean of each epoch and channel; this removes drift and keeps the amplitude."""
    return epochs - epochs.mean(axis=-1, keepdims=True)


def bin_means(epochs, n_samples_per_bin):
    """Average neighbouring samples; the rest after the last whole bin is a shorter bin.

    Examples
    --------
    >>> bin_means(np.arange(8.0).reshape(1, 1, 8), 3)
    array([[[1. , 4. , 6.5]]])
    """
    starts = np.arange(0, epochs.shape[-1], n_samples_per_bin)
    lengths = np.diff(np.append(starts, epochs.shape[-1]))
    return np.add.reduceat(epochs, starts, axis=-1) / lengths.astype(epochs.dtype)


def _with_channels(X):
    return X[:, np.newaxis] if X.ndim == 2 else X


def _as_numpy(value):
    if isinstance(value, dict):
        return {k: _as_numpy(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_as_numpy(v) for v in value)
    return np.asarray(value) if hasattr(value, "__array__") else value
