"""A session read by a detector that learns while it spells, beside the same without learning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.figures.style import count, look, new_figure, styled
from p300.figures.tables import check_columns
from p300.flashes import CHARACTER_KEY
from p300.metrics import confidence_interval, roc_auc, wilson_interval

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Most tables whose intervals are drawn as bands, since bands overlap.
MAX_BANDS = 2


@styled
def draw_session(
    scores: Mapping[str, pd.DataFrame],
    readings: Mapping[str, pd.DataFrame] | None = None,
    *,
    n_repetitions: int | None = None,
    window: int | None = None,
) -> Figure:
    """Draw how well each character of a session was detected, and how much of its text was right.

    Several people are averaged, each character with those at the same place in their sessions.

    Parameters
    ----------
    scores : mapping of str to DataFrame
        By name, flash tables of the same characters in order of time, with ``score``: parts
        ``test`` (as trained) and ``session`` (learning) of a run's ``scores.csv``.
    readings : mapping of str to DataFrame, or None
        By the same names, what was read: of :func:`p300.spelling.spell`, or ``session.csv``.
        None draws no text.
    n_repetitions : int or None
        Repetitions after which characters are read; None for all.
    window : int or None
        Characters of a running mean; None for a sixth of the session, from 3 to 10.

    Returns
    -------
    Figure
        Left: the AUC within each character (dots), and its mean over the last few (lines). Right:
        the fraction of characters right so far, for up to two tables with Wilson's 95 % interval.
        The difference between two tables has a 95 % interval over characters.

    Raises
    ------
    InputError
        If a table lacks columns or labels, or the characters differ.

    Examples
    --------
    >>> from p300.recording import flash_table
    >>> flashes = flash_table(onset=[0, 1, 2, 3], character=[1, 1, 2, 2], code=[1, 2, 1, 2],
    ...                       is_target=[True, False, True, False])
    >>> trained, learned = (flashes.assign(score=s) for s in ([1, 0, 0, 1], [1, 0, 1, 0]))
    >>> draw_session({"as trained": trained, "learning": learned}).get_label()
    'Mean AUC within each of 2 characters: as trained 0.500, learning 1.000.'
    """
    aucs = {name: _of_all(_character_aucs(table, name)) for name, table in scores.items()}
    rights = {
        name: _of_all(_right(t, name, n_repetitions)) for name, t in (readings or {}).items()
    }
    _check_same(aucs)
    _check_same(rights)
    figure = new_figure(2.9, 7.0 if rights else 4.6)
    axes = figure.subplots(1, 1 + bool(rights), squeeze=False)[0]
    n_most = next(iter(aucs.values())).shape[1]
    window = window or min(max(round(n_most / 6), 3), 10)
    _draw_aucs(axes[0], aucs, window)
    texts = [_aucs_in_words(aucs)]
    if rights:
        _draw_right(axes[1], rights)
        n = "all repetitions" if n_repetitions is None else count(n_repetitions, "repetition")
        axes[1].set_title(f"characters read after {n}")
        found = (f"{name} {np.nansum(r):.0f} of {_number(r)}" for name, r in rights.items())
        texts.append(f"Characters right after {n}: {', '.join(found)}.")
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=3, handlelength=3
    )
    figure.set_label(" ".join(texts))
    return figure


def _character_aucs(table: pd.DataFrame, name: str) -> list[list[float]]:
    """Compute the AUC within each character, for each subject in order of time."""
    needed = (*CHARACTER_KEY, "is_target", "score")
    check_columns(table, needed, "the flash table and score, one row per flash", f"{name}: ")
    labelled = table[table["is_target"].notna() & table["character"].notna()]
    found = [
        [
            roc_auc(one["is_target"].to_numpy(bool), one["score"].to_numpy(float))
            for _, one in own.groupby(CHARACTER_KEY, sort=False, dropna=False)
        ]
        for _, own in labelled.groupby("subject", sort=False, dropna=False)
    ]
    if not np.isfinite([auc for own in found for auc in own]).any():
        raise InputError(
            f"{name}: no character of {count(len(table), 'flash')} has labelled targets and "
            "nontargets; expected some"
        )
    return found


def _right(table: pd.DataFrame, name: str, n_repetitions: int | None) -> list[list[float]]:
    """Find whether each character is right (1 or 0; nan if unknown), for each subject."""
    needed = (*CHARACTER_KEY, "n_repetitions", "is_right")
    check_columns(table, needed, "a table of spell()", f"{name}: ")
    if n_repetitions is not None:
        table = table[table["n_repetitions"] == n_repetitions]
    last = table.groupby(CHARACTER_KEY, sort=False, dropna=False).tail(1)
    found = [
        own["is_right"].astype("Float64").to_numpy(float, na_value=math.nan).tolist()
        for _, own in last.groupby("subject", sort=False, dropna=False)
    ]
    if not np.isfinite([right for own in found for right in own]).any():
        after = "" if n_repetitions is None else f" after {count(n_repetitions, 'repetition')}"
        raise InputError(
            f"{name}: no character of {count(len(table), 'row')} has a known symbol{after}; "
            "expected some"
        )
    return found


def _of_all(found: list[list[float]]) -> np.ndarray:
    """Put the sessions of all subjects below each other, shape (n_subjects, n_characters)."""
    rows = np.full((len(found), max(map(len, found))), math.nan)
    for row, own in zip(rows, found, strict=True):
        row[: len(own)] = own
    return rows


def _check_same(tables: Mapping[str, np.ndarray]) -> None:
    numbers = {name: np.isfinite(table) for name, table in tables.items()}
    if any(not np.array_equal(one, next(iter(numbers.values()))) for one in numbers.values()):
        got = ", ".join(f"{n.sum()} of {name}" for name, n in numbers.items())
        raise InputError(f"got characters: {got}; expected the same ones, in the same order")


def _draw_aucs(axis: Axes, aucs: Mapping[str, np.ndarray], window: int) -> None:
    for k, (name, found) in enumerate(aucs.items()):
        style, place = look(k), 1 + np.arange(found.shape[1])
        dots: dict[str, Any] = {"color": style["color"], "marker": style["marker"], "ls": ""}
        axis.plot(place, _mean(found), alpha=0.45, markersize=3, mew=0, **dots)
        last = [_mean(found[:, max(0, end - window) : end], None) for end in place]
        line = {"color": style["color"], "ls": style["linestyle"]}
        axis.plot(place, last, label=f"{name}, mean {_mean(found, None):.3f}", **line)
    axis.axhline(0.5, color="0.7", lw=0.8, zorder=0)
    axis.set(ylabel="AUC of single flashes (0.5: chance)", ylim=(None, 1.02))
    n_people = len(next(iter(aucs.values())))
    people = f" ({n_people} people)" if n_people > 1 else ""
    axis.set_title(f"each character{people}, and mean of the last {window}")
    _by_character(axis)


def _draw_right(axis: Axes, rights: Mapping[str, np.ndarray]) -> None:
    for k, (name, found) in enumerate(rights.items()):
        style, place = look(k), 1 + np.arange(found.shape[1])
        n_right = np.nansum(found, axis=0).cumsum()
        n_all = np.isfinite(found).sum(axis=0).cumsum()
        known = n_all > 0
        line = {"color": style["color"], "ls": style["linestyle"], "label": name}
        axis.plot(place[known], 100 * n_right[known] / n_all[known], **line)
        if len(rights) <= MAX_BANDS:
            ends = [[*wilson_interval(*n)] for n in zip(n_right, n_all, strict=True)]
            low, high = 100 * np.array(ends).T
            axis.fill_between(place, low, high, color=style["color"], alpha=0.18, lw=0)
    sure = ", 95 % interval" * (len(rights) <= MAX_BANDS)
    axis.set(ylabel=f"right so far (%){sure}", ylim=(0, 103))
    _by_character(axis)


def _by_character(axis: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_xlabel("character of the session")
    axis.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    axis.grid(alpha=0.3)


def _aucs_in_words(aucs: Mapping[str, np.ndarray]) -> str:
    means = ", ".join(f"{name} {_mean(found, None):.3f}" for name, found in aucs.items())
    text = f"Mean AUC within each of {_number(next(iter(aucs.values())))} characters: {means}"
    if len(aucs) != 2:
        return f"{text}."
    first, second = aucs.values()
    gains = [row[np.isfinite(row)] for row in second - first]
    values = np.concatenate(gains)
    sure = confidence_interval(
        lambda weights: weights @ values / weights.sum(axis=1), [len(own) for own in gains]
    )
    if sure.why_not:
        return f"{text}."
    return f"{text}; gain {values.mean():+.3f} [{sure.low:+.3f}, {sure.high:+.3f}; n = {sure.n}]."


def _mean(found: np.ndarray, axis: int | None = 0) -> Any:
    """Average those that are known; nan where none is."""
    n = np.isfinite(found).sum(axis=axis)
    return np.where(n, np.nansum(found, axis=axis) / np.maximum(n, 1), math.nan)


def _number(found: np.ndarray) -> int:
    return int(np.isfinite(found).sum())
