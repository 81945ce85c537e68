"""Electrodes: pick channels, re-reference them, find and interpolate bad ones.

Every step here is linear in space. The :class:`~p300.preprocessing.Preprocessor` therefore
combines them in one matrix, ``spatial_matrix``, in this order: bad channels are interpolated from
all the others, then the reference is subtracted, then the wanted channels are picked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from p300.electrodes import channel_order, find_positions, make_info
from p300.errors import InputError
from p300.preprocessing.filters import design_bandpass, filter_segment

if TYPE_CHECKING:
    from p300.electrodes import Positions


def pick_channels(
    signal: np.ndarray, ch_names: Sequence[str], wanted: Sequence[str]
) -> np.ndarray:
    """Pick channels by name, in the order wanted.

    Parameters
    ----------
    signal : ndarray, shape (n_chans, n_samples)
        EEG in any unit.
    ch_names : sequence of str
        The channels of ``signal``.
    wanted : sequence of str
        Names to keep; case and trailing dots do not matter.

    Returns
    -------
    ndarray, shape (n_wanted, n_samples)

    Raises
    ------
    InputError
        If a wanted channel is missing.

    Examples
    --------
    >>> pick_channels(np.array([[1.0], [2.0]]), ["Fz", "Cz"], ["Cz", "Fz"])
    array([[2.],
           [1.]])
    """
    return signal[channel_order(ch_names, wanted)]


def rereference(
    signal: np.ndarray, ch_names: Sequence[str], reference: str | Sequence[str] | None
) -> np.ndarray:
    """Subtract a reference from every channel.

    Parameters
    ----------
    signal : ndarray, shape (n_chans, n_samples)
        EEG in any unit.
    ch_names : sequence of str
        The channels of ``signal``.
    reference : None, "average", str or sequence of str
        None changes nothing; "average" subtracts the mean of all channels; one or more names
        subtract the mean of those channels.

    Returns
    -------
    ndarray, shape (n_chans, n_samples)

    Raises
    ------
    InputError
        If a reference channel is missing.

    Examples
    --------
    >>> rereference(np.array([[1.0], [3.0]]), ["Fz", "Cz"], "average")
    array([[-1.],
           [ 1.]])
    """
    return _reference_matrix(ch_names, reference) @ signal


def find_bad_channels(
    signals: Sequence[np.ndarray], *, sfreq: float, flat: float = 1e-3, noisy: float = 5.0
) -> np.ndarray:
    """Find channels that are flat, or far noisier or quieter than the others.

    The amplitude of a channel is the interquartile range of its samples above 1 Hz; it is
    compared with the other channels by a robust z-score of its logarithm (after the "robust
    deviation" of the PREP pipeline, Bigdely-Shamlo et al. 2015, Frontiers in Neuroinformatics
    9, 16).

    Parameters
    ----------
    signals : sequence of ndarray, each of shape (n_chans, n_samples)
        Segments of EEG.
    sfreq : float
        Their rate in Hz.
    flat : float
        A channel whose amplitude is below ``flat`` times the median of all channels is flat.
    noisy : float
        Absolute robust z-score beyond which a channel is bad.

    Returns
    -------
    ndarray of bool, shape (n_chans,)
        True where the channel is bad.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> signal = rng.normal(size=(8, 1000))
    >>> signal[2] = 0
    >>> signal[5] *= 100
    >>> np.flatnonzero(find_bad_channels([signal], sfreq=240))
    array([2, 5])
    """
    sos = design_bandpass(1.0, None, sfreq=sfreq)
    filtered = ((filter_segment(channel[None], sos) for channel in s) for s in signals)
    iqrs = [[np.ptp(np.percentile(f, [25, 75])) for f in segment] for segment in filtered]
    amplitude = np.median(iqrs, axis=0)  # (n_chans,); a common factor would cancel
    is_flat = amplitude <= flat * np.median(amplitude)
    if is_flat.all():
        return is_flat
    logs = np.log(amplitude, where=~is_flat, out=np.zeros(len(amplitude)))
    q1, middle, q3 = np.percentile(logs[~is_flat], [25, 50, 75])
    # good electrodes have log amplitudes with a robust standard deviation of up to 0.2 (20 %)
    return is_flat | (np.abs(logs - middle) > noisy * max(0.7413 * (q3 - q1), 0.2))


def interpolation_matrix(
    ch_names: Sequence[str], bad_channels: Sequence[str], positions: Positions | None = None
) -> np.ndarray:
    """Build the matrix that replaces bad channels by spherical splines of the good ones (by MNE).

    Parameters
    ----------
    ch_names : sequence of str
        Channels. Those without a position are not changed.
    bad_channels : sequence of str
        Channels to replace.
    positions : mapping of str to (x, y, z), or None
        In m, in MNE's head coordinates; None for those that the names have
        (:func:`p300.electrodes.find_positions`).

    Returns
    -------
    ndarray, shape (n_chans, n_chans)
        ``matrix @ signal`` is the interpolated signal. Rows of good channels are those of the
        identity.

    Raises
    ------
    InputError
        If a bad channel is unknown or has no position, or fewer than four good ones have one.
    """
    import mne

    places = find_positions(ch_names) if positions is None else positions
    bad = [ch_names[k] for k in channel_order(ch_names, bad_channels)]
    placed = [k for k, name in enumerate(ch_names) if name in places]
    known = [ch_names[k] for k in placed]
    if lost := [c for c in bad if c not in known]:
        raise InputError(
            f"bad channels {lost} have no known position; expected names of the 10-05 system, or "
            "a recording with positions"
        )
    n_good = len(set(known) - set(bad))
    if n_good < 4:
        raise InputError(
            f"channels {', '.join(bad)} are bad, which leaves {n_good} good channels with a known "
            "position; expected at least 4 to interpolate from"
        )
    # interpolation is linear: applied to the identity, it returns its matrix
    info = make_info(known, 1.0, {name: places[name] for name in known})
    raw = mne.io.RawArray(np.eye(len(known)), info, verbose="error")
    raw.info["bads"] = bad
    raw.interpolate_bads(reset_bads=True, verbose="error")
    matrix = np.eye(len(ch_names))
    matrix[np.ix_(placed, placed)] = raw.get_data()
    return matrix


def interpolate_channels(
    signal: np.ndarray, ch_names: Sequence[str], bad_channels: Sequence[str]
) -> np.ndarray:
    """Replace bad channels by spherical splines of the good ones; see `interpolation_matrix`.

    Parameters
    ----------
    signal : ndarray, shape (n_chans, n_samples)
        EEG in any unit.
    ch_names, bad_channels
        As in :func:`interpolation_matrix`.

    Returns
    -------
    ndarray, shape (n_chans, n_samples)
    """
    return interpolation_matrix(ch_names, bad_channels) @ signal


def spatial_matrix(
    ch_names: Sequence[str],
    *,
    channels: Sequence[str] | None = None,
    reference: str | Sequence[str] | None = None,
    bad_channels: Sequence[str] = (),
    positions: Positions | None = None,
) -> np.ndarray:
    """Combine interpolation, re-referencing and picking in one matrix.

    Parameters
    ----------
    ch_names : sequence of str
        The recorded channels.
    channels : sequence of str or None
        Those wanted, in order; None for all.
    reference : None, "average", str or sequence of str
        As in :func:`rereference`; "average" is the mean of all recorded channels, not only of
        the wanted ones.
    bad_channels : sequence of str
        Channels to interpolate beforehand.
    positions : mapping of str to (x, y, z), or None
        As in :func:`interpolation_matrix`.

    Returns
    -------
    ndarray, shape (n_wanted, n_chans)

    Examples
    --------
    >>> spatial_matrix(["Fz", "Cz", "M1"], channels=["Cz"], reference="M1")
    array([[ 0.,  1., -1.]])
    """
    matrix = _reference_matrix(ch_names, reference)
    if len(bad_channels):
        matrix = matrix @ interpolation_matrix(ch_names, bad_channels, positions)
    return matrix if channels is None else matrix[channel_order(ch_names, channels)]


def _reference_matrix(
    ch_names: Sequence[str], reference: str | Sequence[str] | None
) -> np.ndarray:
    matrix = np.eye(len(ch_names))
    if reference is None:
        return matrix
    if reference == "average":
        return matrix - 1 / len(ch_names)
    order = channel_order(ch_names, [reference] if isinstance(reference, str) else reference)
    matrix[:, order] -= 1 / len(order)
    return matrix
