"""Early stopping: accuracy and bits per minute by mean number of repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.figures.style import COLOURS, GREY, MARKERS, count, new_figure, styled
from p300.metrics import MIN_UNITS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def draw_stopping(rows: Sequence[dict[str, Any]], spelling: Sequence[dict[str, Any]]) -> Figure:
    """Draw every stopping rule beside the fixed numbers of repetitions.

    Parameters
    ----------
    rows : sequence of dict
        ``stopping`` of the ``results.json`` that ``p300 evaluate`` writes; rules named
        "rule, goal" are drawn.
    spelling : sequence of dict
        ``spelling`` of the same file: one entry per fixed number of repetitions.

    Returns
    -------
    Figure
        The rules have 95 % intervals over characters.

    Raises
    ------
    InputError
        If there is no rule, or no character has a known symbol.

    Examples
    --------
    >>> row = {"n_repetitions": 3.4, "accuracy": 1.0, "low": 0.6, "high": 1.0}
    >>> bits = {"bits_per_minute": 32.5, "bits_low": 25.2, "bits_high": 42.1}
    >>> fixed = {"n_repetitions": 15, "accuracy": 1.0, "bits_per_minute": 9.1, "n_characters": 6}
    >>> rows = [row | bits | {"rule": "posterior, accuracy", "n_characters": 6}]
    >>> draw_stopping(rows, [fixed]).get_label()
    'Bits per minute of 6 characters: posterior, accuracy 32.5 after 3.4 repetitions.'
    """
    rules = [row for row in rows if "," in row["rule"] and not row["rule"].startswith("fixed")]
    if not rules or not rules[0]["n_characters"]:
        raise InputError(
            f"got {len(rules)} stopping rules among {len(rows)} rows, measured on "
            f"{rules[0]['n_characters'] if rules else 0} labelled characters; "
            f"expected at least one of each"
        )
    figure = new_figure(3.4)
    axes = figure.subplots(1, 2)
    repetitions = [fixed["n_repetitions"] for fixed in spelling]
    n_characters = count(rules[0]["n_characters"], "character")
    is_sure = rules[0]["n_characters"] >= MIN_UNITS
    sure = f"95 % interval over {n_characters}" if is_sure else f"{n_characters}, no interval"
    panels = (
        ("accuracy", "low", "high", 100.0, "characters right (%)"),
        ("bits_per_minute", "bits_low", "bits_high", 1.0, "bits per minute"),
    )
    parts = zip(*(row["rule"].split(", ") for row in rules), strict=True)
    names, goals = (list(dict.fromkeys(part)) for part in parts)
    for axis, (value, low, high, scale, label) in zip(axes, panels, strict=True):
        fixed = [scale * entry[value] for entry in spelling]
        axis.plot(repetitions, fixed, color=GREY, marker=".", label="fixed number", zorder=1)
        for row in rules:
            name, goal = row["rule"].split(", ")
            middle = scale * row[value]
            ends = np.array([row[low], row[high]], float)  # nan where there is no interval
            around = np.abs(scale * ends - middle)[:, np.newaxis]
            look = {"color": COLOURS[goals.index(goal)], "marker": MARKERS[names.index(name)]}
            look |= {"linestyle": "none", "label": row["rule"]}
            axis.errorbar(row["n_repetitions"], middle, around, elinewidth=0.8, **look)
        axis.set(xlabel="repetitions, mean", ylabel=f"{label}\n{sure}")
        axis.set(xlim=(0, None), ylim=(0, None))
        axis.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=4)
    texts = ", ".join(
        f"{row['rule']} {row['bits_per_minute']:.1f} after {row['n_repetitions']:.1f} repetitions"
        for row in rules
    )
    figure.set_label(f"Bits per minute of {rules[0]['n_characters']} characters: {texts}.")
    return figure
