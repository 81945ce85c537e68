"""What ``targets`` and ``codes`` say of the values of a column of classes or codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from p300.errors import InputError
from p300.flashes import as_labels
from p300.proposals import OPEN, Proposal
from p300.readers._files import listed, natural
from p300.readers.events.keys import find_labels
from p300.readers.events.words import code_of, plain_label

if TYPE_CHECKING:
    import pandas as pd

#: How a label says a class.
WORDS: dict[bool | None, str] = {True: "target", False: "nontarget"}


def values_of(
    values: pd.Series, mapping: Mapping[Any, Any] | None, what: str, where: str
) -> tuple[dict[str, Any], dict[Any, Any]]:
    """Return what the keys of a mapping say of some values, and the keys that mean none.

    Parameters
    ----------
    values : Series
        A column of a table.
    mapping : mapping or None
        ``targets`` or ``codes``.
    what, where : str
        Name of the mapping and of the column, for messages.

    Returns
    -------
    found : dict of str to value
        By the value as :func:`~p300.readers.events.words.plain_label` writes it.
    rest : dict
        Of the keys that mean no value.
    """
    shown = {plain_label(value): value for value in values.dropna()}
    found, _ = find_labels(mapping, shown, what, where)
    pairs = (mapping or {}).items()
    rest = {k: v for k, v in pairs if not find_labels({k: v}, shown, what, where)[0]}
    return found or {}, rest


def classes_by_targets(
    values: pd.Series, targets: Mapping[Any, bool | None] | None, where: str
) -> tuple[list[bool | None], dict[Any, bool | None]] | None:
    """Return the class of each value as ``targets`` say, or None if they name none of them.

    With the classes comes what is to be asked of labels that begin with a class of
    :data:`WORDS`: others are then no flashes.
    """
    found, rest = values_of(values, targets, "targets", where)
    if not found:
        return None
    classes = [found.get(plain_label(value)) for value in values]
    return classes, {WORDS[c]: c for c in set(classes) - {None}} | rest


def classes_of(values: pd.Series, where: str) -> list[bool | None]:
    """Return the class of each value that has one reading; None where it is not known.

    Raises
    ------
    InputError
        If the values have several readings; the message proposes ``targets``.
    """
    known = as_labels(values, where, by_targets=True)
    return known.astype(object).where(known.notna(), None).tolist()


def numbers_of(
    values: pd.Series, codes: Mapping[Any, int | None] | None, where: str
) -> tuple[list[int | None], Mapping[Any, int | None] | None]:
    """Return the code of each value, and what is still to be asked of the labels.

    Raises
    ------
    InputError
        If a value is no number, and ``codes`` say nothing of the values.
    """
    found, rest = values_of(values, codes, "codes", where)
    keys = [plain_label(value) for value in values]
    written = [found[key] if key in found else code_of(key) for key in keys]
    numbers = [None if one is None else int(one) for one in written]
    pairs = zip(values, numbers, values.notna(), strict=True)
    unknown = {str(v) for v, number, is_there in pairs if is_there and number is None}
    words = sorted(unknown, key=natural)
    if words and not found:
        mapping = Proposal("codes", dict.fromkeys(words[:24], OPEN))
        raise InputError(
            f"{where}: got the codes {listed(words)}; expected whole numbers; set {mapping}",
            [mapping],
        )
    return numbers, {c: c for c in set(numbers) - {None}} | rest if found else codes
