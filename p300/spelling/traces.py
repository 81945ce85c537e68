"""Recorded characters under a stopping rule: which symbol is read, and after how many flashes.

The input is the flash table and its scores. Rules and posterior are the same as in a live
session, but computed for all moments of many characters at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from p300.flashes import with_lit_codes
from p300.spelling.posterior import Belief, ScoreLikelihood, belief_of, prior_weights
from p300.spelling.sums import split_characters

if TYPE_CHECKING:
    import pandas as pd

    from p300.speller import Speller
    from p300.spelling.rules import StoppingRule


@dataclass(frozen=True, eq=False)
class Character:
    """The flashes of one character, in order of time.

    Parameters
    ----------
    key : tuple
        Its subject, session, run and number.
    lit : ndarray of bool, shape (n_flashes, n_symbols)
        Which symbols each flash lit.
    log_ratio : ndarray, shape (n_flashes,)
        Log ratio of each score, from :meth:`~p300.spelling.ScoreLikelihood.log_ratio`.
    repetition : ndarray of int, shape (n_flashes,)
        Repetition of each flash, from 0.
    wanted : int
        Index into ``speller.symbols``; -1 where it is not known.
    """

    key: tuple
    lit: np.ndarray
    log_ratio: np.ndarray
    repetition: np.ndarray
    wanted: int


@dataclass(frozen=True)
class Traces:
    """Posterior after every flash of many characters.

    All arrays have the shape (n_characters, n_flashes of the longest). A shorter character
    repeats its last moment.

    Parameters
    ----------
    belief : Belief
        Its fields are arrays.
    n_flashes, at_end : ndarray of int
        Flashes so far; complete repetitions where the flash ended one, else 0.
    """

    belief: Belief
    n_flashes: np.ndarray
    at_end: np.ndarray

    def stop(self, rule: StoppingRule) -> tuple[np.ndarray, np.ndarray]:
        """Apply a rule to every character; where it does not decide, the last flash does.

        Returns
        -------
        n_flashes : ndarray of int, shape (n_characters,)
            Flashes used.
        symbol : ndarray of int, shape (n_characters,)
            Index of the symbol read; -1 for none.
        """
        is_over = np.asarray(rule.is_over(self.belief, self.n_flashes, self.at_end))
        is_over[:, -1] = True
        rows, moment = np.arange(len(is_over)), is_over.argmax(axis=1)
        last = self.belief.at((rows, moment))
        is_idle = last.idle > np.exp(last.log_best)
        return self.n_flashes[rows, moment], np.where(is_idle, -1, last.best)


def characters_of(
    scores: ArrayLike, flashes: pd.DataFrame, speller: Speller, likelihood: ScoreLikelihood
) -> list[Character]:
    """Split a scored flash table into its characters.

    Parameters
    ----------
    scores : array-like of float, shape (n_flashes,)
        One score per flash.
    flashes : DataFrame
        The flash table, in the order of the scores and of time within a character.
    speller : Speller
        The screen.
    likelihood : ScoreLikelihood
        Likelihood of such scores.

    Raises
    ------
    InputError
        As in :func:`p300.spelling.spell`.
    """
    characters = []
    flashes, speller = with_lit_codes(flashes, speller)
    for key, code, repetition, score, symbol in split_characters(scores, flashes, speller):
        wanted = -1 if symbol is None else speller.symbols.index(symbol)
        lit = speller.membership.T[code]
        characters.append(Character(key, lit, likelihood.log_ratio(score), repetition, wanted))
    return characters


def trace(
    characters: Sequence[Character],
    speller: Speller,
    log_prior: ArrayLike | None = None,
    idle_prior: float = 0.0,
) -> Traces:
    """Compute the posterior after every flash of the characters.

    Parameters
    ----------
    characters : sequence of Character
        At least one.
    speller : Speller
        The screen.
    log_prior, idle_prior
        As in :class:`p300.spelling.SymbolPosterior`.

    Examples
    --------
    >>> from p300.speller import Speller
    >>> from p300.spelling.rules import PosteriorThreshold
    >>> lit = np.eye(2, dtype=bool)[[0, 1, 0, 1]]  # A, B, A, B
    >>> flashes = lit, np.array([1.0, -1.0, 1.0, -1.0]), np.array([0, 0, 1, 1])
    >>> traces = trace([Character((), *flashes, 0)], Speller.single_keys("AB"))
    >>> n_flashes, symbol = traces.stop(PosteriorThreshold(threshold=0.85, max_repetitions=2))
    >>> n_flashes.tolist(), symbol.tolist()
    ([2], [0])
    """
    start = prior_weights(len(speller.symbols), log_prior, idle_prior)
    length = max(len(character.lit) for character in characters)
    beliefs, n_flashes, at_end = [], [], []
    for character in characters:
        n = len(character.lit)
        weights = np.tile(start, (n, 1))
        weights[:, :-1] += np.cumsum(character.lit * character.log_ratio[:, None], axis=0)
        is_end = np.append(np.diff(character.repetition) != 0, True)
        held = np.minimum(np.arange(length), n - 1)
        beliefs.append(belief_of(weights).at(held))
        n_flashes.append(held + 1)
        at_end.append(np.where(is_end, character.repetition + 1, 0)[held])
    belief = Belief(*(np.stack([getattr(b, name) for b in beliefs]) for name in Belief.__slots__))
    return Traces(belief, np.stack(n_flashes), np.stack(at_end))


def resampled(
    characters: Sequence[Character], n_draws: int, rng: np.random.Generator
) -> list[Character]:
    """Build many characters from few: each draws the repetitions of one, with replacement.

    Effects inside a repetition (flashes that overlap, neighbours that distract) and differences
    between characters (attention) are kept. The order of the repetitions is not.

    Parameters
    ----------
    characters : sequence of Character
        At least one.
    n_draws : int
        Number of characters to build; each given character is used about equally often.
    rng : numpy Generator
        Random generator of the draws.
    """
    made = []
    for k in range(n_draws):
        source = characters[k % len(characters)]
        rows = [np.flatnonzero(source.repetition == r) for r in np.unique(source.repetition)]
        drawn = rng.integers(len(rows), size=len(rows))
        order = np.concatenate([rows[r] for r in drawn])
        repetition = np.repeat(np.arange(len(drawn)), [len(rows[r]) for r in drawn])
        lit, log_ratio = source.lit[order], source.log_ratio[order]
        made.append(replace(source, lit=lit, log_ratio=log_ratio, repetition=repetition))
    return made


def idle_twins(characters: Sequence[Character], rng: np.random.Generator) -> list[Character]:
    """Build the characters of an idle user: every target flash scores as a nontarget flash.

    The log ratios of target flashes are replaced by ones drawn from the nontargets of the same
    character. The scores of a real user who has left the screen may differ.
    """
    twins = []
    for character in characters:
        is_target = character.lit[:, character.wanted]
        log_ratio = character.log_ratio.copy()
        log_ratio[is_target] = rng.choice(log_ratio[~is_target], int(is_target.sum()))
        twins.append(replace(character, log_ratio=log_ratio, wanted=-1))
    return twins
