"""Stopping rules: they end a character before all repetitions are shown.

A rule is a few numbers. It reads a :class:`~p300.spelling.SymbolPosterior` after **every flash**,
not only at the end of a repetition. The posterior is valid after any flash, even if some codes
have flashed more often than others. Waiting for the end of a repetition costs half a repetition
on average. Only :class:`FixedRepetitions` waits for it. All rules end at ``max_repetitions``.

Thresholds are chosen on training characters (:mod:`p300.spelling.thresholds`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from p300.errors import InputError
from p300.spelling.posterior import Belief, SymbolPosterior

#: Of one moment, or arrays over moments.
Count: TypeAlias = int | np.ndarray
Verdict: TypeAlias = bool | np.ndarray

#: The decision that no symbol is wanted. It is the empty text, so a decision that is not None
#: can be appended to the text as it is.
NO_SYMBOL = ""

#: Probability of the idle user at which a character ends without a symbol before
#: ``max_repetitions``. It does not depend on a rule's threshold. A rule may read a symbol that is
#: only likely, since a wrong one can be deleted. But ending without a symbol too early loses the
#: evidence for a symbol whose probability rises slowly.
IDLE_SURE = 0.99


@dataclass(frozen=True, kw_only=True)
class StoppingRule:
    """Base class of the rules: the maximum number of repetitions and the decision."""

    max_repetitions: int
    name: ClassVar[str]

    def decide(
        self, posterior: SymbolPosterior, n_repetitions: int, is_repetition_end: bool
    ) -> str | None:
        """Decide after a flash whether to end the character, and with which symbol.

        Parameters
        ----------
        posterior : SymbolPosterior
            The posterior, updated with that flash.
        n_repetitions : int
            Complete repetitions, this one included if the flash was its last.
        is_repetition_end : bool
            Whether the flash was the last of a repetition.

        Returns
        -------
        str or None
            The symbol; None to continue; :data:`NO_SYMBOL` if the idle user is more probable
            than every symbol, at ``max_repetitions`` or with at least :data:`IDLE_SURE`.
        """
        belief = posterior.belief
        at_end = n_repetitions if is_repetition_end else 0
        if not self.is_over(belief, posterior.n_flashes, at_end):
            return None
        is_idle = belief.idle > math.exp(belief.log_best)
        return NO_SYMBOL if is_idle else posterior.speller.symbols[belief.best]

    def is_over(self, belief: Belief, n_flashes: Count, at_end: Count) -> Verdict:
        """Return whether the character ends: sure symbol, idle user or ``max_repetitions``.

        Parameters
        ----------
        belief : Belief
            Of one moment, or arrays over moments.
        n_flashes : int or ndarray
            Flashes of this character so far.
        at_end : int or ndarray
            Complete repetitions where the flash ended one, else 0.

        Returns
        -------
        bool or ndarray of bool
        """
        decided = self.is_enough(belief, n_flashes) & (np.exp(belief.log_best) > belief.idle)
        return decided | (belief.idle >= IDLE_SURE) | (at_end >= self.max_repetitions)

    def is_enough(self, belief: Belief, n_flashes: Count) -> Verdict:
        """Return whether the best symbol is sure enough; parameters as in :meth:`is_over`."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the rule's name and numbers; :func:`rule_from_dict` reads them."""
        return {"rule": self.name} | asdict(self)


@dataclass(frozen=True, kw_only=True)
class FixedRepetitions(StoppingRule):
    """Rule that always shows ``max_repetitions`` repetitions: the reference for other rules."""

    name: ClassVar[str] = "fixed"

    def is_over(self, belief: Belief, n_flashes: Count, at_end: Count) -> Verdict:
        """Return whether ``max_repetitions`` is reached."""
        return at_end >= self.max_repetitions


