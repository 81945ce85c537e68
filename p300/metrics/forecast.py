"""Forecasts of learning curves: how good a detector may become with more to learn from.

A power law, ``AUC(n) = a - b * n ** -c``, is fitted to the points of a curve and read beyond them.
C. Cortes et al., "Learning curves: asymptotic values and rate of convergence", NIPS 6:327-334,
1994; J. Hestness et al., "Deep learning scaling is predictable, empirically", arXiv 1712.00409,
2017. A forecast is a guess and no result: nobody has measured it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from p300.errors import InputError
from p300.metrics.intervals import Interval, confidence_interval

#: A power law has three numbers; with fewer points than this, nothing says whether it fits.
MIN_POINTS = 4

#: Rates from which the fit starts, and the range they stay in.
RATES, SLOWEST, FASTEST = (0.3, 1.0, 3.0), 0.01, 10.0


@dataclass(frozen=True)
class PowerLaw:
    """The curve ``a - b * n ** -c``.

    Parameters
    ----------
    a : float
        The AUC with endlessly much to learn from, from 0.5 to 1.
    b : float
        How much of it is missing at ``n = 1``; 0 for a flat curve.
    c : float
        How fast that vanishes.

    Examples
    --------
    >>> PowerLaw(0.9, 0.4, 0.5)([4, 16])
    array([0.7, 0.8])
    """

    a: float
    b: float
    c: float

    def __call__(self, n: ArrayLike) -> np.ndarray:
        """Return the AUC at some n."""
        return self.a - self.b * np.asarray(n, float) ** -self.c


@dataclass(frozen=True, eq=False)
class Forecast:
    """A guess at the AUC beyond a learning curve.

    Parameters
    ----------
    law : PowerLaw
        Fitted to the curve.
    n : float
        Twice the largest n of the curve.
    auc : float
        The guess: the law at ``n``.
    interval : Interval
        What the guess owes to chance in the points of the curve (95 %), if the law is true. That
        it may not be true is not in it.
    """

    law: PowerLaw
    n: float
    auc: float
    interval: Interval


def forecast_auc(
    n: ArrayLike,
    auc: ArrayLike,
    *,
    curve: Callable[[np.ndarray], np.ndarray] | None = None,
    n_units: int | Sequence[int] = 0,
    unit: str = "characters",
) -> Forecast:
    """Guess the AUC at twice the largest n of a learning curve.

    Parameters
    ----------
    n : array-like, shape (n_points,)
        Characters, or people, that a detector learned from, all above 0.
    auc : array-like, shape (n_points,)
        What it reached.
    curve : callable or None
        Takes weights of the test units, shape (n_draws, n_units), and returns the AUC at every n,
        shape (n_draws, n_points). The interval is then over these units. With None it is over the
        points of the curve.
    n_units : int or sequence of int
        As of :func:`~p300.metrics.confidence_interval`, for ``curve``.
    unit : str
        What the units are, in the plural.

    Returns
    -------
    Forecast

    Raises
    ------
    InputError
        As :func:`fit_power_law`.

    Examples
    --------
    >>> n = np.array([4, 8, 16, 32])
    >>> found = forecast_auc(n, 0.9 - 0.4 * n**-0.5)
    >>> found.n, round(found.auc, 3), found.interval.why_not
    (64.0, 0.85, 'fewer than 5 points of the curve')
    """
    places, aucs = np.asarray(n, float), np.asarray(auc, float)
    law, at = fit_power_law(places, aucs), 2 * float(np.max(places))
    if curve is None:

        def statistic(weights: np.ndarray) -> np.ndarray:
            laws = [_fit(places[row > 0], aucs[row > 0], [law.c]) for row in weights]
            return np.array([float(each(at)) for each in laws])

        interval = confidence_interval(
            statistic, len(places), scale="logit", unit="points of the curve"
        )
    else:

        def statistic(weights: np.ndarray) -> np.ndarray:
            rows = curve(weights)
            if not np.isfinite(rows).all():  # no AUC without one of the units
                return np.full(len(rows), math.nan)
            return np.array([float(_fit(places, row, [law.c])(at)) for row in rows])

        interval = confidence_interval(statistic, n_units, scale="logit", unit=unit)
    return Forecast(law, at, float(law(at)), interval)


def fit_power_law(n: ArrayLike, auc: ArrayLike) -> PowerLaw:
    """Fit a power law to a learning curve by least squares, with 0.5 <= a <= 1 and b, c >= 0.

    A curve that falls is fitted by a flat one.

    Parameters
    ----------
    n, auc : array-like, shape (n_points,)
        As of :func:`forecast_auc`.

    Returns
    -------
    PowerLaw

    Raises
    ------
    InputError
        If there are fewer than :data:`MIN_POINTS` different n, or one is not above 0.
    """
    places, aucs = np.asarray(n, float), np.asarray(auc, float)
    n_points = len(np.unique(places))
    if n_points < MIN_POINTS:
        raise InputError(
            f"got {n_points} points of a learning curve; expected at least {MIN_POINTS}, since a "
            "power law goes through any three; train with more numbers of characters or people"
        )
    if not ((places > 0).all() and np.isfinite(aucs).all()):
        raise InputError(
            f"got n={places.tolist()} with the AUCs {aucs.tolist()}; expected n above 0 and known "
            "AUCs; leave out the others"
        )
    return _fit(places, aucs, RATES)


def _fit(n: np.ndarray, auc: np.ndarray, rates: Sequence[float]) -> PowerLaw:
    """Fit ``a - d * (n / first) ** -c`` from each of some rates c; return the best."""
    from scipy.optimize import least_squares

    first = n.min()
    log_n = np.log(n / first)

    def errors(parameters: np.ndarray) -> np.ndarray:
        a, d, c = parameters
        return a - d * np.exp(-c * log_n) - auc

    def slopes(parameters: np.ndarray) -> np.ndarray:
        _, d, c = parameters
        left = np.exp(-c * log_n)
        return np.column_stack([np.ones_like(left), -left, d * log_n * left])

    top = min(max(auc.max(), 0.51), 0.99)
    low, high = [0.5, 0.0, SLOWEST], [1.0, 1.0, FASTEST]
    spread = min(max(top - auc.min(), 1e-3), 0.99)
    starts = [[top, spread, min(max(rate, 2 * SLOWEST), FASTEST / 2)] for rate in rates]
    options = {"jac": slopes, "bounds": (low, high), "xtol": 1e-10, "ftol": 1e-10, "gtol": 1e-10}
    found = [least_squares(errors, start, **options) for start in starts]
    a, d, c = min(found, key=lambda each: each.cost).x
    return PowerLaw(float(a), float(d * first**c), float(c))
