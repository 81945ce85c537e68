"""A learner: the linear part of a detector, computed again after every character.

Its state is sums only. What a character wanted is known by the probabilities of the symbols. The
probabilities of earlier characters are estimated again as the session goes on, each with weights
that have not seen it.

P.-J. Kindermans et al., "Integrating dynamic stopping, transfer learning and language models in an
adaptive zero-training ERP speller", J. Neural Eng. 11:035005, 2014.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from p300.errors import InputError
from p300.learning.characters import LearnedCharacter, check_settings, digest_of
from p300.learning.guard import N_ERRORS, DriftGuard
from p300.learning.source import NOBODY, Source
from p300.learning.sums import EpochSums
from p300.learning.unsupervised import MeanDifference


@dataclass(frozen=True)
class LearningSettings:
    """How a detector learns while it spells; the keys of ``conf/learning/while_spelling.yaml``.

    Parameters
    ----------
    mean_flashes : float or None
        Flashes that the class means of other people count as, at most; None for no limit.
    covariance_flashes : float or None
        The same for their covariance.
    temper : float
        Factor of the log odds of flashes in the probability of a symbol, below 1 since epochs that
        overlap are not independent.
    n_sweeps : int
        How often the characters of a session are estimated again after each character.
    half_life : float or None
        Characters after which one counts half; None: it always counts fully.
    backspace : str or None
        The symbol that deletes the one before it, which then was wrong.
    person : str or None
        The subject of the training whose flashes count fully, since they are of the one who
        spells; "none" for nobody. None: the subject of the same name, if there is one.
    doubt : float or None
        How many times better the characters must agree on what a target looks like, if they are
        read from nothing, before these symbols are taken; None: never.
    guard : bool
        Whether learning stops where it makes characters less clear (:class:`DriftGuard`).

    Raises
    ------
    InputError
        If a number is negative or not finite.
    """

    mean_flashes: float | None = 250
    covariance_flashes: float | None = 750
    temper: float = 0.3
    n_sweeps: int = 2
    half_life: float | None = None
    backspace: str | None = None
    person: str | None = None
    doubt: float | None = 1.3
    guard: bool = True

    needs_source = True

    def __post_init__(self) -> None:
        for name in ("backspace", "person"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, str(value))  # a command line reads 6 as a number
        check_settings(self)

    def for_recording(self, own: bool) -> LearningSettings:
        """Return the settings for another recording than the training's.

        A person of the same name may be another, and is taken for one unless named.
        """
        return self if own or self.person is not None else replace(self, person=NOBODY)

    def start(
        self, source: Source | None, symbols: Sequence[str], person: str | None, sfreq: float
    ) -> Learner:
        """Begin a session of a person; the sampling rate is not used."""
        if source is None:
            raise InputError("got no source; expected that of the detector's training")
        return Learner(source, symbols, self, person)


#: Characters after which a session may be read from nothing, and after which this is not tried
#: any more if it explains the session no better.
DOUBTED = 3, 12

#: Fraction of the characters that must be read as other symbols.
MOST_CHANGED = 0.5

#: Weights (n_chans, n_times) and offset of a linear score.
Line = tuple[np.ndarray, float]


class Learner:
    """Learns the linear part of a detector from the characters of one person's session.

    Parameters
    ----------
    source : Source
        Sums of the training flashes.
    symbols : sequence of str
        Of the screen.
    settings : LearningSettings or None
        None for the defaults.
    person : str or None
        The subject who spells, unless ``settings`` names another. Their own training flashes
        count fully, those of others as ``settings`` says.

    Attributes
    ----------
    characters : list of LearnedCharacter
        The characters of the session so far, with their probabilities as estimated last.
    stopped : str or None
        Why learning has stopped; the detector is then as it was trained.
    doubted : list of int
        Numbers of the characters, from 1, after which the session was read from nothing, since
        what was trained on contradicts it.
    min_repetitions : int
        A stopping rule need not wait.

    Raises
    ------
    InputError
        If the backspace is not on the screen, or a person is named who was not trained on.
    """

    min_repetitions = 0

    def __init__(
        self,
        source: Source,
        symbols: Sequence[str],
        settings: LearningSettings | None = None,
        person: str | None = None,
    ) -> None:
        self.source, self.symbols = source, tuple(symbols)
        self.settings = settings = settings or LearningSettings()
        self.characters: list[LearnedCharacter] = []
        self.stopped: str | None = None
        check_backspace(settings.backspace, self.symbols)
        self.person = source.known(settings.person or person, is_named=bool(settings.person))
        self._guard = DriftGuard() if settings.guard else None
        self.doubted: list[int] = []
        self._nothing: MeanDifference | None = None
        if settings.doubt is not None and source.centre is None:
            basis = next(iter(source.people.values())).basis
            self._nothing = MeanDifference(self.symbols, basis=basis)
        self._typed: list[tuple[LearnedCharacter, int]] = []
        self._keep = 0.5 ** (1 / settings.half_life) if settings.half_life else 1.0
        whole = source.whole()
        line = _line(whole.n, whole.epochs)
        self._trained = self._solved(line, source.discriminants(whole))
        self._means = source.weighted(self.person, settings.mean_flashes)
        self._covariance = source.weighted(self.person, settings.covariance_flashes)
        self._session = self._covariance * 0
        self._learned = self._trained
        self._update(n_sweeps=0)

    def change(self, inputs: np.ndarray) -> np.ndarray:
        """Compute by how much learning has changed the scores of flashes.

        Parameters
        ----------
        inputs : ndarray, shape (n_flashes, n_chans, n_times)
            Epochs or features, as the source's.

        Returns
        -------
        ndarray, shape (n_flashes,)
        """
        if self.stopped is not None:
            return np.zeros(len(inputs))
        return self._change(self.source.centred(inputs), np.ones(len(inputs)), self._learned)

    def read(self, inputs: np.ndarray, lit: np.ndarray, static: np.ndarray) -> np.ndarray:
        """Score the flashes of a character by what was learned before, then learn from it.

        Parameters and shapes are those of :meth:`learn`.
        """
        scores = static + self.change(inputs)
        self.learn(inputs, lit, static, scores, decided=int((scores @ lit).argmax()))
        return scores

    def learn(
        self,
        inputs: np.ndarray,
        lit: np.ndarray,
        static: np.ndarray,
        scores: np.ndarray,
        *,
        decided: int | None = None,
        log_prior: np.ndarray | None = None,
        known: int | None = None,
    ) -> None:
        """Learn from a character that is over.

        Parameters
        ----------
        inputs : ndarray, shape (n_flashes, n_chans, n_times)
            As for :meth:`change`.
        lit : ndarray of bool, shape (n_flashes, n_symbols)
            Whether a flash lit a symbol.
        static, scores : ndarray, shape (n_flashes,)
            Scores of the detector as it was trained, and with what was learned before.
        decided : int or None
            Index of the symbol that was typed; None if none was.
        log_prior : ndarray, shape (n_symbols,), or None
            Log probability of each symbol before the first flash, up to a constant.
        known : int or None
            Index of the symbol, if it is known, as in copy spelling.
        """
        if self.stopped is not None or not len(inputs):
            return
        if self._guard is not None:
            self.stopped = self._guard.check(lit, scores, static)
            if self.stopped is not None:
                return
        centred = self.source.centred(inputs)
        weight = self.source.counted(centred)
        log_prior = np.zeros(len(self.symbols)) if log_prior is None else np.array(log_prior)
        character = LearnedCharacter.of(centred, weight, lit, static, log_prior)
        self.characters.append(character)
        if known is None:
            self._estimate(character, self._learned)
        else:
            character.label(known)
        self._take_decision(character, decided)
        added = EpochSums.of(centred, np.zeros(len(centred)), weight, self._covariance.basis)
        self._session = self._session * self._keep + added
        self._update(self.settings.n_sweeps)
        if self._nothing is not None:
            self._nothing.learn(inputs, lit, log_prior=log_prior, known=known)
            self._check_with_nothing(self._nothing)

    def _check_with_nothing(self, nothing: MeanDifference) -> None:
        """Take the symbols that are read from nothing, if they explain the session far better.

        Other people's detector may be wrong for somebody, and then teaches itself wrong symbols.
        """
        assert self.settings.doubt is not None
        read = [character.posterior for character in nothing.characters]
        own = [character.posterior for character in self.characters]
        n = len(own)
        if n < DOUBTED[0]:
            return
        changed = np.mean([a.argmax() != b.argmax() for a, b in zip(own, read, strict=True)])
        (mine, _), (found, error) = nothing.agreement(own), nothing.agreement(read)
        least = max(self.settings.doubt * mine, N_ERRORS * error)
        if changed <= MOST_CHANGED or found <= least:
            if n >= DOUBTED[1]:
                self._nothing = None  # the two agree by now
            return
        self.doubted.append(n)
        for character, posterior in zip(self.characters, read, strict=True):
            if not character.is_known:
                character.posterior = posterior
        self._update(n_sweeps=0)

    def digest(self) -> str:
        """Compute a hash of the weights."""
        return digest_of(*self._learned)

    def weighing(self) -> str:
        """Say how much the training flashes count."""
        return self.source.weighing(self.person, self.settings.mean_flashes)

    def symbols_so_far(self) -> list[str]:
        """Return the most probable symbol of each character, as estimated last."""
        return [self.symbols[c.posterior.argmax()] for c in self.characters]

    def to_source(self) -> Source:
        """Return the source with what this session has taught, for the next session."""
        counts = self._keep ** np.arange(len(self.characters))[::-1]
        n, epochs = self._added([character.classes() for character in self.characters], counts)
        session = replace(self._session, n=n, epochs=epochs)
        earlier = self.source.earlier
        return replace(self.source, earlier=session if earlier is None else earlier + session)

    def _take_decision(self, character: LearnedCharacter, decided: int | None) -> None:
        """Keep what was typed; a backspace says that what it deletes was wrong."""
        if decided is None:
            return
        if self.symbols[decided] != self.settings.backspace:
            self._typed.append((character, decided))
        elif self._typed:
            wrong, symbol = self._typed.pop()
            is_possible = np.isfinite(wrong.log_prior)
            if is_possible.sum() > 1:
                wrong.log_prior[symbol] = -np.inf

    def _update(self, n_sweeps: int) -> None:
        """Compute the weights again, and the probabilities of the session's characters."""
        counts = self._keep ** np.arange(len(self.characters))[::-1]
        classes = [character.classes() for character in self.characters]
        n, epochs = self._added(classes, counts)
        session = replace(self._session, n=n, epochs=epochs)
        solved = self.source.discriminants(self._covariance + session)
        for _ in range(n_sweeps):
            n, epochs = self._means.n + n, self._means.epochs + epochs
            without = [
                _line(n - count * own[0], epochs - count * own[1])
                for count, own in zip(counts, classes, strict=True)
            ]
            weights = solved.of(np.stack([difference for difference, _ in without]))
            for k, character in enumerate(self.characters):
                offset = -float(weights[k].ravel() @ without[k][1].ravel())
                self._estimate(character, (weights[k], offset))
            classes = [character.classes() for character in self.characters]
            n, epochs = self._added(classes, counts)
        self._learned = self._solved(_line(self._means.n + n, self._means.epochs + epochs), solved)

    def _added(self, classes, counts) -> tuple[np.ndarray, np.ndarray]:
        """Add up the classes of all characters."""
        n, epochs = np.zeros(2), np.zeros_like(self._means.epochs)
        for count, own in zip(counts, classes, strict=True):
            n += count * own[0]
            epochs += count * own[1]
        return n, epochs

    @staticmethod
    def _solved(line, solved) -> Line:
        difference, centre = line
        weights = solved.of(difference[np.newaxis])[0]
        return weights, -float(weights.ravel() @ centre.ravel())

    def _change(self, centred: np.ndarray, n: np.ndarray, line: Line) -> np.ndarray:
        moved = (line[0] - self._trained[0]).ravel()
        found = centred.reshape(len(centred), -1) @ moved + n * (line[1] - self._trained[1])
        return self.source.weight * found

    def _estimate(self, character: LearnedCharacter, line: Line) -> None:
        scores = character.static + self._change(character.epochs, character.n, line)
        character.estimate(self.source.log_odds * scores, self.settings.temper)


def check_backspace(backspace: str | None, symbols: Sequence[str]) -> None:
    """Check that a backspace, if there is one, is on the screen.

    Raises
    ------
    InputError
        If it is not.
    """
    if backspace is not None and backspace not in symbols:
        raise InputError(
            f"got learning.backspace={backspace!r}, which is not on the screen; expected one "
            f"of {list(symbols)}"
        )


def _line(n: np.ndarray, epochs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the difference of the class means, and the point midway between them."""
    nontarget, target = epochs / n[:, np.newaxis, np.newaxis]
    return target - nontarget, (target + nontarget) / 2
