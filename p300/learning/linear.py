"""Linear discriminants from sums over epochs, with a smooth course in time and a ridge penalty.

The prior of each electrode's weights is a Gaussian process in time with a squared-exponential
kernel: neighbouring samples get similar weights. C. E. Rasmussen, C. K. I. Williams,
"Gaussian Processes for Machine Learning", MIT Press, 2006, sections 2.1 and 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from p300.learning.sums import EpochSums

#: Most electrodes with the finer of two bases.
MANY = 24

#: The penalty of one electrode where too few groups are known to choose one: more electrodes have
#: more in common, so that their mean eigenvalue says less about what is noise.
PENALTY_PER_CHANNEL = 1 / 160


def smooth_basis(n_times: int, length_scale: float, smallest: float = 1e-3) -> np.ndarray:
    """Compute the leading components of a Gaussian process, times their standard deviation.

    Parameters
    ----------
    n_times : int
        Samples.
    length_scale : float
        Length scale of the squared-exponential kernel, in samples.
    smallest : float
        Eigenvalues below this fraction of the largest are left out.

    Returns
    -------
    ndarray, shape (n_times, n_functions)
        ``basis @ basis.T`` is the kernel without its smaller eigenvalues.

    Examples
    --------
    >>> smooth_basis(78, 3.6).shape
    (78, 27)
    """
    time = np.arange(n_times)
    kernel = np.exp(-0.5 * np.square((time[:, np.newaxis] - time) / length_scale))
    values, vectors = np.linalg.eigh(kernel)
    kept = values > smallest * values[-1]
    return vectors[:, kept] * np.sqrt(values[kept])


def usual_basis(n_chans: int, n_times: int, sfreq: float, length_scale_s: float | None = None):
    """Compute the basis of a number of electrodes: a coarse one above :data:`MANY`.

    Parameters
    ----------
    n_chans, n_times : int
        Electrodes and samples of an epoch.
    sfreq : float
        Sampling rate in Hz.
    length_scale_s : float or None
        Seconds over which a weight changes. None: 0.03 s, or 0.05 s for many electrodes.

    Returns
    -------
    ndarray, shape (n_times, n_functions)
    """
    is_coarse = n_chans > MANY
    if length_scale_s is None:
        length_scale_s = 0.05 if is_coarse else 0.03
    return smooth_basis(n_times, length_scale_s * sfreq, 1e-2 if is_coarse else 1e-3)


def quiet_weights(epochs: np.ndarray, power: float | None = None) -> np.ndarray:
    """Compute how much each flash counts, at most 1: loud ones less, by their power.

    Parameters
    ----------
    epochs : ndarray, shape (n_flashes, n_chans, n_times)
        Centred in time.
    power : float or None
        Mean square up to which a flash counts fully; None for the median over the flashes.

    Examples
    --------
    >>> quiet_weights(np.array([[[1.0, -1]], [[1, -1]], [[2, -2]]]))
    array([1.  , 1.  , 0.25])
    """
    own = power_of(epochs)
    usual = np.median(own) if power is None else power
    return usual / np.maximum(own, usual or 1.0)


def power_of(epochs: np.ndarray) -> np.ndarray:
    """Compute the mean square of each epoch, shape (n_flashes,)."""
    return np.einsum("ict,ict->i", epochs, epochs) / epochs[0].size


def scaled_covariance(sums: EpochSums, toeplitz: float) -> tuple[np.ndarray, np.ndarray]:
    """Compute the covariance within the classes, each channel divided by its deviation.

    Returns
    -------
    covariance : ndarray, shape (n_features, n_features)
    scale : ndarray, shape (n_features,)
        What each feature was multiplied by.
    """
    std = np.where(sums.std > 0, sums.std, 1.0)
    scale = 1 / np.repeat(std, sums.basis.shape[1])
    return sums.covariance(toeplitz) * np.outer(scale, scale), scale


class Discriminants:
    """Linear discriminants of several differences of means, with one covariance.

    Parameters
    ----------
    sums : EpochSums
        Of the covariance.
    penalty : float
        Added to the covariance, times its mean eigenvalue.
    toeplitz : float
        Fraction of the covariance that is averaged over the time of an epoch.
    """

    def __init__(self, sums: EpochSums, *, penalty: float, toeplitz: float) -> None:
        covariance, self._scale = scaled_covariance(sums, toeplitz)
        size = np.trace(covariance) / len(covariance) or 1.0
        covariance[np.diag_indices_from(covariance)] += penalty * size
        self._basis = sums.basis
        self._factor = cho_factor(covariance, overwrite_a=True)

    def of(self, differences: np.ndarray) -> np.ndarray:
        """Compute the weights for mean epochs of targets less those of nontargets.

        Parameters
        ----------
        differences : ndarray, shape (n, n_chans, n_times)

        Returns
        -------
        ndarray, shape (n, n_chans, n_times)
        """
        found = cho_solve(self._factor, self._features(differences).T).T * self._scale
        n_functions = self._basis.shape[1]
        return found.reshape(len(differences), -1, n_functions) @ self._basis.T

    def whitened(self, differences: np.ndarray) -> np.ndarray:
        """Compute features in which the covariance is the identity: (n, n_features).

        The product of two is that of the first with the weights for the second.
        """
        factor, is_lower = self._factor
        features = self._features(differences).T
        return solve_triangular(factor, features, lower=is_lower, trans=0 if is_lower else 1).T

    def _features(self, epochs: np.ndarray) -> np.ndarray:
        return (epochs @ self._basis).reshape(len(epochs), -1) * self._scale


def several_penalties(
    sums: EpochSums, penalties: Sequence[float] | np.ndarray, toeplitz: float
) -> np.ndarray:
    """Compute the discriminants of the classes for several penalties.

    Returns
    -------
    ndarray, shape (n_penalties, n_chans, n_times)
        As of :class:`Discriminants`.
    """
    covariance, scale = scaled_covariance(sums, toeplitz)
    difference = (np.diff(sums.means, axis=0)[0] @ sums.basis).ravel() * scale
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 0)
    size = values.mean() or 1.0
    shrunk = (vectors.T @ difference) / (values + size * np.asarray(penalties)[:, np.newaxis])
    n_chans, n_functions = sums.epochs.shape[1], sums.basis.shape[1]
    return (shrunk @ vectors.T * scale).reshape(-1, n_chans, n_functions) @ sums.basis.T
