"""A guard against learning in the wrong direction."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

#: Characters that are compared.
N_COMPARED = 10

#: Standard errors by which learning must be worse before it is stopped.
N_ERRORS = 3.0


class DriftGuard:
    """Compares how clearly characters are read with and without what was learned.

    A character is clear if the flashes of the symbol that is read stand out from all others. If
    the last :data:`N_COMPARED` characters were less clear with learning than without it, by more
    than :data:`N_ERRORS` standard errors, learning does harm. Neither needs a label.
    """

    def __init__(self) -> None:
        self._gains: deque[float] = deque(maxlen=N_COMPARED)

    def check(self, lit: np.ndarray, scores: np.ndarray, static: np.ndarray) -> str | None:
        """Compare one more character, and return why learning has to stop, if it has to.

        Parameters
        ----------
        lit : ndarray of bool, shape (n_flashes, n_symbols)
            Whether a flash lit a symbol.
        scores, static : ndarray, shape (n_flashes,)
            With what was learned before this character, and as the detector was trained.
        """
        self._gains.append(clarity(lit, scores) - clarity(lit, static))
        if len(self._gains) < N_COMPARED:
            return None
        gain, error = np.mean(self._gains), np.std(self._gains, ddof=1) / math.sqrt(N_COMPARED)
        if gain >= -N_ERRORS * error:
            return None
        return (
            f"the last {N_COMPARED} characters were less clear than without it (by {-gain:.1f} "
            f"± {error:.1f} standard deviations)"
        )


def clarity(lit: np.ndarray, scores: np.ndarray) -> float:
    """Compute by how much the flashes of the most likely symbol stand out, as a t statistic.

    Examples
    --------
    >>> lit = np.eye(3, dtype=bool)[[0, 1, 2, 0, 1, 2]]
    >>> clarity(lit, np.array([0.0, 2.0, 0.0, 0.2, 2.2, 0.2])) > 10
    True
    """
    lit = lit.astype(float)
    n, n_lit = len(lit), lit.sum(axis=0)
    total, sum_lit = scores.sum(), scores @ lit
    rest = np.maximum(n - n_lit, 1e-12)
    difference = sum_lit / np.maximum(n_lit, 1e-12) - (total - sum_lit) / rest
    between = difference**2 * n_lit * rest / n
    within = np.maximum(np.var(scores) * n - between, 1e-12) / max(n - 2, 1)
    t = np.sign(difference) * np.sqrt(between / within)
    return float(t[n_lit * (n - n_lit) > 0].max(initial=0.0))
