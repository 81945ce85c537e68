"""Short gaps of a stream are filled with a straight line; longer ones cut it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Seconds without a sample that came early, after which timestamps are exact. A stamp that jitters
#: is late and then early; where samples are missing, none is early.
EXACT_S = 2.0


@dataclass(frozen=True)
class Gap:
    """Where samples are missing, or the clock was set back (``missing_s`` is negative)."""

    time: float  # of the first sample after it
    missing_s: float
    is_filled: bool

    def __str__(self):
        if self.is_filled:
            return f"signal missing for {self.missing_s:.3f} s: interpolated"
        what = "signal missing for" if self.missing_s > 0 else "clock set back by"
        return f"{what} {abs(self.missing_s):.3f} s: the filter restarts"


def steps_from(before: float, times: np.ndarray) -> np.ndarray:
    """Compute the step to each time from the one before it (faster than ``np.diff``)."""
    steps = times.copy()
    steps[1:] -= times[:-1]
    steps[0] -= before
    return steps


class GapFiller:
    """Fills gaps in a stream of samples.

    A lost sample would restart the filter and cost every epoch that contains it. A line over a
    few samples costs those samples alone.

    Parameters
    ----------
    sfreq : float
        Rate in Hz.
    max_gap_s : float
        Longest gap in seconds that is filled; 0 fills none.
    is_raw : bool
        Whether timestamps are as they came. Only where they are exact (:data:`EXACT_S`) is a late
        one a gap, and others are left to the clock that averages jitter.

    Examples
    --------
    >>> filler = GapFiller(100, 0.1)
    >>> signal, times, gaps = filler.push(np.array([[0.0, 3.0]]), np.array([0.0, 0.03]))
    >>> signal.round(6).tolist(), [str(gap) for gap in gaps]
    ([[0.0, 1.0, 2.0, 3.0]], ['signal missing for 0.020 s: interpolated'])
    """

    def __init__(self, sfreq: float, max_gap_s: float, *, is_raw: bool = False):
        self._n_exact = 0 if is_raw else -1  # samples since one that came early
        self._period = 1 / sfreq
        self._max_gap_s = max_gap_s
        self._last: tuple[np.ndarray, float] | None = None  # the newest sample and its time

    def push(
        self, signal: np.ndarray, times: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, list[Gap]]:
        """Fill the gaps of a chunk, and that before it.

        Parameters
        ----------
        signal : ndarray, shape (n_chans, n_samples)
            Not changed.
        times : ndarray, shape (n_samples,)
            In seconds.

        Returns
        -------
        signal, times : ndarray
            With the samples that were filled in.
        gaps : list of Gap
            All, filled or not; of raw timestamps those that were filled.
        """
        if not len(times):
            return signal, times, []
        before, end = self._last or (signal[:, 0], times[0] - self._period)
        self._last = signal[:, -1].copy(), float(times[-1])
        steps = steps_from(end, times)
        odd = np.flatnonzero((steps > 1.5 * self._period) | (steps < 0))
        if self._n_exact >= 0:
            odd = self._find_exact(steps, odd)
        if not len(odd):
            return signal, times, []
        gaps, parts, stamps, done = [], [], [], 0
        for k in odd.tolist():
            missing = float(steps[k]) - self._period
            n = round(missing / self._period)
            is_filled = 0 < n and missing <= self._max_gap_s + 0.5 * self._period
            gaps.append(Gap(float(times[k]), missing, is_filled))
            if is_filled:
                first = before if k == 0 else signal[:, k - 1]
                weight = np.arange(1, n + 1) / (n + 1)
                line = first[:, None] * (1 - weight) + signal[:, k : k + 1] * weight
                parts += [signal[:, done:k], line.astype(signal.dtype)]
                stamps += [times[done:k], times[k] - steps[k] * (1 - weight)]
                done = k
        parts.append(signal[:, done:])
        stamps.append(times[done:])
        return np.concatenate(parts, axis=1), np.concatenate(stamps), gaps

    def _find_exact(self, steps: np.ndarray, odd: np.ndarray) -> np.ndarray:
        """Find the gaps before which no timestamp was early for a while, and that are filled."""
        early = np.flatnonzero(steps < 0.9 * self._period)
        since = np.arange(len(steps)) + self._n_exact  # samples since the last early one
        for k in early.tolist():
            since[k:] = np.arange(len(steps) - k)
        self._n_exact = int(since[-1]) + 1
        is_short = steps[odd] - self._period <= self._max_gap_s + 0.5 * self._period
        return odd[(since[odd] * self._period >= EXACT_S) & is_short]
