"""The same epochs from a live stream: chunks in, completed epochs out."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.preprocessing._engine.memory import Tape
from p300.preprocessing._engine.sampling import ON_SAMPLE, take_epochs
from p300.preprocessing._engine.stream_filter import StreamFilter
from p300.preprocessing.epochs import Epochs
from p300.preprocessing.resampling import rational_ratio
from p300.recording import flash_table

if TYPE_CHECKING:
    import pandas as pd

#: Seconds from one comparison of clock and sample count to the next; in between, the nominal
#: rate holds.
ANCHOR = 0.25


class StreamingPreprocessor:
    """Cut epochs from a stream of EEG as soon as they are complete.

    Gives what a fitted causal :class:`~p300.preprocessing.Preprocessor` gives for the whole
    recording, to 1e-4 of a deviation, however the stream is chopped into chunks. Memory stays
    bounded.

    Parameters
    ----------
    preprocessor : Preprocessor
        Fitted, with ``phase="causal"``.
    ch_names : sequence of str or None
        Channels of the chunks, in order; None for ``preprocessor.ch_names_in_``.
    history_s : float
        How many seconds after the end of its epoch a flash may still be announced.
    max_gap_s : float or None
        Time between two samples beyond which the stream counts as interrupted; None for one and
        a half samples. A gap, or time that runs backwards, ends a segment: the filter starts
        anew, and epochs that it cuts through are lost.

    Attributes
    ----------
    n_segments : int
        Segments that have begun.
    lost : deque of dict
        The latest 1000 flashes whose epochs were cut by a gap or announced too late.

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

    def __init__(self, preprocessor, *, ch_names=None, history_s=5.0, max_gap_s=None):
        if preprocessor.phase != "causal":
            raise InputError(
                f"streaming with phase {preprocessor.phase!r} would need the future; expected "
                'a preprocessor fitted with phase="causal"'
            )
        preprocessor.check_is_fitted()
        self.preprocessor = preprocessor
        names = preprocessor.ch_names_in_ if ch_names is None else tuple(ch_names)
        self._n_chans_in = len(names)
        self._chain = chain = preprocessor.resolve(names, where="stream")
        if chain.subsample_first and rational_ratio(chain.sfreq, chain.sfreq_in).numerator != 1:
            raise InputError(
                f'resample "subsample_first" from {chain.sfreq_in:g} to {chain.sfreq:g} Hz needs '
                'the future; expected a whole ratio, or "filter_first"'
            )
        self._filter = StreamFilter(chain)
        reach = np.ptp(chain.sampling.span(0.0)) + 2 * chain.sampling.half_width
        self._n_kept = int(reach + history_s * chain.rate) + 1
        self._duration_s = chain.tmin + (chain.n_times - 1) / chain.sfreq
        self._max_gap_s = 1.5 / chain.sfreq_in if max_gap_s is None else max_gap_s
        self._tape = Tape(len(preprocessor.ch_names_), time_major=True)
        self._blank = flash_table(onset=[np.nan])
        self._pending: list[tuple[float, pd.DataFrame]] = []  # (onset, row of the flash table)
        self._nothing = self._epochs([], [])
        self.lost: deque[dict] = deque(maxlen=1000)
        self.n_segments = 0
        self._end = None  # time of the newest sample
        self._anchors: deque[tuple[float, float]] = deque()  # (time, sample) now and then

    def push(self, chunk, timestamps, flashes=None) -> Epochs:
        """Take new samples and flashes, and give the epochs that have become complete.

        Parameters
        ----------
        chunk : ndarray, shape (n_chans, n_samples)
            EEG in the unit that the preprocessor was fitted with; any number of samples. What
            ``pylsl`` gives is its transpose, and quickest to take.
        timestamps : array_like, shape (n_samples,)
            Of the samples, in seconds of any clock, smoothed (as ``pylsl`` does).
        flashes : DataFrame, sequence of float, or None
            A flash table, or onsets alone, in seconds of the same clock; they may come before or
            after their samples.

        Returns
        -------
        Epochs
            Often none, in the order of time. The flash table's rows are as they came.

        Raises
        ------
        InputError
            If the chunk has another number of channels, of timestamps, or non-finite samples;
            nothing of it is taken then.
        """
        chunk, timestamps = np.asarray(chunk), np.asarray(timestamps, np.float64)
        n = chunk.shape[1] if chunk.ndim == 2 else -1
        if len(chunk) != self._n_chans_in or timestamps.shape != (n,):
            raise InputError(
                f"chunk of shape {chunk.shape} with {timestamps.size} timestamps; expected "
                f"({self._n_chans_in} channels, n_samples) and as many timestamps"
            )
        if chunk.dtype.kind not in "fiu":
            raise InputError(f"chunk with samples of type {chunk.dtype}; expected numbers")
        if not np.isfinite(timestamps).all():
            raise InputError(
                f"{(~np.isfinite(timestamps)).sum()} timestamps are not finite; expected seconds"
            )
        if not np.isfinite(chunk).all():
            raise InputError(
                f"chunk at {timestamps[0]:.3f} s has {(~np.isfinite(chunk)).sum()} non-finite "
                "samples; expected none (leave the chunk out: the gap will end the segment)"
            )
        done: list = []
        if n and self._end is not None and timestamps[0] < self._end:
            # the clock was set back: these flashes go by the new one, none by the old one comes
            done = self._end_segment()
            self._lose(self._pending)
            self._pending = []
        if flashes is not None:
            self._announce(flashes)
        bounds = self._find_gaps(timestamps) if n else [0]
        for a, b in zip(bounds[:-1], bounds[1:], strict=True):
            if a > 0 or self._is_gap(timestamps[0]):
                done += self._end_segment()
            self._note_time(float(timestamps[a]))
            self._filter.push(chunk[:, a:b], self._tape)
            self._end = float(timestamps[b - 1])
        if self._pending:
            done += self._take()
        self._forget()
        return self._epochs(*zip(*done, strict=True)) if done else self._nothing

    def finish(self) -> Epochs:
        """End the segment, and give the epochs that only waited for a few samples more."""
        done = self._end_segment()
        return self._epochs(*zip(*done, strict=True)) if done else self._nothing

    # -- time --------------------------------------------------------------------------------

    def _is_gap(self, time) -> bool:
        # "not … <=": a time that is no number is a gap too
        return self._end is None or not time - self._end <= self._max_gap_s

    def _find_gaps(self, timestamps) -> list[int]:
        """Cut a chunk where the stream was interrupted."""
        n = len(timestamps)
        expected = (n - 1) / self._chain.sfreq_in
        if abs(timestamps[-1] - timestamps[0] - expected) < 0.5 / self._chain.sfreq_in:
            return [0, n]
        steps = np.diff(timestamps)
        gaps = np.flatnonzero((steps > self._max_gap_s) | (steps < 0)) + 1
        return [0, *gaps.tolist(), n]

    def _note_time(self, time) -> None:
        """Remember when the next sample was taken, once in ANCHOR seconds."""
        sample = self._filter.n_samples
        if not sample:
            self.n_segments += 1
        elif sample - self._anchors[-1][1] < ANCHOR * self._chain.sfreq_in:
            return
        self._anchors.append((time, sample))

    def _end_segment(self) -> list:
        """Take what can still be had of a segment, and forget it: a new one may begin."""
        done = self._take(is_end=True)
        self._filter.restart()
        self._tape.clear()
        self._anchors.clear()
        self._end = None
        return done

    def _forget(self) -> None:
        """Drop what is older than any flash that may still be announced."""
        self._tape.forget(self._tape.stop - self._n_kept)
        oldest = self._tape.start * self._filter.skip
        while len(self._anchors) > 2 and self._anchors[1][1] < oldest:
            self._anchors.popleft()

    # -- flashes -----------------------------------------------------------------------------

    def _announce(self, flashes) -> None:
        if not hasattr(flashes, "columns"):
            onsets = np.asarray(flashes, np.float64)
            flashes = self._blank.iloc[np.zeros(len(onsets), int)].assign(onset=onsets)
        if "onset" not in flashes.columns:
            raise InputError(f"flashes have no column onset, only {list(flashes.columns)}")
        onsets = flashes["onset"].to_numpy(np.float64)
        if not np.isfinite(onsets).all():
            raise InputError(f"{(~np.isfinite(onsets)).sum()} flashes have no onset; expected all")
        self._pending += [(t, flashes.iloc[i : i + 1]) for i, t in enumerate(onsets.tolist())]
        self._pending.sort(key=itemgetter(0))

    def _take(self, *, is_end=False) -> list:
        """Take the pending flashes whose epochs are complete; at an end, all that have begun."""
        if self._end is None:
            return []
        half = 0.5 / self._chain.sfreq_in
        latest = self._end + half - (0 if is_end else self._duration_s)
        n_ready = bisect_right(self._pending, latest, key=itemgetter(0))
        if not n_ready:
            return []
        ready, self._pending = self._pending[:n_ready], self._pending[n_ready:]
        times, samples = np.array(self._anchors).T
        done = []
        for k, (onset, row) in enumerate(ready):
            position = np.interp(onset, times, samples)
            beyond = min(onset - times[0], 0) + max(onset - times[-1], 0)
            position += beyond * self._chain.sfreq_in
            start = position / self._filter.skip + self._chain.tmin * self._chain.rate
            data = self._cut(start, is_end)
            if data is None:  # waits for samples, and those after it with it
                self._pending = ready[k:] + self._pending
                break
            if len(data):
                done.append((data, row))
            else:
                self._lose([(onset, row)])
        return done

    def _lose(self, flashes) -> None:
        self.lost.extend(row.iloc[0].to_dict() for _, row in flashes)

    def _cut(self, start, is_end):
        """Cut one epoch; None if it must wait, an empty array if it is lost."""
        tape, sampling = self._tape, self._chain.sampling
        begin, stop = (int(v) for v in sampling.span(start))
        last = start + (sampling.n_times - 1) * float(sampling.step)
        lost = np.empty((0,))
        if start < -ON_SAMPLE or max(begin, 0) < tape.start:
            return lost
        if stop > tape.stop:
            if not is_end:
                return None
            if last > tape.stop - 1 + ON_SAMPLE:
                return lost
        epoch = np.empty((1, len(tape.signal), sampling.n_times), np.float32)
        take_epochs(tape.signal, np.array([start - tape.start]), sampling, epoch)
        return epoch

    def _epochs(self, data, rows) -> Epochs:
        import pandas as pd

        fitted = self.preprocessor
        n_chans, n_times = len(fitted.ch_names_), fitted.n_times
        data = np.concatenate([np.empty((0, n_chans, n_times), np.float32), *data])
        is_rejected = fitted.finish(data)
        return Epochs(
            data=data,
            flashes=pd.concat(rows, ignore_index=True) if len(rows) else self._blank.iloc[:0],
            ch_names=fitted.ch_names_,
            sfreq=float(fitted.sfreq),
            tmin=float(fitted.tmin),
            unit=fitted.unit_out,
            name="stream",
            is_rejected=None if fitted.reject_uv is None else is_rejected,
        )
