"""What is kept of the signal of a training part: how loud it was, and its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from p300.electrodes import channel_order
from p300.errors import InputError
from p300.recording import Recording

#: Seconds of one window, whose level is measured.
WINDOW_S = 1.0

#: Quantiles of the levels that are kept: the quietest window, the usual, and the loudest.
QUANTILES = (0.01, 0.5, 0.99)

#: What was measured of a recording, as long as it is there: the runs of a sweep share it.
_MEASURED: WeakKeyDictionary[Recording, dict[Any, Any]] = WeakKeyDictionary()


@dataclass(frozen=True)
class SignalLevels:
    """Level of each channel in the training part of a recording.

    The level (:func:`level_of`) is measured in windows, in which neither an offset nor the slow
    drift of an electrode counts.

    Parameters
    ----------
    ch_names : sequence of str
        Channels.
    unit : str
        Of the levels, one of :data:`p300.recording.UNITS`.
    window_s : float
        Seconds of a window.
    low, usual, high : sequence of float
        :data:`QUANTILES` of the levels of each channel.

    Examples
    --------
    >>> from p300.preprocessing import recording_from_arrays
    >>> tone = 10 * np.sqrt(2) * np.sin(2 * np.pi * 40 * np.arange(2500) / 250)
    >>> recording = recording_from_arrays(tone[None] + 1000, [0.5, 9.0], sfreq=250)
    >>> round(SignalLevels.measure(recording, recording.ch_names).usual[0], 1)
    10.0
    """

    ch_names: Sequence[str]
    unit: str
    window_s: float
    low: Sequence[float]
    usual: Sequence[float]
    high: Sequence[float]

    @classmethod
    def measure(
        cls, recording: Recording, ch_names: Sequence[str], rows: np.ndarray | None = None
    ) -> SignalLevels:
        """Measure the levels where the flashes of a part of a recording were shown.

        Parameters
        ----------
        recording : Recording
            Signal and flashes.
        ch_names : sequence of str
            Channels to measure, in order.
        rows : ndarray of bool, shape (n_flashes,), or None
            The flashes of the part; None for all. In each segment, windows begin at the first
            one; the last window ends at least a window after the last.

        Raises
        ------
        InputError
            If no window is complete.
        """
        flashes = recording.flashes if rows is None else recording.flashes[np.asarray(rows)]
        order = channel_order(recording.ch_names, ch_names, where=recording.name)
        levels, known = [np.empty((len(order), 0))], _MEASURED.setdefault(recording, {})
        for k, shown in flashes.groupby("segment")["onset"]:
            signal, rate = recording.segments[int(k)], recording.rates[int(k)]
            begin = min(int(shown.min() * rate), signal.shape[1])
            stop = min(int((shown.max() + 2 * WINDOW_S) * rate), signal.shape[1])
            span = int(k), begin, stop, *order
            if span not in known:
                known[span] = _levels_in(signal, order, begin, stop, round(WINDOW_S * rate))
            levels.append(known[span])
        found = np.concatenate(levels, axis=1)
        found = found[:, np.isfinite(found).all(axis=0)]
        if not found.size:
            raise InputError(
                f"{recording.name}: got no {WINDOW_S:g} s of finite signal beside the flashes; "
                "expected at least one window to measure levels on"
            )
        low, usual, high = np.quantile(found, QUANTILES, axis=1).tolist()
        return cls(tuple(ch_names), recording.unit, WINDOW_S, low, usual, high)

    def to_dict(self) -> dict[str, Any]:
        """Return plain containers; :meth:`from_dict` reads them."""
        return {**asdict(self), "ch_names": list(self.ch_names), "quantiles": list(QUANTILES)}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> SignalLevels:
        """Build the levels from the output of :meth:`to_dict`."""
        names = tuple(map(str, state["ch_names"]))
        parts = [[float(v) for v in state[key]] for key in ("low", "usual", "high")]
        if {len(part) for part in parts} != {len(names)}:
            raise InputError(
                f"signal levels of {[len(part) for part in parts]} channels; expected "
                f"{len(names)} of each kind"
            )
        window_s = float(state["window_s"])
        if not (0.1 <= window_s <= 60 and np.isfinite(parts).all() and np.min(parts) >= 0):
            raise InputError(
                f"signal levels of windows of {window_s:g} s from {np.min(parts):g}; expected "
                "0.1 to 60 s, and finite levels from 0"
            )
        return cls(names, str(state["unit"]), window_s, *parts)


def _levels_in(
    signal: np.ndarray, order: Sequence[int], begin: int, stop: int, n: int
) -> np.ndarray:
    """Return the levels of some channels in windows of n samples, shape (n_chans, n_windows)."""
    starts = range(begin, stop - n + 1, n)
    levels = np.empty((len(order), len(starts)))
    for k, at in enumerate(starts):  # one at a time: a copy of all may not fit
        levels[:, k] = level_of(signal[order, at : at + n])
    return levels


def level_of(window: np.ndarray) -> np.ndarray:
    """Compute the standard deviation of each channel around the straight line that fits it best.

    Parameters
    ----------
    window : ndarray, shape (n_chans, n_samples)

    Returns
    -------
    ndarray of float64, shape (n_chans,)

    Examples
    --------
    >>> level_of(np.array([[1.0, 2.0, 3.0, 4.0], [1.0, -1.0, -1.0, 1.0]])).round(9).tolist()
    [0.0, 1.0]
    """
    centred = np.asarray(window, np.float64)
    centred = centred - centred.mean(axis=1, keepdims=True)
    time = np.linspace(-1, 1, centred.shape[1])
    slope = centred @ time / max(time @ time, 1.0)
    return (centred - slope[:, None] * time).std(axis=1)


def segment_digests(recording: Recording, rows: np.ndarray | None = None) -> list[str]:
    """Compute a digest of the samples of each segment that holds some of the flashes.

    Parameters
    ----------
    recording : Recording
        Signal and flashes.
    rows : ndarray of bool, shape (n_flashes,), or None
        The flashes; None for all.

    Returns
    -------
    list of str
        The same for the same samples, whatever names and labels say.
    """
    flashes = recording.flashes if rows is None else recording.flashes[np.asarray(rows)]
    known, digests = _MEASURED.setdefault(recording, {}), []
    for k in sorted(set(flashes["segment"].tolist())):
        if k not in known:
            found = hashlib.sha256()
            for channel in recording.segments[k]:
                found.update(np.ascontiguousarray(channel).data)
            known[k] = found.hexdigest()[:32]
        digests.append(known[k])
    return digests
