"""Any estimator or pipeline of scikit-learn, pyRiemann or one's own as a detector."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_regressor

from p300.baselines.plain_estimator import describe_estimator, restore_estimator
from p300.errors import InputError
from p300.storage.untrusted import OWN_FOLDERS, add_own_modules

#: Probabilities are kept this far from 0 and 1, so that their log odds are finite.
MARGIN = 1e-12

#: Attributes of pipelines and unions that hold fitted estimators.
PARTS = ("steps", "transformer_list")

#: What ``flatten`` can be.
FLATTENS = ("auto", True, False)


class SklearnDetector(ClassifierMixin, BaseEstimator):
    """Detector that fits any estimator with scikit-learn's interface.

    A score is the estimator's ``decision_function``, else the log odds of its ``predict_proba``,
    else, of a regressor, its prediction. A ``random_state`` that is None becomes 0, also inside
    a pipeline, so that a run can be repeated.

    Parameters
    ----------
    estimator : estimator
        With ``fit(X, y)``; not changed.
    flatten : {"auto", True, False}
        Whether an epoch is given as one row of n_chans * n_times features or as (n_chans,
        n_times). "auto" tries the second first, since scikit-learn's own estimators refuse it.

    Attributes
    ----------
    estimator_ : estimator
        The fitted one.
    is_flat_ : bool
        Whether it gets rows of features.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = np.random.default_rng(0).normal(size=(60, 8, 78)), np.arange(60) % 6 == 0
    >>> detector = SklearnDetector(LogisticRegression()).fit(X, y)
    >>> detector.is_flat_, detector.decision_function(X).shape
    (True, (60,))
    """

    def __init__(self, estimator, flatten="auto"):
        self.estimator = estimator
        self.flatten = flatten

    def fit(self, X, y, **whole):
        """Fit to epochs ``X`` (n_flashes, n_chans, n_times) with classes ``y``.

        Raises
        ------
        InputError
            If the estimator cannot be fitted, or gives no score.
        """
        if self.flatten not in FLATTENS:
            raise InputError(f"got flatten={self.flatten!r}; expected auto, true or false")
        X, self.classes_ = np.asarray(X), np.unique(y)
        name, reasons = type(self.estimator).__name__, []
        for is_flat in (False, True) if self.flatten == "auto" else (self.flatten,):
            self.is_flat_ = is_flat
            shape = self._shown(X).shape[1:]
            self.estimator_ = repeatable(self.estimator)
            try:
                targets = np.asarray(y, float) if predicts_numbers(self.estimator_) else y
                self.estimator_.fit(self._shown(X), targets, **whole)
                self.decision_function(X[:2])
            except Exception as error:  # of any kind: it is not ours
                text = " ".join(str(error).split())
                kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
                reasons.append(f"with epochs of shape {shape}: {kind}{text}")
                last = error
                continue
            return self
        raise InputError(f"{name} could not be fitted {'; '.join(reasons)}") from last

    def decision_function(self, X):
        """Return one score per flash, shape (n_flashes,): larger = more target-like."""
        estimator, shown = self.estimator_, self._shown(np.asarray(X))
        if hasattr(estimator, "decision_function"):
            scores = estimator.decision_function(shown)
        elif hasattr(estimator, "predict_proba"):
            p = np.clip(np.asarray(estimator.predict_proba(shown))[:, -1], MARGIN, 1 - MARGIN)
            scores = np.log(p) - np.log1p(-p)
        elif predicts_numbers(estimator):
            scores = estimator.predict(shown)
        else:
            raise InputError("it has neither decision_function nor predict_proba; expected one")
        scores = np.asarray(scores, float)
        if scores.shape != (len(X),):
            raise InputError(f"its scores are {scores.shape}; expected ({len(X)},), one per flash")
        return scores

    def predict(self, X):
        """Return the class of each flash, shape (n_flashes,): the target's where score > 0."""
        return self.classes_[(self.decision_function(X) > 0).astype(int)]

    def get_state(self) -> dict[str, Any]:
        """Return the fitted estimator as plain containers, or else as a pickle in an array.

        :mod:`p300.baselines.plain_estimator` lists those that need no pickle.

        Raises
        ------
        InputError
            If it cannot be pickled, such as for a lambda in it.
        """
        state = {"classes": self.classes_.tolist(), "is_flat": self.is_flat_}
        described = describe_estimator(self.estimator_)
        if described is not None:
            return state | {"estimator": described}
        try:
            pickled = pickle.dumps(self.estimator_, protocol=5)
        except Exception as error:  # of many kinds
            raise InputError(
                f"{type(self.estimator).__name__} cannot be pickled, and so not be saved: {error}"
            ) from error
        return state | {"pickle": np.frombuffer(bytearray(pickled), np.uint8)}

    @classmethod
    def from_state(cls, state: dict, *, is_own: bool = False):
        """Build a fitted detector from the output of :meth:`get_state`.

        Parameters
        ----------
        state : dict
            A pickle in it can run any code.
        is_own : bool
            Whether this user wrote it, or trusts who did. Otherwise no pickle is read.

        Raises
        ------
        InputError
            If it holds a pickle and ``is_own`` is False, or a class cannot be imported.
        """
        if "pickle" in state:
            estimator = unpickled(state["pickle"], is_own)
        else:
            estimator = restore_estimator(state["estimator"])
        detector = cls(estimator, bool(state["is_flat"]))
        detector.estimator_, detector.is_flat_ = estimator, bool(state["is_flat"])
        detector.classes_ = np.asarray(state["classes"])
        return detector

    @property
    def n_parameters(self) -> int:
        """Number of learned numbers."""
        return n_numbers(self.estimator_)

    def _shown(self, X):
        return X.reshape(len(X), -1) if self.is_flat_ else X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.three_d_array = True
        return tags


