"""What the labels of events mean: which are flashes, with which code and class.

A label is an annotation's text or an event's number. What is not understood is never left out in
silence: :func:`understand` refuses it, and says how to map it or leave it out.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.proposals import OPEN, Proposal
from p300.readers._files import natural
from p300.readers.events.absent import Absent, warn_of_absent
from p300.readers.events.keys import find_labels, label_list
from p300.readers.events.marks import (
    GDF_MARKS,
    MARK,
    OPENVIBE_LABELS,
    OPENVIBE_NONTARGET,
    OPENVIBE_PREFIX,
    OPENVIBE_TARGET,
)
from p300.readers.events.words import NUMBER, Meaning, parse_label, plain_label
from p300.speller import Speller


@dataclass(frozen=True)
class Understood:
    """Meaning of each event, None for no flash, and sentences that say what was taken and left.

    ``left`` are about events that are no flashes; ``absent`` has the labels that the user names
    and no event has.
    """

    meanings: list[Meaning | None]
    notes: tuple[str, ...]
    left: tuple[str, ...]
    absent: Absent = field(default_factory=dict)

    @property
    def is_flash(self) -> np.ndarray:
        """Whether each event is a flash."""
        return np.array([meaning is not None for meaning in self.meanings], bool)

    def warn(self, where: str, lost: str = "") -> list[str]:
        """Warn of what is left out, such as ``lost``, and absent; return the sentences."""
        sentences = [*self.left, lost] if lost else [*self.left]
        for sentence in sentences:
            warnings.warn(f"{where}: {sentence}", UserWarning, stacklevel=3)
        return sentences + warn_of_absent(self.absent, where)


def understand(
    labels: Sequence[Hashable],
    *,
    codes: Mapping[Any, int | None] | None = None,
    targets: Mapping[Any, bool | None] | None = None,
    ignore: Collection[Hashable] = (),
    speller: Speller | None = None,
    where: str = "recording",
) -> Understood:
    """Decide which events are flashes.

    Parameters
    ----------
    labels : sequence of str or int
        One per event.
    codes, targets : mapping or None
        What labels mean; with either, labels in neither are no flashes. Keys are compared as text
        or number, as :func:`~p300.readers.events.keys.find_labels` does. None as a value: no
        flash.
    ignore : collection of labels, or one label
        Labels that are no flashes.
    speller : Speller or None
        The screen, which has every code. With ``targets`` for labels whose codes it lacks, other
        labels that are its codes are codes.
    where : str
        For messages.

    Raises
    ------
    InputError
        If some labels are understood and others not, or a value is no code or class.
    """
    plain = [plain_label(label) for label in labels]
    shown = dict(zip(reversed(plain), reversed(labels), strict=True))
    ignored = {*map(plain_label, label_list(ignore))}
    of_codes, no_codes = find_labels(codes, shown, "codes", where)
    of_targets, no_targets = find_labels(targets, shown, "targets", where)
    given = None if codes is None and targets is None else (of_codes, of_targets)
    known, left, unknown = _sort_out(shown, given, ignored, speller)

    def written(keys: Collection[str]) -> list[Hashable]:
        return [shown[key] for key in plain if key in keys]

    off = sorted({m.code for key in unknown if (m := parse_label(shown[key])) and m.code})
    of_screen = f" (the screen {speller.name!r} has no code {off[:6]})" if off and speller else ""
    if known and unknown:
        mapping = _mapping(known, unknown, shown)
        ignoring = Proposal("ignore", in_order(shown[k] for k in unknown))
        raise InputError(
            f"{where}: {len(written(known))} events are flashes ({counted(written(known))}), "
            f"and {len(written(unknown))} are not understood ({counted(written(unknown))})"
            f"{of_screen}; expected to know every label; set targets or codes for the labels of "
            f"flashes, such as {mapping}, or {ignoring} for labels that are no flashes.",
            [mapping, ignoring],
        )
    left |= dict.fromkeys(unknown, f"not understood{of_screen}")
    counts = Counter(plain)
    notes, sentences = [], []
    if known:
        taken = [f"{shown[k]!r} ({counts[k]}) as {known[k]}" for k in sorted(known, key=natural)]
        notes.append(f"{len(written(known))} events are flashes: {_first(taken, 16)}.")
    if by_name := written(ignored & set(left)):
        notes.append(
            f"Labels that are no flashes as given by ignore or starts: {counted(by_name)}."
        )
    if unused := sorted(set(left) - ignored, key=natural):
        reasons = [f"{shown[k]!r} ({counts[k]}, {left[k]})" for k in unused]
        sentences.append(f"{len(written(unused))} events are no flashes: {_first(reasons, 16)}.")
    meanings = [known.get(key) for key in plain]
    return Understood(meanings, tuple(notes), tuple(sentences), no_codes | no_targets)


def _sort_out(
    shown: Mapping[str, Hashable],
    given: tuple[Mapping[str, Any] | None, Mapping[str, Any] | None] | None,
    ignored: Collection[str],
    speller: Speller | None,
) -> tuple[dict[str, Meaning], dict[str, str], list[str]]:
    """Sort labels into flashes with their meaning, no flashes with the reason, and unknown ones.

    Parameters
    ----------
    shown : mapping of str to label
        What is compared, and what was written.
    given : (codes, targets) or None
        What the user says of the labels.
    ignored : collection of str
        Labels that are no flashes.
    speller : Speller or None
        The screen.
    """
    known: dict[str, Meaning] = {}
    left: dict[str, str] = {}
    unknown: list[str] = []
    of_openvibe = _openvibe(shown)
    codes, targets = given or (None, None)
    are_classes = _are_classes_alone(codes, targets, shown, speller)
    for key, label in shown.items():
        meaning = of_openvibe.get(key, parse_label(label))
        if key in ignored:
            left[key] = "by ignore"
        elif given is not None:
            meaning = meaning or Meaning()
            code = meaning.code if codes is None else codes.get(key)
            is_target = meaning.is_target if targets is None else targets.get(key)
            is_given = any(m is not None and m.get(key) is not None for m in (codes, targets))
            if is_given:
                known[key] = Meaning(None if are_classes else code, is_target)
            elif are_classes and code is not None and not _is_off(code, speller):
                known[key] = Meaning(code)
            else:
                left[key] = "not in codes or targets"
        elif MARK.match(key):
            left[key] = "a recorder's mark"
        elif meaning is None and (key in of_openvibe or OPENVIBE_PREFIX.match(key)):
            left[key] = "OpenViBE's mark"
        elif isinstance(label, str) and NUMBER.fullmatch(key) and int(key) in GDF_MARKS:
            left[key] = "GDF's mark"
        elif meaning is None or _is_off(meaning.code, speller):
            unknown.append(key)
        else:
            known[key] = meaning
    return known, left, unknown


def _openvibe(labels: Collection[str]) -> dict[str, Meaning | None]:
    """Return the meanings of OpenViBE's numbers, if its target or nontarget is among them."""
    numbers = {int(key): key for key in labels if NUMBER.fullmatch(key)}
    if not {OPENVIBE_TARGET, OPENVIBE_NONTARGET} & set(numbers):
        return {}
    meanings: dict[str, Meaning | None] = {}
    for number, key in numbers.items():
        if number in (OPENVIBE_TARGET, OPENVIBE_NONTARGET):
            meanings[key] = Meaning(is_target=number == OPENVIBE_TARGET)
        elif number in OPENVIBE_LABELS:
            meanings[key] = Meaning(code=number - OPENVIBE_LABELS.start)
        elif number >= 0x300:
            meanings[key] = None
    return meanings


