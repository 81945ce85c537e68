"""The events of a session, which it returns in the order in which they happen."""

from __future__ import annotations

from dataclasses import dataclass

#: Kind of the note that what was learned is given up.
UNDONE = "ends of learning"


@dataclass(frozen=True)
class Scored:
    """A flash and its score; the names are the columns of a flash table."""

    segment: int
    character: int | None
    repetition: int | None
    code: int
    onset: float  # seconds of the EEG stream's clock
    is_target: bool | None
    score: float


@dataclass(frozen=True)
class Decided:
    """A character that has been read: ``symbol`` is None where none was wanted."""

    character: int
    symbol: str | None
    target: str | None
    probability: float
    n_repetitions: int
    n_flashes: int
    time: float  # of the newest sample, in seconds of the EEG stream's clock
    is_early: bool  # before its end marker was processed


@dataclass(frozen=True)
class Ended:
    """A character whose flashes are all over: the repetitions read, and those shown."""

    character: int
    n_repetitions: int
    n_shown: int


@dataclass(frozen=True)
class Learned:
    """What was learned from a character.

    ``text`` is that of the session so far as estimated now, ``probability`` that of the last
    symbol, ``weights`` a hash of the weights.
    """

    character: int
    text: str
    probability: float
    weights: str


@dataclass(frozen=True)
class Noted:
    """Something that should not happen, in one sentence.

    ``kind`` names the like of it, in the plural: the screen shows the first, then how many.
    """

    time: float
    text: str
    kind: str = "remarks"
