"""Words and numbers of a label: what a single label says of a flash."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass

from p300.flashes import class_of
from p300.readers.events.marks import OPENVIBE_NAME, OPENVIBE_PREFIX

#: Words that name a flash without its class.
FLASH = {"flash", "stimulus", "stim", "event"}

#: A flash code: a number, also as EEGLAB ("1.0") and BrainVision ("S  1") write it.
CODE = re.compile(r"(?:s|code|flash|stimulus|stim|event)?([0-9]{1,15})(?:\.0+)?")

#: A label that is a number and nothing else; longer ones are no codes.
NUMBER = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True)
class Meaning:
    """What a label says of a flash: its code, its class, or neither.

    Parameters
    ----------
    code : int or None
        The flash code.
    is_target : bool or None
        The class.
    is_named : bool
        Whether the label says that it is a flash ("flash/7"), so that it needs no class.
    """

    code: int | None = None
    is_target: bool | None = None
    is_named: bool = False

    @property
    def kind(self) -> tuple[bool, bool]:
        """Whether it has a code and a class."""
        return self.code is not None, self.is_target is not None

    def __str__(self) -> str:
        names = {True: "target", False: "nontarget", None: ""}
        code = "" if self.code is None else f"code {self.code}"
        return " ".join(filter(None, (code, names[self.is_target]))) or "flash"


def plain_label(label: Hashable) -> str:
    """Return the text by which labels are compared: 7, 7.0, "7" and "7.0" are one.

    Examples
    --------
    >>> plain_label(7.0), plain_label("S  7"), plain_label(" Target ")
    ('7', 's 7', 'target')
    """
    text = " ".join(str(label).split()).lower()
    return re.sub(r"^([+-]?\d+)\.0*$", r"\1", text)


def code_of(part: str) -> str | None:
    """Return the digits of a part that is a code, None for another.

    Examples
    --------
    >>> code_of("S  7"), code_of("7.0"), code_of("-3"), code_of("R 7")
    ('7', '7', '-3', None)
    """
    word = re.sub(r"[\s_]+", "", plain_label(part))
    number = CODE.fullmatch(word.replace("-", "")) if not word.startswith("-") else None
    signed = re.fullmatch(r"-[0-9]{1,15}", word)
    return signed[0] if signed else number and str(int(number[1]))


def parse_label(label: Hashable) -> Meaning | None:
    """Read a label that consists of a class, a code, or both; None if a part is something else.

    Examples
    --------
    >>> parse_label("NonTarget/7"), parse_label("row/5")
    (Meaning(code=7, is_target=False, is_named=False), None)
    """
    code, is_target, is_named = None, None, False
    for part in plain_label(label).split("/"):
        word = re.sub(r"[\s_-]+", "", OPENVIBE_PREFIX.sub("", part))
        number, of_openvibe = CODE.fullmatch(word), OPENVIBE_NAME.fullmatch(part)
        if re.fullmatch(r"-[0-9]{1,15}", part):
            return Meaning(int(part)) if part == plain_label(label) else None
        if (number or of_openvibe) and code is None:
            code = int(number[1]) if number else int(of_openvibe[1], 16)  # type: ignore[index]
            is_named |= bool(number and word.startswith("flash"))
        elif class_of(word) is not None and is_target is None:
            is_target = class_of(word)
        elif word in FLASH:
            is_named |= word == "flash"
        else:
            return None
    if code is None and is_target is None and not is_named:
        return None
    return Meaning(code, is_target, is_named)
