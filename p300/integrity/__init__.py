"""Checks of a recording before training: flash table, labels and signal."""

from p300.integrity.finding import Finding
from p300.integrity.report import LEVELS, RATE, IntegrityReport, check_recording

__all__ = ["Finding", "IntegrityReport", "LEVELS", "RATE", "check_recording"]
