"""Every confidence interval, with the number of units that it is over.

An interval is over *units* that are drawn independently: characters, blocks of time, or whatever
was counted (:mod:`p300.metrics.units`). The bootstrap's percentiles are not used: over 5 units
their intervals of "95 %" cover 75 to 85 %, over 12 units about 90 %. Leaving out each unit in
turn (the jackknife) with Student's t covers 93 to 97 % for 5 to 25 units, as a test measures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from p300.errors import InputError
from p300.metrics.units import auc_counts, resampling_units, unit_name, weighted_auc

if TYPE_CHECKING:
    import pandas as pd

#: With fewer units there is no interval.
MIN_UNITS = 5

#: Scales on which an estimate is nearly normal: the scale, its inverse and its derivative.
SCALES: dict[str, tuple[Callable, Callable, Callable]] = {
    "linear": (lambda x: x, lambda y: y, np.ones_like),
    "log": (np.log, np.exp, lambda x: 1 / x),
    "logit": (
        lambda x: np.log(x) - np.log1p(-x),
        lambda y: 1 / (1 + np.exp(-y)),
        lambda x: 1 / (x * (1 - x)),
    ),
}


#: Output of :func:`p300.metrics.auc_counts`.
Counts: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Interval:
    """A confidence interval and the number of units it is over.

    There is none below :data:`MIN_UNITS` units and none of width 0: its ends are then ``nan``.

    Parameters
    ----------
    low, high : float, or ndarray for several estimates
        The ends.
    n : int
        Number of units.
    unit : str
        What the units are, in the plural.

    Examples
    --------
    >>> Interval(0.81, 0.93, 12).text(), Interval(0.81, 0.93, 4).text(), Interval(1, 1, 9).text()
    ('0.810 to 0.930 (12 characters)', '– (fewer than 5 characters)', '– (no spread)')
    """

    low: Any
    high: Any
    n: int
    unit: str = "characters"

    def __post_init__(self) -> None:
        low, high = np.asarray(self.low, float), np.asarray(self.high, float)
        is_one = (high - low > 1e-12 * (np.abs(low) + np.abs(high))) & (self.n >= MIN_UNITS)
        for name, ends in (("low", low), ("high", high)):
            kept = np.where(is_one, ends, math.nan)
            object.__setattr__(self, name, kept if kept.ndim else float(kept))

    def __iter__(self):
        return iter((self.low, self.high))

    @property
    def why_not(self) -> str:
        """Why there is no interval; empty if there is one."""
        if self.n < MIN_UNITS:
            return f"fewer than {MIN_UNITS} {self.unit}"
        return "no spread" if np.isnan(self.low).all() else ""

    def text(self, form: str = ".3f", scale: float = 1.0) -> str:
        """Format the interval with its number of units, or a dash with the reason."""
        if self.why_not:
            return f"– ({self.why_not})"
        low, high = (f"{scale * end:{form}}" for end in self)
        return f"{low} to {high} ({self.n:,} {self.unit})"


def confidence_interval(
    statistic: Callable[[np.ndarray], ArrayLike],
    n_units: int | Sequence[int],
    *,
    scale: str = "linear",
    unit: str = "characters",
    confidence: float = 0.95,
) -> Interval:
    """Compute the interval of a statistic of weighted units, by the jackknife and Student's t.

    Parameters
    ----------
    statistic : callable
        Takes weights of the units, shape (n_draws, n_units), and returns one value per row, or
        an array of estimates per row.
    n_units : int or sequence of int
        Number of units; several numbers are strata (such as subjects) that follow one another
        in the weights, each of at least two units.
    scale : {"linear", "log", "logit"}
        "log" for positive estimates such as ratios, "logit" for those between 0 and 1.
    unit : str
        What the units are, in the plural.
    confidence : float
        Coverage.

    Returns
    -------
    Interval
        Without ends where the estimate does not exist without one of the units.

    Notes
    -----
    The variance is the sum of those of the strata, with the degrees of freedom of F. E.
    Satterthwaite, Biometrics Bull 2:110 (1946). B. Efron, C. Stein, Ann Statist 9:586 (1981).

    Examples
    --------
    >>> x = np.arange(5.0)  # of a mean, this is the t interval
    >>> confidence_interval(lambda w: w @ x / w.sum(axis=1), 5).text(".2f")
    '0.04 to 3.96 (5 characters)'
    """
    from scipy.stats import t

    strata = np.atleast_1d(n_units)
    n = int(strata.sum())
    if n < MIN_UNITS or strata.min() < 2:
        return Interval(math.nan, math.nan, n, unit)
    values = np.asarray(statistic(np.vstack([np.ones(n), 1 - np.eye(n)])), float)
    whole = values[0]
    to_scale, back, slope = SCALES[scale]
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = _split(values[1:], strata)
        variances = np.stack([(len(v) - 1) ** 2 / len(v) * v.var(axis=0, ddof=1) for v in parts])
        variance = variances.sum(axis=0)
        shape = (-1,) + (1,) * whole.ndim
        freedom = variance**2 / (variances**2 / (strata - 1).reshape(shape)).sum(axis=0)
        half = t.ppf((1 + confidence) / 2, freedom) * np.sqrt(variance) * slope(whole)
        low, high = back(to_scale(whole) - half), back(to_scale(whole) + half)
    return Interval(low, high, n, unit)


def auc_interval(table: pd.DataFrame) -> Interval:
    """Compute the 95 % interval of the AUC, mean over subjects, over characters or blocks.

    Parameters
    ----------
    table : DataFrame
        The flash table, all flashes labelled, with ``score``.

    Returns
    -------
    Interval
    """
    counts = []
    for _, own in table.groupby("subject", sort=False):
        is_target = own["is_target"].to_numpy(bool)
        counts.append(auc_counts(is_target, own["score"], resampling_units(own)))
    unit = unit_name(table)
    sizes = [len(wins) for wins, _, _ in counts]
    return confidence_interval(
        lambda weights: mean_auc(counts, weights), sizes, scale="logit", unit=unit
    )


def mean_auc(counts: Sequence[Counts], weights: np.ndarray) -> np.ndarray:
    """Compute the mean over subjects of the AUC of each weighting of all units.

    Parameters
    ----------
    counts : sequence of Counts
        Of each subject.
    weights : ndarray, shape (n_draws, n_units)
        Of the units of the subjects one after another.

    Returns
    -------
    ndarray, shape (n_draws,)
    """
    parts = _split(weights.T, [len(wins) for wins, _, _ in counts])
    aucs = [weighted_auc(*own, part.T) for own, part in zip(counts, parts, strict=True)]
    return np.mean(aucs, axis=0)


def wilson_interval(
    n_right: float, n_all: float, confidence: float = 0.95, unit: str = "characters"
) -> Interval:
    """Compute Wilson's score interval of a proportion.

    Parameters
    ----------
    n_right, n_all : float
        Successes and attempts; not whole where proportions of several subjects are averaged.
    confidence : float
        Coverage, between 0 and 1.
    unit : str
        What was counted, in the plural.

    Returns
    -------
    Interval

    Notes
    -----
    E. B. Wilson, JASA 22:209 (1927). It stays inside [0, 1] and is not empty at 0 or 100 %.

    Examples
    --------
    >>> [round(100 * end, 1) for end in wilson_interval(189, 200)]
    [90.4, 96.9]
    """
    from scipy.stats import norm

    if not 0 <= n_right <= n_all:
        raise InputError(f"got n_right={n_right}, n_all={n_all}; expected 0 <= n_right <= n_all")
    if n_all == 0:
        return Interval(math.nan, math.nan, 0, unit)
    z = float(norm.ppf((1 + confidence) / 2))
    p = n_right / n_all
    centre = (p + z**2 / (2 * n_all)) / (1 + z**2 / n_all)
    half = z / (1 + z**2 / n_all) * math.sqrt(p * (1 - p) / n_all + z**2 / (4 * n_all**2))
    return Interval(max(0.0, centre - half), min(1.0, centre + half), round(n_all), unit)


def rate_interval(
    is_right: ArrayLike, seconds: ArrayLike, bits: Callable[[float], float]
) -> Interval:
    """Compute the 95 % interval of bits per minute, from characters right and their durations.

    Parameters
    ----------
    is_right : array-like of float, shape (n_characters,)
        1 where a character was read correctly, else 0.
    seconds : array-like of float, shape (n_characters,)
        How long each took.
    bits : callable
        Bits per selection of an accuracy, rising with it.

    Returns
    -------
    Interval

    Notes
    -----
    On a logarithmic scale, Wilson's interval of the accuracy and the t interval of the mean
    duration are combined with their correlation: G. Y. Zou, Stat Med 27:4593 (2008). It has
    a width even where all characters were right.
    """
    from scipy.stats import t

    right, times = np.asarray(is_right, float), np.asarray(seconds, float)
    n = len(right)
    if n < MIN_UNITS:
        return Interval(math.nan, math.nan, n)
    mean, spread = times.mean(), times.std(ddof=1)
    time = float(t.ppf(0.975, n - 1) * spread / math.sqrt(n) / mean)
    ends = [float(bits(p)) for p in wilson_interval(float(right.sum()), n)]
    middle = float(bits(float(right.mean())))
    related = spread > 0 and 0 < right.mean() < 1
    correlation = float(np.corrcoef(right, times)[0, 1]) if related else 0.0
    rate = 60 / mean
    found: list[float] = []
    for end, sign in zip(ends, (-1, 1), strict=True):
        if min(end, middle) <= 0:
            found.append(rate * end)
            continue
        off = abs(math.log(end / middle))
        both = math.sqrt(off**2 + time**2 - 2 * correlation * off * time)
        found.append(rate * middle * math.exp(sign * both))
    return Interval(found[0], found[1], n)


def _split(values: np.ndarray, sizes: ArrayLike) -> list[np.ndarray]:
    """Split rows into strata of the sizes."""
    return np.split(values, np.cumsum(sizes)[:-1])
