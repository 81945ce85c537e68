"""One thing found in a recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Finding:
    """One thing found in a recording.

    Parameters
    ----------
    level : {"refuse", "warn", "note"}
        How bad it is.
    check : str
        What was looked at, in a word or two.
    text : str
        What was found, where, and what was expected.
    count : int
        How many flashes, channels, samples or characters it concerns.
    """

    level: str
    check: str
    text: str
    count: int
