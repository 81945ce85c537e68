"""When each sample was taken: timestamps without their jitter, and where samples are missing."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

#: Seconds over which phase and rate of the stream are followed.
MEMORY_S = 5.0

#: Time constant in seconds with which the size of the jitter is measured.
JITTER_MEMORY_S = 3.0

#: The same at first; later it is three tenths of the time so far.
FIRST_MEMORY_S = 0.5

#: A deviation of up to this many times the mean one is jitter; a larger one is a break.
N_DEVIATIONS = 10.0


class SampleClock:
    """The clock of a sampled stream, estimated from its timestamps.

    A second-order loop follows phase and rate. Exact timestamps stay as they are, a drifting
    clock is followed, and jitter is averaged over some seconds. A deviation far beyond the
    jitter so far is a break: samples are missing, or the clock was set. The limit of jitter is
    learned from the stream. At first it is ``max_jitter_s``, later ten times the mean deviation,
    but never less than 0.6 of a sample. If the timestamps are exact, one lost sample is a break.

    Parameters
    ----------
    sfreq : float
        Nominal rate in Hz.
    max_jitter_s : float
        Deviation in seconds that is always a break.

    Attributes
    ----------
    n_samples : int
        Samples so far.
    elapsed_s : float
        Their duration by the timestamps, without breaks longer than a second.

    Examples
    --------
    >>> clock = SampleClock(240)
    >>> times = 100 + np.arange(24) / 240
    >>> smoothed, breaks = clock.push(times)
    >>> bool(np.allclose(smoothed, times, rtol=0, atol=1e-9)), breaks
    (True, [])
    >>> clock.push(times + 5.1)[1]  # (index in the chunk, seconds missing)
    [(0, 5.0)]
    """

    def __init__(self, sfreq: float, max_jitter_s: float = 0.05):
        self.sfreq = float(sfreq)
        self.max_jitter_s = max_jitter_s
        self.n_samples = 0
        self.elapsed_s = 0.0
        self._period = 1 / self.sfreq
        self._origin: float | None = None  # the first timestamp; what follows counts from it
        self._next = 0.0  # when the next sample is expected
        self._last = -self._period  # the newest timestamp as it came
        self._deviation = max_jitter_s / N_DEVIATIONS

    @property
    def measured_sfreq(self) -> float:
        """Samples per second by the timestamps, or the nominal rate before there are any."""
        return self.n_samples / self.elapsed_s if self.elapsed_s > 0 else self.sfreq

    @property
    def tolerance_s(self) -> float:
        """Seconds of deviation that count as jitter now."""
        return min(max(N_DEVIATIONS * self._deviation, 0.6 / self.sfreq), self.max_jitter_s)

    def push(self, timestamps: ArrayLike) -> tuple[np.ndarray, list[tuple[int, float]]]:
        """Smooth the timestamps of a chunk and find the breaks.

        Parameters
        ----------
        timestamps : array_like, shape (n_samples,)
            In seconds, as they came.

        Returns
        -------
        smoothed : ndarray, shape (n_samples,)
            Without jitter.
        breaks : list of (int, float)
            Where the stream was interrupted: the index of the first sample after it, and by how
            many seconds that sample is late (negative where the clock was set back).
        """
        raw = np.asarray(timestamps, np.float64)
        if len(raw) and self._origin is None:
            self._origin = float(raw[0])
        origin = self._origin or 0.0
        raw = raw - origin  # small numbers add up with less rounding
        smoothed = np.empty_like(raw)
        breaks = []
        begin = 0
        while begin < len(raw):
            due = self._next + np.arange(len(raw) - begin) * self._period
            error = raw[begin:] - due
            is_far = np.abs(error) > self.tolerance_s
            n = int(is_far.argmax()) if is_far.any() else len(error)
            if n:
                smoothed[begin : begin + n] = self._follow(due[:n], error[:n])
                begin += n
                passed, self._last = float(raw[begin - 1]) - self._last, float(raw[begin - 1])
                if 0 <= passed <= n / self.sfreq + 1:
                    self.n_samples += n
                    self.elapsed_s += passed
            else:
                breaks.append((begin, round(float(error[0]), 6)))
                self._next = float(raw[begin])
                # larger jitter first looks like breaks: widen the limit until it does not
                self._deviation += 0.05 * min(abs(float(error[0])), self.max_jitter_s)
        return smoothed + origin, breaks

    def _follow(self, due: np.ndarray, error: np.ndarray) -> np.ndarray:
        n = len(due)
        mean = float(error.mean())
        gain = min(n / (self.sfreq * MEMORY_S), 0.5)
        self._period += gain * gain * mean / n
        smoothed = due + 2 * gain * mean
        self._next = float(smoothed[-1]) + self._period
        memory = min(JITTER_MEMORY_S, max(0.3 * self.elapsed_s, FIRST_MEMORY_S))
        weight = 1 - np.exp(-n / (self.sfreq * memory))
        self._deviation += weight * (float(np.abs(error).mean()) - self._deviation)
        return smoothed
