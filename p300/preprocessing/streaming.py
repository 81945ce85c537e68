"""Preprocess a live stream: chunks of EEG in, completed epochs out."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections import deque
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.flashes import flash_table
from p300.preprocessing._engine.clock import SampleClock
from p300.preprocessing._engine.memory import Tape
from p300.preprocessing._engine.sampling import ON_SAMPLE, take_epochs
from p300.preprocessing._engine.stream_filter import StreamFilter
from p300.preprocessing.epochs import Epochs
from p300.preprocessing.resampling import rational_ratio
from p300.preprocessing.state import check_can_stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike

    from p300.preprocessing.preprocessor import Preprocessor

#: Seconds between two comparisons of the clock and the sample count. Between them, positions are
#: interpolated linearly; after the latest one, the nominal rate holds.
ANCHOR = 0.25


class StreamingPreprocessor:
    """Preprocessor of a live stream, which returns each epoch as soon as it is complete.

    The epochs are those that a fitted causal :class:`~p300.preprocessing.Preprocessor` computes
    from the whole recording, to within 1e-4 of a standard deviation, for any division of the
    stream into chunks. Jitter of the time stamps is averaged (:class:`SampleClock`), so they may
    be those of the chunks' arrival. Memory stays bounded.

    Parameters
    ----------
    preprocessor : Preprocessor
        Fitted, with ``phase="causal"``.
    ch_names : sequence of str or None
        Channels of the chunks, in order; None for ``preprocessor.ch_names_in_``.
    history_s : float
        Seconds after the end of its epoch until which a flash may still be announced.
    max_gap_s : float or None
        Time between two samples beyond which the stream counts as interrupted; None for 1.5
        sampling intervals. A gap, or time that runs backwards, ends a segment: the filter is
        reset, and epochs across the gap are lost.
    max_jitter_s : float
        Deviation of a time stamp that is always a gap and never jitter; smaller ones are jitter
        if they are not far beyond those before. 0 takes the time stamps as they are.

    Attributes
    ----------
    n_segments : int
        Number of segments so far.
    lost : deque of dict
        The latest 1000 flashes whose epoch contains a gap, or that were announced too late.

    Examples
    --------
    >>> from p300.preprocessing import Preprocessor, recording_from_arrays
    >>> signal = np.random.default_rng(0).normal(size=(8, 480))
    >>> recording = recording_from_arrays(signal, [1.0], sfreq=240)
    >>> stream = StreamingPreprocessor(Preprocessor(phase="causal").fit(recording))
    >>> times = np.arange(480) / 240
    >>> stream.push(signal[:, :300], times[:300], flashes=[1.0]).data.shape
    (0, 8, 78)
    >>> stream.push(signal[:, 300:], times[300:]).data.shape
    (1, 8, 78)
    """

    def __init__(
        self,
        preprocessor: Preprocessor,
        *,
        ch_names: Sequence[str] | None = None,
        history_s: float = 5.0,
        max_gap_s: float | None = None,
        max_jitter_s: float = 0.1,
    ) -> None:
        check_can_stream(preprocessor)
        if preprocessor.phase != "causal":
            raise InputError(
                f"got phase {preprocessor.phase!r}, which needs future samples; expected a "
                'preprocessor fitted with phase="causal"'
            )
        preprocessor.check_is_fitted()
        self.preprocessor = preprocessor
        names = preprocessor.ch_names_in_ if ch_names is None else tuple(ch_names)
        self._n_chans_in = len(names)
        self._chain = chain = preprocessor.resolve(names, where="stream")
        if chain.subsample_first and rational_ratio(chain.sfreq, chain.sfreq_in).numerator != 1:
            raise InputError(
                f'got resample="subsample_first" from {chain.sfreq_in:g} to {chain.sfreq:g} Hz, '
                "which needs future samples; expected a whole ratio, or "
                'resample="filter_first"'
            )
        self._filter = StreamFilter(chain)
        reach = np.ptp(chain.sampling.span(0.0)) + 2 * chain.sampling.half_width
        self._n_kept = int(reach + history_s * chain.rate) + 1
        self._duration_s = chain.tmin + (chain.n_times - 1) / chain.sfreq
        self._max_gap_s = 1.5 / chain.sfreq_in if max_gap_s is None else max_gap_s
        self._clock = SampleClock(chain.sfreq_in, max_jitter_s) if max_jitter_s else None
        self._tape = Tape(len(preprocessor.ch_names_), time_major=True)
        self._blank = flash_table(onset=[np.nan])
        self._pending: list[tuple[float, pd.DataFrame]] = []  # (onset, row of the flash table)
        self._nothing = self._epochs([])
        self.lost: deque[dict] = deque(maxlen=1000)
        self.n_segments = 0
        self._end: float | None = None  # time of the newest sample
        self._anchors: deque[tuple[float, float]] = deque()  # (time, sample) every ANCHOR s

    def push(
        self,
        chunk: ArrayLike,
        timestamps: ArrayLike,
        flashes: pd.DataFrame | Sequence[float] | np.ndarray | None = None,
    ) -> Epochs:
        """Add new samples and flashes, and return the epochs that are now complete.

        Parameters
        ----------
        chunk : ndarray, shape (n_chans, n_samples)
            EEG in the unit that the preprocessor was fitted with; any number of samples. Pass the
            transpose of the array from ``pylsl``: this memory layout is the fastest.
        timestamps : array_like, shape (n_samples,)
            Times of the samples, in seconds of any clock.
        flashes : DataFrame, sequence of float, or None
            A flash table, or onsets alone, in seconds of the same clock; they may come before or
            after their samples.

        Returns
        -------
        Epochs
            Often without any epoch; in order of time. The rows of the flash table are unchanged.

        Raises
        ------
        InputError
            If the number of channels or timestamps is wrong, or a sample, timestamp or onset is
            not finite; nothing of the chunk is used then.
        """
        chunk, timestamps = np.asarray(chunk), np.asarray(timestamps, np.float64)
        n = chunk.shape[1] if chunk.ndim == 2 else -1
        if len(chunk) != self._n_chans_in or timestamps.shape != (n,):
            raise InputError(
                f"chunk of shape {chunk.shape} with {timestamps.size} timestamps; expected "
                f"({self._n_chans_in} channels, n_samples) and one timestamp per sample"
            )
        if chunk.dtype.kind not in "fiu":
            raise InputError(f"chunk has samples of type {chunk.dtype}; expected real numbers")
        _check_finite(timestamps, "timestamps are not finite")
        if not np.isfinite(chunk).all():
            raise InputError(
                f"chunk at {timestamps[0]:.3f} s has {(~np.isfinite(chunk)).sum()} non-finite "
                "samples; expected none (leave the chunk out: the gap will end the segment)"
            )
        done: list = []
        if n:
            timestamps, bounds, gap_s = self._smooth(timestamps)
        if n and gap_s < 0:
            # the clock was set back: the new flashes use the new time, so pending ones are lost
            done = self._end_segment()
            self._lose(self._pending)
            self._pending = []
        if flashes is not None:
            self._announce(flashes)
        for a, b in itertools.pairwise(bounds) if n else ():
            if a > 0 or self._end is None or gap_s > self._max_gap_s:
                done += self._end_segment()
            self._note_time(float(timestamps[a]))
            self._filter.push(chunk[:, a:b], self._tape)
            self._end = float(timestamps[b - 1])
        if self._pending:
            done += self._take()
        self._forget()
        return self._epochs(done) if done else self._nothing

    def finish(self) -> Epochs:
        """End the segment, and return the epochs that waited only for the margin of the sinc."""
        done = self._end_segment()
        return self._epochs(done) if done else self._nothing

    # -- time --------------------------------------------------------------------------------

    def _smooth(self, timestamps: np.ndarray) -> tuple[np.ndarray, list[int], float]:
        """Remove jitter; return the bounds of continuous parts, and the gap before the first.

        The gap is in seconds from the sample before; negative if the clock was set back.
        """
        end = timestamps[0] if self._end is None else self._end
        if self._clock is None:
            return timestamps, self._find_gaps(timestamps), float(timestamps[0] - end)
        smoothed, breaks = self._clock.push(timestamps)
        period = 1 / self._chain.sfreq_in
        late = dict(breaks)
        ends = [k for k, s in late.items() if k > 0 and not 0 < s + period <= self._max_gap_s]
        gap_s = late.get(0, 0.0)
        if self._end is not None and gap_s:
            gap_s = gap_s + period if gap_s > 0 else min(gap_s + period, -period)
        return smoothed, [0, *ends, len(timestamps)], gap_s if self._end is not None else 0.0

    def _find_gaps(self, timestamps: np.ndarray) -> list[int]:
        """Find where the stream was interrupted; return the bounds of the parts of a chunk."""
        n = len(timestamps)
        expected = (n - 1) / self._chain.sfreq_in
        if abs(timestamps[-1] - timestamps[0] - expected) < 0.5 / self._chain.sfreq_in:
            return [0, n]
        steps = np.diff(timestamps)
        gaps = np.flatnonzero((steps > self._max_gap_s) | (steps < 0)) + 1
        return [0, *gaps.tolist(), n]

    def _note_time(self, time: float) -> None:
        """Store the time of the next sample, once every ANCHOR seconds."""
        sample = self._filter.n_samples
        if not sample:
            self.n_segments += 1
        elif sample - self._anchors[-1][1] < ANCHOR * self._chain.sfreq_in:
            return
        self._anchors.append((time, sample))

    def _end_segment(self) -> list:
        """Cut the last epochs of a segment, then clear its samples: a new segment may begin."""
        done = self._take(is_end=True)
        self._filter.restart()
        self._tape.clear()
        self._anchors.clear()
        self._end = None
        return done

    def _forget(self) -> None:
        """Drop samples that no flash announced from now on can need."""
        self._tape.forget(self._tape.stop - self._n_kept)
        oldest = self._tape.start * self._filter.skip
        while len(self._anchors) > 2 and self._anchors[1][1] < oldest:
            self._anchors.popleft()

    # -- flashes -----------------------------------------------------------------------------

    def _announce(self, flashes: Any) -> None:
        if not hasattr(flashes, "columns"):
            onsets = np.asarray(flashes, np.float64)
            flashes = self._blank.iloc[np.zeros(len(onsets), int)].assign(onset=onsets)
        if "onset" not in flashes.columns:
            raise InputError(
                f"flashes have no column onset, only {list(flashes.columns)}; expected onset in "
                "seconds"
            )
        onsets = flashes["onset"].to_numpy(np.float64)
        _check_finite(onsets, "flashes have no finite onset")
        self._pending += [(t, flashes.iloc[i : i + 1]) for i, t in enumerate(onsets.tolist())]
        self._pending.sort(key=itemgetter(0))

    def _take(self, *, is_end: bool = False) -> list:
        """Cut the epochs of pending flashes: the complete ones, or at the end all that began."""
        if self._end is None:
            return []
        latest = self._end + 0.5 / self._chain.sfreq_in - (0 if is_end else self._duration_s)
        n_ready = bisect_right(self._pending, latest, key=itemgetter(0))
        if not n_ready:
            return []
        ready, self._pending = self._pending[:n_ready], self._pending[n_ready:]
        times, samples = np.array(self._anchors).T
        done = []
        for k, (onset, row) in enumerate(ready):
            beyond = min(onset - times[0], 0) + max(onset - times[-1], 0)
            position = np.interp(onset, times, samples) + beyond * self._chain.sfreq_in
            start = position / self._filter.skip + self._chain.tmin * self._chain.rate
            data = self._cut(start, is_end)
            if data is None:  # it waits for samples, and so do all later flashes
                self._pending = ready[k:] + self._pending
                break
            if len(data):
                done.append((data, row))
            else:
                self._lose([(onset, row)])
        return done

    def _lose(self, flashes: Iterable[tuple[float, pd.DataFrame]]) -> None:
        self.lost.extend(row.iloc[0].to_dict() for _, row in flashes)

    def _cut(self, start: float, is_end: bool) -> np.ndarray | None:
        """Cut one epoch; return None if it must wait, or an empty array if it is lost."""
        tape, sampling = self._tape, self._chain.sampling
        begin, stop = (int(v) for v in sampling.span(start))
        last = start + (sampling.n_times - 1) * float(sampling.step)
        is_late = start < -ON_SAMPLE or max(begin, 0) < tape.start
        if stop > tape.stop and not is_end and not is_late:
            return None
        if is_late or last > tape.stop - 1 + ON_SAMPLE:
            return np.empty((0,))
        epoch = np.empty((1, len(tape.signal), sampling.n_times), np.float32)
        take_epochs(tape.signal, np.array([start - tape.start]), sampling, epoch)
        return epoch

    def _epochs(self, done: list[tuple[np.ndarray, pd.DataFrame]]) -> Epochs:
        import pandas as pd

        fitted = self.preprocessor
        nothing = np.empty((0, len(fitted.ch_names_), fitted.n_times), np.float32)
        data = np.concatenate([nothing, *(epoch for epoch, _ in done)])
        rows = [row for _, row in done] or [self._blank.iloc[:0]]
        flashes = pd.concat(rows, ignore_index=True)
        return fitted.build_epochs(data, fitted.finish(data), flashes, name="stream")


def _check_finite(seconds: np.ndarray, wrong: str) -> None:
    if n_wrong := np.count_nonzero(~np.isfinite(seconds)):
        raise InputError(f"{n_wrong} of {len(seconds)} {wrong}; expected seconds")
