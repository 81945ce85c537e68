"""Spelling from chunks of signal and markers, without a network and a clock of its own.

The decisions do not depend on how the input is cut into chunks. A session on disk is replayed
through this module, and the tests inject faults into it.
"""

from __future__ import annotations

import numpy as np

from p300.errors import InputError
from p300.online.characters import AHEAD_S, Character, Flash, MarkerDesk
from p300.online.clock import SampleClock
from p300.online.events import Decided, Ended, Noted, Scored
from p300.preprocessing import StreamingPreprocessor
from p300.recording import channel_order
from p300.spelling import SymbolPosterior

#: A flash may be announced up to so many seconds after the end of its epoch.
LATE_S = 5.0

#: Seconds of signal after which the true rate is compared with the nominal one, once.
RATE_CHECK_S = 10.0


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
        If the detector has no speller or no likelihood, aligns its epochs, or has a filter that
        needs future samples, or if one of its channels is missing.
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
    ):
        for what in ("speller", "likelihood"):
            if getattr(detector, what) is None:
                raise InputError(
                    f"the detector has no {what}; expected one trained on a spelled recording"
                )
        if getattr(detector, "alignment", None) is not None:
            raise InputError(
                "the detector aligns its epochs, which is not done live; expected one trained "
                "with alignment=none"
            )
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
        self._stream = StreamingPreprocessor(steps, history_s=LATE_S)
        self._epoch_s = steps.tmin + steps.n_times / steps.sfreq
        self._clock = SampleClock(steps.sfreq_in_)
        self._is_rate_checked = False
        self._markers = MarkerDesk(self.speller)
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
            rate differs from the nominal one.
        """
        chunk = np.asarray(chunk)
        if chunk.ndim != 2 or chunk.shape != (self._n_chans, len(timestamps)):
            raise InputError(
                f"chunk of shape {chunk.shape} with {len(timestamps)} timestamps; expected "
                f"({self._n_chans} channels, n_samples) and as many timestamps"
            )
        self._events = []
        times = self._take_times(timestamps)
        flashes, doubts = self._markers.take(markers, self.now)
        for time, text in doubts:
            self._note(time, text)
        signal, times = self._take_samples(chunk, times)
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

    def _take_times(self, timestamps) -> np.ndarray:
        if not len(timestamps):
            return np.empty(0)
        times, breaks = self._clock.push(timestamps)
        for k, missing in breaks:
            what = "signal missing for" if missing > 0 else "clock set back by"
            self._note(times[k], f"{what} {abs(missing):.3f} s: the filter restarts")
        if not self._is_rate_checked and self._clock.elapsed_s > RATE_CHECK_S:
            self._is_rate_checked = True
            measured, nominal = self._clock.measured_sfreq, self._clock.sfreq
            if abs(measured / nominal - 1) > 0.02:
                raise InputError(
                    f"the stream has {measured:.1f} samples per second by its own timestamps; "
                    f"expected {nominal:g}, its nominal rate"
                )
        self.now = float(times[-1])
        return times

    def _take_samples(self, chunk, times):
        signal = chunk[self._order]
        is_good = np.isfinite(signal).all(axis=0)
        if not is_good.all():
            n_bad = int((~is_good).sum())
            self._note(times[~is_good][0], f"{n_bad} samples are not finite and are left out")
            signal, times = signal[:, is_good], times[is_good]
        return signal if self._gain is None else signal * self._gain, times

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
            scores = np.asarray(self.detector.score_epochs(epochs.data), np.float64)
            ratios = np.asarray(self.detector.likelihood.log_ratio(scores), np.float64)
            numbers = epochs.flashes["number"].tolist()
            scored = zip(numbers, scores.tolist(), ratios.tolist(), strict=True)
            for number, score, ratio in scored:
                flash = self._markers.pop(number)
                self._events.append(self._scored(flash, score))
                self._close(before=flash.time)
                if not np.isfinite(ratio):
                    self._note(flash.time, f"{flash} has the score {score}: not counted")
                self._gather(flash, ratio)
        while self._stream.lost:
            flash = self._markers.pop(self._stream.lost.popleft()["number"])
            self._note(flash.time, f"{flash} has no complete epoch: lost")
            self._gather(flash, np.nan)

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
            posterior = SymbolPosterior(self.speller, prior, self.idle_prior)
            character.posterior = posterior
        if np.isfinite(ratio):
            posterior.update(flash.code, ratio)
        if self.rule is not None:
            symbol = self.rule.decide(posterior, n_repetitions, n_repetitions > n_before)
            if symbol is not None:
                self._decide(character, posterior, symbol or None, is_early=True)

    def _decide(
        self, character: Character, posterior: SymbolPosterior, symbol: str | None, *, is_early
    ) -> None:
        character.is_decided = True
        character.decided_after = character.n_repetitions(self.speller.codes)
        self.text += symbol or ""
        self._events.append(
            Decided(
                character=character.number,
                symbol=symbol,
                target=character.target,
                probability=float(posterior.best[1]),
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
            if first.posterior is not None and not first.is_decided:
                symbol, probability = first.posterior.best
                is_idle = first.posterior.idle_probability > probability
                self._decide(first, first.posterior, None if is_idle else symbol, is_early=False)
            codes = self.speller.codes
            self._events.append(Ended(first.number, first.decided_after, first.n_shown(codes)))
        half = 0.5 / self._clock.sfreq
        self.is_over |= not opened and self.now + half >= self._markers.stop

    def _note(self, time, text) -> None:
        self._events.append(Noted(float(time), text))
