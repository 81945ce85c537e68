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

from fractions import Fraction

import numpy as np
from scipy import signal as sps

from p300.errors import InputError


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
    if plain and ratio.numerator == 1:
        return signal[:, :: ratio.denominator]
    return sps.resample_poly(signal, ratio.numerator, ratio.denominator, axis=1, padtype="line")


def rational_ratio(sfreq: float, sfreq_in: float) -> Fraction:
    """Write ``sfreq / sfreq_in`` as a fraction.

    Examples
    --------
    >>> rational_ratio(120, 256)
    Fraction(15, 32)
    """
    ratio = Fraction(sfreq / sfreq_in).limit_denominator(10_000)
    if abs(float(ratio) * sfreq_in - sfreq) > 1e-6 * sfreq:
        raise InputError(
            f"got rates of {sfreq_in:g} and {sfreq:g} Hz; expected a ratio of whole numbers up to "
            "10,000"
        )
    return ratio
