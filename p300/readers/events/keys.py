"""What the user says of labels: the keys and values of ``targets`` and ``codes``."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Hashable, Mapping
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.readers.events.marks import MARK
from p300.readers.events.words import code_of, plain_label


def find_labels(
    mapping: Mapping[Any, Any] | None, labels: Mapping[str, Hashable], what: str, where: str
) -> tuple[dict[str, Any] | None, dict[str, list[Hashable]]]:
    """Find the labels that the keys of a mapping mean.

    A key means the label that is equal as text or number. If there is none, it means the labels
    that have all its parts, as MNE selects epochs: "S 11" and 11 mean "Stimulus/S 11". Marks of
    recorders are then no such labels.

    Parameters
    ----------
    mapping : mapping or None
        ``targets`` or ``codes``.
    labels : mapping of str to label
        What is compared, and what was written.
    what, where : str
        Name of the mapping and of the recording, for messages.

    Returns
    -------
    found : dict of str to value, or None
        Value of each label that a key means.
    absent : dict of str to list of label
        Keys that mean no label, and labels that are written alike.

    Raises
    ------
    InputError
        If a value is of another kind, or two keys with different values mean one label.
    """
    if mapping is None:
        return None, {}
    values = {plain_label(key): _value(key, v, what, where) for key, v in mapping.items()}
    found: dict[str, Any] = {key: value for key, value in values.items() if key in labels}
    by_parts: dict[str, Any] = {}
    absent = {}
    for key, value in values.items():
        if key in labels:
            continue
        wanted = _parts(key)
        meant = [k for k in labels if k not in found and wanted <= _parts(k) and not MARK.match(k)]
        for label in meant:
            if by_parts.setdefault(label, value) != value:
                raise InputError(
                    f"{where}: got {what} of which several keys with different values mean "
                    f"{labels[label]!r}; expected one; write the whole label as a key."
                )
        if not meant and value is not None:
            absent[key] = _written_alike(key, labels, values)
    return found | by_parts, absent


def label_list(given: Collection[Hashable] | str) -> list[Hashable]:
    """Return labels as a list, also of one label that is given without one."""
    return [given] if isinstance(given, str | int) else list(given)


def _value(key: Hashable, value: Any, what: str, where: str) -> Any:
    if value is None:
        return None
    if what == "targets":
        is_class = isinstance(value, bool | np.bool_ | int | np.integer) and value in (0, 1)
        if is_class:
            return bool(value)
        expected = "true (target), false (nontarget) or null (no flash)"
    else:
        is_code = isinstance(value, int | np.integer | float | str) and code_of(str(value))
        if is_code and not isinstance(value, bool):
            return int(float(value))
        expected = "a whole number, the code of a group of the screen, or null (no flash)"
    raise InputError(f"{where}: got {what} with {value!r} for {key!r}; expected {expected}.")


def _parts(key: str) -> set[str]:
    return {code_of(part) or part for part in key.split("/")}


def _written_alike(
    key: str, labels: Mapping[str, Hashable], given: Collection[str]
) -> list[Hashable]:
    """Return the labels written like a key that no other key means."""
    others = [label for label in labels if label not in given]
    marks = [label for label in others if _parts(key) <= _parts(label)]
    return [labels[k] for k in marks[:3] or difflib.get_close_matches(key, others, 3, 0.7)]
