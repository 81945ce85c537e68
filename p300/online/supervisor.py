"""What must stay true while a session spells: rate, signal, clocks and scores.

Nothing here changes a decision. Each watch reads what the session reads, and yields a sentence
when something is wrong. What concerns the network (lost streams, their descriptions, the clocks
of machines) is watched by :mod:`p300.online.streams.listener`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from p300.errors import InputError
from p300.metrics import roc_auc
from p300.online.events import Noted, Scored
from p300.online.plausibility import SignalWatch
from p300.online.streams.gaps import steps_from

#: Seconds of signal after which the rate is judged, again and again.
RATE_ROUND_S = 10.0

#: Rounds in a row with a wrong rate after which a session ends.
RATE_ROUNDS = 3

#: Least seconds over which one value of the rate is measured.
SPAN_S = 1.0

#: A step between two timestamps of more seconds interrupts the measurement of the rate.
BREAK_S = 0.1

#: Flashes in a row that must be shifted in the same direction.
N_SHIFTED = 20

#: Kind of the note about them.
SHIFTS = "shifts of markers"

#: Target flashes after which the scores are judged, again and again.
N_TARGETS = 30


@dataclass(frozen=True)
class Limits:
    """What a session tolerates; the keys of ``limits`` in ``conf/online.yaml``.

    Parameters
    ----------
    min_probability : float
        A symbol that is not more probable is not typed.
    max_gap_s : float
        Longest gap in seconds that is interpolated.
    flat, loud : float
        Factors on the quietest and on the loudest second of training (:class:`SignalWatch`).
    rate : float
        Largest relative difference of the true rate and the nominal one.
    shift_s : float
        Least constant shift in seconds of markers against the newest sample that is reported.

    Raises
    ------
    InputError
        If one is negative or not finite, or ``min_probability`` is not below 1.
    """

    min_probability: float = 0.5
    max_gap_s: float = 0.1
    flat: float = 0.1
    loud: float = 3.0
    rate: float = 0.02
    shift_s: float = 0.3

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
                raise InputError(f"got limits.{field.name}={value}; expected a number from 0")
        if self.min_probability >= 1:
            raise InputError(
                f"got limits.min_probability={self.min_probability}; expected less than 1, or "
                "nothing would be typed"
            )


#: The limits of sessions that were recorded before there were any.
NO_LIMITS = Limits(min_probability=0, max_gap_s=0, flat=0, loud=0, rate=0.02, shift_s=0)


class Supervisor:
    """All watches of a session.

    Parameters
    ----------
    levels : SignalLevels or None
        Of the detector's training; None where they are not known.
    sfreq : float
        Nominal rate in Hz.
    limits : Limits
        What is tolerated.
    """

    def __init__(self, levels, sfreq: float, limits: Limits):
        self._rate = RateWatch(sfreq, limits.rate)
        self._markers = MarkerWatch(limits.shift_s)
        self._scores = ScoreWatch()
        self._signal = None
        if levels is not None and (limits.flat or limits.loud):
            self._signal = SignalWatch(levels, sfreq, flat=limits.flat, loud=limits.loud)

    def check_stamps(self, timestamps: np.ndarray) -> Iterator[Noted]:
        """Check the timestamps of a chunk as they came.

        Raises
        ------
        InputError
            If the rate stays wrong.
        """
        for text in self._rate.push(timestamps):
            yield Noted(float(timestamps[-1]), text, "wrong rates")

    def check_signal(self, signal: np.ndarray, now: float, *, is_cut: bool) -> Iterator[Noted]:
        """Check samples of the detector's channels, in its unit; ``is_cut``: after a gap."""
        if self._signal is None:
            return
        if is_cut:
            self._signal.restart()
        for kind, text in self._signal.push(signal):
            yield Noted(now, text, kind)

    def check_flash(self, time: float, now: float) -> Iterator[Noted]:
        """Check the time of a flash that came while there was EEG, against the newest sample."""
        for text in self._markers.push(time - now):
            yield Noted(now, text, SHIFTS)

    def check_score(self, scored: Scored, now: float) -> Iterator[Noted]:
        """Check the score of a flash."""
        for text in self._scores.push(scored):
            yield Noted(now, text, "scores at chance")


