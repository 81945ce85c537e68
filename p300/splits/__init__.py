"""Which flashes train, which validate and which test."""

from p300.splits.leaks import check_split
from p300.splits.splits import (
    PARTS,
    Split,
    check_monitor,
    hold_out,
    is_maximised,
    leave_one_out,
    shares_samples,
)
from p300.splits.units import inner_folds, member_rows, unit_of

__all__ = [
    "PARTS",
    "Split",
    "check_monitor",
    "check_split",
    "hold_out",
    "inner_folds",
    "is_maximised",
    "leave_one_out",
    "member_rows",
    "shares_samples",
    "unit_of",
]
