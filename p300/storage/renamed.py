"""Classes that have moved: run folders and checkpoints of earlier versions keep loading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What the full name of a class began with, and begins with now.
MOVED = {
    "p300.alignment.": "p300.preprocessing.",
    "p300.augmentation.": "p300.training.augmentation.",
    "p300.stacking.": "p300.training.stacking.",
}


def current_name(target: str) -> str:
    """Return the full name under which a class is found now.

    Examples
    --------
    >>> current_name("p300.stacking.Stack")
    'p300.training.stacking.Stack'
    >>> current_name("p300.models.EEGNet")
    'p300.models.EEGNet'
    """
    for old, new in MOVED.items():
        if target.startswith(old):
            return new + target.removeprefix(old)
    return target


def with_current_names(config: Any) -> Any:
    """Replace the old names in every ``_target_`` of nested plain containers."""
    if isinstance(config, Mapping):
        renamed = {key: with_current_names(value) for key, value in config.items()}
        if isinstance(target := config.get("_target_"), str):
            renamed["_target_"] = current_name(target)
        return renamed
    return [with_current_names(value) for value in config] if isinstance(config, list) else config
