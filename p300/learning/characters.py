"""What a learner keeps of a character: sums over its flashes, and the odds of its symbols."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from p300.errors import InputError


@dataclass
class LearnedCharacter:
    """A character that a learner has learned from.

    Parameters
    ----------
    lit : ndarray, shape (n_groups, n_symbols)
        Whether a group of flashes lit a symbol.
    n : ndarray, shape (n_groups,)
        Sum of the weights of its flashes.
    epochs : ndarray, shape (n_groups, n_chans, n_times)
        Their weighted sum.
    static : ndarray, shape (n_groups,)
        The weighted sum of the scores of the detector as it was trained.
    n_all : float
        Sum of all weights.
    all_epochs : ndarray, shape (n_chans, n_times)
        Weighted sum of all flashes.
    log_prior : ndarray, shape (n_symbols,)
        Log probability of each symbol before the first flash; -inf where a correction says that
        it was not this one.
    posterior : ndarray, shape (n_symbols,)
        Probability of each symbol.
    is_known : bool
        Whether the symbol is known, as in copy spelling.
    """

    lit: np.ndarray
    n: np.ndarray
    epochs: np.ndarray
    static: np.ndarray
    n_all: float
    all_epochs: np.ndarray
    log_prior: np.ndarray
    posterior: np.ndarray
    is_known: bool = False

    @classmethod
    def of(
        cls,
        epochs: np.ndarray,
        weight: np.ndarray,
        lit: np.ndarray,
        static: np.ndarray,
        log_prior: np.ndarray,
    ) -> Self:
        """Sum the flashes of a character.

        Parameters
        ----------
        epochs : ndarray, shape (n_flashes, n_chans, n_times)
        weight : ndarray, shape (n_flashes,)
            How much each flash counts.
        lit : ndarray of bool, shape (n_flashes, n_symbols)
            Whether a flash lit a symbol.
        static : ndarray, shape (n_flashes,)
            Scores of the detector as it was trained.
        log_prior : ndarray, shape (n_symbols,)
            Log probability of each symbol, up to a constant.
        """
        groups, which = np.unique(lit, axis=0, return_inverse=True)
        chosen = (np.arange(len(groups))[:, np.newaxis] == which.ravel()).astype(float)
        if len(groups) > lit.shape[1]:  # groups that change: one sum per symbol takes less
            groups, chosen = np.eye(lit.shape[1], dtype=bool), lit.T.astype(float)
        chosen *= weight
        return cls(
            lit=groups.astype(float),
            n=chosen.sum(axis=1),
            epochs=np.tensordot(chosen, epochs, axes=1),
            static=chosen @ static,
            n_all=float(weight.sum()),
            all_epochs=np.tensordot(weight, epochs, axes=1),
            log_prior=log_prior,
            posterior=probabilities(log_prior),
        )

    def label(self, symbol: int) -> None:
        """Take a symbol as known."""
        self.posterior = np.eye(len(self.posterior))[symbol]
        self.is_known = True

    def estimate(self, scores: np.ndarray, temper: float) -> None:
        """Estimate the probability of each symbol, unless it is known.

        Parameters
        ----------
        scores : ndarray, shape (n_groups,)
            Sum of the scores of each group's flashes, log odds of a target.
        temper : float
            Factor of them.
        """
        if not self.is_known:
            self.posterior = probabilities(temper * (self.lit.T @ scores) + self.log_prior)

    def classes(self) -> tuple[np.ndarray, np.ndarray]:
        """Compute the expected sums of nontargets and targets: (2,) and (2, n_chans, n_times)."""
        p = self.lit @ self.posterior
        n, epochs = float(p @ self.n), np.tensordot(p, self.epochs, axes=1)
        return np.array([self.n_all - n, n]), np.stack([self.all_epochs - epochs, epochs])


def check_settings(settings: object) -> None:
    """Check the numbers of a dataclass of settings, by the types that they are declared with.

    Raises
    ------
    InputError
        If one is negative, not finite, or not a whole number where that is expected.
    """
    for field in fields(settings):  # type: ignore[arg-type]
        value, kind = getattr(settings, field.name), str(field.type)
        if value is None or "str" in kind:
            continue
        is_number = isinstance(value, int | float) and math.isfinite(value) and value >= 0
        expected = "a number from 0"
        if kind == "bool":
            is_number, expected = isinstance(value, bool), "true or false"
        elif kind == "int":
            is_number, expected = is_number and value == int(value), "a whole number from 0"
        elif field.name == "half_life":
            is_number, expected = is_number and value > 0, "a number above 0, or null"
        if not is_number:
            raise InputError(f"got learning.{field.name}={value}; expected {expected}")


def digest_of(weights: np.ndarray, offset: float) -> str:
    """Compute a hash of weights, which tells whether a session was replayed exactly."""
    return hashlib.sha256(weights.tobytes() + np.float64(offset).tobytes()).hexdigest()[:16]


def probabilities(log_weights: np.ndarray) -> np.ndarray:
    """Compute probabilities from log weights.

    Examples
    --------
    >>> probabilities(np.log([1.0, 3.0])).round(2).tolist()
    [0.25, 0.75]
    """
    found = np.exp(log_weights - log_weights.max())
    return found / found.sum()
