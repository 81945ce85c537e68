"""Positions of the time points of an epoch among the samples, and the values there."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from p300.errors import InputError
from p300.preprocessing.resampling import rational_ratio

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: Resolution of the time points, in samples.
ON_SAMPLE = 1e-4

#: OpenBLAS computes products of up to this many multiplications on the calling thread. Larger
#: ones start its own threads, which compete with ours.
SMALL_PRODUCT = 2**18

#: Attenuation of the sinc's stop band, in dB.
ATTENUATION = 80.0

#: Smallest attenuation of aliases with which the sinc need not remove them, in dB.
ENOUGH = 40.0


def epoch_length(sfreq: float, tmin: float, tmax: float) -> int:
    """Count the time points ``tmin + k / sfreq`` in the half-open interval ``[tmin, tmax)``.

    Examples
    --------
    >>> epoch_length(120, 0, 0.65), epoch_length(240, 0, 0.65), epoch_length(120, -0.1, 0.6)
    (78, 156, 84)
    """
    n_times = int(np.ceil((tmax - tmin) * sfreq - 1e-6))
    if n_times < 1:
        raise InputError(f"epoch from {tmin} to {tmax} s holds no sample; expected tmin < tmax")
    return n_times


@dataclass(frozen=True)
class Sampling:
    """Positions of the time points of an epoch among the samples of a signal.

    Parameters
    ----------
    sfreq_in, sfreq : float
        Rates of the signal and of the epochs in Hz.
    n_times : int
        Samples per epoch.
    f_pass : float or None
        None if the signal has no content that would alias into the band; otherwise the upper end
        of the band, and the sinc removes what would alias into it.
    """

    sfreq_in: float
    sfreq: float
    n_times: int
    f_pass: float | None = None

    @cached_property
    def step(self) -> Fraction:
        """Samples of the signal from one time point to the next."""
        return 1 / rational_ratio(self.sfreq, self.sfreq_in)

    @cached_property
    def is_picking(self) -> bool:
        """Whether an epoch that starts on a sample is picked, without interpolation."""
        return self.step.denominator == 1 and self.f_pass is None

    @cached_property
    def half_width(self) -> int:
        """Samples on either side of a time point that its interpolation uses."""
        taps = (ATTENUATION - 7.95) / (2.285 * 2 * np.pi * self._band[1])
        return int(np.ceil(taps / 2)) + 1

    @cached_property
    def _band(self) -> tuple[float, float]:
        """Cut-off and transition width of the sinc, in cycles per sample."""
        if self.f_pass is None:  # pass up to half the new rate, stop the images above
            f_pass = min(0.5 * self.sfreq, 0.4 * self.sfreq_in)
            f_stop = self.sfreq_in - f_pass
        else:
            f_pass = min(self.f_pass, 0.4 * self.sfreq, 0.4 * self.sfreq_in)
            f_stop = min(self.sfreq, self.sfreq_in) - f_pass
        return (f_pass + f_stop) / 2 / self.sfreq_in, (f_stop - f_pass) / self.sfreq_in

    def split(self, starts: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Split positions into whole samples and, in units of ON_SAMPLE, the rest."""
        units = np.rint(np.asarray(starts) / ON_SAMPLE).astype(np.int64)
        return np.divmod(units, round(1 / ON_SAMPLE))

    def span(self, starts: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Find the samples ``[first, stop)`` that epochs starting at some positions need."""
        whole, rest = self.split(starts)
        last = np.floor(rest * ON_SAMPLE + (self.n_times - 1) * float(self.step)).astype(np.int64)
        is_picked = self.is_picking & (rest == 0)
        margin = np.where(is_picked, 0, self.half_width)
        return whole - np.maximum(margin - 1, 0), whole + last + 1 + margin

    def decimation(self, starts: ArrayLike) -> tuple[int, int]:
        """Return ``stride, first``: epochs need only the samples ``first, first + stride, …``."""
        whole, rest = self.split(starts)
        if not self.is_picking or rest.any():
            return 1, 0
        stride = int(np.gcd.reduce([int(self.step), *np.diff(whole)]))
        return stride, int(whole[0]) % stride


@lru_cache(maxsize=16)
def _weights(sampling: Sampling, rest: int) -> np.ndarray:
    """Build the matrix that evaluates an epoch from samples around it.

    Parameters
    ----------
    sampling : Sampling
        Rates and length of the epochs.
    rest : int
        Distance from a sample to the start of the epoch, in units of ON_SAMPLE.

    Returns
    -------
    ndarray of float32, shape (n_samples, n_times)
        The first of these samples is ``half_width - 1`` before that sample.
    """
    half_width = sampling.half_width
    position = rest * ON_SAMPLE + np.arange(sampling.n_times) * float(sampling.step)
    before = np.floor(position).astype(np.int64)
    taps = before[:, None] + np.arange(1 - half_width, half_width + 1)  # (n_times, n_taps)
    values = np.interp(np.abs(position[:, None] - taps), *_sinc_table(sampling))
    values /= values.sum(axis=1, keepdims=True)
    weights = np.zeros((before[-1] + 2 * half_width, sampling.n_times), np.float32)
    weights[taps + half_width - 1, np.arange(sampling.n_times)[:, None]] = values
    return weights


@lru_cache(maxsize=16)
def _sinc_table(sampling: Sampling) -> tuple[np.ndarray, np.ndarray]:
    cutoff, _ = sampling._band
    beta = 0.1102 * (ATTENUATION - 8.7)
    distance = np.linspace(0, sampling.half_width, 1024 * sampling.half_width + 1)
    window = np.i0(beta * np.sqrt(1 - (distance / sampling.half_width) ** 2))
    return distance, np.sinc(2 * cutoff * distance) * window


def take_epochs(
    signal: np.ndarray, starts: np.ndarray, sampling: Sampling, out: np.ndarray
) -> None:
    """Write the epochs that start at some positions of a signal.

    Beyond both ends, the signal continues as its odd reflection. Only the margin of the sinc may
    reach there.

    Parameters
    ----------
    signal : ndarray, shape (n_chans, n_samples)
        Band-limited EEG.
    starts : ndarray, shape (n_flashes,)
        Samples from the start of ``signal``.
    sampling : Sampling
        Rates and length of the epochs.
    out : ndarray, shape (n_flashes, n_chans, n_times)
        Receives the epochs.
    """
    step, half_width = int(sampling.step), sampling.half_width
    n_between = (sampling.n_times - 1) * step + 1
    wholes, rests = sampling.split(starts)
    spacing = set(np.diff(wholes).tolist())
    if sampling.is_picking and not rests.any() and len(spacing) == 1 and min(spacing) > 0:
        windows = sliding_window_view(signal, n_between, axis=1)[..., ::step]
        evenly = windows[:, wholes[0] : wholes[-1] + 1 : spacing.pop()]
        np.copyto(out, evenly.swapaxes(0, 1))  # all at once
        return
    for epoch, whole, rest in zip(out, wholes, rests, strict=True):
        if sampling.is_picking and rest == 0:
            epoch[:] = signal[:, whole : whole + n_between : step]
            continue
        weights = _weights(sampling, int(rest)).astype(signal.dtype, copy=False)
        first = whole - half_width + 1
        stop = first + len(weights)
        if first >= 0 and stop <= signal.shape[1]:
            around = signal[:, first:stop]
        else:
            sample = np.arange(first, stop)
            edge = np.clip(sample, 0, signal.shape[1] - 1)  # the sample itself inside the signal
            around = 2 * signal[:, edge] - signal[:, 2 * edge - sample]
        small_products(around, weights, out=epoch)


def folds_into_band(
    sos: np.ndarray, *, sfreq_in: float, sfreq: float, h_freq: float | None, phase: str
) -> bool:
    """Return whether a band-pass leaves too much that aliases into its band at a lower rate."""
    if sfreq >= sfreq_in:
        return False
    if h_freq is None:
        return True
    lowest = sfreq - h_freq  # lowest frequency that aliases into the band
    z = np.exp(2j * np.pi * min(lowest, 0.5 * sfreq_in) / sfreq_in)
    gain = np.prod([abs(np.polyval(s[:3], z) / np.polyval(s[3:], z)) for s in sos])
    return bool(gain ** (2 if phase == "zero" else 1) > 10 ** (-ENOUGH / 20))


def small_products(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """Compute ``np.matmul(a, b, out)`` for stacks of small matrices, in parts of SMALL_PRODUCT."""
    n_rows = max(1, SMALL_PRODUCT // (b.shape[-2] * max(b.shape[-1], 1)))
    for k in range(0, a.shape[-2], n_rows):
        np.matmul(a[..., k : k + n_rows, :], b, out=out[..., k : k + n_rows, :])
