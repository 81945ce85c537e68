"""Functions that convert code channels to columns of a flash table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from p300.errors import InputError
from p300.readers.events.numbering import number_characters, number_repetitions
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


def flash_columns(
    channels: Mapping[str, np.ndarray], sfreq: float, where: str, speller: Speller | None = None
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
    speller : Speller or None
        The screen, for a continuous run.

    Raises
    ------
    InputError
        If some codes are not whole numbers from 0 to :data:`MAX_CODE`.

    Examples
    --------
    >>> code = np.array([[7, 7, 0, 3, 0, 7]])
    >>> flash_columns({"StimulusCode": code}, 240, "here")["repetition"].tolist()
    [0, 0, 1]
    """
    code = _whole_codes(channels["StimulusCode"], where)
    flash = find_onsets(code, channels.get("Flashing"))
    *segment, sample = flash
    with np.errstate(divide="ignore", invalid="ignore"):  # Recording refuses such a rate
        onset = sample / np.float64(sfreq)
    if segment:
        character = segment[0] + 1
    elif speller is None or not set(code[flash].tolist()) <= set(speller.codes):
        character = np.ones(len(sample), int)
    else:
        character, _ = number_characters(sample * 1.0, code[flash], speller, where=where)
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


def _whole_codes(code: np.ndarray, where: str) -> np.ndarray:
    """Return a code channel as integers."""
    wrong = ~((code >= 0) & (code <= MAX_CODE) & (code == np.round(code)))
    if wrong.any():
        raise InputError(
            f"{where}: {wrong.sum()} of {code.size} samples are no flash codes (the first: "
            f"{code[wrong].flat[0]}); expected whole numbers up to {MAX_CODE}, 0 for no flash."
        )
    return code.astype(int)
