"""How long a repetition takes, and the pause between two characters, measured on a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

#: Seconds between two characters in the paper's bits per minute (its eq. 20).
PAPER_PAUSE_S = 2.5


class Timing(NamedTuple):
    """Duration of a repetition and of the pause between two characters, in seconds."""

    repetition_s: float
    pause_s: float


def timing(
    flashes: pd.DataFrame,
    n_codes: int,
    *,
    repetition_s: float | None = None,
    pause_s: float | None = None,
) -> Timing:
    """Measure the duration of one repetition and of the pause between characters.

    Parameters
    ----------
    flashes : DataFrame
        The flash table of a spelled recording.
    n_codes : int
        Flashes in one repetition.
    repetition_s, pause_s : float or None
        Durations that are known; None for those to measure.

    Returns
    -------
    Timing
        ``repetition_s`` is the median time from the first flash of a repetition to that of the
        next, with the rest between them; ``n_codes`` times the median time between flashes
        where characters have one. ``pause_s`` is the median time from the end of a character's
        last flash to the next character's first flash; the paper's 2.5 s where no two
        characters with consecutive numbers are in one segment.
    """
    place = ["subject", "session", "run", "segment"]
    table = flashes.sort_values([*place, "onset"])
    spacing = float(table.groupby([*place, "character"], dropna=False)["onset"].diff().median())
    spelled = table.dropna(subset=["character", "repetition"])
    alike: dict[str, bool] = {"dropna": False, "sort": False}
    if repetition_s is None:
        onsets = spelled.groupby([*place, "character", "repetition"], **alike)["onset"].min()
        measured = onsets.groupby([*place, "character"], **alike).diff().median()
        repetition_s = float(measured) if np.isfinite(measured) else n_codes * spacing
    if pause_s is None:
        spans = spelled.groupby([*place, "character"], **alike)["onset"].agg(["min", "max"])
        spans = spans.reset_index()
        following = spans.groupby(place, **alike)[["min", "character"]].shift(-1)
        follows = following["character"] == spans["character"] + 1  # some may not be in the table
        measured = (following["min"] - spans["max"])[follows.fillna(False)].median() - spacing
        pause_s = float(measured) if np.isfinite(measured) else PAPER_PAUSE_S
    return Timing(repetition_s, pause_s)
