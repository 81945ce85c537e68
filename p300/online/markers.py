"""What a speller sends: short texts, each with the time at which it happened.

=============  ====================================================================
``flash 7``    the group with code 7 was lit
``begin``      a character begins; its flashes follow
``begin H``    the same, and the person was told to spell "H" (copy spelling)
``end``        every flash of the character has been sent
``stop``       the session ends
=============  ====================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.flashes import CHARACTER_KEY
from p300.spelling import wanted_symbol

if TYPE_CHECKING:
    import pandas as pd

    from p300.speller import Speller


@dataclass(frozen=True)
class Marker:
    """One parsed marker.

    Parameters
    ----------
    kind : {"flash", "begin", "end", "stop"}
        What happened.
    time : float
        When, in seconds of the EEG stream's clock.
    code : int or None
        Of a flash.
    target : str or None
        What a character was told to be.
    doubt : str or None
        One sentence about what was not understood, where the rest is used.
    """

    kind: str
    time: float
    code: int | None = None
    target: str | None = None
    doubt: str | None = None


def parse_marker(text: str, time: float, speller: Speller) -> Marker:
    """Parse one marker.

    Parameters
    ----------
    text : str
        As it came.
    time : float
        In seconds.
    speller : Speller
        The screen.

    Raises
    ------
    InputError
        If it is none of the five above, or its code is not on the screen. A target that is not
        on the screen is left out, and the character is kept.

    Examples
    --------
    >>> from p300.speller import WADSWORTH
    >>> parse_marker("flash 7", 12.5, WADSWORTH).code
    7
    >>> parse_marker("begin H", 12.0, WADSWORTH).target
    'H'
    """
    kind, _, rest = text.strip().partition(" ")
    rest, screen = rest.strip(), f"the screen {speller.name!r}"
    if not np.isfinite(time):
        raise InputError(f"got marker {text!r} at {time} s; expected a finite time")
    if kind == "flash":
        if rest.isascii() and rest.isdigit() and int(rest) in speller.groups:
            return Marker(kind, time, code=int(rest))
        doubt = f": {rest!r} is no code of {screen}; expected one of {list(speller.codes)}"
    elif kind == "begin":
        if not rest or rest in speller.symbols:
            return Marker(kind, time, target=rest or None)
        doubt = (
            f"marker {text!r} at {time:.3f} s: {rest!r} is not on {screen}; expected one of "
            f"{' '.join(speller.symbols)}; the character is spelled without a target"
        )
        return Marker(kind, time, doubt=doubt)
    elif kind in ("end", "stop") and not rest:
        return Marker(kind, time)
    else:
        doubt = " is unknown; expected 'flash CODE', 'begin', 'begin SYMBOL', 'end' or 'stop'"
    raise InputError(f"marker {text!r} at {time:.3f} s{doubt}")


def markers_of(flashes: pd.DataFrame, speller: Speller, start: float) -> list[tuple[str, float]]:
    """Convert the flashes of one segment to the markers that a speller would have sent.

    Parameters
    ----------
    flashes : DataFrame
        Rows of a flash table, all of one segment, in the order of time.
    speller : Speller
        The screen.
    start : float
        Time of the segment's first sample.

    Returns
    -------
    list of (str, float)
        Texts with times. A character begins with its first flash and ends with its last. Its
        target is included if the table has it.

    Examples
    --------
    >>> from p300.recording import flash_table
    >>> from p300.speller import Speller
    >>> table = flash_table(onset=[0.5, 1.0], code=[1, 2], character=1, is_target=[True, False])
    >>> markers_of(table, Speller.single_keys(["yes", "no"]), 100.0)[:2]
    [('begin yes', 100.5), ('flash 1', 100.5)]
    """
    markers: list[tuple[str, float]] = []
    for _, character in flashes.groupby(CHARACTER_KEY, sort=False):
        target = wanted_symbol(character, speller)
        times = [start + onset for onset in character["onset"].tolist()]
        begin = f"begin {target}" if target else "begin"
        texts = [begin, *(f"flash {code}" for code in character["code"]), "end"]
        markers += zip(texts, [times[0], *times, times[-1]], strict=True)
    return markers
