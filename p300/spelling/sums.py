"""From the scores of single flashes to text: sum their evidence over repetitions, take the best.

The paper's rule (Cecotti & Graeser 2011, eqs. 16-18) sums the scores of each code over the
first n repetitions and takes the column and the row with the largest sums; the symbol is where
they cross. Here a flash counts by its evidence, the log likelihood ratio of its score: target
against nontarget (:class:`~p300.spelling.ScoreLikelihood`). So a missing flash counts as no
evidence, whatever constant the scores contain. Where every symbol has been lit equally often,
the symbol is the paper's, since the log ratio is a straight line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from p300.errors import InputError
from p300.flashes import CHARACTER_KEY, fitting_symbols, with_lit_codes
from p300.metrics import bits_per_minute, wilson_interval
from p300.spelling.posterior import ScoreLikelihood
from p300.spelling.unlabelled import fit_unlabelled

if TYPE_CHECKING:
    import pandas as pd

    from p300.speller import Speller


def spell(
    scores: ArrayLike,
    flashes: pd.DataFrame,
    speller: Speller,
    likelihood: ScoreLikelihood | None = None,
) -> pd.DataFrame:
    """Read every character after 1, 2, … all of its repetitions.

    Parameters
    ----------
    scores : array-like of float, shape (n_flashes,)
        One score per flash, larger = more target-like.
    flashes : DataFrame
        The flash table, in the order of the scores.
    speller : Speller
        The screen.
    likelihood : ScoreLikelihood or None
        Likelihood of such scores, from labelled flashes; None for :func:`estimate_likelihood`.

    Returns
    -------
    DataFrame
        One row per character and number of repetitions, in the order of the flash table:
        ``subject, session, run, character, n_repetitions, symbol`` (what was read; <NA> where no
        flash is left of these repetitions), ``wanted`` (the true symbol, <NA> where the labels
        leave none or several) and ``is_right``.

    Raises
    ------
    InputError
        If the lengths differ, a score is not finite, flashes belong to no character or have codes
        that are not on the screen, or repetitions do not count from 0.

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
    flashes, speller = with_lit_codes(flashes, speller)
    characters = list(split_characters(scores, flashes, speller))
    if likelihood is None:
        likelihood = fit_unlabelled(characters, speller)
    lit = speller.membership.T.astype(float)
    for key, code, repetition, score, wanted in characters:
        gathered = np.zeros((repetition.max() + 1, len(speller.codes)))
        np.add.at(gathered, (repetition, code), likelihood.log_ratio(score))
        best = (gathered.cumsum(axis=0) @ lit).argmax(axis=-1)
        for n_repetitions, k in enumerate(best, start=1):
            symbol = speller.symbols[k] if n_repetitions > repetition.min() else pd.NA
            rows.append((*key, n_repetitions, symbol, wanted or pd.NA))
    columns = [*CHARACTER_KEY, "n_repetitions", "symbol", "wanted"]
    return mark_right(pd.DataFrame(rows, columns=columns))


def estimate_likelihood(
    scores: ArrayLike, flashes: pd.DataFrame, speller: Speller
) -> ScoreLikelihood:
    """Estimate the likelihood of scores from a table of flashes, without its labels.

    Each character has one unknown symbol, whose flashes are the targets. Their scores and the
    nontargets' are taken as two Gaussians of equal variance. Expectation-maximization over the
    symbols of all characters gives their means.

    Parameters
    ----------
    scores, flashes, speller
        As in :func:`spell`.

    Returns
    -------
    ScoreLikelihood
        With a positive slope; not clipped. Of no flash: a slope of 1, an offset of 0.

    Raises
    ------
    InputError
        As in :func:`spell`.

    Examples
    --------
    >>> from p300.simulation import simulate_recording
    >>> from p300.speller import WADSWORTH
    >>> flashes = simulate_recording("HELLO_WORLD" * 5, n_repetitions=10, ch_names=["Pz"]).flashes
    >>> noise = np.random.default_rng(0).normal(size=len(flashes))
    >>> found = estimate_likelihood(noise + 2 * flashes["is_target"], flashes, WADSWORTH)
    >>> round(found.slope, 1), round(found.offset, 1)  # by theory 2 and -2
    (2.0, -2.0)
    """
    flashes, speller = with_lit_codes(flashes, speller)
    return fit_unlabelled(list(split_characters(scores, flashes, speller)), speller)


