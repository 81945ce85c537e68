"""Arguments that a message proposes: in Python, and as a shell and Hydra take them."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Texts that Hydra takes without quotes.
BARE = re.compile(r"[\w/.+%*@?|-]+( +[\w/.+%*@?|-]+)*", re.ASCII)

#: Texts that Hydra takes as a key, which cannot have quotes, and what needs a backslash in them.
KEY = re.compile(r"[\w/.+%*@?|$()[\]{}:=,\\-]+( +[\w/.+%*@?|$()[\]{}:=,\\-]+)*", re.ASCII)
ESCAPED = re.compile(r"[()[\]{}:=,\\]")

#: Texts that Hydra reads as something else: words, and numbers unless they are whole.
READ_OTHERWISE = re.compile(
    r"true|false|null|[+-]?(nan|inf)|(?!\d+(\.0*)?$|-[1-9]\d*$)[+-]?[\d._]*\d[\d._]*(e[+-]?[\d_]+)?",
    re.IGNORECASE,
)

#: The other quotation mark of Hydra.
DOUBLE = '"'

#: What a shell changes within double quotes.
SPECIAL = re.compile(r'["$`!]|\\([\\$`"\n]|$)')


#: Most entries that are written; behind them stands how many are missing, which Hydra cannot read.
MOST = 48


class Open:
    """A place in a proposal that the reader fills in."""

    def __repr__(self) -> str:
        return "?"


OPEN = Open()


@dataclass(frozen=True)
class Proposal:
    """An argument that a message proposes.

    Parameters
    ----------
    name : str
        Of the argument, such as "targets", or of one of its values, such as "columns.label".
    value : mapping, sequence, str, number, Open or None
        Its value; :data:`OPEN` for what the reader of the message knows.
    key : str
        Its key in the configuration; empty for an argument of a reader.

    Examples
    --------
    >>> proposal = Proposal("targets", {"S 11": OPEN, "S 12": False})
    >>> print(proposal)
    targets={'S 11': ?, 'S 12': False}
    >>> print(proposal.typed)
    "data.targets={S 11: ?, S 12: false}"
    >>> print(Proposal("ignore", ["Töne: Ende"]).typed)
    "data.ignore=['Töne: Ende']"
    >>> print(Proposal("codes", {"Ö": 1}).typed)
    codes: {"Ö": 1} in a file data/NAME.yaml with defaults: [file] or [bids] (docs/check.md)
    >>> label = Proposal("columns.label", OPEN)
    >>> print(label, label.typed)
    columns={'label': ?} "data.columns.label=?"
    >>> print(Proposal("n_folds", 3, "split.n_folds").typed)
    split.n_folds=3
    """

    name: str
    value: Any
    key: str = ""

    def __str__(self) -> str:
        name, _, key = self.name.partition(".")
        return f"{name}={_listed({key: self.value} if key else self.value, repr, repr)}"

    @property
    def typed(self) -> str:
        """The argument on the command line; in a file, where Hydra takes no such keys."""
        if isinstance(self.value, Mapping) and not all(map(_is_key, self.value)):
            pairs = _listed(self.value, lambda key: json.dumps(key, ensure_ascii=False), in_hydra)
            return (
                f"{self.name}: {pairs} in a file data/NAME.yaml with defaults: [file] or [bids] "
                "(docs/check.md)"
            )
        key = self.key or f"data.{self.name}"
        text = f"{key}={in_hydra(self.value)}"
        if SPECIAL.search(text):  # the shell's quotes will be single ones
            text = f"{key}={in_hydra(self.value, mark=DOUBLE)}"
        return in_shell(text)


def in_hydra(value: Any, mark: str = "'") -> str:
    r"""Write a value as Hydra reads it, texts in quotes where they need some.

    Examples
    --------
    >>> print(in_hydra({"S 11": True, "a:b": ["c", "it's", "true", 1e-3, None]}))
    {S 11: true, a\:b: [c, 'it\'s', 'true', 0.001, null]}
    """
    if isinstance(value, str):
        is_bare = BARE.fullmatch(value) and not READ_OTHERWISE.fullmatch(value)
        return value if is_bare else quoted(value.replace("${", "\\${"), mark)
    if isinstance(value, Mapping):
        escaped = {ESCAPED.sub(r"\\\g<0>", str(key)): one for key, one in value.items()}
        return _listed(escaped, str, lambda one: in_hydra(one, mark))
    if isinstance(value, Sequence):
        return _listed(value, lambda one: in_hydra(one, mark), str)
    return json.dumps(value) if isinstance(value, bool | None) else repr(value)


def _listed(value: Any, label: Callable[[Any], str], meaning: Callable[[Any], str]) -> str:
    """Write labels by ``label``, and what a mapping says of them by ``meaning``."""
    if isinstance(value, str) or not isinstance(value, Mapping | Sequence):
        return label(value)
    is_mapping = isinstance(value, Mapping)
    entries = [f"{label(k)}: {meaning(value[k])}" if is_mapping else label(k) for k in value]
    if len(entries) > MOST:
        entries[MOST:] = [f"… and {len(entries) - MOST} more"]
    return ", ".join(entries).join("{}" if is_mapping else "[]")


def quoted(text: str, mark: str = "'") -> str:
    r"""Put a text in quotes for Hydra.

    Examples
    --------
    >>> print(quoted("seed=1,lr=0.1"), quoted("it's"))
    'seed=1,lr=0.1' 'it\'s'
    """
    # before a quotation mark, Hydra reads two backslashes as one
    inside = re.sub(rf"(\\*)({mark}|$)", lambda m: 2 * m[1] + (m[2] and f"\\{m[2]}"), text)
    return f"{mark}{inside}{mark}"


def in_shell(word: str) -> str:
    """Put a word in quotes for a shell, where it needs some.

    Examples
    --------
    >>> print(in_shell("by=run"), in_shell("a b"), in_shell("$a"))
    by=run "a b" '$a'
    """
    if re.fullmatch(r"[\w@%+=:,./~-]+", word):
        return word
    return shlex.quote(word) if SPECIAL.search(word) else f'"{word}"'


def as_meant(override: str) -> Proposal | None:
    """Read an override whose texts need other quotes; None where it may mean several things.

    Examples
    --------
    >>> print(as_meant("data.ignore=[Übung, Ende!]").typed)
    'data.ignore=["Übung", "Ende!"]'
    >>> print(as_meant("data.text=WEIß?").typed)
    "data.text='WEIß?'"
    """
    key, equals, text = override.partition("=")
    is_list, is_mapping = (text[:1] + text[-1:] == ends for ends in ("[]", "{}"))
    parts = (text[1:-1] if is_list or is_mapping else text).split(",")
    try:
        if is_mapping:
            pairs = [part.rsplit(":", 1) for part in parts]
            value: Any = {_scalar(label): _scalar(one) for label, one in pairs}
        else:
            value = list(map(_scalar, parts))
        if not is_list and not is_mapping:
            (value,) = value  # several would be a sweep
    except ValueError:
        return None
    return Proposal(key.rpartition(".")[2], value, key) if equals else None


def _scalar(text: str) -> Any:
    """Read a text as Hydra does, whose quotes may be missing.

    Raises
    ------
    ValueError
        If it has other quotes, brackets or backslashes.
    """
    text = text.strip()
    if quotes := re.fullmatch(r"'([^']*)'|\"([^\"]*)\"", text):
        return quotes[1] or quotes[2] or ""
    if re.search(r"['\"[\]{}\\]", text):
        raise ValueError(text)
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return {"true": True, "false": False, "null": None}.get(text.lower(), text)


def _is_key(label: Any) -> bool:
    text = str(label)
    return bool(KEY.fullmatch(text)) and not READ_OTHERWISE.fullmatch(text)
