"""Figures of many runs: the configurations of a sweep, the detectors of a benchmark."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.figures.accuracy import accuracy_lines
from p300.figures.style import BLUE, VERMILION, count, grid_of_axes, look, new_figure, styled
from p300.metrics import MIN_UNITS, Interval

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Axis labels of the columns of a table of runs.
VALUES = {
    "auc": "AUC of single flashes",
    "balanced_accuracy": "balanced accuracy of single flashes",
    "recall": "recall of single flashes",
    "precision": "precision of single flashes",
    "held_out_auc": "AUC of single flashes, held out",
    "calibration_error": "calibration error",
    "brier": "Brier score",
    "fit_s": "time to fit (s)",
    "score_ms": "time to score a flash (ms)",
    "n_parameters": "parameters",
}


@styled
def draw_sweep(
    runs: pd.DataFrame,
    value: str = "auc",
    *,
    by: Sequence[str] = ("experiment",),
    lines_by: str | None = None,
    rank_by: str | None = None,
) -> Figure:
    """Draw one value of every run as a dot, with configurations sorted by a mean.

    Parameters
    ----------
    runs : DataFrame
        One row per run, from :func:`p300.experiments.compare.collect_runs` or a benchmark's
        ``cells.csv``.
    value : str
        The column drawn, such as "auc" or "accuracy_05" (fractions are drawn in %).
        Runs without it are left out and counted in the title.
    by : sequence of str
        Columns whose values define a configuration.
    lines_by : str or None
        Column ("seed", "subjects") whose values are joined by lines from configuration to
        configuration; several runs of one value are averaged.

    rank_by : str or None
        Column whose mean sorts the configurations, largest on top; None for ``value``. Results of
        the test part are ranked by another column, since nothing may be chosen by them.

    Returns
    -------
    Figure
        Small dots are runs, large ones means, bars the standard deviation over runs.

    Raises
    ------
    InputError
        If a column is not there, or no run has the value.
    """
    columns = ", ".join(map(str, runs.columns))
    missing = [c for c in filter(None, (value, *by, lines_by, rank_by)) if c not in runs]
    if missing:
        raise InputError(
            f"no column {', '.join(missing)} in the table of runs; expected some of {columns}"
        )
    if not len(by):
        raise InputError(f"got no column in by; expected one or more of {columns}")
    scale, label = _scale_and_label(value)
    numbers = runs[value].astype(float) * scale
    known = runs.assign(value=numbers)[np.isfinite(numbers)]
    if not len(known):
        raise InputError(f"none of {count(len(runs), 'run')} has a finite {value}")
    grouped = known.groupby(list(by), sort=False, dropna=False)
    rank = grouped[rank_by or "value"].mean().fillna(-math.inf)
    groups = sorted(grouped["value"], key=lambda group: rank[_key(group[0])])
    figure = new_figure(1.2 + 0.26 * len(groups))
    axis = figure.subplots()
    if lines_by:
        _join(axis, known, [key for key, _ in groups], by, lines_by)
    for place, (_, values) in enumerate(groups):
        aside = np.linspace(-0.13, 0.13, len(values)) * (len(values) > 1)
        dots: dict[str, Any] = {"mfc": "none", "mec": BLUE, "ms": 3.5, "mew": 0.8, "zorder": 2}
        axis.plot(values, place + aside, "o", **dots)
        std = values.std() if len(values) > 1 else 0.0
        axis.errorbar(values.mean(), place, xerr=std, fmt="D", color=VERMILION, ms=5, zorder=3)
    names = [" · ".join(map(str, key)) for key, _ in groups]
    labels = [f"{name} (n = {len(v)})" for name, (_, v) in zip(names, groups, strict=True)]
    axis.set_yticks(range(len(groups)), labels)
    axis.set(xlabel=label, ylim=(-0.6, len(groups) - 0.4))
    axis.grid(axis="x", alpha=0.3)
    lost = len(runs) - len(known)
    left_out = f"; {lost} without this value left out" if lost else ""
    axis.set_title(f"{count(len(known), 'run')} (○), mean and standard deviation (◆){left_out}")
    first = groups[-1][1]
    ranked = (
        "best"
        if rank_by in (None, value)
        else f"in the order of {_scale_and_label(rank_by)[1]}: first"
    )
    figure.set_label(
        f"{label[0].upper()}{label[1:]} of {count(len(groups), 'configuration')}, "
        f"{count(len(known), 'run')}: {ranked} {names[-1]} with a mean of {first.mean():.3g}, "
        f"last {names[0]} with {groups[0][1].mean():.3g}."
    )
    return figure


@styled
def draw_auc_intervals(panels: Iterable[tuple[str, pd.DataFrame]]) -> Figure:
    """Draw each detector's AUC with its interval, one panel per task.

    Parameters
    ----------
    panels : iterable of (str, DataFrame)
        Title and rows of a benchmark's summary, best first: ``experiment, auc, low, high``, and
        ``n_units`` with ``unit``.

    Returns
    -------
    Figure
    """
    panels = list(panels)
    heights = [0.8 + 0.24 * len(part) for _, part in panels] or [1.0]
    figure = new_figure(sum(heights))
    axes = figure.subplots(len(heights), squeeze=False, height_ratios=heights, sharex=True).ravel()
    texts = []
    for axis, (title, part) in zip(axes, panels, strict=bool(panels)):
        part = part[::-1]
        place = np.arange(len(part))
        error = np.abs(part[["low", "high"]].to_numpy().T - part["auc"].to_numpy())
        axis.errorbar(part["auc"], place, xerr=error, fmt="o", capsize=3, color=BLUE)
        axis.set_yticks(place, part["experiment"])
        axis.set(title=f"{title}{number_of_units(part)}", ylim=(-0.6, len(part) - 0.4))
        axis.grid(axis="x", alpha=0.3)
        best = part.iloc[-1]
        sure = Interval(best["low"], best["high"], int(best["n_units"]), best["unit"])
        texts.append(
            f"{title}, best of {len(part)} is {best['experiment']}: {best['auc']:.3f}, "
            f"{sure.text()}"
        )
    axes[-1].set_xlabel("AUC of single flashes, 95 % interval over characters or blocks")
    figure.set_label(f"AUC of single flashes with 95 % intervals: {'; '.join(texts) or 'none'}.")
    return figure


@styled
def draw_accuracy_panels(panels: Iterable[tuple[str, pd.DataFrame]]) -> Figure:
    """Draw the fraction of characters read correctly by number of repetitions, per task.

    Parameters
    ----------
    panels : iterable of (str, DataFrame)
        Title and rows of a benchmark's summary: ``experiment``, ``accuracy_NN`` and, for few
        detectors drawn, ``accuracy_NN_low`` and ``accuracy_NN_high``; ``n_units`` and ``unit``.

    Returns
    -------
    Figure
    """
    panels = list(panels)
    n_rows = max(1, math.ceil(len(panels) / 2))
    experiments = list(dict.fromkeys(e for _, part in panels for e in part["experiment"]))
    figure = new_figure(2.9 * n_rows + 0.3 + 0.17 * math.ceil(len(experiments) / 4))
    axes = grid_of_axes(figure, max(1, len(panels)), 2)
    handles: dict[str, Artist] = {}
    for axis, (title, part) in zip(axes, panels, strict=bool(panels)):
        tables = {row["experiment"]: accuracy_by_n(row) for _, row in part.iterrows()}
        accuracy_lines(axis, tables, order=experiments)
        axis.set_title(f"{title}{number_of_units(part)}")
        handles |= dict(zip(*axis.get_legend_handles_labels()[::-1], strict=True))
    shown = [e for e in experiments if e in handles]
    if shown:
        lines = [handles[e] for e in shown]
        figure.legend(lines, shown, loc="outside lower left", ncols=4, handlelength=3)
    titles = "; ".join(title for title, _ in panels)
    figure.set_label(
        f"Characters read correctly by number of repetitions, "
        f"{count(len(experiments), 'detector')}: {titles or 'none'}."
    )
    return figure


def accuracy_by_n(row: pd.Series) -> pd.DataFrame:
    """Return a detector's accuracy by number of repetitions, from a row of a summary.

    Returns
    -------
    DataFrame
        ``n_repetitions, accuracy, low, high``; the last two are ``nan`` if missing.

    Examples
    --------
    >>> import pandas as pd
    >>> accuracy_by_n(pd.Series({"auc": 0.9, "accuracy_01": 0.5, "accuracy_02": 1.0}))
       n_repetitions  accuracy  low  high
    0              1       0.5  NaN   NaN
    1              2       1.0  NaN   NaN
    """
    import pandas as pd

    names = sorted(c for c in row.index if re.fullmatch("accuracy_[0-9]+", c))
    columns: dict[str, Any] = {"n_repetitions": [int(name.rpartition("_")[2]) for name in names]}
    for column, end in (("accuracy", ""), ("low", "_low"), ("high", "_high")):
        columns[column] = row.reindex([name + end for name in names]).to_numpy(float)
    return pd.DataFrame(columns)


def _key(key: tuple[Any, ...]) -> Any:
    """Return the key of a group as an index of one or several columns holds it."""
    return key if len(key) > 1 else key[0]


def number_of_units(part: pd.DataFrame) -> str:
    """Return the number of units of the rows of a summary, and whether it is too small."""
    n, unit = int(part["n_units"].iloc[0]), part["unit"].iloc[0]
    return f" (n = {n} {unit}{'' if n >= MIN_UNITS else ': too few for intervals'})"


def _join(
    axis: Axes, known: pd.DataFrame, keys: list[Any], by: Sequence[str], lines_by: str
) -> None:
    """Connect the means of one subject, or seed, from configuration to configuration."""
    for k, (_, rows) in enumerate(known.groupby(lines_by, sort=False)):
        means = rows.groupby(list(by), sort=False, dropna=False)["value"].mean()
        values = means.reindex(keys if len(by) > 1 else [key for (key,) in keys]).to_numpy(float)
        style = look(k)["linestyle"]
        axis.plot(values, np.arange(len(keys)), zorder=1, color="0.7", lw=0.9, ls=style)


def _scale_and_label(value: str) -> tuple[float, str]:
    if re.fullmatch("accuracy_[0-9]+", value):
        n = int(value.rpartition("_")[2])
        return 100.0, f"characters right after {count(n, 'repetition')} (%)"
    return 1.0, VALUES.get(value, value)
