"""Confusion matrices of the rows and of the columns of the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.figures.style import count, new_figure, styled
from p300.flashes import CHARACTER_KEY

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from p300.speller import Speller


@styled
def draw_confusion(
    spelled: pd.DataFrame, speller: Speller, *, n_repetitions: int | None = None
) -> Figure:
    """Draw the confusion matrices of rows and of columns, as the paper's Table 8 does.

    For other screens there is one panel for each way in which the codes divide the symbols into
    groups (single keys: one). If they do not, there is one panel of symbols.

    Parameters
    ----------
    spelled : DataFrame
        From :func:`p300.spelling.spell`; characters without a known symbol do not count.
    speller : Speller
        The screen.
    n_repetitions : int or None
        Number of repetitions used; a character with fewer is read after its last one. None for
        all.

    Returns
    -------
    Figure
        Counts of characters: one row per wanted group, one column per group read, errors
        coloured.

    Raises
    ------
    InputError
        If no character has a known symbol.
    """
    known = spelled[spelled["wanted"].notna()]
    if n_repetitions is not None:
        known = known[known["n_repetitions"] <= n_repetitions]
    if not len(known):
        limit = "" if n_repetitions is None else f" and at most {n_repetitions} repetitions"
        raise InputError(
            f"no character of {len(spelled)} rows has a known symbol{limit}; "
            f"expected the table of spell() for a labelled text"
        )
    last = known.groupby(CHARACTER_KEY, sort=False, dropna=False).last()
    unknown = sorted({*last["wanted"], *last["symbol"]} - set(speller.symbols))
    if unknown:
        raise InputError(f"symbols {', '.join(unknown)} are not on the screen {speller.name!r}")
    families = symbol_families(speller)
    side = max(3.5 if len(families) > 1 else 4.0, 0.7 + 0.16 * max(map(len, families.values())))
    figure = new_figure(0.1 + side, side * len(families))
    axes = figure.subplots(1, len(families), squeeze=False)[0]
    is_right = {}
    for axis, (kind, groups) in zip(axes, families.items(), strict=True):
        place = {symbol: k for k, group in enumerate(groups) for symbol in group}
        wanted, read = (last[c].map(place).to_numpy(int) for c in ("wanted", "symbol"))
        counts = np.zeros((len(groups), len(groups)), int)
        np.add.at(counts, (wanted, read), 1)
        is_right[kind] = wanted == read
        _draw_counts(axis, counts, ["".join(g) if len(g) < 9 else g[0] + "…" for g in groups])
        axis.set(xlabel=f"{kind} read", ylabel=f"{kind} wanted")
    right, errors = _errors(is_right, int(last["n_repetitions"].max()))
    figure.suptitle(f"{right}\n{errors}".rstrip(), x=0.01, ha="left", fontsize=9)
    kinds = " and ".join(families)
    figure.set_label(f"Confusion matrix of {kinds}: {right}{errors and '; ' + errors}.")
    return figure


def symbol_families(speller: Speller) -> dict[str, list[tuple[str, ...]]]:
    """Find how the codes of a screen divide its symbols: into columns and rows, or keys.

    Codes are used in their order. If they do not divide the symbols, each symbol is a group.

    Examples
    --------
    >>> from p300.speller import Speller
    >>> symbol_families(Speller.matrix(["AB", "CD"]))
    {'column': [('A', 'C'), ('B', 'D')], 'row': [('A', 'B'), ('C', 'D')]}
    >>> symbol_families(Speller.single_keys("AB"))
    {'symbol': [('A',), ('B',)]}
    """
    families: dict[str, list[tuple[str, ...]]] = {}
    current: list[tuple[str, ...]] = []
    for group in speller.groups.values():
        lit = [symbol for other in current for symbol in other]
        if set(lit) & set(group):
            break
        current = [*current, tuple(group)]
        if len(lit) + len(group) == len(speller.symbols):
            if len(current) > 1:
                families[_family_name(current, speller, len(families))] = current
            current = []
    if current or not families:
        return {"symbol": [(symbol,) for symbol in speller.symbols]}
    return families


def _family_name(groups: Sequence[tuple[str, ...]], speller: Speller, k: int) -> str:
    symbols, n = speller.symbols, len(groups)
    if n == len(symbols):
        return "symbol"
    if [symbol for group in groups for symbol in group] == list(symbols):
        return "row"
    is_column = all(group == symbols[i::n] for i, group in enumerate(groups))
    return "column" if is_column else f"group {k + 1}"


def _draw_counts(axis: Axes, counts: np.ndarray, names: Sequence[str]) -> None:
    n = len(names)
    is_diagonal = np.eye(n, dtype=bool)
    axis.imshow(np.ma.masked_array(0.94 * is_diagonal, ~is_diagonal), cmap="gray", vmin=0, vmax=1)
    errors = np.ma.masked_array(counts, (counts == 0) | is_diagonal)
    most = max(int(errors.max()) if errors.count() else 1, 1)
    axis.imshow(errors, cmap="YlOrBr", vmin=0, vmax=most * 1.3)
    for row, column in zip(*np.nonzero(counts), strict=True):
        is_dark = row != column and counts[row, column] > 0.8 * most
        text = axis.text(column, row, counts[row, column], ha="center", va="center", fontsize=8)
        text.set(weight="bold" if row == column else "normal", color="w" if is_dark else "k")
    axis.set_xticks(range(n), names, rotation=90, family="monospace")
    axis.set_yticks(range(n), names, family="monospace")
    axis.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axis.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axis.grid(which="minor", alpha=1, color="0.85")
    axis.tick_params(which="both", length=0)


def _errors(is_right: Mapping[str, np.ndarray], n_repetitions: int) -> tuple[str, str]:
    """Describe how many characters are right, and what is right in the others."""
    right = np.array(list(is_right.values()))
    n_all, n_right = right.shape[1], int(right.all(axis=0).sum())
    right_text = f"{n_right} of {count(n_all, 'character')} right after "
    right_text += count(n_repetitions, "repetition")
    if len(is_right) != 2:
        return right_text, ""
    only = {k: int((r & ~right.all(axis=0)).sum()) for k, r in is_right.items()}
    parts = [f"{n} with only the {kind} right" for kind, n in only.items()]
    return right_text, ", ".join([*parts, f"{int((~right).all(axis=0).sum())} with neither"])
