"""Posterior probability of each symbol, updated with Bayes' rule after every flash.

A flash makes the symbols that it lights more or less likely to be wanted, by the likelihood
ratio of its score: target against nontarget. The evidence for a symbol is the sum of the log
ratios of its flashes. It is measured against the hypothesis that all flashes were nontargets.
That hypothesis is the idle user, who wants no symbol; so the idle user has the evidence 0.

The most probable symbol is the one with the largest sum of scores (:mod:`p300.spelling`) if
every symbol is lit by the same number of codes, every code has flashed equally often and all
symbols have the same prior. The reason: the log ratio is a straight line between its clips.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from p300.errors import InputError

if TYPE_CHECKING:
    from p300.speller import Speller

#: Number of fitted scores of one class beyond each clip, so that no ratio rests on fewer flashes.
N_BEYOND = 3


@dataclass(frozen=True)
class ScoreLikelihood:
    """Log likelihood ratio of a score, target against nontarget.

    Scores are clipped first. The log ratio is then a straight line, as for two Gaussians of
    equal variance.

    Parameters
    ----------
    slope, offset : float
        The line; the slope is not negative.
    low, high : float
        Scores are clipped to this range.

    Examples
    --------
    >>> ScoreLikelihood(slope=2.0, offset=-1.0, high=3.0).log_ratio([0.0, 1.0, 50.0]).tolist()
    [-1.0, 1.0, 5.0]
    """

    slope: float
    offset: float
    low: float = -math.inf
    high: float = math.inf

    @classmethod
    def fit(cls, scores: ArrayLike, is_target: ArrayLike) -> ScoreLikelihood:
        """Fit the likelihood to flashes that the detector was not trained on.

        Parameters
        ----------
        scores : array-like of float, shape (n_flashes,)
            Larger = more target-like.
        is_target : array-like of bool, shape (n_flashes,)
            Their labels.

        Returns
        -------
        ScoreLikelihood
            Slope and offset by logistic regression (:func:`p300.spelling.fit_platt`), minus
            the log odds of a target among the fitted flashes. The clips leave
            :data:`N_BEYOND` nontargets below and targets above.

        Raises
        ------
        InputError
            If a class is missing or a score is not finite.

        Examples
        --------
        >>> is_target = np.arange(6000) % 6 == 0
        >>> scores = np.random.default_rng(0).normal(size=6000) + 2.0 * is_target
        >>> fitted = ScoreLikelihood.fit(scores, is_target)
        >>> round(fitted.slope), round(fitted.offset)  # by theory 2 and -2
        (2, -2)
        """
        from p300.metrics.measures import known_labels
        from p300.spelling.calibration import fit_platt

        scores, is_target = np.asarray(scores, float), known_labels(is_target)
        if not np.isfinite(scores).all():
            raise InputError(
                f"{(~np.isfinite(scores)).sum()} of {len(scores)} scores are not finite; expected "
                f"finite scores to fit a likelihood to"
            )
        slope, offset = fit_platt(scores, is_target)
        targets, nontargets = np.sort(scores[is_target]), np.sort(scores[~is_target])
        return cls(
            slope=slope,
            offset=offset - math.log(len(targets) / len(nontargets)),
            low=float(nontargets[min(N_BEYOND, len(nontargets) - 1)]),
            high=float(targets[max(len(targets) - 1 - N_BEYOND, 0)]),
        )

    def log_ratio(self, scores: ArrayLike) -> np.ndarray:
        """Compute log p(score | target) - log p(score | nontarget) of each score."""
        # np.clip takes ten times as long for a single score
        return self.slope * np.minimum(np.maximum(scores, self.low), self.high) + self.offset

    def tempered(self, factor: float) -> ScoreLikelihood:
        """Multiply the log ratio by a factor, since flashes that overlap are not independent."""
        return ScoreLikelihood(self.slope * factor, self.offset * factor, self.low, self.high)

    def to_dict(self) -> dict[str, float]:
        """Return plain numbers; :meth:`from_dict` reads them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> ScoreLikelihood:
        """Build a likelihood from the output of :meth:`to_dict`."""
        return cls(**{name: float(value) for name, value in state.items()})


