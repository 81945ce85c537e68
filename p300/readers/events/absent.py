"""Labels that ``codes`` and ``targets`` name and no event has, of a recording or several files."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, ParamSpec

if TYPE_CHECKING:
    from p300.recording import Recording

P = ParamSpec("P")

#: Each absent label, and the labels of events that are written alike.
Absent = Mapping[str, Sequence[Hashable]]

#: Those of each file, while several are read.
_of_files: ContextVar[list[Absent] | None] = ContextVar("_of_files", default=None)


def warn_of_absent(absent: Absent, where: str) -> list[str]:
    """Warn of absent labels; return the sentence, or none while several files are read."""
    of_files = _of_files.get()
    if of_files is not None:
        of_files.append(absent)
        return []
    if not absent:
        return []
    texts = [
        repr(key) + (f" (written alike: {', '.join(map(repr, near[:3]))})" if near else "")
        for key, near in list(absent.items())[:12]
    ]
    sentence = f"codes and targets name labels that no event has: {', '.join(texts)}."
    warnings.warn(f"{where}: {sentence}", UserWarning, stacklevel=4)
    return [sentence]


def warn_once(read: Callable[P, Recording]) -> Callable[P, Recording]:
    """Let a reader of several files warn once, of the labels that none of them has."""

    @functools.wraps(read)
    def read_all(*args: P.args, **kwargs: P.kwargs) -> Recording:
        of_files: list[Absent] = []
        token = _of_files.set(of_files)
        try:
            recording = read(*args, **kwargs)
        finally:
            _of_files.reset(token)
        first, *others = of_files or [{}]
        absent = {
            key: list(dict.fromkeys(label for one in of_files for label in one[key]))
            for key in first
            if all(key in other for other in others)
        }
        said = warn_of_absent(absent, recording.name)
        return dataclasses.replace(recording, notes=(*recording.notes, *said))

    return read_all
