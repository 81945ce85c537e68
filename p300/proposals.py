"""Arguments that a message proposes: in Python, and as a shell and Hydra take them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Labels that Hydra takes without quotes, and a shell within double ones.
TYPEABLE = re.compile(r"[A-Za-z0-9_/.+%*@?|-]+( +[A-Za-z0-9_/.+%*@?|-]+)*")

#: Words that Hydra reads as something else than a text.
READ_OTHERWISE = {"true", "false", "null", "nan", "inf"}

#: Most entries that are written; behind them stands how many are missing, which Hydra cannot read.
MOST = 48


class Open:
    """A place in a proposal that the reader fills in."""

    def __repr__(self) -> str:
        return "?"


OPEN = Open()


@dataclass(frozen=True)
class Proposal:
    """An argument of a reader that a message proposes.

    Parameters
    ----------
    name : str
        Of the argument, such as "targets", or of one of its values, such as "columns.label".
    value : mapping, sequence, str or Open
        Its value; :data:`OPEN` for what the reader of the message knows.

    Examples
    --------
    >>> proposal = Proposal("targets", {"S 11": OPEN, "S 12": False})
    >>> print(proposal)
    targets={'S 11': ?, 'S 12': False}
    >>> print(proposal.typed)
    "data.targets={S 11: ?, S 12: false}"
    >>> print(Proposal("ignore", ["Ende: 1"]).typed)
    ignore: ['Ende: 1'] in a file data/NAME.yaml with defaults: [file] or [bids] (docs/check.md)
    >>> label = Proposal("columns.label", OPEN)
    >>> print(label, label.typed)
    columns={'label': ?} "data.columns.label=?"
    """

    name: str
    value: Mapping[Hashable, Any] | Sequence[Hashable] | str | Open

    def __str__(self) -> str:
        name, value = self._whole
        return f"{name}={_written(value, repr, repr)}"

    @property
    def _whole(self) -> tuple[str, Any]:
        """The argument and its value, of which only one key may be proposed."""
        name, _, key = self.name.partition(".")
        return name, {key: self.value} if key else self.value

    @property
    def typed(self) -> str:
        """The argument on the command line; in a file, where Hydra takes no such labels."""
        labels = [self.value] if isinstance(self.value, str | Open) else list(self.value)
        if all(map(_is_typeable, labels)):
            return f'"data.{self.name}={_written(self.value, str, _in_yaml)}"'
        name, value = self._whole
        written = _written(value, repr, lambda v: repr(v) if isinstance(v, str) else _in_yaml(v))
        return (
            f"{name}: {written} in a file data/NAME.yaml with defaults: [file] or [bids] "
            "(docs/check.md)"
        )


def _is_typeable(label: Hashable) -> bool:
    text = str(label)
    return bool(TYPEABLE.fullmatch(text)) and text.lower() not in READ_OTHERWISE


def _in_yaml(value: Any) -> str:
    is_word = value is None or isinstance(value, bool)  # a code 1 equals True, and is none
    return json.dumps(value) if is_word else str(value)


def _written(value: Any, label: Callable[[Any], str], meaning: Callable[[Any], str]) -> str:
    """Write labels by ``label``, and what a mapping says of them by ``meaning``."""
    if isinstance(value, str | Open):
        return label(value)
    is_mapping = isinstance(value, Mapping)
    entries = [f"{label(k)}: {meaning(value[k])}" if is_mapping else label(k) for k in value]
    if len(entries) > MOST:
        entries[MOST:] = [f"… and {len(entries) - MOST} more"]
    return ", ".join(entries).join("{}" if is_mapping else "[]")
