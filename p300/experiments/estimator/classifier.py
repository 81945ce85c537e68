"""Any experiment of p300 as a classifier of scikit-learn, for epochs that were cut elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from p300.baselines.base import two_classes
from p300.errors import InputError
from p300.experiments.estimator.given import as_recording, epochs_of_array, in_units
from p300.experiments.estimator.train import configured, fit_detector
from p300.experiments.fitting.probability import counted_log_odds
from p300.preprocessing.inputs import as_epochs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class P300Classifier(ClassifierMixin, BaseEstimator):
    """Classifier of epochs into target and nontarget: any experiment of p300.

    It takes epochs that are filtered and cut already. Of the preprocessing of the experiment only
    what follows the cut is done: reference, baseline, clipping and scaling. So filter the EEG as
    the experiment would: 0.1 to 20 Hz, 0 to 0.65 s after the flash, 120 Hz
    (:class:`p300.Preprocessor` with ``scaling="none"`` does this).

    A network is stopped early by flashes that are left out of its training. They are whole groups
    if ``fit`` gets ``groups``, else whole characters or runs of Epochs that know them, else
    blocks of flashes that follow each other. Without one of the former two, flashes of a
    character may be on both sides.

    Nothing is printed and no file is left; random numbers, loggers and threads stay as they were.

    Parameters
    ----------
    experiment : str
        A file of ``conf/experiment``, or of your own folder (``P300_CONF``): ``"cnn1"``,
        ``"eegnet"``, ``"lda"``, ``"riemann"``, ``"best"``, ….
    overrides : sequence of str
        As of ``p300 train``: ``["protocol.max_epochs=20", "model.n_filters=5"]``.
    sfreq : float or None
        Samples per second; needed for arrays, which do not know it.
    n_chans : int or None
        Electrodes in rows (n_flashes, n_chans * n_times) of features; None for one.
    random_state : int, RandomState or None
        Seed of first weights, order of flashes and the draw of the flashes that are left out. A
        whole number is the ``seed`` of ``p300 train``.

    Attributes
    ----------
    classes_ : ndarray, shape (2,)
        The labels; the larger one is that of the targets ("Target" after "NonTarget", 1 after 0),
        and words that mean it the other way round ("oddball", "standard") are refused.
    n_features_in_ : int
        Electrodes, or features of a row.
    detector_ : Detector
        The trained detector, which can be saved.

    Examples
    --------
    >>> g = np.random.default_rng(0)
    >>> X, y = g.normal(size=(240, 8, 78)), np.arange(240) % 6 == 0
    >>> X[y, :, 36] += 1  # µV, 0.3 s after each target flash
    >>> P300Classifier("lda", sfreq=120).fit(X[:180], y[:180]).decision_function(X[180:]).shape
    (60,)
    """

    def __init__(
        self,
        experiment: str = "cnn1",
        overrides: Sequence[str] = (),
        sfreq: float | None = None,
        n_chans: int | None = None,
        random_state: Any = 0,
    ):
        self.experiment = experiment
        self.overrides = overrides
        self.sfreq = sfreq
        self.n_chans = n_chans
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> Self:
        """Train the experiment on epochs.

        Parameters
        ----------
        X : array_like or Epochs
            In µV, shape (n_flashes, n_chans, n_times), or flattened to (n_flashes, n_features);
            or Epochs of MNE or of p300.
        y : array_like, shape (n_flashes,), or None
            Labels, of two values. Epochs with labels need none.
        groups : array_like, shape (n_flashes,), or None
            The character of each flash, or another unit: none is divided between the flashes to
            train on and those that are left out for early stopping.

        Raises
        ------
        InputError
            If the labels are not of two values, or mean target and nontarget in the other order,
            the epochs cannot be used, or the experiment or
            an override cannot be.
        """
        epochs = as_epochs(X)
        if epochs is None:
            X, y = validate_data(self, X, y, allow_nd=True, dtype=[np.float64, np.float32])
            epochs = epochs_of_array(X, self.sfreq, self.n_chans)
        else:
            self.n_features_in_ = len(epochs.ch_names)
            y = np.asarray(epochs.flashes["is_target"] if y is None else y)
            if len(y) != len(epochs):
                raise InputError(f"got {len(y)} labels of {len(epochs)} epochs; expected one each")
        self.classes_ = two_classes(y, type(self).__name__)
        units = in_units(epochs.flashes, y == self.classes_[1], groups)
        seed = self.random_state
        if not isinstance(seed, Integral):
            seed = check_random_state(seed).randint(2**31 - 1)
        wanted = [f"experiment={self.experiment}", f"seed={int(seed)}"]
        self.detector_ = fit_detector(configured(wanted, self.overrides, epochs), epochs, units)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Score epochs as of :meth:`fit`: shape (n_flashes,), larger = more target-like.

        Raises
        ------
        InputError
            If channels, samples or rate are not those of the training.
        """
        check_is_fitted(self)
        epochs = as_epochs(X)
        if epochs is None:
            kinds = [np.float64, np.float32]
            X = validate_data(self, X, allow_nd=True, dtype=kinds, reset=False)
            epochs = epochs_of_array(X, self.sfreq, self.n_chans)
        wanted = self.detector_.preprocessor.n_times
        if epochs.data.shape[2] != wanted:
            raise InputError(
                f"got epochs of {epochs.data.shape[2]} samples; expected {wanted}, as in training"
            )
        return self.detector_.score(as_recording(epochs))

    def predict(self, X: Any) -> np.ndarray:
        """Return the label of each flash, shape (n_flashes,): the target's where score > 0."""
        is_target = self.decision_function(X) > 0
        return self.classes_[is_target.astype(int)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of both labels, shape (n_flashes, 2).

        It holds among flashes as the training counted them: in most experiments both labels the
        same, whatever their number, so that 0.5 is a score of 0. ``calibration=platt`` among the
        overrides returns the probability among flashes with as many targets as in the training.

        Raises
        ------
        InputError
            If the loss is one's own and has no ``log_odds``.
        """
        scores = self.decision_function(X)
        log_odds = counted_log_odds(self.detector_, scores)
        return expit(np.column_stack([-log_odds, log_odds]))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.three_d_array = True
        return tags
