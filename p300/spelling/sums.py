"""From the scores of single flashes to text: sum over repetitions, then the best symbol.

The paper's rule (Cecotti & Graeser 2011, eqs. 16-18) sums the scores of each code over the
first n repetitions and takes the column and the row with the largest sums; the symbol is where
they cross. On any screen this is the symbol whose codes have the largest total. That total is
computed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from p300.errors import InputError
from p300.metrics import bits_per_minute, wilson_interval
from p300.recording import CHARACTER_KEY

if TYPE_CHECKING:
    import pandas as pd

    from p300.speller import Speller


def symbol_scores(code_scores: ArrayLike, speller: Speller) -> np.ndarray:
    """Compute the score of each symbol from the scores of the codes that light it.

    The scores of the codes are first centred on their mean. So a symbol that is lit by more
    codes than others has no advantage.

    Parameters
    ----------
    code_scores : array-like of float, shape (..., n_codes)
        Sums of scores in the order of ``speller.codes``.
    speller : Speller
        Which code lights which symbol.

    Returns
    -------
    ndarray, shape (..., n_symbols)

    Examples
    --------
    >>> from p300.speller import Speller
    >>> keys = Speller.single_keys("AB")
    >>> symbol_scores(np.array([3.0, 1.0]), keys).tolist()
    [1.0, -1.0]
    """
    gathered = np.asarray(code_scores)
    return (gathered - gathered.mean(axis=-1, keepdims=True)) @ speller.membership.T.astype(float)


def spell(scores: ArrayLike, flashes: pd.DataFrame, speller: Speller) -> pd.DataFrame:
    """Read every character after 1, 2, … all of its repetitions.

    Parameters
    ----------
    scores : array-like of float, shape (n_flashes,)
        One score per flash, larger = more target-like.
    flashes : DataFrame
        The flash table, in the order of the scores.
    speller : Speller
        The screen.

    Returns
    -------
    DataFrame
        One row per character and number of repetitions, in the order of the flash table:
        ``subject, session, run, character, n_repetitions, symbol`` (what was read), ``wanted``
        (the true symbol, <NA> where unlabelled) and ``is_right``.

    Raises
    ------
    InputError
        If the lengths differ, a score is not finite, flashes belong to no character or have codes
        that are not on the screen, or a character's repetitions are not 0, 1, 2, …

    Examples
    --------
    >>> from p300.recording import flash_table
    >>> from p300.speller import Speller
    >>> flashes = flash_table(onset=[0, 0.2, 0.4], character=1, repetition=0, code=[2, 1, 3])
    >>> spell([0.9, 0.1, 0.3], flashes, Speller.single_keys("ABC"))["symbol"].tolist()
    ['B']
    """
    import pandas as pd

    rows = []
    for key, code, repetition, score, wanted in split_characters(scores, flashes, speller):
        gathered = np.zeros((repetition.max() + 1, len(speller.codes)))
        np.add.at(gathered, (repetition, code), score)
        best = symbol_scores(gathered.cumsum(axis=0), speller).argmax(axis=-1)
        for n_repetitions, k in enumerate(best, start=1):
            rows.append((*key, n_repetitions, speller.symbols[k], wanted or pd.NA))
    columns = [*CHARACTER_KEY, "n_repetitions", "symbol", "wanted"]
    return mark_right(pd.DataFrame(rows, columns=columns))


def mark_right(readings: pd.DataFrame) -> pd.DataFrame:
    """Add the column ``is_right``: whether ``symbol`` is ``wanted``; <NA> where that is <NA>."""
    symbol, wanted = (readings[name].astype("string") for name in ("symbol", "wanted"))
    return readings.assign(is_right=symbol == wanted)


def split_characters(
    scores: ArrayLike, flashes: pd.DataFrame, speller: Speller
) -> Iterator[tuple[tuple, np.ndarray, np.ndarray, np.ndarray, str | None]]:
    """Yield the characters of a scored flash table, in the order of the table.

    Parameters
    ----------
    scores, flashes, speller
        As in :func:`spell`.

    Yields
    ------
    key : tuple
        Its subject, session, run and number.
    code, repetition, score : ndarray, shape (n_flashes,)
        Per flash of the character: index into ``speller.codes``, repetition, score.
    wanted : str or None
        The symbol of the target flashes; None where unlabelled.

    Raises
    ------
    InputError
        As in :func:`spell`.
    """
    scores = np.asarray(scores, float)
    _check_flashes(scores, flashes, speller)
    column = {code: k for k, code in enumerate(speller.codes)}
    table = flashes.assign(score=scores)
    for key, part in table.groupby(CHARACTER_KEY, sort=False, dropna=False):
        code, repetition = part["code"].map(column).to_numpy(int), part["repetition"].to_numpy(int)
        yield key, code, repetition, part["score"].to_numpy(), wanted_symbol(part, speller)


def wanted_symbol(character: pd.DataFrame, speller: Speller) -> str | None:
    """Return the symbol of a character's target flashes; None where unlabelled.

    Raises
    ------
    InputError
        If the codes of the target flashes are not those of one symbol.
    """
    if character["is_target"].isna().any():
        return None
    codes = set(character.loc[character["is_target"].astype(bool), "code"].tolist())
    symbol = speller.symbol_of(codes)
    if symbol is None:
        where = ", ".join(f"{k} {character[k].iloc[0]}" for k in CHARACTER_KEY)
        raise InputError(
            f"{where}: the target flashes have the codes {sorted(codes)}; expected the codes of "
            f"one symbol of {speller.name!r}"
        )
    return symbol


def text_after(spelled: pd.DataFrame, n_repetitions: int, column: str = "symbol") -> str:
    """Return the text read after n repetitions; a character with fewer is read after its last.

    ``column="wanted"`` returns the true text instead, with "?" where it is not known.
    """
    usable = spelled[spelled["n_repetitions"] <= n_repetitions]
    return "".join(usable.drop_duplicates(CHARACTER_KEY, keep="last")[column].fillna("?"))


def accuracy_by_repetition(
    spelled: pd.DataFrame, speller: Speller, *, repetition_s: float, pause_s: float
) -> pd.DataFrame:
    """Count the characters read correctly after each number of repetitions.

    Parameters
    ----------
    spelled : DataFrame
        From :func:`spell`; characters without a known symbol do not count.
    speller : Speller
        The screen; its number of symbols enters the bits per minute.
    repetition_s, pause_s : float
        Timing for bits per minute (eq. 20): seconds per repetition and between two symbols.

    Returns
    -------
    DataFrame
        One row per number of repetitions: ``n_repetitions, n_right, n_characters, accuracy,
        low, high`` (Wilson, 95 %; ``nan`` below five characters), ``bits_per_minute, text``.
    """
    right = spelled.groupby("n_repetitions")["is_right"]
    table = right.agg(n_right="sum", n_characters="count").astype(int).reset_index()
    n, n_right, n_all = (table[column].to_numpy() for column in table)
    seconds = {"repetition_s": repetition_s, "pause_s": pause_s}
    accuracy = table["accuracy"] = table["n_right"] / table["n_characters"]
    intervals = [[*wilson_interval(*counts)] for counts in zip(n_right, n_all, strict=True)]
    table[["low", "high"]] = np.reshape(intervals, (-1, 2))
    table["bits_per_minute"] = bits_per_minute(accuracy, n, len(speller.symbols), **seconds)
    table["text"] = [text_after(spelled, k) for k in n]
    return table


def timing(flashes: pd.DataFrame, n_codes: int) -> tuple[float, float]:
    """Compute the duration of one repetition and of the pause between characters.

    Parameters
    ----------
    flashes : DataFrame
        The flash table of a spelled recording.
    n_codes : int
        Flashes in one repetition.

    Returns
    -------
    repetition_s, pause_s : float
        ``n_codes`` times the median time between flashes. The pause is the paper's 2.5 s (its
        eq. 20), since it cannot be measured in scrambled recordings.
    """
    within = flashes.groupby([*CHARACTER_KEY, "segment"], dropna=False)["onset"].diff()
    return float(n_codes * within.median()), 2.5


def _check_flashes(scores: np.ndarray, flashes: pd.DataFrame, speller: Speller) -> None:
    if len(scores) != len(flashes):
        raise InputError(
            f"{len(scores)} scores for {len(flashes)} flashes; expected one score per flash"
        )
    if n_bad := int((~np.isfinite(scores)).sum()):
        raise InputError(
            f"{n_bad} of {len(scores)} scores are not finite; expected one number "
            f"per flash; leave out flashes that were not scored"
        )
    n_outside = int(flashes[["character", "repetition"]].isna().any(axis=1).sum())
    if n_outside:
        raise InputError(
            f"{n_outside} of {len(flashes)} flashes belong to no character or repetition; "
            f"expected a recording of spelling, where every flash has both"
        )
    unknown = sorted(set(flashes["code"]) - set(speller.codes))
    if unknown:
        raise InputError(
            f"flash codes {unknown} are not on the screen {speller.name!r}; expected "
            f"{list(speller.codes)}"
        )
    characters = flashes.groupby(CHARACTER_KEY, sort=False, dropna=False)
    found = characters["repetition"].agg(["max", "nunique", "min"])
    broken = found[(found["min"] != 0) | (found["max"] + 1 != found["nunique"])]
    if len(broken):
        raise InputError(
            f"{len(broken)} characters have repetitions that are not 0, 1, 2, …; "
            f"the first is {dict(zip(CHARACTER_KEY, broken.index[0], strict=True))}"
        )
