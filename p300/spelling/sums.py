"""From the scores of single flashes to text: sum over repetitions, then the best symbol.

The paper's rule (Cecotti & Graeser 2011, eqs. 16-18) sums the scores of each code over the
first n repetitions and takes the column and the row with the largest sums; the symbol is where
they cross. On any screen this is the symbol whose codes have the largest total. That total is
computed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from p300.errors import InputError
from p300.metrics import bits_per_minute, wilson_interval
from p300.recording import CHARACTER_KEY

if TYPE_CHECKING:
    import pandas as pd
    from pandas.api.typing import DataFrameGroupBy

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
    gathered = np.asarray(code_scores)  # (..., n_codes)
    centred = gathered - gathered.mean(axis=-1, keepdims=True)
    return centred @ speller.membership.T.astype(float)


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
        If the lengths differ, flashes belong to no character or have codes that are not on the
        screen, or a character's repetitions are not 0, 1, 2, …

    Examples
    --------
    >>> from p300.recording import flash_table
    >>> from p300.speller import Speller
    >>> flashes = flash_table(onset=[0, 0.2, 0.4], character=1, repetition=0, code=[2, 1, 3])
    >>> spell([0.9, 0.1, 0.3], flashes, Speller.single_keys("ABC"))["symbol"].tolist()
    ['B']
    """
    import pandas as pd

    scores = np.asarray(scores, float)
    check_flashes(scores, flashes, speller)
    column = {code: k for k, code in enumerate(speller.codes)}
    rows = []
    for key, character in _by_character(flashes.assign(score=scores)):
        repetition = character["repetition"].to_numpy(int)
        code = character["code"].map(column).to_numpy(int)
        gathered = np.zeros((repetition.max() + 1, len(column)))  # (n_repetitions, n_codes)
        np.add.at(gathered, (repetition, code), character["score"].to_numpy())
        best = symbol_scores(gathered.cumsum(axis=0), speller).argmax(axis=-1)
        wanted = wanted_symbol(character, speller)
        for n_repetitions, k in enumerate(best, start=1):
            symbol = speller.symbols[k]
            right = pd.NA if wanted is None else symbol == wanted
            rows.append((*key, n_repetitions, symbol, wanted or pd.NA, right))
    table = pd.DataFrame(
        rows, columns=[*CHARACTER_KEY, "n_repetitions", "symbol", "wanted", "is_right"]
    )
    return table.astype({"is_right": "boolean"})


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
    last = _by_character(usable)[column].last()
    return "".join(last.astype(object).where(last.notna(), "?"))


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
        low, high`` (Wilson, 95 %), ``bits_per_minute, text``.
    """
    import pandas as pd

    rows = []
    for n, part in spelled.groupby("n_repetitions"):
        known = part["is_right"].dropna()
        n_right, n_all = int(known.sum()), len(known)
        accuracy = n_right / n_all if n_all else float("nan")
        rows.append(
            {
                "n_repetitions": int(n),
                "n_right": n_right,
                "n_characters": n_all,
                "accuracy": accuracy,
                **dict(zip(("low", "high"), wilson_interval(n_right, n_all), strict=True)),
                "bits_per_minute": float(
                    bits_per_minute(
                        accuracy,
                        n,
                        len(speller.symbols),
                        repetition_s=repetition_s,
                        pause_s=pause_s,
                    )
                ),
                "text": text_after(spelled, n),
            }
        )
    return pd.DataFrame(rows)


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


def check_flashes(scores: np.ndarray, flashes: pd.DataFrame, speller: Speller) -> None:
    """Check that text can be read from scored flashes.

    Raises
    ------
    InputError
        As in :func:`spell`.
    """
    if len(scores) != len(flashes):
        raise InputError(
            f"{len(scores)} scores for {len(flashes)} flashes; expected one score per flash"
        )
    n_outside = int(flashes[["character", "repetition"]].isna().any(axis=1).sum())
    if n_outside:
        raise InputError(
            f"{n_outside} of {len(flashes)} flashes belong to no character or repetition; "
            f"expected a recording of spelling, where every flash has both"
        )
    unknown: Sequence[int] = sorted(set(flashes["code"]) - set(speller.codes))
    if unknown:
        raise InputError(
            f"flash codes {unknown} are not on the screen {speller.name!r}; "
            f"expected {list(speller.codes)}"
        )
    n_repetitions = _by_character(flashes)["repetition"].agg(["max", "nunique", "min"])
    broken = n_repetitions[
        (n_repetitions["min"] != 0) | (n_repetitions["max"] + 1 != n_repetitions["nunique"])
    ]
    if len(broken):
        raise InputError(
            f"{len(broken)} characters have repetitions that are not 0, 1, 2, …; "
            f"the first is {dict(zip(CHARACTER_KEY, broken.index[0], strict=True))}"
        )


def _by_character(table: pd.DataFrame) -> DataFrameGroupBy:
    """Group by character in the order of the table; a missing session, say, is a group too."""
    return table.groupby(CHARACTER_KEY, sort=False, dropna=False)
