"""Sums over epochs from which a linear detector is computed.

Sums of different flashes are added and subtracted. So leaving flashes out, adding a person, or
learning from the next character costs one addition, and no epoch has to be kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import fft
from scipy.linalg import get_blas_funcs

#: Flashes that are added at once.
AT_ONCE = 2048


@dataclass(frozen=True)
class EpochSums:
    """Weighted sums over epochs, each centred in time.

    Parameters
    ----------
    basis : ndarray, shape (n_times, n_functions)
        Time courses in which the products are kept.
    n : ndarray, shape (2,)
        Sum of the weights of nontargets and of targets.
    epochs : ndarray, shape (2, n_chans, n_times)
        Sum of the epochs of either class.
    products : ndarray, shape (n_features, n_features)
        Sum of the outer products of the features of all epochs, ``n_chans * n_functions`` each.
    lags : ndarray, shape (n_times, n_chans, n_chans)
        Sum over epochs and time t of the products of the channels at t and at t + lag.
    """

    basis: np.ndarray
    n: np.ndarray
    epochs: np.ndarray
    products: np.ndarray
    lags: np.ndarray

    @classmethod
    def of(
        cls, epochs: np.ndarray, p_target: np.ndarray, weight: np.ndarray, basis: np.ndarray
    ) -> Self:
        """Sum epochs.

        Parameters
        ----------
        epochs : ndarray of float, shape (n_flashes, n_chans, n_times)
            Centred in time.
        p_target : ndarray, shape (n_flashes,)
            Labels, or probabilities of a target.
        weight : ndarray, shape (n_flashes,)
            How much each flash counts.
        basis : ndarray, shape (n_times, n_functions)
        """
        n_chans, n_times = epochs.shape[1:]
        d = n_chans * basis.shape[1]
        of_class = np.stack([weight * (1 - p_target), weight * p_target])
        sums = np.zeros((2, n_chans, n_times))
        products = np.zeros((d, d), order="F")
        (syrk,) = get_blas_funcs(("syrk",), (epochs[:1],))
        spectra = np.zeros((n_times + 1, n_chans, n_chans), complex)
        for start in range(0, len(epochs), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            some = epochs[part]
            sums += np.tensordot(of_class[:, part], some, axes=1)
            loud = some * np.sqrt(weight[part]).astype(some.dtype)[:, np.newaxis, np.newaxis]
            features = (loud @ basis.astype(some.dtype)).reshape(len(some), d)
            products += syrk(1.0, features.T)
            padded = fft.rfft(loud, 2 * n_times, axis=2, workers=2)  # the same bits with one
            parts = padded.view(some.dtype).reshape(*padded.shape, 2).transpose(2, 3, 0, 1)
            parts = np.ascontiguousarray(parts)  # as BLAS needs it
            both = parts.reshape(len(parts), -1, n_chans)
            crossed = parts[:, 0].transpose(0, 2, 1) @ parts[:, 1]
            spectra.real += both.transpose(0, 2, 1) @ both
            spectra.imag += crossed - crossed.transpose(0, 2, 1)
        products += np.triu(products, 1).T
        lags = fft.irfft(spectra, 2 * n_times, axis=0)[:n_times]
        return cls(basis, of_class.sum(axis=1), sums, products, lags)

    def __add__(self, other: EpochSums) -> Self:
        return self._with(other, 1.0)

    def __sub__(self, other: EpochSums) -> Self:
        return self._with(other, -1.0)

    def _with(self, other: EpochSums, factor: float) -> Self:
        names = ("n", "epochs", "products", "lags")
        added = {name: getattr(self, name) + factor * getattr(other, name) for name in names}
        return type(self)(self.basis, **added)

    def __mul__(self, factor: float) -> Self:
        """Count every flash so many times."""
        return self._with(self, factor - 1)

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of each channel over flashes and time, shape (n_chans,)."""
        power = np.diagonal(self.lags[0]) / (self.n.sum() * len(self.basis))
        return np.sqrt(np.maximum(power, 0))

    @property
    def means(self) -> np.ndarray:
        """Mean epoch of nontargets and of targets, shape (2, n_chans, n_times)."""
        return self.epochs / self.n[:, np.newaxis, np.newaxis]

    def covariance(self, toeplitz: float) -> np.ndarray:
        """Compute the covariance of the features within the classes.

        Parameters
        ----------
        toeplitz : float
            Fraction of the covariance that is averaged over time: for each lag, one matrix of the
            channels, as of noise that is stationary during an epoch. It has the same trace, and
            fewer numbers to estimate.

        Returns
        -------
        ndarray, shape (n_features, n_features)
            Positive semidefinite: the average of a lag is over all times of an epoch, those
            outside counting as 0.

        Notes
        -----
        J. Sosulski, M. Tangermann, "Introducing block-Toeplitz covariance matrices to remaster
        linear discriminant analysis for event-related potential brain-computer interfaces", J.
        Neural Eng. 19:066001, 2022.
        """
        total = self.n.sum()
        means = (self.means @ self.basis).reshape(2, -1)
        found = (self.products - (means.T * self.n) @ means) / total
        if not toeplitz:
            return found
        n_times = len(self.basis)
        spectra = fft.rfft(self.means, 2 * n_times, axis=2).transpose(0, 2, 1)
        products = spectra[..., np.newaxis].conj() * spectra[:, :, np.newaxis, :]
        of_means = fft.irfft(np.tensordot(self.n, products, axes=1), 2 * n_times, axis=0)
        lags = (self.lags - of_means[:n_times]) / (n_times * total)
        shifted = np.stack([self.basis[: n_times - k].T @ self.basis[k:] for k in range(n_times)])
        ahead = np.tensordot(lags, shifted, axes=(0, 0)).transpose(0, 2, 1, 3)
        ahead = ahead.reshape(found.shape)
        at_once = np.kron(lags[0], shifted[0])
        stationary = ahead + ahead.T - at_once
        size = np.trace(stationary)
        if not size > 0:
            return found
        return (1 - toeplitz) * found + toeplitz * np.trace(found) / size * stationary
