"""Functions that convert code channels to columns of a flash table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from p300.errors import InputError
from p300.speller import Speller

#: Largest flash code: no trigger has more than 16 bits, so larger values are noise.
MAX_CODE = 65_535


def find_onsets(code: np.ndarray, flashing: np.ndarray | None = None) -> np.ndarray:
    """Find the samples at which a flash begins.

    A flash begins where the code is not 0 and differs from the sample before. It also begins at
    the first sample if the code there is not 0, because no rising edge is visible there.

    Parameters
    ----------
    code : ndarray, shape (n_samples,)
        Which group is lit, 0 for none.
    flashing : ndarray, shape (n_samples,), or None
        Not 0 while the group is lit, for files whose code stays on between flashes.

    Returns
    -------
    ndarray of int, shape (n_flashes,)

    Examples
    --------
    >>> find_onsets(np.array([7, 7, 0, 3, 3, 0, 0, 3]))
    array([0, 3, 7])
    """
    lit = code if flashing is None else np.where(flashing != 0, code, 0)
    before = np.concatenate([[0], lit[:-1]])
    return np.flatnonzero((lit != 0) & (lit != before))


def seconds(samples: np.ndarray, sfreq: float, where: str) -> np.ndarray:
    """Convert sample numbers to seconds.

    Raises
    ------
    InputError
        If the rate is not a finite number above 0.

    Examples
    --------
    >>> seconds(np.array([0, 42]), 240, "here").tolist()
    [0.0, 0.175]
    """
    if not (np.isfinite(sfreq) and sfreq > 0):
        raise InputError(f"{where}: got sfreq={sfreq:g} Hz; expected more than 0")
    return samples / sfreq


def number_characters(onsets: np.ndarray) -> np.ndarray:
    """Count the characters of a run, from 1; a long pause separates two of them.

    Parameters
    ----------
    onsets : ndarray, shape (n_flashes,)
        Ascending, in samples or seconds.

    Returns
    -------
    ndarray of int, shape (n_flashes,)

    Examples
    --------
    >>> number_characters(np.array([624, 666, 708, 1962, 2004]))
    array([1, 1, 1, 2, 2])
    """
    spacing = np.diff(onsets)
    if not len(spacing):
        return np.ones(len(onsets), int)
    return 1 + np.concatenate([[0], np.cumsum(spacing > 3 * np.median(spacing))])


def number_repetitions(codes: np.ndarray, characters: np.ndarray) -> np.ndarray:
    """Count the earlier flashes of each flash's code in its character, from 0.

    Parameters
    ----------
    codes, characters : ndarray, shape (n_flashes,)
        In order of time.

    Returns
    -------
    ndarray of int, shape (n_flashes,)

    Examples
    --------
    >>> number_repetitions(np.array([2, 1, 1, 2, 1]), np.array([1, 1, 1, 1, 2]))
    array([0, 0, 1, 1, 0])
    """
    import pandas as pd

    frame = pd.DataFrame({"character": characters, "code": codes})
    return frame.groupby(["character", "code"]).cumcount().to_numpy()


def label_flashes(
    codes: np.ndarray, characters: np.ndarray, text: Sequence[str], speller: Speller, where: str
) -> np.ndarray:
    """Find the target flashes of a known text: those that light the wanted symbol.

    Parameters
    ----------
    codes, characters : ndarray, shape (n_flashes,)
        Characters are numbered from 1.
    text : sequence of str
        The wanted symbols, one per character.
    speller : Speller
        The screen.
    where : str
        File or recording, for messages.

    Returns
    -------
    ndarray of bool, shape (n_flashes,)

    Raises
    ------
    InputError
        If the text has another length than the recording, or a symbol is not on the screen.

    Examples
    --------
    >>> from p300.speller import WADSWORTH
    >>> label_flashes(np.array([1, 7, 8]), np.array([1, 1, 1]), "A", WADSWORTH, "here").tolist()
    [True, True, False]
    """
    n_characters = int(characters.max(initial=0))
    if len(text) != n_characters:
        raise InputError(
            f"{where}: got a text of {len(text)} symbols for {n_characters} recorded characters; "
            "expected one symbol per character."
        )
    wanted = {(k, code) for k, s in enumerate(text, start=1) for code in speller.codes_of(s)}
    return np.array(
        [pair in wanted for pair in zip(characters.tolist(), codes.tolist(), strict=True)], bool
    )


def whole_codes(code: np.ndarray, where: str) -> np.ndarray:
    """Return a code channel as integers.

    Raises
    ------
    InputError
        If some values are not whole numbers from 0 to :data:`MAX_CODE`.
    """
    wrong = ~((code >= 0) & (code <= MAX_CODE) & (code == np.round(code)))
    if wrong.any():
        raise InputError(
            f"{where}: {wrong.sum()} of {code.size} samples are no flash codes (the first: "
            f"{code[wrong].flat[0]}); expected whole numbers up to {MAX_CODE}, 0 for no flash."
        )
    return code.astype(int)
