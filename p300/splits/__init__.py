"""Which flashes train, which validate and which test."""

from p300.splits.folds import k_fold, leave_one_out
from p300.splits.leaks import check_split
from p300.splits.new_person import new_person
from p300.splits.splits import (
    PARTS,
    Split,
    check_monitor,
    hold_out,
    is_maximised,
    shares_samples,
)
from p300.splits.units import (
    blocks_of_both_classes,
    count_units,
    inner_folds,
    member_rows,
    unit_of,
)

__all__ = [
    "PARTS",
    "Split",
    "blocks_of_both_classes",
    "check_monitor",
    "check_split",
    "count_units",
    "hold_out",
    "inner_folds",
    "is_maximised",
    "k_fold",
    "leave_one_out",
    "member_rows",
    "new_person",
    "shares_samples",
    "unit_of",
]