def unpickled(pickled: Any, is_own: bool) -> Any:
    """Return an estimator from its pickle, if the user trusts it.

    Raises
    ------
    InputError
        If the user does not, or a class of the estimator cannot be imported.
    """
    if not is_own:
        raise InputError(
            "the checkpoint holds a pickled estimator, which could run any code, and this "
            "user did not write it on this machine; expected a detector of p300; if you "
            "trust who wrote it, set P300_TRUST=pickle"
        )
    add_own_modules()
    try:
        return pickle.loads(np.asarray(pickled, np.uint8).tobytes())
    except Exception as error:  # of any kind: classes may have changed
        raise InputError(
            f"the estimator cannot be unpickled ({type(error).__name__}: {error}); for a "
            f"module of your own, set {OWN_FOLDERS} to its folder"
        ) from error


def repeatable(estimator):
    """Return an unfitted copy whose random states are numbers, not None."""
    copied = clone(estimator, safe=False)
    if hasattr(copied, "get_params"):
        params = copied.get_params(deep=True)
        names = [n for n in params if n.rpartition("__")[2] == "random_state"]
        copied.set_params(**{name: 0 for name in names if params[name] is None})
    return copied


def predicts_numbers(estimator) -> bool:
    """Return whether an estimator is a regressor; one without scikit-learn's tags is not."""
    try:
        return is_regressor(estimator)
    except (AttributeError, TypeError):
        return False


def n_numbers(value: Any) -> int:
    """Count the numbers in the fitted arrays of an estimator, and of the estimators inside it."""
    if isinstance(value, np.ndarray):
        return value.size if value.dtype != object else sum(map(n_numbers, value.ravel()))
    if isinstance(value, list | tuple):
        return sum(map(n_numbers, value))
    if isinstance(value, dict):
        return sum(map(n_numbers, value.values()))
    if not hasattr(value, "fit"):
        return 0
    learned = {k: v for k, v in vars(value).items() if k.endswith("_") or k in PARTS}
    return sum(map(n_numbers, learned.values()))