def mark_right(readings: pd.DataFrame) -> pd.DataFrame:
    """Add the column ``is_right``: whether ``symbol`` is ``wanted``; <NA> where that is <NA>."""
    symbol, wanted = (readings[name].astype("string") for name in ("symbol", "wanted"))
    is_right = (symbol == wanted).mask(symbol.isna() & wanted.notna(), False)
    return readings.assign(is_right=is_right)


def split_characters(
    scores: ArrayLike, flashes: pd.DataFrame, speller: Speller
) -> Iterator[tuple[tuple, np.ndarray, np.ndarray, np.ndarray, str | None]]:
    """Yield the characters of a scored flash table, in the order of the table.

    Parameters
    ----------
    scores, flashes, speller
        As in :func:`spell`, of :func:`p300.flashes.with_lit_codes`.

    Yields
    ------
    key : tuple
        Its subject, session, run and number.
    code, repetition, score : ndarray, shape (n_flashes,)
        Per flash of the character: index into ``speller.codes``, repetition, score.
    wanted : str or None
        The symbol that fits the labelled flashes; None where none is labelled or several fit.

    Raises
    ------
    InputError
        As in :func:`spell`.
    """
    try:
        scores = np.asarray(scores, float)
    except (TypeError, ValueError) as error:
        raise InputError(f"got scores that are no numbers ({error}); expected floats") from None
    _check_flashes(scores, flashes, speller)
    if not len(flashes):
        return
    column = {code: k for k, code in enumerate(speller.codes)}
    code = flashes["code"].map(column).to_numpy(int)
    repetition = flashes["repetition"].to_numpy(int)
    characters = list(fitting_symbols(flashes, speller))
    keys = flashes[CHARACTER_KEY].iloc[[rows[0] for rows, _ in characters]]
    for key, (rows, fitting) in zip(
        keys.itertuples(index=False, name=None), characters, strict=True
    ):
        wanted = _only(fitting, flashes, rows, speller)
        yield key, code[rows], repetition[rows], scores[rows], wanted


def wanted_symbol(character: pd.DataFrame, speller: Speller) -> str | None:
    """Return the symbol that fits a character's labels; None without labels, or if several fit.

    Raises
    ------
    InputError
        If no symbol fits the labelled flashes.
    """
    character, speller = with_lit_codes(character, speller)
    ((rows, fitting),) = fitting_symbols(character, speller)
    return _only(fitting, character, rows, speller)


def _only(
    fitting: tuple[str, ...] | None, flashes: pd.DataFrame, rows: np.ndarray, speller: Speller
) -> str | None:
    """Return the one symbol that fits a character; None if several do, or it has no labels."""
    if fitting is None or len(fitting) > 1:
        return None
    if not fitting:
        character = flashes.iloc[rows]
        where = ", ".join(f"{name} {character[name].iloc[0]}" for name in CHARACTER_KEY)
        targets = set(character.loc[character["is_target"].fillna(False), "code"].tolist())
        raise InputError(
            f"{where}: the target flashes have the codes {sorted(targets)}; expected the codes of "
            f"one symbol of {speller.name!r}"
        )
    return fitting[0]


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


def _check_flashes(scores: np.ndarray, flashes: pd.DataFrame, speller: Speller) -> None:
    if scores.ndim != 1:
        raise InputError(
            f"got scores of shape {scores.shape}; expected ({len(flashes)},), one per flash; pass "
            "one column, that of the targets"
        )
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
    if len(found) > 1 and found["min"].min() > 0:
        raise InputError(
            f"the repetitions of all {len(found)} characters begin at {found['min'].min()} or "
            "later; expected 0 for the first; count them from 0"
        )
    broken = found[(found["min"] < 0) | (found["max"] + 1 > 2 * found["nunique"])]
    if len(broken):
        low, high = broken[["min", "max"]].iloc[0]
        raise InputError(
            f"{len(broken)} of {len(found)} characters have repetitions that are not 0, 1, 2, … "
            f"with a few left out; the first has {broken['nunique'].iloc[0]} of {low} to {high} "
            f"({dict(zip(CHARACTER_KEY, broken.index[0], strict=True))})"
        )
