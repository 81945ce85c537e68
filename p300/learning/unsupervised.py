"""Reading without any training: the symbol whose flashes differ most from all others.

J. Sosulski, M. Tangermann, "UMM: Unsupervised mean-difference maximization", arXiv 2306.11830,
2023. Earlier characters count here by the probabilities of their symbols.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from p300.errors import InputError
from p300.learning.characters import LearnedCharacter, check_settings, digest_of, probabilities
from p300.learning.linear import Discriminants, usual_basis
from p300.learning.source import Source
from p300.learning.sums import EpochSums

#: Probability of a symbol, as estimated last, from which a character counts as sure.
SURE = 0.95

#: Repetitions that the first character needs at least, and one after many sure ones.
AT_FIRST, AT_LEAST = 10, 3


@dataclass(frozen=True)
class FromNothing:
    """How characters are read without training; the keys of ``conf/learning/from_nothing.yaml``.

    Parameters
    ----------
    temper : float
        Factor of the evidence of a symbol, below 1 since epochs that overlap are not independent.
    n_sweeps : int
        How often the characters of a session are estimated again after each character.
    penalty : float
        Ridge penalty, relative to the mean eigenvalue of the covariance.
    toeplitz_flashes : float or None
        Flashes at which half of the covariance is that of noise which is stationary during an
        epoch; of more flashes it is less. None: as many as the covariance has rows.

    Raises
    ------
    InputError
        If a number is negative or not finite.
    """

    temper: float = 0.35
    n_sweeps: int = 2
    penalty: float = 0.05
    toeplitz_flashes: float | None = None

    needs_source = False

    def __post_init__(self) -> None:
        check_settings(self)

    def for_recording(self, own: bool) -> FromNothing:
        """Return the same settings: whose recording it is does not matter."""
        return self

    def start(
        self, source: Source | None, symbols: Sequence[str], person: str | None, sfreq: float
    ) -> MeanDifference:
        """Begin a session; a source and a person are not used."""
        return MeanDifference(symbols, sfreq, self)


class MeanDifference:
    """Reads the characters of one session by the difference between the means of two groups.

    If a symbol was wanted, the flashes that lit it are the targets. The evidence for it is the
    squared distance between the means of targets and nontargets, of this character and of those
    before it, in the metric of the noise. Earlier characters enter by their probabilities, which
    are estimated again as the session goes on.

    Parameters
    ----------
    symbols : sequence of str
        Of the screen.
    sfreq : float or None
        Sampling rate of the epochs in Hz; not needed with a basis.
    settings : FromNothing or None
        None for the defaults.
    basis : ndarray, shape (n_times, n_functions), or None
        Time courses of :class:`~p300.learning.EpochSums`; None for the usual ones.

    Attributes
    ----------
    characters : list of LearnedCharacter
        The characters so far, with their probabilities as estimated last.
    stopped : None
        There is nothing to go back to.
    doubted : tuple
        There is nothing to doubt.
    """

    stopped = None
    doubted = ()

    def __init__(
        self,
        symbols: Sequence[str],
        sfreq: float | None = None,
        settings: FromNothing | None = None,
        basis: np.ndarray | None = None,
    ) -> None:
        self.symbols, self.sfreq, self._basis = tuple(symbols), sfreq, basis
        self.settings = settings or FromNothing()
        self.characters: list[LearnedCharacter] = []
        self._sums: EpochSums | None = None
        self._line: tuple[np.ndarray, float] | None = None

    def change(self, inputs: np.ndarray) -> np.ndarray:
        """Score flashes by the characters so far: log odds, 0 before the first one."""
        if self._line is None:
            return np.zeros(len(inputs))
        weights, offset = self._line
        return _centred(inputs).reshape(len(inputs), -1) @ weights.ravel() + offset

    def read(self, inputs: np.ndarray, lit: np.ndarray, static: np.ndarray) -> np.ndarray:
        """Read a character, and score its flashes by what is known with it.

        Parameters
        ----------
        inputs : ndarray, shape (n_flashes, n_chans, n_times)
            All epochs of the character.
        lit : ndarray of bool, shape (n_flashes, n_symbols)
            Whether a flash lit a symbol.
        static : ndarray, shape (n_flashes,)
            Not used.
        """
        self.learn(inputs, lit)
        return self.change(inputs)

    def odds(
        self, inputs: np.ndarray, lit: np.ndarray, log_prior: np.ndarray | None = None
    ) -> np.ndarray:
        """Compute the log probability of each symbol for a character that goes on."""
        character, sums = self._summed(inputs, lit, log_prior)
        self._estimate_last(character, self._solved(sums))
        return np.log(np.maximum(character.posterior, 1e-300))

    def learn(
        self,
        inputs: np.ndarray,
        lit: np.ndarray,
        static: np.ndarray | None = None,
        scores: np.ndarray | None = None,
        *,
        decided: int | None = None,
        log_prior: np.ndarray | None = None,
        known: int | None = None,
    ) -> None:
        """Learn from a character that is over; arguments as of :meth:`Learner.learn`."""
        character, self._sums = self._summed(inputs, lit, log_prior)
        solved = self._solved(self._sums)
        if known is None:
            self._estimate_last(character, solved)
        else:
            character.label(known)
        self.characters.append(character)
        self._estimate_all(solved)
        n, epochs = _total(self.characters)
        nontarget, target = epochs / n[:, np.newaxis, np.newaxis]
        weights = solved.of((target - nontarget)[np.newaxis])[0]
        self._line = weights, -float(weights.ravel() @ (target + nontarget).ravel()) / 2

    def symbols_so_far(self) -> list[str]:
        """Return the most probable symbol of each character, as estimated last."""
        return [self.symbols[c.posterior.argmax()] for c in self.characters]

    @property
    def min_repetitions(self) -> int:
        """Repetitions to wait for: fewer after every character that is sure."""
        n_sure = sum(character.posterior.max() >= SURE for character in self.characters)
        return max(AT_LEAST, AT_FIRST - n_sure)

    def weighing(self) -> str:
        """Say what is known at first."""
        return "nothing is known before the first character"

    def digest(self) -> str:
        """Compute a hash of the weights."""
        assert self._line is not None
        return digest_of(*self._line)

    def _summed(
        self, inputs: np.ndarray, lit: np.ndarray, log_prior: np.ndarray | None
    ) -> tuple[LearnedCharacter, EpochSums]:
        """Sum a character; and all flashes, with one mean for both classes."""
        centred, ones = _centred(inputs), np.ones(len(inputs))
        log_prior = np.zeros(len(self.symbols)) if log_prior is None else log_prior
        character = LearnedCharacter.of(centred, ones, lit, np.zeros(len(lit)), log_prior)
        if self._basis is None:
            if self.sfreq is None:
                raise InputError("got neither sfreq nor basis; expected the epochs' rate in Hz")
            n_chans, n_times = centred[0].shape
            self._basis = usual_basis(n_chans, n_times, self.sfreq)
        sums = EpochSums.of(centred, ones / 2, ones, self._basis)
        return character, sums if self._sums is None else self._sums + sums

    def _solved(self, sums: EpochSums) -> Discriminants:
        half, n = self.settings.toeplitz_flashes, float(sums.n.sum())
        half = len(sums.products) if half is None else half
        return Discriminants(sums, penalty=self.settings.penalty, toeplitz=half / (half + n))

    def agreement(self, posteriors: Sequence[np.ndarray]) -> tuple[float, float]:
        """Compute how well characters agree on what a target looks like, by given symbols.

        Parameters
        ----------
        posteriors : sequence of ndarray, shape (n_symbols,)
            Probabilities of the symbols, of each character so far; two at least.

        Returns
        -------
        agreement : float
            Mean product of the differences between targets and nontargets of two characters,
            whose noise is independent: 0 for symbols by chance.
        error : float
            Its standard error for symbols by chance.
        """
        differences, noise = [], []
        for character, sums, posterior in zip(
            self.characters, self._whitened, posteriors, strict=True
        ):
            p = character.lit @ posterior
            n, target = float(p @ character.n), p @ sums[:-1]
            rest = character.n_all - n
            differences.append(target / n - (sums[-1] - target) / rest)
            noise.append(1 / n + 1 / rest)
        found, n_pairs = np.array(differences), len(differences) * (len(differences) - 1)
        products = np.sum(found.sum(axis=0) ** 2) - np.sum(found**2)
        error = np.mean(noise) * np.sqrt(2 * found.shape[1] / n_pairs)
        return float(products) / n_pairs, float(error)

    def _estimate_last(self, character: LearnedCharacter, solved: Discriminants) -> None:
        """Estimate the symbol of a new character by the classes of those before it."""
        n, epochs = np.zeros(2), np.zeros((2, *character.all_epochs.shape))
        if self.characters:
            n, epochs = _total(self.characters)
        sums = solved.whitened(np.r_[epochs, _groups(character)])
        self._estimate(character, sums[2:], n, sums[:2])

    def _estimate_all(self, solved: Discriminants) -> None:
        """Estimate the symbols of all characters again, each by the classes of all others.

        Characters that were read wrongly support each other: means that hold no target make the
        next character look like one without targets. So two more estimates begin with the newest
        character alone, and with targets and nontargets changed round. The one whose classes
        differ most is kept.
        """
        whitened = [solved.whitened(_groups(character)) for character in self.characters]
        self._whitened = whitened
        free = [k for k, character in enumerate(self.characters) if not character.is_known]
        before = [self.characters[k].posterior for k in free]
        apart, found = [], []
        for begin in (self._begin_as_before, self._begin_alone, self._begin_round):
            for k, posterior in zip(free, before, strict=True):
                self.characters[k].posterior = posterior
            begin(whitened)
            apart.append(self._sweep(whitened, self.settings.n_sweeps))
            found.append([self.characters[k].posterior for k in free])
        for k, posterior in zip(free, found[int(np.argmax(apart))], strict=True):
            self.characters[k].posterior = posterior

    def _begin_as_before(self, whitened: Sequence[np.ndarray]) -> None:
        """Begin with the symbols as they were estimated."""

    def _begin_alone(self, whitened: Sequence[np.ndarray]) -> None:
        """Begin with the newest character by itself, then estimate all others from it."""
        for character in self.characters:
            if not character.is_known:
                character.posterior = probabilities(character.log_prior)
        nothing = np.zeros(2), np.zeros((2, whitened[-1].shape[1]))
        self._estimate(self.characters[-1], whitened[-1], *nothing)
        self._sweep(whitened, 1)

    def _begin_round(self, whitened: Sequence[np.ndarray]) -> None:
        """Begin with the symbols whose flashes look least like the targets so far."""
        n, sums = (np.sum(part, axis=0) for part in zip(*self._classes(whitened), strict=True))
        weights = sums[0] / n[0] - sums[1] / n[1]
        for character, own in zip(self.characters, whitened, strict=True):
            character.estimate(own[:-1] @ weights, self.settings.temper)

    def _sweep(self, whitened: Sequence[np.ndarray], n_sweeps: int) -> float:
        """Estimate all characters several times; return how far apart the classes are then."""
        for _ in range(n_sweeps):
            classes = self._classes(whitened)
            n_all, all_sums = (np.sum(part, axis=0) for part in zip(*classes, strict=True))
            for character, sums, own in zip(self.characters, whitened, classes, strict=True):
                self._estimate(character, sums, n_all - own[0], all_sums - own[1])
        n, sums = (np.sum(part, axis=0) for part in zip(*self._classes(whitened), strict=True))
        difference = sums[1] / n[1] - sums[0] / n[0]
        return float(n[0] * n[1] / n.sum() * (difference @ difference))

    def _classes(self, whitened: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Compute the expected number and sum of nontargets and targets of each character."""
        found = []
        for character, sums in zip(self.characters, whitened, strict=True):
            p = character.lit @ character.posterior
            n, target = float(p @ character.n), p @ sums[:-1]
            found.append(
                (np.array([character.n_all - n, n]), np.stack([sums[-1] - target, target]))
            )
        return found

    def _estimate(
        self, character: LearnedCharacter, sums: np.ndarray, n: np.ndarray, others: np.ndarray
    ) -> None:
        """Estimate the symbol of a character.

        Parameters
        ----------
        character : LearnedCharacter
        sums : ndarray, shape (n_groups + 1, n_features)
            Of each group of its flashes, and of all, where the covariance is the identity.
        n, others : ndarray, shape (2,) and (2, n_features)
            Flashes of the other characters, nontargets and targets: number and sum.
        """
        if character.is_known:
            return
        lit = character.lit.T  # (n_symbols, n_groups)
        n_target, targets = n[1] + lit @ character.n, others[1] + lit @ sums[:-1]
        n_other = n.sum() + character.n_all - n_target
        rest = others.sum(axis=0) + sums[-1] - targets
        difference = targets / n_target[:, np.newaxis] - rest / n_other[:, np.newaxis]
        evidence = n_target * n_other / (n_target + n_other) * (difference**2).sum(axis=1) / 2
        character.posterior = probabilities(self.settings.temper * evidence + character.log_prior)


def _groups(character: LearnedCharacter) -> np.ndarray:
    """Return the sums of a character: of each group of flashes, and of all."""
    return np.r_[character.epochs, character.all_epochs[np.newaxis]]


def _centred(inputs: np.ndarray) -> np.ndarray:
    inputs = np.asarray(inputs, float)
    return inputs - inputs.mean(axis=-1, keepdims=True)


def _total(characters: Sequence[LearnedCharacter]) -> tuple[np.ndarray, np.ndarray]:
    classes = [character.classes() for character in characters]
    return np.sum([n for n, _ in classes], axis=0), np.sum([e for _, e in classes], axis=0)