class RateWatch:
    """Measures the rate on unbroken stretches: the median over spans of a second.

    A dropout is in no span, and a chunk that is stamped late spoils few.

    Parameters
    ----------
    sfreq : float
        Nominal rate in Hz.
    tolerance : float
        Largest relative difference.
    """

    def __init__(self, sfreq: float, tolerance: float):
        self._sfreq, self._tolerance = sfreq, tolerance
        self._stretch: deque[tuple[int, float]] = deque()  # samples so far, and the newest time
        self._rates: list[float] = []
        self._n = 0
        self._judged_at = 0
        self._n_wrong = 0

    def push(self, timestamps: np.ndarray) -> Iterator[str]:
        """Take the timestamps of a chunk, and yield a sentence if the rate is wrong."""
        stretch, last = self._stretch, float(timestamps[-1])
        steps = steps_from(stretch[-1][1] if stretch else timestamps[0], timestamps)
        if steps.max() > BREAK_S + 1 / self._sfreq or steps.min() < -BREAK_S:
            stretch.clear()
        self._n += len(timestamps)
        stretch.append((self._n, last))
        while len(stretch) > 1 and last - stretch[1][1] >= SPAN_S:
            stretch.popleft()
        n, first = stretch[0]
        if last - first >= SPAN_S:
            self._rates.append((self._n - n) / (last - first))
        if self._n - self._judged_at >= RATE_ROUND_S * self._sfreq:
            yield from self._judge()

    def _judge(self) -> Iterator[str]:
        self._judged_at = self._n
        rates, self._rates = self._rates, []
        if not rates:
            return
        rate = float(np.median(rates))
        if abs(rate / self._sfreq - 1) <= self._tolerance:
            self._n_wrong = 0
            return
        self._n_wrong += 1
        text = (
            f"the stream has {rate:.1f} samples per second by its own timestamps; expected "
            f"{self._sfreq:g}, its nominal rate; check the amplifier's setting"
        )
        if self._n_wrong >= RATE_ROUNDS:
            raise InputError(text)
        yield f"{text}, or the session ends in {RATE_ROUND_S * (RATE_ROUNDS - self._n_wrong):g} s"


class MarkerWatch:
    """Compares the time of each flash with that of the newest sample when its marker comes.

    Both happened just now, so they differ by the delays of the two streams. A difference that
    even the best of :data:`N_SHIFTED` flashes has is a shift.

    Parameters
    ----------
    shift_s : float
        Least shift in seconds that is reported; 0 for none.
    """

    def __init__(self, shift_s: float):
        self._shift_s = shift_s
        self._leads: deque[float] = deque(maxlen=N_SHIFTED)

    def push(self, lead_s: float) -> Iterator[str]:
        """Take by how many seconds a flash is ahead, and yield a sentence if all are."""
        leads = self._leads
        leads.append(lead_s)
        if not self._shift_s or len(leads) < N_SHIFTED:
            return
        if min(leads) >= self._shift_s or max(leads) <= -self._shift_s:
            median = float(np.median(leads))
            way = "ahead of" if median > 0 else "behind"
            yield (
                f"the last {N_SHIFTED} flashes are {abs(median):.2f} s {way} the newest sample; "
                f"expected less than {self._shift_s:g} s; check how both programs stamp, "
                "and offset_s"
            )
            leads.clear()


class ScoreWatch:
    """Judges by the AUC, in copy spelling, whether scores tell targets from nontargets."""

    def __init__(self):
        self._scores: tuple[list[float], list[float]] = [], []  # of nontargets, of targets

    def push(self, scored: Scored) -> Iterator[str]:
        """Take a score, and yield a sentence if :data:`N_TARGETS` targets are at chance."""
        if scored.is_target is None or not math.isfinite(scored.score):
            return
        others, targets = self._scores
        self._scores[scored.is_target].append(scored.score)
        if len(targets) < N_TARGETS or len(others) < N_TARGETS:
            return
        n, m = len(targets), len(others)
        if len({*targets, *others}) == 1:  # of a detector that knows nothing yet
            self._scores = [], []
            return
        auc = roc_auc([False] * m + [True] * n, others + targets)
        # two standard deviations of the Mann-Whitney statistic without a difference
        needed = 0.5 + 2 * math.sqrt((n + m + 1) / (12 * n * m))
        self._scores = [], []
        if auc < needed:
            yield (
                f"the scores of {n} targets and {m} nontargets hardly differ (AUC {auc:.2f}); "
                f"expected more than {needed:.2f}; check electrodes, attention, the time of the "
                "markers and offset_s"
            )
