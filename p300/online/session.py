"""Spelling from chunks of signal and markers, without a network and a clock of its own.

The decisions do not depend on how the input is cut into chunks. A session on disk is replayed
through this module, and the tests inject faults into it.
"""

from __future__ import annotations

import numpy as np

from p300.electrodes import channel_order
from p300.errors import InputError
from p300.online.characters import AHEAD_S, Character, Flash, MarkerDesk
from p300.online.events import Decided, Ended, Noted, Scored
from p300.online.markers import parse_marker
from p300.online.streams.format import check_detector
from p300.online.streams.gaps import GapFiller
from p300.online.supervisor import Limits, Supervisor
from p300.preprocessing import AlignmentStream, StreamingPreprocessor
from p300.preprocessing._engine.clock import SampleClock
from p300.spelling import SymbolPosterior

#: A flash may be announced up to so many seconds after the end of its epoch.
LATE_S = 5.0

#: Deviation of a timestamp in seconds that is never jitter where no longer gap is filled.
JITTER_S = 0.05


class OnlineSpeller:
    """A session that reads characters from a stream of EEG and a stream of markers.

    Parameters
    ----------
    detector : OnnxDetector
        Or any object with ``preprocessor``, ``speller``, ``likelihood`` and ``score_epochs``.
    ch_names : sequence of str
        Channels of the chunks, in any order; others may be among them.
    rule : object or None
        Stopping rule of :mod:`p300.spelling.rules`; None reads a character when it has ended.
    gain : float or array_like, shape (n_chans,)
        Factor that converts the samples to the detector's unit.
    offset_s : float
        Seconds from a flash's marker to its light.
    language : object or None
        Has a method ``log_prior(text so far)`` over the symbols; None for a uniform prior.
    idle_prior : float
        Probability that no symbol is wanted (:class:`p300.spelling.SymbolPosterior`).
    limits : Limits
        What is tolerated before something is said, filled, or not typed.
    parse : callable
        Translates a marker: text, time and speller to a :class:`~p300.online.markers.Marker`.
    learning : LiveLearning or None
        Learns from the characters; None for a detector that stays as it is.

    Attributes
    ----------
    text : str
        What has been read so far.
    now : float
        Time of the newest sample.
    is_over : bool
        Whether the marker "stop" has come and everything before it is read.

    Raises
    ------
    InputError
        If the detector has no speller or no likelihood, or has a filter that needs future samples,
        or if one of its channels is missing.
    """

    def __init__(
        self,
        detector,
        ch_names,
        *,
        rule=None,
        gain=1.0,
        offset_s=0.0,
        language=None,
        idle_prior=0.0,
        limits=Limits(),  # noqa: B008  (it is frozen)
        parse=parse_marker,
        learning=None,
    ):
        check_detector(detector)
        self.detector = detector
        self.speller = detector.speller
        self.rule = rule
        self.offset_s = float(offset_s)
        self.language = language
        self.idle_prior = float(idle_prior)
        self.text = ""
        self.is_over = False
        steps = detector.preprocessor
        self._order = channel_order(ch_names, steps.ch_names_in_, where="stream")
        gain = np.broadcast_to(np.asarray(gain, np.float64), (len(ch_names),))[self._order]
        self._gain = None if (gain == 1).all() else gain[:, None].astype(np.float32)
        self._n_chans = len(ch_names)
        self._stream = StreamingPreprocessor(steps, history_s=LATE_S, max_jitter_s=0.0)
        self._epoch_s = steps.tmin + steps.n_times / steps.sfreq
        self._clock = SampleClock(steps.sfreq_in_, max(JITTER_S, limits.max_gap_s))
        self._losses = GapFiller(steps.sfreq_in_, limits.max_gap_s, is_raw=True)
        self._gaps = GapFiller(steps.sfreq_in_, limits.max_gap_s)
        self._min_probability = limits.min_probability
        self._supervisor = Supervisor(getattr(detector, "levels", None), steps.sfreq_in_, limits)
        self._markers = MarkerDesk(self.speller, parse)
        self.learning = learning
        self._aligned = None
        if (alignment := getattr(detector, "alignment", None)) is not None:
            self._aligned = AlignmentStream(alignment, len(steps.ch_names_))
        self.now = -np.inf
        self._events: list = []

    @property
    def is_stopping(self) -> bool:
        """Whether the marker "stop" has come."""
        return self._markers.stop < np.inf

    def push(self, chunk, timestamps, markers=()) -> list:
        """Process new samples and markers, and return the events.

        Parameters
        ----------
        chunk : ndarray, shape (n_chans, n_samples)
            In the unit and channel order of the stream; any number of samples.
        timestamps : array_like, shape (n_samples,)
            In seconds, as they came.
        markers : sequence of (str, float)
            Texts (:mod:`p300.online.markers`) with times in seconds of the same clock, in any
            order, before or after their samples.

        Returns
        -------
        list of Scored, Decided, Ended and Noted
            In the order in which they happened.

        Raises
        ------
        InputError
            If the chunk has another number of channels than the stream, or the stream's true
            rate keeps to differ from the nominal one.
        """
        chunk = np.asarray(chunk)
        if chunk.ndim != 2 or chunk.shape != (self._n_chans, len(timestamps)):
            raise InputError(
                f"chunk of shape {chunk.shape} with {len(timestamps)} timestamps; expected "
                f"({self._n_chans} channels, n_samples) and as many timestamps"
            )
        self._events = []
        signal, times = self._take_samples(chunk, np.asarray(timestamps, np.float64))
        flashes, doubts = self._markers.take(markers, self.now)
        self._events += doubts
        for flash in flashes if len(times) else ():
            self._events += self._supervisor.check_flash(flash.time + self.offset_s, self.now)
        self._read(self._stream.push(signal, times, self._as_table(flashes)))
        self._close()
        return self._events

    def finish(self) -> list:
        """End the session: read what can still be read."""
        self._events = []
        self._read(self._stream.finish())
        self._close(is_last=True)
        return self._events

    # -- what comes in -----------------------------------------------------------------------

    def _take_samples(self, chunk, times):
        """Return the detector's channels in its unit, without gaps, and times without jitter."""
        signal = chunk[self._order]
        signal = signal if self._gain is None else signal * self._gain
        if not len(times):
            return signal, times
        self._events += self._supervisor.check_stamps(times)
        signal, times, losses = self._losses.push(signal, times)
        times, _ = self._clock.push(times)
        self.now = float(times[-1])
        is_good = np.isfinite(signal).all(axis=0)
        if not is_good.all():
            n_bad = int((~is_good).sum())
            text = f"{n_bad} samples are not finite and are left out"
            self._note(times[~is_good][0], text, "samples left out")
            signal, times = signal[:, is_good], times[is_good]
        signal, times, gaps = self._gaps.push(signal, times)
        for gap in losses + gaps:
            self._note(gap.time, gap, "gaps interpolated" if gap.is_filled else "gaps")
        is_cut = not all(gap.is_filled for gap in gaps)
        self._events += self._supervisor.check_signal(signal, self.now, is_cut=is_cut)
        return signal, times

    def _as_table(self, flashes):
        if not flashes:
            return None
        import pandas as pd

        onsets = [flash.time + self.offset_s for flash in flashes]
        return pd.DataFrame({"onset": onsets, "number": [flash.number for flash in flashes]})

    # -- what comes out ----------------------------------------------------------------------

    def _read(self, epochs) -> None:
        """Score epochs and use their evidence, flash by flash."""
        if len(epochs.data):
            scores, inputs = self._score(epochs.data)
            numbers = epochs.flashes["number"].tolist()
            for number, score, own in zip(numbers, scores.tolist(), inputs, strict=True):
                flash = self._markers.pop(number)
                self._close(before=flash.time)
                if self.learning is not None:
                    score = self.learning.score(flash, own, score)
                ratio = float(self.detector.likelihood.log_ratio(score))
                self._events.append(self._scored(flash, score))
                self._events += self._supervisor.check_score(self._events[-1], self.now)
                if not np.isfinite(ratio):
                    text = f"{flash} has the score {score}: not counted"
                    self._note(flash.time, text, "scores that are not finite")
                self._gather(flash, ratio)
        while self._stream.lost:
            flash = self._markers.pop(self._stream.lost.popleft()["number"])
            self._note(flash.time, f"{flash} has no complete epoch: lost", "flashes lost")
            self._gather(flash, np.nan)

    def _score(self, epochs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Score epochs by the detector as it was trained; return what can be learned from, too."""
        if self._aligned is not None:
            # one after the other, so that chunks of any size give the same
            epochs = np.concatenate([self._aligned.push(epoch[np.newaxis]) for epoch in epochs])
        if self.learning is None:
            return np.asarray(self.detector.score_epochs(epochs), np.float64), epochs
        return self.detector.score_and_inputs(epochs)

    def _scored(self, flash: Flash, score: float) -> Scored:
        of, is_target = flash.character, None
        if of is not None and of.target is not None:
            is_target = flash.code in self.speller.codes_of(of.target)
        segment, onset = self._stream.n_segments - 1, flash.time + self.offset_s
        number = None if of is None else of.number
        return Scored(segment, number, flash.repetition, flash.code, onset, is_target, score)

    def _gather(self, flash: Flash, ratio: float) -> None:
        """Count a flash as done and, if its ratio is finite, update the posterior."""
        character = flash.character
        if character is None:
            return
        codes = self.speller.codes
        n_before = character.n_repetitions(codes)
        character.done[flash.code] += 1
        n_repetitions = character.n_repetitions(codes)
        if character.is_decided:
            return
        posterior = character.posterior
        if posterior is None:
            prior = None if self.language is None else self.language.log_prior(self.text)
            character.log_prior = prior
            posterior = SymbolPosterior(self.speller, prior, self.idle_prior)
            character.posterior = posterior
        if np.isfinite(ratio):
            posterior.update(flash.code, ratio)
        least = 0
        if self.learning is not None:
            least = self.learning.learner.min_repetitions
            if n_repetitions > n_before:
                self._read_anew(character, posterior)
        if self.rule is not None and n_repetitions >= least:
            symbol = self.rule.decide(posterior, n_repetitions, n_repetitions > n_before)
            if symbol is not None:
                self._decide(character, posterior, symbol or None, is_early=True)

    def _read_anew(self, character: Character, posterior: SymbolPosterior) -> None:
        """Replace the sum of single flashes where a character is read as a whole."""
        odds = None if self.learning is None else self.learning.odds(character)
        if odds is not None:
            posterior.replace(odds)

    def _decide(
        self, character: Character, posterior: SymbolPosterior, symbol: str | None, *, is_early
    ) -> None:
        character.is_decided = True
        probability = float(posterior.best[1])
        if symbol is not None and probability <= self._min_probability:
            text = (
                f"character {character.number}: {symbol} has the probability {probability:.2f}; "
                f"nothing is typed up to limits.min_probability={self._min_probability:g}"
            )
            self._note(self.now, text, "characters that were not sure")
            symbol = None  # most likely wrong, whatever rule wanted it
        character.decided_after = character.n_repetitions(self.speller.codes)
        character.symbol = symbol
        self.text += symbol or ""
        self._events.append(
            Decided(
                character=character.number,
                symbol=symbol,
                target=character.target,
                probability=probability,
                n_repetitions=character.decided_after,
                n_flashes=int(posterior.n_flashes),
                time=self.now,
                is_early=is_early,
            )
        )

    def _close(self, before=np.inf, *, is_last=False) -> None:
        """Close the characters whose epochs have all been read."""
        opened = self._markers.open
        while opened:
            first = opened[0]
            # one that begins long after now never ends: the clock was set back
            if not (is_last or first.begin > self.now + AHEAD_S):
                is_read = self.now >= first.end + self.offset_s + self._epoch_s
                if first.n_waiting or first.end >= before or not is_read:
                    break
            opened.popleft()
            if first.is_decided or first.posterior is None:
                pass
            elif first.is_broken or (is_last and first.end == np.inf):
                text = f"the session ended within character {first.number}: nothing is typed"
                self._note(self.now, text, "characters without an end")
            else:
                self._read_anew(first, first.posterior)
                symbol, probability = first.posterior.best
                is_idle = first.posterior.idle_probability > probability
                self._decide(first, first.posterior, None if is_idle else symbol, is_early=False)
            if self.learning is not None:
                self._events += self.learning.end(first, self.now)
            n_shown = first.n_shown(self.speller.codes)
            self._events.append(Ended(first.number, first.decided_after, n_shown))
        half = 0.5 / self._clock.sfreq
        self.is_over |= not opened and self.now + half >= self._markers.stop

    def _note(self, time, text, kind) -> None:
        self._events.append(Noted(float(time), str(text), kind))
