"""A session that was recorded, read character by character by a detector that learns from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.flashes import CHARACTER_KEY, with_lit_codes
from p300.learning.learner import LearningSettings
from p300.learning.source import Source
from p300.learning.unsupervised import FromNothing

if TYPE_CHECKING:
    import pandas as pd

    from p300.speller import Speller


@dataclass
class SessionScores:
    """What a detector that learned while it spelled has read.

    Parameters
    ----------
    scores : ndarray, shape (n_flashes,)
        Each computed before its character was learned from.
    symbols : dict of str to list of str
        For each subject, the most probable symbol of each character as estimated last.
    weighing : dict of str to str
        How much the training flashes count for each subject, in words.
    doubted : dict of str to list of int
        After which characters of each subject the session was read from nothing, since the
        training contradicts it.
    stopped : dict of str to str
        Why learning was stopped, for each subject where it was.
    """

    scores: np.ndarray
    symbols: dict[str, list[str]] = field(default_factory=dict)
    weighing: dict[str, str] = field(default_factory=dict)
    doubted: dict[str, list[int]] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)


def spell_and_learn(
    static: np.ndarray,
    inputs: np.ndarray,
    flashes: pd.DataFrame,
    speller: Speller,
    settings: LearningSettings | FromNothing,
    source: Source | None = None,
    sfreq: float = 120.0,
) -> SessionScores:
    """Score the flashes of one or more people, and learn from each character after it is scored.

    From nothing, the scores of a character are by what is known with its own flashes.

    Learning begins anew for each subject. No label is read.

    Parameters
    ----------
    static : ndarray, shape (n_flashes,)
        Scores of the detector as it was trained.
    inputs : ndarray, shape (n_flashes, n_chans, n_times)
        Epochs or features, as the source's.
    flashes : DataFrame
        Their flash table, in order of time for each subject.
    speller : Speller
        The screen.
    settings : LearningSettings or FromNothing
        How it learns.
    source : Source or None
        What the detector was trained on; not needed from nothing.
    sfreq : float
        Sampling rate of the epochs in Hz.

    Returns
    -------
    SessionScores

    Raises
    ------
    InputError
        If no flash belongs to a character.
    """
    if flashes["character"].isna().all():
        raise InputError(
            "got flashes of no character; expected those of a speller to learn from; "
            "set learning=none"
        )
    found = SessionScores(np.array(static, float))
    for subject, rows in flashes.groupby("subject", sort=False, dropna=False).indices.items():
        learner = settings.start(source, speller.symbols, str(subject), sfreq)
        own, read = flashes.iloc[rows], list[str]()
        lit = lit_by(own, speller)
        for at, is_character in _characters(own):
            places = rows[at]
            some = inputs[places]
            if is_character:
                scores = learner.read(some, lit[at], static[places])
                read.append(speller.symbols[int((scores @ lit[at]).argmax())])
            else:
                scores = static[places] + learner.change(some)
            found.scores[places] = scores
        again = learner.symbols_so_far()
        found.weighing[str(subject)] = learner.weighing()
        found.symbols[str(subject)] = again + read[len(again) :]
        if learner.doubted:
            found.doubted[str(subject)] = learner.doubted
        if learner.stopped is not None:
            found.stopped[str(subject)] = learner.stopped
    return found


def lit_by(flashes: pd.DataFrame, speller: Speller) -> np.ndarray:
    """Find which symbols each flash lit: bool, shape (n_flashes, n_symbols)."""
    flashes, speller = with_lit_codes(flashes, speller)
    column = {code: k for k, code in enumerate(speller.codes)}
    return speller.membership.T[flashes["code"].map(column).to_numpy(int)].astype(bool)


def _characters(session: pd.DataFrame) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield the flashes of each character, and those of none, in order of the first one."""
    number = session.groupby(CHARACTER_KEY, sort=False, dropna=False).ngroup().to_numpy()
    is_spelling = session["character"].notna().to_numpy()
    for k in range(number.max() + 1):
        rows = np.flatnonzero(number == k)
        yield rows, bool(is_spelling[rows[0]])
