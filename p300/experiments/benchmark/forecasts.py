"""Forecasts of the learning curves of a benchmark, at twice what was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from p300 import metrics
from p300.experiments.benchmark.cells import CURVES
from p300.experiments.benchmark.findings import Finding
from p300.experiments.benchmark.pooling import (
    FLASH_KEY,
    complete_seeds,
    pooled_counts,
    pooled_flashes,
)

if TYPE_CHECKING:
    import pandas as pd

#: A condition of a benchmark: its findings, and the labels of the cells expected.
Conditions = Mapping[tuple[str, str | None, int | None], tuple[Sequence[Finding], Sequence[str]]]


def with_forecasts(summary: pd.DataFrame, conditions: Conditions) -> pd.DataFrame:
    """Add a forecast to the last point of each learning curve that has enough points.

    Parameters
    ----------
    summary : DataFrame
        Rows of all conditions.
    conditions : mapping
        Findings and labels by :func:`~p300.experiments.benchmark.findings.condition`.

    Returns
    -------
    DataFrame
        With ``forecast`` (AUC) at ``forecast_n``, ``forecast_low`` and ``forecast_high`` (95 %)
        over ``forecast_unit``, and the fitted ``forecast_a``, ``_b`` and ``_c``, in the rows of
        the largest ``n_characters``; as it was if no curve has enough points.

    Notes
    -----
    The interval is over the test characters, which are the same at every point. It does not hold
    what other training characters would change. Where the test parts differ, it is over points.
    A point without anything to learn from, n = 0, is left out, since the law has none there.
    """
    summary = summary.copy()
    for task, key in dict.fromkeys((t, k) for t, k, _ in conditions if k is not None):
        numbers = sorted(n for t, k, n in conditions if (t, k) == (task, key) and n)
        if len(numbers) < metrics.MIN_POINTS:
            continue
        points = [_counts(*conditions[task, key, n]) for n in numbers]
        for experiment in points[-1]:
            known = [
                (n, p[experiment]) for n, p in zip(numbers, points, strict=True) if experiment in p
            ]
            if len(known) >= metrics.MIN_POINTS:
                found = _forecast([n for n, _ in known], [point for _, point in known])
                here = summary["task"].eq(task) & summary["experiment"].eq(experiment)
                here &= summary["counted"].eq(CURVES[key]) & summary["n_characters"].eq(
                    numbers[-1]
                )
                for name, value in found.items():
                    summary.loc[here, name] = value
    return summary


def _counts(findings: Sequence[Finding], labels: Sequence[str]) -> dict[str, tuple]:
    """Count what the AUC of each experiment is computed of, at one point of a curve."""
    found = {}
    for experiment, seeds in complete_seeds(findings, labels).items():
        flashes, units = pooled_flashes(seeds)
        found[experiment] = pooled_counts(seeds, flashes, units)[0], flashes, units
    return found


def _forecast(numbers: Sequence[int], points: Sequence[tuple]) -> dict[str, float | str]:
    counts, tables = [point[0] for point in points], [point[1] for point in points]
    sizes = [len(wins) for wins, *_ in counts[0]]
    is_same = all(table[FLASH_KEY].equals(tables[0][FLASH_KEY]) for table in tables)
    aucs = [
        float(metrics.mean_auc(c, np.ones((1, sum(len(w) for w, *_ in c))))[0]) for c in counts
    ]

    def curve(weights: np.ndarray) -> np.ndarray:
        return np.stack([metrics.mean_auc(c, weights) for c in counts], axis=1)

    if is_same:
        unit = metrics.unit_name(tables[0])
        found = metrics.forecast_auc(numbers, aucs, curve=curve, n_units=sizes, unit=unit)
    else:
        found = metrics.forecast_auc(numbers, aucs)
    law, interval = found.law, found.interval
    return {
        "forecast_n": found.n,
        "forecast": found.auc,
        "forecast_low": interval.low,
        "forecast_high": interval.high,
        "forecast_unit": interval.unit,
        **{f"forecast_{name}": getattr(law, name) for name in "abc"},
    }
