"""Resample from the rate of the amplifier to that of the detector.

The samples of an epoch are at ``onset + tmin + k / sfreq``, to within half of 1e-4 of a sample of
the recording (0.2 µs at 240 Hz). Where these time points coincide with samples of the filtered
signal, the samples are picked: 240 Hz to 120 Hz is exact. Everywhere else a Kaiser-windowed sinc
evaluates the band-limited signal at the time point itself. Its error is 1e-4 of the amplitude, for
all rates and for any position of the onset between two samples.

The band-pass is the anti-aliasing filter: with the default corners and 120 Hz it attenuates what
would alias into the band by 55 dB (causal) or 110 dB (zero phase). If it attenuates by less than
40 dB, or if there is no band-pass, the sinc also cuts off at half the new rate.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from functools import lru_cache

import numpy as np
from scipy import signal as sps

from p300.errors import InputError
from p300.recording import Recording

#: Largest denominator of a ratio of two rates that counts as one of whole numbers.
MAX_DENOMINATOR = 10_000


def resample(
    signal: np.ndarray, *, sfreq_in: float, sfreq: float, plain: bool = False
) -> np.ndarray:
    """Resample a whole segment by a rational ratio; the first sample stays the first.

    Parameters
    ----------
    signal : ndarray, shape (n_chans, n_samples)
        EEG, not changed.
    sfreq_in, sfreq : float
        Rates before and after, in Hz.
    plain : bool
        If ``sfreq_in / sfreq`` is a whole number q, take every q-th sample without an
        anti-aliasing filter, as in Cecotti & Graeser 2011, section 2.3. This is correct only if
        the signal has no content above ``sfreq / 2``.

    Returns
    -------
    ndarray, shape (n_chans, ceil(n_samples * sfreq / sfreq_in))

    Raises
    ------
    InputError
        If the ratio is not rational with a denominator of at most 10,000.

    Examples
    --------
    >>> resample(np.arange(6.0)[None], sfreq_in=240, sfreq=120, plain=True)
    array([[0., 2., 4.]])
    """
    ratio = rational_ratio(sfreq, sfreq_in)
    if ratio == 1:
        return signal
    if ratio.denominator > MAX_DENOMINATOR:
        raise InputError(
            f"got rates of {sfreq_in:g} and {sfreq:g} Hz; expected a ratio of whole numbers up to "
            f"{MAX_DENOMINATOR:,} to resample a whole segment"
        )
    if plain and ratio.numerator == 1:
        return signal[:, :: ratio.denominator]
    return sps.resample_poly(signal, ratio.numerator, ratio.denominator, axis=1, padtype="line")


def resample_recording(recording: Recording, sfreq: float) -> Recording:
    """Resample all segments of a recording, such as one of 2048 Hz that fills the memory.

    Frequencies above half the new rate are removed. Onsets stay as they are, in seconds; so do
    positions, bad channels and notes, and one note more says the old rate. Segments whose clocks
    differ stay as different as they were. A :class:`Preprocessor` needs none of this: it resamples
    each epoch at its own onset.

    Parameters
    ----------
    recording : Recording
        Not changed.
    sfreq : float
        Sampling rate after, in Hz.

    Returns
    -------
    Recording

    Raises
    ------
    InputError
        If ``sfreq`` is not above 0, or the ratio of the rates is not one of whole numbers up to
        10,000.

    Examples
    --------
    >>> from p300.flashes import flash_table
    >>> recording = Recording([np.zeros((1, 2048))], flash_table(onset=[0.5]), ["Cz"], 2048)
    >>> resample_recording(recording, 256)
    <Recording recording: 1 flashes in 1 segments, 1 s, 1 channels at 256 Hz, uV, no speller>
    """
    if not (np.isfinite(sfreq) and sfreq > 0):
        raise InputError(f"{recording.name}: got sfreq={sfreq:g} Hz; expected more than 0")
    ratio = rational_ratio(sfreq, recording.sfreq)
    segments = [
        resample(segment, sfreq_in=recording.sfreq, sfreq=sfreq) for segment in recording.segments
    ]
    rates = [rate * float(ratio) for rate in recording.rates]
    return dataclasses.replace(
        recording,
        segments=segments,
        sfreq=sfreq,
        segment_sfreq=None if set(rates) <= {float(sfreq)} else rates,
        notes=[*recording.notes, f"Resampled from {recording.sfreq:g} to {sfreq:g} Hz."],
    )


@lru_cache(maxsize=64)  # asked for every segment
def rational_ratio(sfreq: float, sfreq_in: float) -> Fraction:
    """Write ``sfreq / sfreq_in`` as a fraction, of numbers up to 10,000 if it is one to 1e-6.

    Examples
    --------
    >>> rational_ratio(120, 256)
    Fraction(15, 32)
    >>> float(rational_ratio(120, 255.9987)) * 255.9987  # the clock of an amplifier
    120.0
    """
    ratio = Fraction(sfreq / sfreq_in).limit_denominator(MAX_DENOMINATOR)
    is_close = abs(float(ratio) * sfreq_in - sfreq) <= 1e-6 * sfreq
    return ratio if is_close else Fraction(sfreq / sfreq_in)
