"""Checks of a recording before training: flash table, labels and signal."""

from p300.integrity.finding import Finding
from p300.integrity.report import LEVELS, IntegrityReport, check_recording

__all__ = ["Finding", "IntegrityReport", "LEVELS", "check_recording"]
