"""Detection of single flashes: ROC curve, reliability, distributions of scores.

Each function takes a table with one row per flash, or several tables by the name of their
detector. The columns are ``is_target`` and ``score`` (as in a run's ``scores.csv``); intervals
over characters also need those of the flash table. If a table has a column ``part``, one part is
drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.figures.style import NONTARGET, TARGET, count, grid_of_axes, look, new_figure, styled
from p300.figures.tables import labelled_scores, reliability
from p300.flashes import FLASH_COLUMNS
from p300.metrics import auc_interval, brier_score, calibration_error, roc_auc

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from p300.figures.style import Tables

#: Bins of a distribution of scores.
N_BINS = 30


@styled
def draw_roc(scores: Tables, *, part: str = "test") -> Figure:
    """Draw the ROC curve: the fraction of targets found over that of false alarms.

    A marker shows the threshold 0. The AUC of one subject has a 95 % interval over characters
    (blocks of 30 s where there are none). The curve pools the flashes of several subjects. Its
    area is then another number than the mean of their AUCs, and has no interval.

    Parameters
    ----------
    scores : DataFrame, or mapping of str to DataFrame
        See the module docstring.
    part : str
        Part of the split, if the table has that column.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If a table lacks labelled flashes of one class, or a score is not finite.

    Examples
    --------
    >>> import pandas as pd
    >>> scores = pd.DataFrame({"is_target": [False, False, True, True], "score": [-3, -1, -2, 1]})
    >>> draw_roc({"lda": scores}).get_label()
    'ROC curve of single flashes: AUC of lda 0.750 (4 flashes).'
    """
    from sklearn.metrics import roc_curve

    figure = new_figure(4.2, 4.8)
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="0.7", lw=0.8, zorder=0)
    texts = []
    for k, (name, table) in enumerate(labelled_scores(scores, part).items()):
        is_target, score = table["is_target"].to_numpy(), table["score"].to_numpy()
        if is_target.all() or not is_target.any():
            raise InputError(
                f"{name}: {is_target.sum()} targets and {(~is_target).sum()} nontargets; "
                f"expected both for a ROC curve"
            )
        auc, style = roc_auc(is_target, score), look(k)
        sure = _sureness(table)
        false_alarms, found, _ = roc_curve(is_target, score, drop_intermediate=False)
        at_zero = ((score > 0)[~is_target].mean(), (score > 0)[is_target].mean())
        axis.plot(*at_zero, color=style["color"], marker=style["marker"], ls="", markersize=6)
        label = f"{name}: AUC {auc:.3f}{sure}, {count(len(score), 'flash')}"
        axis.plot(false_alarms, found, color=style["color"], ls=style["linestyle"], label=label)
        texts.append(f"{name} {auc:.3f}{sure} ({count(len(score), 'flash')})")
    axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axis.set_title("markers: threshold 0; brackets: 95 % interval")
    axis.set_xlabel("false alarms (fraction of nontargets above the threshold)")
    axis.set_ylabel("recall (fraction of targets above it)")
    figure.legend(loc="outside lower left")
    figure.set_label(f"ROC curve of single flashes: AUC of {', '.join(texts)}.")
    return figure


@styled
def draw_reliability(
    scores: Tables,
    *,
    part: str = "test",
    added_log_odds: Mapping[str, float] | None = None,
    n_bins: int = 10,
) -> Figure:
    """Draw the reliability diagram: the fraction of targets over the predicted probability.

    Scores are read as log odds. Bins have equal width; bars are Wilson's 95 % intervals, which
    treat flashes as independent; a bin of fewer than five flashes has none. The
    histogram below shows the number of flashes per bin.

    Parameters
    ----------
    scores : DataFrame, or mapping of str to DataFrame
        See the module docstring.
    part : str
        Part of the split, if the table has that column.
    added_log_odds : mapping of str to float, or None
        Log odds added to a detector's scores. A detector that assumes equally frequent classes
        needs those of a target in the training part
        (:func:`p300.experiments.fitting.probability.added_log_odds`).
    n_bins : int
        Bins of probability.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If a table has no labelled flash or a score is not finite.
    """
    from scipy.special import expit

    figure = new_figure(5.2, 4.8)
    axis, below = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    axis.plot([0, 1], [0, 1], color="0.7", lw=0.8, zorder=0)
    edges, texts = np.linspace(0, 1, n_bins + 1), []
    for k, (name, table) in enumerate(labelled_scores(scores, part).items()):
        log_odds = table["score"].to_numpy() + (added_log_odds or {}).get(name, 0.0)
        is_target, probability = table["is_target"].to_numpy(), expit(log_odds)
        error = calibration_error(is_target, log_odds, n_bins=n_bins)
        text = f"{name}: calibration error {error:.3f}, Brier "
        text += f"{brier_score(is_target, log_odds):.3f}, {count(len(table), 'flash')}"
        points = reliability(is_target, probability, n_bins)
        x, y, style = points["probability"], points["fraction"], look(k)
        around = np.abs(points[["low", "high"]].T.to_numpy() - y.to_numpy())
        axis.errorbar(x, y, around, elinewidth=0.8, label=text, **style)
        outline = {"color": style["color"], "ls": style["linestyle"], "lw": 1.2}
        below.hist(probability, edges, histtype="step", **outline)
        texts.append(text)
    axis.set(xlim=(-0.01, 1.01), ylim=(-0.02, 1.02), ylabel="fraction of targets, 95 % interval")
    below.set(xlabel="predicted probability of a target", ylabel="flashes", yscale="log")
    below.set_ylim(bottom=0.7)
    below.yaxis.set_major_formatter("{x:,.0f}")
    below.yaxis.set_minor_formatter("")
    figure.legend(loc="outside lower left")
    figure.set_label(f"Reliability of the probabilities of single flashes: {'; '.join(texts)}.")
    return figure


@styled
def draw_scores(scores: Tables, *, part: str = "test") -> Figure:
    """Draw the distributions of the scores of targets and of nontargets.

    Parameters
    ----------
    scores : DataFrame, or mapping of str to DataFrame
        See the module docstring; one panel each.
    part : str
        Part of the split, if the table has that column.

    Returns
    -------
    Figure
        Histograms in % of the flashes of each class; a class that is missing is not drawn.

    Raises
    ------
    InputError
        If a table has no labelled flash or a score is not finite.
    """
    tables = labelled_scores(scores, part)
    n_columns = min(len(tables), 2 if len(tables) in (2, 4) else 3)
    figure = new_figure(0.8 + 2.1 * math.ceil(len(tables) / n_columns))
    axes = grid_of_axes(figure, len(tables), n_columns)
    texts: list[str] = []
    handles: dict[str, Artist] = {}
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        is_target, score = table["is_target"].to_numpy(), table["score"].to_numpy()
        edges = np.histogram_bin_edges(score, N_BINS)
        medians = []
        for kind, rows, style in (
            ("nontargets", ~is_target, NONTARGET),
            ("targets", is_target, TARGET),
        ):
            if rows.any():
                percent = 100 * np.histogram(score[rows], edges)[0] / rows.sum()
                axis.stairs(percent, edges, fill=True, color=style["color"], alpha=0.2)
                axis.stairs(percent, edges, lw=1.3, label=kind, **style)
                medians.append(f"{np.median(score[rows]):+.2f} of {kind}")
        axis.axvline(0, color="0.6", lw=0.8, zorder=0)
        auc = roc_auc(is_target, score)
        measure = "" if math.isnan(auc) else f": AUC {auc:.3f}"
        numbers = f"{is_target.sum():,} targets, {(~is_target).sum():,} nontargets"
        axis.set_title(f"{name}{measure}\n{numbers}")
        handles |= dict(zip(*axis.get_legend_handles_labels()[::-1], strict=True))
        texts.append(f"{name}: median {' and '.join(medians)}")
    figure.supxlabel("score (larger = more target-like)")
    figure.supylabel("flashes of the class (%)")
    figure.legend(list(handles.values()), list(handles), loc="outside upper right", ncols=2)
    figure.set_label(f"Distributions of the scores of single flashes: {'; '.join(texts)}.")
    return figure


def _sureness(table: pd.DataFrame) -> str:
    """Return the interval of the AUC of one subject in brackets; empty without a flash table."""
    if not set(FLASH_COLUMNS) <= set(table):
        return ""
    n_subjects = table["subject"].nunique()
    if n_subjects > 1:
        return f" (pooled over {n_subjects} subjects)"
    found = auc_interval(table)
    if found.why_not:
        return f" [–: {found.why_not}]"
    return f" [{found.low:.3f}, {found.high:.3f}; n = {found.n}]"
