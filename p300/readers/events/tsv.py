"""Events of a BIDS data set: the labels and further columns of an ``events.tsv``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from p300.errors import InputError
from p300.flashes import LIT
from p300.proposals import OPEN, Proposal
from p300.readers._files import listed
from p300.readers.events.labels import counted
from p300.readers.events.marks import MARK
from p300.readers.events.values import WORDS, classes_by_targets, classes_of, numbers_of
from p300.readers.events.words import parse_label

if TYPE_CHECKING:
    import mne
    import pandas as pd

#: What a column may be named for.
ROLES = ("label", "code", "is_target", "character", "repetition", LIT)

#: Columns that hold the labels where none is named; the first that is there.
USUAL = ("trial_type", "value")

#: Columns of times, which hold no labels.
TIMES = ("onset", "duration", "sample", "response_time")


class Marked(NamedTuple):
    """The events of a file.

    Parameters
    ----------
    annotations : mne.Annotations
        With ``character``, ``repetition`` and ``lit`` as extras, where there are such columns.
    targets, codes : mapping or None
        What is still to be asked of the labels.
    said : str
        Which columns have labels, classes and codes.
    others : str
        The columns that are not used, with their values; "" if there are none.
    """

    annotations: mne.Annotations
    targets: Mapping[Any, bool | None] | None
    codes: Mapping[Any, int | None] | None
    said: str
    others: str


def read_events(
    file: Path,
    columns: Mapping[str, str],
    targets: Mapping[Any, bool | None] | None = None,
    codes: Mapping[Any, int | None] | None = None,
) -> Marked:
    """Read the events of an ``events.tsv``.

    Where a column tells the class or the code, the label of an event becomes both: "target/7".
    Of the values of such a column, ``targets`` and ``codes`` say what they mean.

    Parameters
    ----------
    file : Path
        An existing file.
    columns : mapping of str to str
        Some of :data:`ROLES`, each with the name of its column.
    targets, codes : mapping or None
        As for :func:`p300.readers.mne_raw.read_raw`.

    Returns
    -------
    Marked

    Raises
    ------
    InputError
        If the file cannot be read, a column does not exist, its values have several readings, or
        no column tells labels, classes or codes.
    """
    import mne
    import pandas as pd

    table = _read_table(file, columns)
    source = columns.get("label", next((name for name in USUAL if name in table), None))
    own, coded = columns.get("is_target"), columns.get("code")
    used = {"labels": source, "classes": own, "codes": coded}
    named = {what: column for what, column in used.items() if column is not None}
    others = _described(table.drop(columns=[*columns.values(), *named.values()]))
    if not named:
        label = Proposal("columns.label", OPEN)
        raise InputError(
            f"{file.name}: got no column {' or '.join(USUAL)}; expected one with the labels of "
            f"the events; choose it by {label} from {others or 'no other column'}",
            [label],
        )
    words = None if source == coded else source  # codes come below
    labels = [""] * len(table) if words is None else table[words].fillna("").tolist()
    classes: list[bool | None] = [None] * len(table)
    if (by_class := own or (words if coded else None)) is not None:
        where = f"{file.name}, column {by_class}"
        meant = classes_by_targets(table[by_class], targets, where)
        if meant is not None:
            classes, targets = meant
        elif own is not None:
            classes = classes_of(table[own], where)
        labels = [
            label or word for label, word in zip(labels, table[by_class].fillna(""), strict=True)
        ]
    labels = [WORDS.get(c, label) for c, label in zip(classes, labels, strict=True)]
    if coded is not None:
        numbers, codes = numbers_of(table[coded], codes, f"{file.name}, column {coded}")
        if targets is None:
            _check_words(labels, numbers, coded, file.name)
        labels = [_joined(*pair) for pair in zip(labels, numbers, strict=True)]
    kept = {name: columns.get(name, name) for name in ("character", "repetition", LIT)}
    kept = {name: column for name, column in kept.items() if column in table}
    extras = table[list(kept.values())].astype(object).where(table.notna(), None)
    rows = extras.set_axis(list(kept), axis=1).to_dict("records")
    duration = pd.to_numeric(table.get("duration", pd.Series(0.0, table.index)), errors="coerce")
    (what, column), *more = named.items()
    said = "".join(f", {what} those of {column!r}" for what, column in more)
    return Marked(
        mne.Annotations(
            table["onset"], duration.fillna(0.0), [one or "n/a" for one in labels], extras=rows
        ),
        targets,
        codes,
        f"{what.capitalize()} are those of the column {column!r} of events.tsv{said}.",
        others,
    )


def _read_table(file: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """Read the columns as text, of the events whose onset is known."""
    import pandas as pd

    if unknown := sorted(set(columns) - set(ROLES)):
        raise InputError(f"{file.name}: got columns {unknown}; expected some of {list(ROLES)}")
    try:
        table = pd.read_csv(
            file, sep="\t", dtype=str, keep_default_na=False, na_values=["n/a", ""]
        )
        table["onset"] = table["onset"].astype(float)
    except (ValueError, KeyError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{file.name} cannot be read: {reason}") from error
    if missing := sorted(set(columns.values()) - set(table)):
        raise InputError(
            f"{file.name}: got columns {missing}, which it does not have; expected some of "
            f"{listed(sorted(table))}"
        )
    return table[table["onset"].notna()].reset_index(drop=True)


def _described(table: pd.DataFrame, n_most: int = 8) -> str:
    """List the columns that may hold labels, with their values."""
    names = [name for name in table if name not in TIMES and table[name].notna().any()]
    shown = [f"{listed([name])} ({counted(table[name].dropna(), 4)})" for name in names[:n_most]]
    return ", ".join(shown + ["…"] * (len(names) > n_most))


def _joined(label: str, code: int | None) -> str:
    """Join the first part of a label and a code."""
    return label if code is None else f"{label.partition('/')[0]}/{code}".lstrip("/")


def _check_words(labels: list[str], numbers: list[int | None], coded: str, where: str) -> None:
    """Refuse words beside a code that are not understood: a class could be lost."""
    pairs = zip(labels, numbers, strict=True)
    words = [label.partition("/")[0] for label, number in pairs if number is not None]
    unknown = [w for w in words if w and parse_label(w) is None and not MARK.match(w)]
    if unknown:
        targets = Proposal("targets", dict.fromkeys(sorted(unknown), OPEN))
        label = Proposal("columns.label", coded)
        raise InputError(
            f"{where}: got {len(unknown)} of {len(words)} events with a code whose labels are not "
            f"understood ({counted(unknown)}); expected target or nontarget; set {targets}, with "
            f"true or false for each ?, or {label} if they tell no class",
            [targets, label],
        )