@dataclass(frozen=True, slots=True)
class Belief:
    """Summary of the posterior for a stopping rule: of one moment, or arrays over many moments.

    Parameters
    ----------
    best : int or ndarray
        Index of the most probable symbol.
    log_best, log_second : float or ndarray
        Log probabilities of the two most probable symbols.
    idle : float or ndarray
        Probability that no symbol is wanted.
    """

    best: Any
    log_best: Any
    log_second: Any
    idle: Any

    def at(self, moment: Any) -> Belief:
        """Select one or several of many moments, by an index of the arrays."""
        return Belief(*(getattr(self, name)[moment] for name in self.__slots__))


class SymbolPosterior:
    """Posterior probability of the symbols for one character, updated after every flash.

    Parameters
    ----------
    speller : Speller
        The screen.
    log_prior : array-like of float, shape (n_symbols,), or None
        Log probability of each symbol before the first flash, up to a constant; None for equal
        probabilities. See :class:`p300.spelling.CharacterModel`.
    idle_prior : float
        Probability before the first flash that no symbol is wanted; 0 if one always is.

    Raises
    ------
    InputError
        If the prior has the wrong length or allows no symbol, or ``idle_prior`` is not in [0, 1).

    Examples
    --------
    >>> from p300.speller import Speller
    >>> posterior = SymbolPosterior(Speller.single_keys("AB"))
    >>> posterior.update(1, np.log(3.0))
    >>> posterior.best[0], round(posterior.best[1], 3)
    ('A', 0.75)
    """

    def __init__(
        self, speller: Speller, log_prior: ArrayLike | None = None, idle_prior: float = 0.0
    ) -> None:
        self.speller = speller
        self.idle_prior = idle_prior
        lit = speller.membership.T.astype(float, order="C")  # (n_codes, n_symbols)
        self._lit = dict(zip(speller.codes, lit, strict=True))
        self._start = prior_weights(len(speller.symbols), log_prior, idle_prior)
        self.reset()

    def reset(self, log_prior: ArrayLike | None = None) -> None:
        """Remove all flashes, for the next character; a new prior replaces the old one."""
        if log_prior is not None:
            self._start = prior_weights(len(self._start) - 1, log_prior, self.idle_prior)
        self._log_weights = self._start.copy()  # the symbols, and last the idle user
        self._symbols = self._log_weights[:-1]  # a view
        self._n_by_code = dict.fromkeys(self.speller.codes, 0)
        self.n_flashes = 0

    def update(self, code: int, log_ratio: float, lit: Collection[str] | None = None) -> None:
        """Update the posterior with one flash.

        Parameters
        ----------
        code : int
            Code of the flash.
        log_ratio : float
            Log ratio of its score, from :meth:`ScoreLikelihood.log_ratio`.
        lit : collection of str or None
            The symbols that it lit; None for those of its code.

        Raises
        ------
        InputError
            If the code is not on the screen or the ratio is not finite.
        """
        if lit is None and code not in self._lit:
            raise InputError(
                f"flash code {code} is not on the screen {self.speller.name!r}; expected one of "
                f"{list(self.speller.codes)}"
            )
        log_ratio = float(log_ratio)
        if not math.isfinite(log_ratio):
            raise InputError(f"flash code {code}: log ratio {log_ratio}; expected a finite number")
        if lit is None:
            self._symbols += log_ratio * self._lit[code]
            self._n_by_code[code] += 1
        else:
            self._symbols += log_ratio * np.array([s in lit for s in self.speller.symbols])
        self.n_flashes += 1

    def replace(self, log_probabilities: np.ndarray) -> None:
        """Take the log probabilities of the symbols from elsewhere, shape (n_symbols,)."""
        self._symbols[:] = log_probabilities

    @property
    def n_flashes_of_codes(self) -> np.ndarray:
        """How often each code has flashed, in the order of ``speller.codes``: shape (n_codes,)."""
        return np.array([self._n_by_code[code] for code in self.speller.codes])

    @property
    def log_probabilities(self) -> np.ndarray:
        """Log probability of each symbol, shape (n_symbols,)."""
        return _normalized(self._log_weights)[:-1]

    @property
    def probabilities(self) -> np.ndarray:
        """Probability of each symbol, shape (n_symbols,); they sum to 1 - idle_probability."""
        return np.exp(self.log_probabilities)

    @property
    def idle_probability(self) -> float:
        """Probability that no symbol is wanted."""
        return float(np.exp(_normalized(self._log_weights)[-1]))

    @property
    def best(self) -> tuple[str, float]:
        """The most probable symbol and its probability."""
        found = self.belief
        return self.speller.symbols[found.best], math.exp(found.log_best)

    @property
    def belief(self) -> Belief:
        """The two most probable symbols and the idle user, for a stopping rule."""
        return belief_of(self._log_weights)

    @property
    def n_repetitions(self) -> int:
        """Number of times that every code has flashed at least; of changing groups, by number."""
        if self.speller.is_changing:
            return self.n_flashes // self.speller.n_per_repetition
        return min(self._n_by_code.values())