@dataclass(frozen=True, kw_only=True)
class PosteriorThreshold(StoppingRule):
    """Rule that decides once the probability of the best symbol reaches a threshold.

    Parameters
    ----------
    threshold : float
        Probability.
    max_repetitions : int
        Maximum number of repetitions.

    Examples
    --------
    >>> from p300.speller import Speller
    >>> posterior = SymbolPosterior(Speller.single_keys("AB"))
    >>> rule = PosteriorThreshold(threshold=0.9, max_repetitions=5)
    >>> posterior.update(1, 2.0)
    >>> rule.decide(posterior, 0, False)
    >>> posterior.update(2, -1.0)
    >>> rule.decide(posterior, 1, True)
    'A'
    """

    threshold: float
    name: ClassVar[str] = "posterior"

    def is_enough(self, belief: Belief, n_flashes: Count) -> Verdict:
        """Return whether the best symbol reaches the threshold."""
        return belief.log_best >= math.log(self.threshold)


@dataclass(frozen=True, kw_only=True)
class PosteriorMargin(StoppingRule):
    """Rule that decides once the ratio of the two highest probabilities reaches a threshold.

    The idle user counts as a symbol here.

    Parameters
    ----------
    threshold : float
        Log of the ratio.
    max_repetitions : int
        Maximum number of repetitions.
    """

    threshold: float
    name: ClassVar[str] = "margin"

    def is_enough(self, belief: Belief, n_flashes: Count) -> Verdict:
        """Return whether the margin reaches the threshold."""
        log_idle = np.log(np.maximum(belief.idle, 1e-300))
        return belief.log_best - np.maximum(belief.log_second, log_idle) >= self.threshold


@dataclass(frozen=True, kw_only=True)
class ExpectedRate(StoppingRule):
    """Rule that decides once another repetition is not expected to raise the bits per minute.

    The bits are Wolpaw's for the probability of the best symbol. The time is that of the
    flashes so far and the pause. Another repetition is expected to add ``gain`` to the log odds
    of the best symbol.

    Parameters
    ----------
    threshold : float
        Probability of the best symbol below which the rule always continues.
    gain : float
        Expected increase of the log odds per repetition.
    repetition_s, pause_s : float
        Seconds per repetition, and between two characters.
    n_symbols, n_codes : int
        Numbers of symbols and of codes on the screen.
    max_repetitions : int
        Maximum number of repetitions.
    """

    threshold: float
    gain: float
    repetition_s: float
    pause_s: float
    n_symbols: int
    n_codes: int
    name: ClassVar[str] = "expected"

    def is_enough(self, belief: Belief, n_flashes: Count) -> Verdict:
        """Return whether the rate would not rise and the best symbol reaches the threshold."""
        # clipped away from 0 and 1, so that log odds are finite
        p = np.minimum(np.maximum(np.exp(belief.log_best), 1e-12), 1 - 1e-12)
        then = p / (p + (1 - p) * math.exp(-self.gain))
        now_s = self.pause_s + n_flashes * (self.repetition_s / self.n_codes)
        falls = self._bits(p) / now_s >= self._bits(then) / (now_s + self.repetition_s)
        return falls & (p >= self.threshold)

    def _bits(self, p: np.ndarray) -> np.ndarray:
        # Wolpaw's formula as in p300.metrics, without its checks
        wrong = (1 - p) * np.log2((1 - p) / (self.n_symbols - 1))
        return (math.log2(self.n_symbols) + p * np.log2(p) + wrong) * (p > 1 / self.n_symbols)


#: The rules by name.
RULES: dict[str, type[StoppingRule]] = {
    rule.name: rule
    for rule in (FixedRepetitions, PosteriorThreshold, PosteriorMargin, ExpectedRate)
}


def rule_from_dict(state: Mapping[str, Any]) -> StoppingRule:
    """Build a rule from the output of its ``to_dict``.

    Raises
    ------
    InputError
        If there is no such rule.

    Examples
    --------
    >>> rule_from_dict({"rule": "posterior", "threshold": 0.9, "max_repetitions": 15})
    PosteriorThreshold(max_repetitions=15, threshold=0.9)
    """
    numbers = dict(state)
    name = numbers.pop("rule", None)
    if name not in RULES:
        raise InputError(f"stopping rule {name!r}; expected one of {', '.join(RULES)}")
    return RULES[name](**numbers)
