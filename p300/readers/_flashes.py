"""Functions that convert code channels to columns of a flash table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from p300.errors import InputError
from p300.speller import Speller

#: Largest flash code: no trigger has more than 16 bits, so larger values are noise.
MAX_CODE = 65_535


def find_onsets(code: np.ndarray, flashing: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
    """Find the samples at which a flash begins.

    A flash begins where the code is not 0 and differs from the sample before. It also begins at
    the first sample if the code there is not 0, because no rising edge is visible there.

    Parameters
    ----------
    code : ndarray of int, shape (n_samples,) or (n_segments, n_samples)
        Which group is lit, 0 for none.
    flashing : ndarray of the same shape, or None
        Not 0 while the group is lit, for files whose code stays on between flashes.

    Returns
    -------
    tuple of ndarray of int, shape (n_flashes,)
        The index of each flash along every axis, as :func:`numpy.nonzero` gives them.

    Examples
    --------
    >>> find_onsets(np.array([7, 7, 0, 3, 3, 0, 0, 3]))
    (array([0, 3, 7]),)
    """
    lit = code if flashing is None else np.where(flashing != 0, code, 0)
    return np.nonzero((lit != 0) & (np.diff(lit, prepend=0) != 0))


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

    return pd.Series(codes).groupby([characters, codes]).cumcount().to_numpy()


def flash_columns(
    channels: Mapping[str, np.ndarray], sfreq: float, where: str
) -> dict[str, np.ndarray]:
    """Build the columns of a flash table from the channels that show the flashes.

    Parameters
    ----------
    channels : mapping of str to ndarray, shape (n_samples,) or (n_characters, n_samples)
        ``StimulusCode`` and, if present, ``Flashing`` (see :func:`find_onsets`) and
        ``StimulusType`` (not 0 while a target is lit), named as in the BCI competitions. Either
        of a continuous run, in which pauses separate the characters, or of one segment per
        character.
    sfreq : float
        Sampling rate in Hz.
    where : str
        File and channel of the codes, for messages.

    Raises
    ------
    InputError
        If some codes are not whole numbers from 0 to :data:`MAX_CODE`.

    Examples
    --------
    >>> code = np.array([7, 7, 0, 3, 0, 7])
    >>> flash_columns({"StimulusCode": code}, 240, "here")["repetition"].tolist()
    [0, 0, 1]
    """
    code = _whole_codes(channels["StimulusCode"], where)
    flash = find_onsets(code, channels.get("Flashing"))
    *segment, sample = flash
    character = segment[0] + 1 if segment else number_characters(sample)
    with np.errstate(divide="ignore", invalid="ignore"):  # Recording refuses such a rate
        onset = sample / np.float64(sfreq)
    columns = {
        "segment": segment[0] if segment else np.zeros_like(sample),
        "character": character,
        "repetition": number_repetitions(code[flash], character),
        "code": code[flash],
        "onset": onset,
    }
    if "StimulusType" in channels:
        columns["is_target"] = channels["StimulusType"][flash] != 0
    return columns


def label_flashes(
    columns: Mapping[str, np.ndarray], text: Sequence[str], speller: Speller, where: str
) -> np.ndarray:
    """Find the target flashes of a known text: those that light the wanted symbol.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (n_flashes,)
        ``code`` and ``character``; characters are numbered from 1.
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
    >>> columns = {"code": np.array([1, 7, 8]), "character": np.array([1, 1, 1])}
    >>> label_flashes(columns, "A", WADSWORTH, "here").tolist()
    [True, True, False]
    """
    n_characters = int(columns["character"].max(initial=0))
    if len(text) != n_characters:
        raise InputError(
            f"{where}: got a text of {len(text)} symbols for {n_characters} recorded characters; "
            "expected one symbol per character."
        )
    wanted = {(k, code) for k, s in enumerate(text, start=1) for code in speller.codes_of(s)}
    pairs = zip(columns["character"].tolist(), columns["code"].tolist(), strict=True)
    return np.array([pair in wanted for pair in pairs], bool)


def _whole_codes(code: np.ndarray, where: str) -> np.ndarray:
    """Return a code channel as integers."""
    wrong = ~((code >= 0) & (code <= MAX_CODE) & (code == np.round(code)))
    if wrong.any():
        raise InputError(
            f"{where}: {wrong.sum()} of {code.size} samples are no flash codes (the first: "
            f"{code[wrong].flat[0]}); expected whole numbers up to {MAX_CODE}, 0 for no flash."
        )
    return code.astype(int)
