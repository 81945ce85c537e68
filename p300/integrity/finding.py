"""One finding in a recording."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One finding in a recording.

    Parameters
    ----------
    level : {"refuse", "warn", "note"}
        Severity, as in :mod:`p300.integrity.report`.
    check : str
        Name of the check, in a word or two.
    text : str
        What was found, where, and what was expected.
    count : int
        How many flashes, channels, samples or characters it concerns.
    """

    level: str
    check: str
    text: str
    count: int
