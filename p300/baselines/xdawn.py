"""xDAWN: spatial filters that maximise the evoked response to targets relative to all EEG.

B. Rivet, A. Souloumiac, V. Attina, G. Gibert, "xDAWN algorithm to enhance evoked potentials:
application to brain-computer interface", IEEE Trans. Biomed. Eng. 56:2035-2043, 2009, doi
10.1109/TBME.2009.2012869. The evoked response is the mean epoch, as in pyRiemann, which computes
the same filters: overlapping responses to neighbouring flashes are not separated. Shrinkage: Y.
Chen et al., "Shrinkage algorithms for MMSE covariance estimation", 2010, doi
10.1109/TSP.2010.2053029.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from p300.baselines.base import center
from p300.baselines.lda import ShrinkageLDA


class XdawnLDA(ShrinkageLDA):
    """xDAWN filters, then shrinkage LDA on means of neighbouring samples.

    Parameters
    ----------
    n_filters : int
        Number of spatial filters; at most the number of electrodes.
    n_samples_per_bin : int
        Samples averaged into a feature: 6 at 120 Hz are 20 features per second and filter.
    remove_mean : bool
        Whether the mean of each epoch and channel is subtracted first.

    Examples
    --------
    >>> X, y = np.random.default_rng(0).normal(size=(60, 8, 78)), np.arange(60) % 6 == 0
    >>> XdawnLDA(n_filters=4).fit(X, y).decision_function(X).shape
    (60,)
    """

    def __init__(self, n_filters=8, n_samples_per_bin=6, remove_mean=True):
        super().__init__(n_samples_per_bin, remove_mean)
        self.n_filters = n_filters

    def _features(self, epochs):
        return super()._features(self.filters_.astype(epochs.dtype) @ epochs)

    def _fit(self, epochs, is_target):
        self.filters_ = xdawn_filters(self._centred(epochs), is_target, self.n_filters)
        super()._fit(epochs, is_target)

    def epoch_weights(self):
        """Return the weight of each electrode and sample in the score: (n_chans, n_times)."""
        return self.filters_.T @ super().epoch_weights()


def xdawn_filters(epochs, of_class, n_filters, covariance=None):
    """Compute the spatial filters that maximise the mean epoch of a class relative to all EEG.

    Parameters
    ----------
    epochs : ndarray, shape (n_flashes, n_chans, n_times)
        EEG around every flash.
    of_class : ndarray of bool, shape (n_flashes,)
        The flashes whose mean epoch is maximised.
    n_filters : int
        At most ``n_chans``.
    covariance : ndarray, shape (n_chans, n_chans), or None
        Covariance of all EEG; None computes it.

    Returns
    -------
    ndarray, shape (n_filters, n_chans)
        Filters of length 1, the strongest first.
    """
    if covariance is None:
        covariance = covariance_of_all(epochs)
    evoked = oas_covariances(epochs[of_class].mean(axis=0, dtype=np.float64))
    _, vectors = eigh(evoked, covariance)
    vectors = vectors[:, ::-1][:, :n_filters]
    return (vectors / np.linalg.norm(vectors, axis=0)).T


def covariance_of_all(epochs):
    """Compute the shrunk covariance of the channels over all epochs, (n_chans, n_chans)."""
    n_flashes, n_chans, n_times = epochs.shape
    moment = np.zeros((n_chans, n_chans))
    for start in range(0, n_flashes, 256):  # a copy of all epochs would double the memory
        some = epochs[start : start + 256].transpose(1, 0, 2).reshape(n_chans, -1)
        moment += some @ some.T
    mean = epochs.mean(axis=(0, 2), dtype=np.float64)
    n_samples = n_flashes * n_times
    return _shrink(moment / n_samples - np.outer(mean, mean), n_samples)


def oas_covariances(signals):
    """Compute covariances over time with OAS shrinkage, as scikit-learn's ``oas``.

    Parameters
    ----------
    signals : ndarray, shape (..., n_rows, n_times)
        One matrix, or one per flash.

    Returns
    -------
    ndarray, shape (..., n_rows, n_rows)
    """
    signals = center(np.asarray(signals, np.float64))
    n_times = signals.shape[-1]
    return _shrink(signals @ np.swapaxes(signals, -1, -2) / n_times, n_times)


def _shrink(covariance, n_samples):
    n_rows = covariance.shape[-1]
    power = np.mean(covariance**2, axis=(-1, -2))
    mean = np.trace(covariance, axis1=-1, axis2=-2) / n_rows
    excess = (n_samples + 1) * (power - mean**2 / n_rows)
    shrinkage = np.minimum((power + mean**2) / np.maximum(excess, 1e-300), 1.0)[..., None, None]
    return (1 - shrinkage) * covariance + shrinkage * mean[..., None, None] * np.eye(n_rows)
