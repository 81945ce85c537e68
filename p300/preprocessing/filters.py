"""The band-pass: a Butterworth filter, zero-phase or causal, over one segment at a time.

Filter segments, never epochs: a 0.1 Hz high-pass rings for seconds, and a 0.65 s epoch is shorter
than that. Never filter across segments: the signal is not continuous in time there.

:func:`filter_segment` is the definition: SciPy's ``sosfiltfilt`` or ``sosfilt`` in float64. It is
what runs with ``Preprocessor(engine="scipy")``, and for filters of an order above 10.

With ``engine="fast"``, the default, the same transfer function runs as a sum of decaying
oscillations (the poles of the filter) in float32, block by block, and only the samples that
epochs need are computed (:mod:`p300.preprocessing._engine`, private). It removes the same offset
first, pads a zero-phase segment in the same way, and differs from SciPy by less than 2e-4 of a
standard deviation; tests hold it to that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import signal as sps

from p300.errors import InputError

PHASES = ("zero", "causal")


def design_bandpass(
    l_freq: float | None, h_freq: float | None, *, sfreq: float, order: int = 4
) -> np.ndarray:
    """Design the Butterworth filter as second-order sections.

    Parameters
    ----------
    l_freq, h_freq : float or None
        Corners in Hz (-3 dB); without ``l_freq`` a low-pass, without ``h_freq`` a high-pass.
    sfreq : float
        Sampling rate in Hz.
    order : int
        Order of the low-pass prototype: each slope falls by ``6 * order`` dB per octave.

    Returns
    -------
    ndarray, shape (n_sections, 6)
        Without any corner, shape (0, 6): no filter.

    Raises
    ------
    InputError
        If the corners do not fit the rate or each other.

    Examples
    --------
    >>> design_bandpass(0.1, 20, sfreq=240).shape
    (4, 6)
    """
    if l_freq is None and h_freq is None:
        return np.zeros((0, 6))
    return butterworth(l_freq, h_freq, sfreq=sfreq, order=order, output="sos")


def butterworth(
    l_freq: float | None, h_freq: float | None, *, sfreq: float, order: int, output: str
) -> Any:
    """Design the filter in any of SciPy's forms; see :func:`design_bandpass`."""
    if order != int(order) or order < 1:
        raise InputError(f"got filter order {order}; expected a whole number of at least 1")
    if h_freq is not None and not h_freq > 0:
        raise InputError(f"got h_freq={h_freq:g} Hz; expected more than 0 Hz")
    if h_freq is not None and not h_freq < 0.5 * sfreq:
        raise InputError(
            f"got h_freq={h_freq:g} Hz at a rate of {sfreq:g} Hz; expected less than "
            f"{0.5 * sfreq:g} Hz; lower h_freq or raise sfreq"
        )
    if l_freq is not None and not 0 < l_freq < (h_freq or 0.5 * sfreq):
        raise InputError(
            f"got l_freq={l_freq} Hz; expected between 0 and {h_freq or 0.5 * sfreq:g} Hz"
        )
    if l_freq is None:
        return sps.butter(order, h_freq, "low", output=output, fs=sfreq)
    if h_freq is None:
        return sps.butter(order, l_freq, "high", output=output, fs=sfreq)
    return sps.butter(order, [l_freq, h_freq], "band", output=output, fs=sfreq)


def filter_segment(signal: np.ndarray, sos: np.ndarray, *, phase: str = "zero") -> np.ndarray:
    """Filter one continuous segment, each channel on its own, its offset removed first.

    Without a filter the segment stays as it is. Zero-phase is ``scipy.signal.sosfiltfilt`` of the
    signal minus its mean. Causal is ``scipy.signal.sosfilt`` of the signal minus its first sample;
    for a band-pass this is a start in the steady state of the first sample.

    Parameters
    ----------
    signal : ndarray, shape (n_chans, n_samples)
        EEG, not changed.
    sos : ndarray, shape (n_sections, 6)
        From :func:`design_bandpass`.
    phase : {"zero", "causal"}
        "zero" reads the future and doubles the slopes; "causal" is what a live system can do.

    Returns
    -------
    ndarray of float64, shape (n_chans, n_samples)

    Raises
    ------
    InputError
        If the segment is too short for the filter, or ``phase`` is unknown.

    Examples
    --------
    >>> sos = design_bandpass(0.1, 20, sfreq=240)
    >>> filter_segment(np.ones((2, 480)), sos, phase="causal").shape
    (2, 480)
    """
    if phase not in PHASES:
        raise InputError(f"got phase {phase!r}; expected one of {list(PHASES)}")
    n_samples = signal.shape[1]
    padding = pad_length(sos)
    if phase == "zero" and n_samples <= padding:
        raise InputError(
            f"segment of {n_samples} samples is too short for the zero-phase filter; "
            f"expected more than {padding}"
        )
    signal = np.asarray(signal, np.float64)
    if not len(sos):
        return signal.copy()
    # the first sample in both cases: a constant channel becomes exactly zero
    level = signal - signal[:, :1]
    if phase == "zero":
        level -= level.mean(axis=1, keepdims=True)
    if phase == "causal":
        return sps.sosfilt(sos, level, axis=1)
    return sps.sosfiltfilt(sos, level, axis=1, padlen=padding)


def pad_length(sos: np.ndarray) -> int:
    """Count the samples by which ``sosfiltfilt`` extends a segment at either end."""
    n_taps = 2 * len(sos) + 1 - min((sos[:, 2] == 0).sum(), (sos[:, 5] == 0).sum())
    return int(3 * n_taps) if len(sos) else 0
