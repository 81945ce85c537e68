"""When is a symbol sure enough? Rules that end a character before all repetitions are shown.

A rule is a few numbers. It looks at a :class:`~p300.spelling.SymbolPosterior` after **every
flash**, not only at the end of a repetition: the posterior is valid after any flash, whatever
has flashed how often, and to wait for the end of a repetition costs half of one on average. Only
:class:`FixedRepetitions` waits, by its nature. All rules end at ``max_repetitions``.

Its thresholds are chosen on training characters (:mod:`p300.spelling.thresholds`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from p300.errors import InputError
from p300.spelling.posterior import Belief, SymbolPosterior

#: The decision that no symbol is wanted. It is the empty text, so a decision that is not None
#: can be added to the text as it is.
NO_SYMBOL = ""

#: Probability of the idle user at which a character is given up before the cap. It is no
#: threshold of a rule: a rule may be content with a likely symbol, since a wrong one can be
#: deleted, but giving up early loses what was gathered for a slow one.
IDLE_SURE = 0.99


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """What all rules share: the cap and the decision."""

    max_repetitions: int

    def decide(
        self, posterior: SymbolPosterior, n_repetitions: int, is_repetition_end: bool
    ) -> str | None:
        """Decide after a flash.

        Parameters
        ----------
        posterior : SymbolPosterior
            With that flash taken in.
        n_repetitions : int
            Repetitions that are complete, this one included if the flash was its last.
        is_repetition_end : bool
            Whether the flash was the last of a repetition.

        Returns
        -------
        str or None
            The symbol; None to go on; :data:`NO_SYMBOL` if no symbol is wanted, for all that
            is known at the cap or with :data:`IDLE_SURE`.
        """
        belief = posterior.belief
        at_end = n_repetitions if is_repetition_end else 0
        if not self.is_over(belief, posterior.n_flashes, at_end):
            return None
        if belief.idle > math.exp(belief.log_best):
            return NO_SYMBOL
        return posterior.speller.symbols[belief.best]

    def is_over(self, belief: Belief, n_flashes, at_end):
        """Tell whether the character is decided: a symbol is sure, nobody is there, or the cap.

        Parameters and what is returned are those of :meth:`is_enough`.
        """
        is_wanted = np.exp(belief.log_best) > belief.idle
        decided = (self.is_enough(belief, n_flashes, at_end) & is_wanted) | (
            belief.idle >= IDLE_SURE
        )
        return decided | (at_end >= self.max_repetitions)

    def is_enough(self, belief: Belief, n_flashes, at_end):
        """Tell whether the best symbol is sure enough.

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
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the rule's name and numbers; :func:`rule_from_dict` is the way back."""
        return {"rule": self.name} | asdict(self)


@dataclass(frozen=True, kw_only=True)
class FixedRepetitions(_Rule):
    """Always the same number of repetitions, ``max_repetitions``: what every rule must beat."""

    name: ClassVar[str] = "fixed"

    def is_over(self, belief, n_flashes, at_end):
        """Tell whether it is the cap."""
        return at_end >= self.max_repetitions


@dataclass(frozen=True, kw_only=True)
class PosteriorThreshold(_Rule):
    """Decide once the best symbol is that probable.

    Parameters
    ----------
    threshold : float
        Probability.
    max_repetitions : int
        The cap.

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

    def is_enough(self, belief, n_flashes, at_end):
        """Tell whether the best symbol has the threshold."""
        return belief.log_best >= math.log(self.threshold)


@dataclass(frozen=True, kw_only=True)
class PosteriorMargin(_Rule):
    """Decide once the best symbol is that many times as probable as the second.

    The idle user counts as a symbol here.

    Parameters
    ----------
    threshold : float
        Log of how many times.
    max_repetitions : int
        The cap.
    """

    threshold: float
    name: ClassVar[str] = "margin"

    def is_enough(self, belief, n_flashes, at_end):
        """Tell whether the margin is reached."""
        log_idle = np.log(np.maximum(belief.idle, 1e-300))
        return belief.log_best - np.maximum(belief.log_second, log_idle) >= self.threshold


@dataclass(frozen=True, kw_only=True)
class ExpectedRate(_Rule):
    """Decide once another repetition promises no more bits per minute for this character.

    The bits are Wolpaw's for the probability of the best symbol, the time is that of the
    flashes so far and the pause. Another repetition is expected to add ``gain`` to the log odds
    of the best symbol.

    Parameters
    ----------
    threshold : float
        Probability below which it goes on in any case.
    gain : float
        Mean growth of the log odds in a repetition.
    repetition_s, pause_s : float
        Seconds a repetition takes, and between two characters.
    n_symbols, n_codes : int
        Of the screen.
    max_repetitions : int
        The cap.
    """

    threshold: float
    gain: float
    repetition_s: float
    pause_s: float
    n_symbols: int
    n_codes: int
    name: ClassVar[str] = "expected"

    def is_enough(self, belief, n_flashes, at_end):
        """Tell whether the rate would fall, and the best symbol has the threshold."""
        # kept away from 0 and 1, so that log odds are finite
        p = np.minimum(np.maximum(np.exp(belief.log_best), 1e-12), 1 - 1e-12)
        then = p / (p + (1 - p) * math.exp(-self.gain))
        now_s = self.pause_s + n_flashes * (self.repetition_s / self.n_codes)
        falls = self._bits(p) / now_s >= self._bits(then) / (now_s + self.repetition_s)
        return falls & (p >= self.threshold)

    def _bits(self, p):
        # Wolpaw's formula as in p300.metrics, without its checks and its import of SciPy
        wrong = (1 - p) * np.log2((1 - p) / (self.n_symbols - 1))
        return (math.log2(self.n_symbols) + p * np.log2(p) + wrong) * (p > 1 / self.n_symbols)


#: The rules by name.
RULES = {
    rule.name: rule
    for rule in (FixedRepetitions, PosteriorThreshold, PosteriorMargin, ExpectedRate)
}


def rule_from_dict(state: Mapping[str, Any]):
    """Rebuild a rule from what its ``to_dict`` gave.

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
