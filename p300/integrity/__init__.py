"""Checks of a recording: whether it is what it says it is."""

from p300.integrity.finding import (
    Finding,
)
from p300.integrity.report import (
    LEVELS,
    IntegrityReport,
    check_recording,
)

__all__ = [
    "Finding",
    "IntegrityReport",
    "LEVELS",
    "check_recording",
]
