"""Accuracy of the text and bits per minute by repetitions: fixed, or until a rule stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from p300.errors import InputError
from p300.figures.style import COLOURS, GREY, MARKERS, count, look, named, new_figure, styled
from p300.figures.tables import check_columns
from p300.metrics import MIN_UNITS, bits_per_minute, bits_per_selection, wilson_interval
from p300.metrics.published import CHARACTERS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Table: TypeAlias = pd.DataFrame | Sequence[dict[str, Any]]

#: Most detectors whose intervals are drawn as bands, since bands overlap, and as bars.
MAX_BANDS, MAX_BARS = 2, 5


@styled
def draw_accuracy(
    spelled: Table | Mapping[str, Table],
    *,
    published: Sequence[str] = (),
    subject: str | None = None,
    n_symbols: int = 36,
) -> Figure:
    """Draw characters read correctly, and bits per minute, by number of repetitions.

    Intervals are Wilson's 95 % intervals of the accuracy, converted for bits per minute. They are
    bands for up to two detectors, bars for up to five, and left out for more.

    Parameters
    ----------
    spelled : table, or mapping of str to table
        By detector: what :func:`p300.spelling.accuracy_by_repetition` returns, or ``spelling``
        of a run's ``results.json``. Without ``bits_per_minute`` only accuracy is drawn.
    published : sequence of str
        Published results on BCI Competition III data set II to draw as well: keys of
        :data:`p300.metrics.published.CHARACTERS`, such as "cnn1".
    subject : {"A", "B"} or None
        Subject of the published results; None for both together.
    n_symbols : int
        Number of symbols on the screen, with which the bits per minute were computed.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If a table lacks columns or has no character whose symbol is known, or a published
        result does not exist.

    Examples
    --------
    >>> rows = [{"n_repetitions": 1, "accuracy": 0.5, "low": 0.2, "high": 0.8, "n_characters": 6}]
    >>> draw_accuracy({"lda": rows}, published=["cnn1"]).get_label()[:73]
    'Characters read correctly by number of repetitions: lda 50 % after 1 (n ='
    """
    tables = {name: _accuracy_table(t, name) for name, t in named(spelled).items()}
    from_paper = {
        f"{name}, published, {subject or 'A and B'}": published_accuracy(name, subject)
        for name in published
    }
    if not tables and not from_paper:
        raise InputError("no table of accuracies; expected at least one detector")
    with_bits = all("bits_per_minute" in table for table in tables.values())
    n_rows = len(tables) + len(from_paper)
    figure = new_figure(3.1 + 0.17 * ((n_rows + 1) // 2), 7.0 if with_bits else 4.6)
    axes = figure.subplots(1, 1 + with_bits, squeeze=False)[0]
    accuracy_lines(axes[0], tables, from_paper)
    if with_bits:
        accuracy_lines(axes[1], tables, from_paper, n_symbols=n_symbols)
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=2, handlelength=3
    )
    texts = [_last(name, table) for name, table in (tables | from_paper).items()]
    figure.set_label(f"Characters read correctly by number of repetitions: {'; '.join(texts)}.")
    return figure


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


def accuracy_lines(
    axis: Axes,
    tables: Mapping[str, pd.DataFrame],
    published: Mapping[str, pd.DataFrame] | None = None,
    *,
    order: Sequence[str] = (),
    n_symbols: int | None = None,
) -> None:
    """Draw the accuracy in % of each table, or its bits per minute, into one panel.

    With their intervals: bands for few tables, bars for some, none for many.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
        Drawn into.
    tables, published : mapping of str to DataFrame
        ``n_repetitions, accuracy, low, high`` (fractions) by detector, measured and published.
    order : sequence of str
        Detectors in the order of their colours, where several panels share them.
    n_symbols : int or None
        Symbols on the screen, for bits per minute; None for the accuracy.
    """
    from matplotlib.ticker import MaxNLocator

    n_last, published = 1, published or {}
    order = list(order) or [*tables, *published]
    for name, table in (*tables.items(), *published.items()):
        k = order.index(name)
        style = look(k) if name in tables else look(k) | {"color": GREY, "markerfacecolor": "w"}
        n = table["n_repetitions"].to_numpy(float)
        n_last = max([n_last, *n])
        value, low, high = _percent(table) if n_symbols is None else _bits(table, n_symbols)
        axis.plot(n, value, label=name + _number(table), markeredgewidth=0.8, **style)
        if name not in tables or len(tables) > MAX_BARS:
            continue
        if len(tables) <= MAX_BANDS and len(n) > 1:
            axis.fill_between(n, low, high, color=style["color"], alpha=0.18, lw=0)
        else:
            aside = 0.08 * (k - (len(tables) - 1) / 2)
            axis.vlines(n + aside, low, high, color=style["color"], lw=0.8)
    label = "characters right (%)" if n_symbols is None else "bits per minute"
    if 0 < len(tables) <= MAX_BARS and any(t["low"].notna().any() for t in tables.values()):
        label += ", 95 % interval"
    axis.set(xlabel="repetitions", ylabel=label, xlim=(0.5, n_last + 0.5))
    axis.set_ylim(0, 103 if n_symbols is None else None)
    axis.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axis.grid(alpha=0.3)


def published_accuracy(name: str, subject: str | None = None) -> pd.DataFrame:
    """Return published results in the format of :func:`p300.spelling.accuracy_by_repetition`.

    Parameters
    ----------
    name : str
        First part of a key of :data:`p300.metrics.published.CHARACTERS`.
    subject : {"A", "B"} or None
        None for both together, 200 characters.

    Returns
    -------
    DataFrame
        ``n_repetitions, n_right, n_characters, accuracy, low, high, bits_per_minute``, the last
        with the paper's own timing.

    Examples
    --------
    >>> published_accuracy("cnn1").loc[14, ["n_right", "n_characters"]].astype(int).tolist()
    [189, 200]
    """
    import pandas as pd

    subjects = ("A", "B") if subject is None else (subject,)
    missing = [f"{name}, subject {s}" for s in subjects if (name, s) not in CHARACTERS]
    if missing:
        known = ", ".join(map(str, CHARACTERS))
        raise InputError(f"no published result of {' or '.join(missing)}; expected one of {known}")
    n_right = np.sum([CHARACTERS[name, s] for s in subjects], axis=0)
    n_all, n_repetitions = 100 * len(subjects), np.arange(1, len(n_right) + 1)
    accuracy, rate = n_right / n_all, bits_per_minute(n_right / n_all, n_repetitions)
    low, high = np.array([[*wilson_interval(n, n_all)] for n in n_right]).T
    table = {"n_repetitions": n_repetitions, "n_right": n_right, "n_characters": n_all}
    table |= {"accuracy": accuracy, "low": low, "high": high, "bits_per_minute": rate}
    return pd.DataFrame(table)


def _accuracy_table(table: Any, name: str) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame(table)
    needed = ("accuracy", "high", "low", "n_repetitions")
    check_columns(table, needed, "a table of accuracy_by_repetition()", f"{name}: ")
    known = table.astype(dict.fromkeys(("accuracy", "low", "high"), float))
    known = known.dropna(subset="accuracy").sort_values("n_repetitions", ignore_index=True)
    if not len(known):
        raise InputError(
            f"{name}: none of {len(table)} rows has an accuracy; expected characters whose symbol "
            f"is known"
        )
    return known


def _percent(table: pd.DataFrame) -> list[np.ndarray]:
    """Return accuracy, and the ends of its interval, in percent."""
    return [100 * table[k].to_numpy() for k in ("accuracy", "low", "high")]


def _bits(table: pd.DataFrame, n_symbols: int) -> list[np.ndarray]:
    """Return bits per minute, and the ends of its interval from those of the accuracy."""
    value = table["bits_per_minute"].to_numpy(float)
    n = table["n_repetitions"].to_numpy(float)
    bits, *ends = (bits_per_selection(table[k], n_symbols) for k in ("accuracy", "low", "high"))
    timed = (value > 0) & (bits > 0)
    seconds = np.full(len(n), np.nan)  # unknown at chance
    seconds[timed] = 60 * bits[timed] / value[timed]
    if timed.sum() > 1:  # a pause, and a constant time per repetition
        seconds = np.polyval(np.polyfit(n[timed], seconds[timed], 1), n)
    return [value, *(60 * end / seconds for end in ends)]


def _last(name: str, table: pd.DataFrame) -> str:
    row = table.iloc[-1]
    return f"{name} {100 * row['accuracy']:.3g} % after {row['n_repetitions']:.0f}{_number(table)}"


def _number(table: pd.DataFrame) -> str:
    return f" (n = {table['n_characters'].max():.0f})" if "n_characters" in table else ""
