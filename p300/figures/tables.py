"""Validated tables of scores, and the values that the figures of single flashes draw."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.figures.style import count, named
from p300.metrics import wilson_interval

if TYPE_CHECKING:
    import pandas as pd

    from p300.figures.style import Tables


def check_columns(
    table: pd.DataFrame, needed: Iterable[str], expected: str, who: str = ""
) -> None:
    """Check that a table has the columns that are needed.

    Raises
    ------
    InputError
        If not; the message begins with ``who`` and says what is expected.
    """
    if missing := [c for c in needed if c not in table]:
        raise InputError(f"{who}no column {', '.join(missing)}; expected {expected}")


def reliability(is_target: np.ndarray, probability: np.ndarray, n_bins: int) -> pd.DataFrame:
    """Compute mean probability and fraction of targets in bins of equal width, without empty bins.

    A bin of fewer than five flashes has no interval.

    Examples
    --------
    >>> reliability(np.arange(6) < 2, np.array([0.9, 0.8, 0.8, 0.8, 0.7, 0.1]), 2).round(2)
       probability  fraction   low  high  n_flashes
    0          0.1       0.0   NaN   NaN          1
    1          0.8       0.4  0.12  0.77          5
    """
    import pandas as pd

    bins = np.minimum((probability * n_bins).astype(int), n_bins - 1)
    rows = []
    for k in np.unique(bins):
        inside = bins == k
        n_targets, n = int(is_target[inside].sum()), int(inside.sum())
        ends = wilson_interval(n_targets, n, unit="flashes")
        rows.append((probability[inside].mean(), n_targets / n, *ends, n))
    return pd.DataFrame(rows, columns=["probability", "fraction", "low", "high", "n_flashes"])


def labelled_scores(scores: Tables, part: str) -> dict[str, pd.DataFrame]:
    """Return the labelled flashes of one part of each table, by detector.

    Raises
    ------
    InputError
        If there is no table, or one lacks columns, the part, labels, or finite scores.
    """
    tables = {}
    for name, table in named(scores).items():
        expected = "is_target and score, one row per flash"
        check_columns(table, ("is_target", "score"), expected, f"{name}: ")
        if "part" in table:
            parts = ", ".join(map(str, table["part"].unique())) or "none"
            table = table[table["part"] == part]
            if not len(table):
                raise InputError(f"{name}: no flash of part {part!r}; expected one of {parts}")
        labelled = table[table["is_target"].notna()]
        if not len(labelled):
            raise InputError(f"{name}: none of {count(len(table), 'flash')} is labelled")
        labelled = labelled.astype({"is_target": bool, "score": float}).reset_index(drop=True)
        broken = int((~np.isfinite(labelled["score"])).sum())
        if broken:
            raise InputError(f"{name}: {broken} of {len(labelled)} scores are not finite numbers")
        tables[str(name)] = labelled
    if not tables:
        raise InputError("no table of scores; expected at least one detector")
    return tables