def belief_of(log_weights: np.ndarray) -> Belief:
    """Compute the two most probable symbols and the probability of the idle user.

    Parameters
    ----------
    log_weights : ndarray, shape (..., n_symbols + 1)
        Log probabilities of the symbols and, last, of the idle user, up to a constant along the
        last axis.

    Returns
    -------
    Belief
    """
    log_p = _normalized(log_weights)
    symbols = log_p[..., :-1]
    best, has_two = symbols.argmax(axis=-1), symbols.shape[-1] > 1
    second = np.partition(symbols, -2)[..., -2] if has_two else np.full(best.shape, -math.inf)
    if symbols.ndim == 1:  # one moment, live: half the time of the general case
        return Belief(int(best), float(symbols[best]), float(second), math.exp(log_p[-1]))
    return Belief(best, symbols.max(axis=-1), second, np.exp(log_p[..., -1]))


def prior_weights(
    n_symbols: int, log_prior: ArrayLike | None = None, idle_prior: float = 0.0
) -> np.ndarray:
    """Compute the log prior of the symbols and of the idle user.

    Parameters
    ----------
    n_symbols : int
        Symbols on the screen.
    log_prior : array-like of float, shape (n_symbols,), or None
        Up to a constant; -inf for a symbol that is impossible.
    idle_prior : float
        Probability that no symbol is wanted.

    Returns
    -------
    ndarray, shape (n_symbols + 1,)
        Log probabilities of the symbols and, last, of the idle user.

    Raises
    ------
    InputError
        If the prior has the wrong length or allows no symbol, or ``idle_prior`` is not in [0, 1).

    Examples
    --------
    >>> np.exp(prior_weights(2, [5.0, 5.0], idle_prior=0.5)).round(3).tolist()
    [0.25, 0.25, 0.5]
    """
    if not 0 <= idle_prior < 1:
        raise InputError(f"idle_prior {idle_prior}; expected at least 0 and less than 1")
    log_prior = np.zeros(n_symbols) if log_prior is None else np.asarray(log_prior, float)
    if log_prior.shape != (n_symbols,):
        raise InputError(f"log_prior has the shape {log_prior.shape}; expected ({n_symbols},)")
    if not math.isfinite(largest := log_prior.max()):  # nan too
        raise InputError(f"log_prior: largest log probability is {largest}; expected a finite one")
    log_idle = math.log(idle_prior) if idle_prior else -math.inf
    return np.append(_normalized(log_prior) + math.log1p(-idle_prior), log_idle)


def _normalized(log_weights: np.ndarray) -> np.ndarray:
    """Subtract log-sum-exp over the last axis, without overflow."""
    shifted = log_weights - log_weights.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
