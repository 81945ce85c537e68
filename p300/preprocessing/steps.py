"""Steps on arrays: cut epochs from a segment, subtract the baseline, clip, find loud epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.preprocessing._engine.sampling import (
    ON_SAMPLE,
    Sampling,
    epoch_length,
    take_epochs,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def cut_epochs(
    signal: np.ndarray,
    onsets: ArrayLike,
    *,
    sfreq: float,
    tmin: float = 0.0,
    tmax: float = 0.65,
    sfreq_out: float | None = None,
) -> np.ndarray:
    """Cut one epoch around every flash of a segment.

    The interval is half open, ``[tmin, tmax)``; its time points are ``onset + tmin + k /
    sfreq_out``, to within half of 1e-4 of a sample. Where they coincide with samples of the
    signal, these are picked; elsewhere the signal is interpolated
    (:mod:`p300.preprocessing.resampling`).

    Parameters
    ----------
    signal : ndarray, shape (n_chans, n_samples)
        Continuous in time and, if ``sfreq_out`` is lower than ``sfreq``, without content above
        the Nyquist frequency of the lower rate. Not changed.
    onsets : array_like, shape (n_flashes,)
        Seconds from the first sample of ``signal``.
    sfreq : float
        Rate of ``signal`` in Hz.
    tmin, tmax : float
        Seconds from the onset.
    sfreq_out : float or None
        Rate of the epochs in Hz; None for that of ``signal``.

    Returns
    -------
    ndarray, shape (n_flashes, n_chans, n_times)
        In the floating type of ``signal``.

    Raises
    ------
    InputError
        If an epoch reaches past an end of the segment; the message counts how many, and which.

    Examples
    --------
    >>> cut_epochs(np.zeros((64, 240)), np.array([0.25]), sfreq=240, tmin=0, tmax=0.65).shape
    (1, 64, 156)
    """
    sfreq_out = sfreq_out or sfreq
    onsets = np.asarray(onsets, np.float64)
    sampling = Sampling(sfreq, sfreq_out, epoch_length(sfreq_out, tmin, tmax))
    starts = (onsets + tmin) * sfreq
    stops = starts + (sampling.n_times - 1) * float(sampling.step)
    n_samples = signal.shape[1]
    which = np.flatnonzero(~((starts >= -ON_SAMPLE) & (stops <= n_samples - 1 + ON_SAMPLE)))
    if len(which):
        raise InputError(
            f"{len(which)} of {len(onsets)} epochs reach past an end of the segment: flashes "
            f"{_shorten(which)} at {_shorten(onsets[which].round(3))} s, epoch [{tmin:g}, "
            f"{tmax:g}) s; expected all inside the segment of {n_samples / sfreq:.3f} s"
        )
    signal = np.asarray(signal, np.result_type(signal.dtype, np.float32))
    epochs = np.empty((len(onsets), len(signal), sampling.n_times), signal.dtype)
    take_epochs(signal, starts, sampling, epochs)
    return epochs


def subtract_baseline(
    epochs: np.ndarray,
    baseline: Sequence[float],
    *,
    sfreq: float,
    tmin: float,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Subtract from each epoch and channel its mean over the baseline interval.

    Parameters
    ----------
    epochs : ndarray, shape (n_flashes, n_chans, n_times)
        EEG, not changed.
    baseline : tuple of float
        Half-open interval ``[start, stop)`` in seconds from the flash, within the epoch.
    sfreq : float
        Rate of the epochs in Hz.
    tmin : float
        Seconds from the flash to the first sample.
    out : ndarray or None
        Where to write; may be ``epochs`` itself.

    Returns
    -------
    ndarray, shape (n_flashes, n_chans, n_times)

    Raises
    ------
    InputError
        If no sample lies in the interval, or the interval is not inside the epoch.

    Examples
    --------
    >>> subtract_baseline(np.array([[[1.0, 3.0, 8.0]]]), (-0.2, 0), sfreq=10, tmin=-0.2)
    array([[[-1.,  1.,  6.]]])
    """
    inside = baseline_samples(baseline, sfreq=sfreq, tmin=tmin, n_times=epochs.shape[-1])
    level = epochs[..., inside].mean(axis=-1, keepdims=True)
    return np.subtract(epochs, level, out=out)


def baseline_samples(
    baseline: Sequence[float], *, sfreq: float, tmin: float, n_times: int
) -> slice:
    """Find the samples of an epoch that lie in a half-open interval."""
    start, stop = (int(np.ceil((t - tmin) * sfreq - 1e-6)) for t in baseline)
    if not 0 <= start < stop <= n_times:
        raise InputError(
            f"baseline [{baseline[0]:g}, {baseline[1]:g}) s holds no sample or leaves the epoch; "
            f"expected within [{tmin:g}, {tmin + n_times / sfreq:g}) s"
        )
    return slice(start, stop)


def clip_amplitude(
    epochs: np.ndarray, clip_uv: float, *, out: np.ndarray | None = None
) -> np.ndarray:
    """Limit the EEG to within plus and minus ``clip_uv``.

    Parameters
    ----------
    epochs : ndarray
        EEG in µV, filtered (otherwise the offset of an electrode is clipped); not changed.
    clip_uv : float
        Limit in µV.
    out : ndarray or None
        Where to write; may be ``epochs`` itself.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> clip_amplitude(np.array([-200.0, 5.0, 90.0]), 80)
    array([-80.,   5.,  80.])
    """
    return np.clip(epochs, -clip_uv, clip_uv, out=out)


def find_rejected(epochs: np.ndarray, reject_uv: float) -> np.ndarray:
    """Find the epochs in which any channel's peak-to-peak amplitude exceeds a limit.

    Parameters
    ----------
    epochs : ndarray, shape (n_flashes, n_chans, n_times)
        EEG in µV, filtered.
    reject_uv : float
        Largest peak-to-peak amplitude accepted, in µV.

    Returns
    -------
    ndarray of bool, shape (n_flashes,)

    Examples
    --------
    >>> find_rejected(np.array([[[0.0, 50.0]], [[-80.0, 80.0]]]), 100)
    array([False,  True])
    """
    return (np.ptp(epochs, axis=-1) > reject_uv).any(axis=-1)


def _shorten(values: np.ndarray, n: int = 5) -> str:
    return ", ".join(f"{v:g}" for v in values[:n]) + (", …" if len(values) > n else "")