def _are_classes_alone(
    codes: Mapping[str, Any] | None,
    targets: Mapping[str, Any] | None,
    shown: Mapping[str, Hashable],
    speller: Speller | None,
) -> bool:
    """Return whether the screen has none of the codes of ``targets``: they tell a class alone."""
    if codes is not None or targets is None or speller is None or not speller.groups:
        return False
    of_targets = [parse_label(shown[key]) for key in targets]
    return not any(m is not None and m.code in speller.groups for m in of_targets)


def _is_off(code: int | None, speller: Speller | None) -> bool:
    if (
        speller is None or not speller.groups or code is None
    ):  # no groups: a flash says what it lit
        return False
    return code not in speller.groups


def in_order(labels: Iterable[Hashable]) -> list[Hashable]:
    """Return each label once, in the order in which a reader looks for it.

    Examples
    --------
    >>> in_order(["S 10", "S  2", 7, "S  2"])
    [7, 'S  2', 'S 10']
    """
    return sorted(dict.fromkeys(labels), key=lambda label: natural(plain_label(label)))


def counted(labels: Iterable[Hashable], most: int = 12) -> str:
    """List labels with their counts, as they are first written, in order.

    Examples
    --------
    >>> counted(["b", "a", "b"]), counted([])
    ("'a' 1, 'b' 2", 'none')
    """
    counts = Counter(labels)
    return _first([f"{name!r} {counts[name]}" for name in in_order(counts)], most) or "none"


def _first(entries: Sequence[str], most: int) -> str:
    """List entries about a label each; of many the first, and how many are left out."""
    more = f" and {len(entries) - most} more labels" if len(entries) > most else ""
    return ", ".join(entries[:most]) + more


def _mapping(
    known: Mapping[str, Meaning], unknown: Sequence[str], shown: Mapping[str, Hashable]
) -> Proposal:
    """Return a mapping to copy: what is understood, and open places for the rest."""
    is_class = all(meaning.is_target is not None for meaning in known.values())
    name, field = ("targets", "is_target") if is_class else ("codes", "code")
    meant = {shown[key]: getattr(known[key], field) for key in known}
    meant |= {shown[key]: OPEN for key in unknown}
    return Proposal(name, {label: meant[label] for label in in_order(meant)})
