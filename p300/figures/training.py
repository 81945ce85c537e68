"""Training curves by epoch, and learning curves by amount of calibration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.figures.style import GREY, count, grid_of_axes, look, named, new_figure, plural, styled
from p300.figures.sweeps import number_of_units
from p300.figures.tables import check_columns

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Axis labels of the columns that a run's metrics.csv may have.
MEASURES = {
    "train/loss": "training loss",
    "validation/loss": "validation loss",
    "validation/auc": "validation AUC",
}


def read_training(folder: str | Path) -> dict[str, pd.DataFrame]:
    """Read what was logged after every training epoch of each network of a run.

    Parameters
    ----------
    folder : path
        The run folder, which holds ``networks/1/metrics.csv`` and so on.

    Returns
    -------
    dict of str to DataFrame
        "network 1" … in order, with one row per training epoch: ``n_epochs`` (from 1) and those
        of :data:`MEASURES` that were logged.

    Raises
    ------
    InputError
        If there is no such file, as for a classical detector.
    """
    import pandas as pd

    paths = [p for p in Path(folder).glob("networks/*/metrics.csv") if p.parent.name.isdigit()]
    if not paths:
        raise InputError(
            f"{folder}: no networks/*/metrics.csv; expected the run folder of a trained network"
        )
    tables = {}
    for path in sorted(paths, key=lambda p: int(p.parent.name)):
        logged = pd.read_csv(path).groupby("epoch").last()  # rows of one training epoch are merged
        shown = [c for c in MEASURES if c in logged]
        tables[f"network {path.parent.name}"] = (
            logged[shown].reset_index().assign(n_epochs=lambda t: t.pop("epoch") + 1)
        )
    return tables


@styled
def draw_training(
    training: pd.DataFrame | Mapping[str, pd.DataFrame], *, monitor: str = "validation/auc"
) -> Figure:
    """Draw the losses and the validation AUC after every training epoch.

    Training and validation loss have separate panels, since class weights, augmentation and label
    smoothing affect only the training loss.

    Parameters
    ----------
    training : DataFrame, or mapping of str to DataFrame
        By network, as :func:`read_training` returns them.
    monitor : str
        One of :data:`MEASURES`; a ring marks the epoch at which it is best, which was kept.

    Returns
    -------
    Figure
        One panel per measure that was logged.

    Raises
    ------
    InputError
        If nothing was logged.
    """
    tables = named(training, "network")
    shown = [m for m in MEASURES if any(_is_logged(t, m) for t in tables.values())]
    if not shown:
        raise InputError(
            f"{count(len(tables), 'table')} without a finite value of {', '.join(MEASURES)}; "
            f"expected at least one"
        )
    legend_rows = math.ceil(len(tables) / 5) if len(tables) > 1 else 0
    n_epochs = int(max(t["n_epochs"].max() for t in tables.values()))
    figure = new_figure(2.6 + 0.2 * legend_rows)
    axes = figure.subplots(1, len(shown), squeeze=False)[0]
    kept = []
    for k, (name, table) in enumerate(tables.items()):
        style, n, best = look(k), table["n_epochs"].to_numpy(), None
        if _is_logged(table, monitor):
            best_of = np.nanargmin if monitor.endswith("loss") else np.nanargmax
            best = int(best_of(table[monitor].to_numpy(float)))
        for axis, measure in zip(axes, shown, strict=True):
            if not _is_logged(table, measure):
                continue
            value = table[measure].to_numpy(float)
            few = {"marker": style["marker"]} if len(n) < 3 else {}
            axis.plot(n, value, color=style["color"], ls=style["linestyle"], label=name, **few)
            if best is not None and np.isfinite(value[best]):
                axis.plot(n[best], value[best], "o", mfc="w", mec=style["color"], ms=6)
        if best is not None:
            kept.append(f"{name} {MEASURES[monitor]} {table[monitor].iloc[best]:.3f} at {n[best]}")
    for axis, measure in zip(axes, shown, strict=True):
        axis.set(title=MEASURES[measure], xlim=(0.5, n_epochs + 0.5))
        axis.grid(alpha=0.3)
        _whole_numbers(axis)
    figure.supxlabel("training epoch" + f" (○ best {MEASURES[monitor]})" * bool(kept))
    if legend_rows:
        figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside upper left", ncols=5)
    text = ", ".join(MEASURES[m] for m in shown) + f"; best: {', '.join(kept)}" * bool(kept)
    figure.set_label(f"By training epoch, up to {n_epochs}: {text}.")
    return figure


@styled
def draw_learning_curves(summary: pd.DataFrame) -> Figure:
    """Draw the AUC of detectors by the number of characters they were calibrated with.

    Parameters
    ----------
    summary : DataFrame
        From a benchmark (:func:`p300.experiments.benchmark.summary.summarize`): ``experiment``,
        ``n_characters``, ``auc`` with ``low`` and ``high`` (95 %) over ``n_units`` of ``unit``,
        ``task`` where there are several, and ``counted``, what the curve counts; rows without
        ``n_characters`` belong to no curve. Those with ``forecast``
        (:func:`p300.experiments.benchmark.forecasts.with_forecasts`) end a curve that has one.

    Returns
    -------
    Figure
        One panel per task. A forecast is a dashed line from the last point to an open circle at
        twice its number: a guess, no result.

    Raises
    ------
    InputError
        If no row belongs to a curve.
    """
    curves = _curves(summary)
    panels = dict(list(curves.groupby("task", sort=False))) if "task" in curves else {"": curves}
    counted = {task: _counted(part) for task, part in panels.items()}
    experiments = list(dict.fromkeys(curves["experiment"]))
    n_columns = min(2, len(panels))
    legend_rows = math.ceil(len(experiments) / 5)
    figure = new_figure(0.6 + 2.5 * math.ceil(len(panels) / n_columns) + 0.2 * legend_rows)
    axes = grid_of_axes(figure, len(panels), n_columns, sharey=True)
    texts, guesses = [], 0
    for axis, (task, part) in zip(axes, panels.items(), strict=True):
        for experiment, rows in part.sort_values("n_characters").groupby("experiment", sort=False):
            k = experiments.index(experiment)
            error = np.abs(rows[["low", "high"]].to_numpy().T - rows["auc"].to_numpy())
            aside = 0.006 * (k - (len(experiments) - 1) / 2) * curves["n_characters"].max()
            place = rows["n_characters"] + aside
            axis.errorbar(place, rows["auc"], yerr=error, elinewidth=0.8, **look(k))
            guesses += _draw_forecast(axis, rows, aside, look(k)["color"])
        most = part[part["n_characters"] == part["n_characters"].max()]
        best = most.loc[most["auc"].idxmax()]
        texts.append(
            f"{task or 'all'}: {best['experiment']} is best with "
            f"{best['n_characters']:.0f} {counted[task]}, {best['auc']:.3f}"
        )
        axis.set_title(f"{task}{number_of_units(part)}".strip())
        axis.grid(alpha=0.3)
        axis.axhline(0.5, color=GREY, lw=0.8, ls=":")
        _whole_numbers(axis)
        axis.set_xlabel(counted[task])
    figure.supylabel("AUC of single flashes, 95 % interval over n")
    if guesses:
        figure.supxlabel("dashed, to ○: forecast (a guess, no result)")
    lines = [axes[0].plot([], [], **look(k))[0] for k in range(len(experiments))]
    figure.legend(lines, experiments, loc="outside upper left", ncols=5, handlelength=3)
    figure.set_label(
        f"AUC by number of {', '.join(dict.fromkeys(counted.values()))} of "
        f"{', '.join(experiments)}; {'; '.join(texts)}."
        + " Dashed lines to twice the largest number are forecasts: guesses, no results."
        * bool(guesses)
    )
    return figure


def _draw_forecast(axis: Axes, rows: pd.DataFrame, aside: float, color: str) -> int:
    """Draw the forecast of one curve, if it has one; return how many."""
    if "forecast" not in rows or rows["forecast"].isna().all():
        return 0
    from p300.metrics import PowerLaw

    last = rows[rows["forecast"].notna()].iloc[-1]
    law = PowerLaw(last["forecast_a"], last["forecast_b"], last["forecast_c"])
    places = np.geomspace(last["n_characters"], last["forecast_n"], 50)
    axis.plot(places + aside, law(places), ls="--", lw=1, color=color)
    ends = np.abs(last[["forecast_low", "forecast_high"]].to_numpy(float) - last["forecast"])
    marker: dict[str, Any] = {
        "marker": "o",
        "mfc": "w",
        "mec": color,
        "ecolor": color,
        "elinewidth": 0.8,
    }
    axis.errorbar(
        [last["forecast_n"] + aside], [last["forecast"]], yerr=ends[:, np.newaxis], ls="", **marker
    )
    return 1


def _counted(part: pd.DataFrame) -> str:
    """Return what the curve of a task counts, in the plural."""
    return plural(str(part["counted"].iloc[0]) if "counted" in part else "training character")


def _curves(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a summary that are points of a learning curve."""
    numbers = ["n_characters", "auc", "low", "high"]
    expected = "the summary of a benchmark over split.n_characters"
    check_columns(summary, ("experiment", *numbers, "n_units", "unit"), expected)
    curves = summary[summary["n_characters"].notna() & summary["auc"].notna()]
    if not len(curves):
        raise InputError(
            f"none of {count(len(summary), 'row')} has both n_characters and auc; expected a "
            f"benchmark over split.n_characters"
        )
    return curves.astype(dict.fromkeys(numbers, float))


def _is_logged(table: pd.DataFrame, measure: str) -> bool:
    return measure in table and bool(np.isfinite(table[measure].to_numpy(float)).any())


def _whole_numbers(axis: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
