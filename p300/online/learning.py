"""A live session that learns from the characters it decides."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.learning import FromNothing, Learner, LearningSettings, MeanDifference
from p300.online.characters import Character, Flash
from p300.online.events import UNDONE, Learned, Noted


class LiveLearning:
    """Scores flashes with what was learned, and learns from each character when it is over.

    Parameters
    ----------
    detector : OnnxDetector
        With a ``source``.
    settings : LearningSettings or FromNothing
        How it learns.
    uses_targets : bool
        Whether the symbols of copy spelling are taken as known.

    Raises
    ------
    InputError
        If the detector has no source.
    """

    def __init__(
        self,
        detector: Any,
        settings: LearningSettings | FromNothing,
        *,
        uses_targets: bool = False,
    ):
        if settings.needs_source and detector.source is None:
            raise InputError(
                "the detector cannot learn while it spells: its training left no sums; expected "
                "one trained with learning=while_spelling"
            )
        people = [] if detector.source is None else list(detector.source.people)
        only = people[0] if len(people) == 1 else None
        symbols, sfreq = detector.speller.symbols, detector.preprocessor.sfreq
        self.learner: Learner | MeanDifference = settings.start(
            detector.source, symbols, only, sfreq
        )
        self._uses_targets = uses_targets
        self._lit = dict(
            zip(detector.speller.codes, detector.speller.membership.T.astype(bool), strict=True)
        )
        self._place = {symbol: k for k, symbol in enumerate(symbols)}
        self._gathered: dict[int, list[tuple]] = defaultdict(list)  # by number of the character

    def score(self, flash: Flash, inputs: np.ndarray, static: float) -> float:
        """Score a flash with what was learned so far, and keep it to learn from.

        Parameters
        ----------
        flash : Flash
        inputs : ndarray, shape (n_chans, n_times)
        static : float
            Its score by the detector as it was trained.
        """
        score = static + float(self.learner.change(inputs[np.newaxis])[0])
        if flash.character is not None and np.isfinite(score):
            kept = inputs, self._lit[flash.code], static, score
            self._gathered[flash.character.number].append(kept)
        return score

    def odds(self, character: Character) -> np.ndarray | None:
        """Compute the log probabilities of the symbols of a character that goes on.

        Returns
        -------
        ndarray, shape (n_symbols,), or None
            None where they are those of the summed scores.
        """
        flashes = self._gathered.get(character.number)
        if not isinstance(self.learner, MeanDifference) or not flashes:
            return None
        inputs, lit = (np.array([flash[k] for flash in flashes]) for k in (0, 1))
        return self.learner.odds(inputs, lit, character.log_prior)

    def end(self, character: Character, now: float) -> list[Learned | Noted]:
        """Learn from a character whose flashes have all been read."""
        flashes = self._gathered.pop(character.number, [])
        if not flashes or character.is_broken or self.learner.stopped is not None:
            return []
        inputs, lit, static, scores = (np.array(part) for part in zip(*flashes, strict=True))
        known = character.target if self._uses_targets else None
        self.learner.learn(
            inputs,
            lit,
            static,
            scores,
            decided=None if character.symbol is None else self._place[character.symbol],
            log_prior=character.log_prior,
            known=None if known is None else self._place[known],
        )
        if self.learner.stopped is not None:
            text = f"learning stopped, and is undone: {self.learner.stopped}"
            return [Noted(now, text, UNDONE)]
        last, n = self.learner.characters[-1], len(self.learner.characters)
        notes = []
        if n in self.learner.doubted[-1:]:
            text = "the session contradicts what was trained on; it is read from nothing"
            notes.append(Noted(now, text, "doubts about the training"))
        return [
            *notes,
            Learned(
                character.number,
                "".join(self.learner.symbols_so_far()),
                float(last.posterior.max()),
                self.learner.digest(),
            ),
        ]
