"""What the names of files tell: subject, session and run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from p300.errors import InputError

#: Parts of names that tell subject, session and run, as in BIDS ("sub-01") or without a hyphen.
ENTITIES = {
    **dict.fromkeys(("subject", "sub"), "subject"),
    **dict.fromkeys(("session", "ses"), "session"),
    "run": "run",
}
ENTITY = re.compile(
    rf"((?:^|(?<=_))({'|'.join(ENTITIES)})(?:-|(?=[0-9])))([A-Za-z0-9]+)", re.IGNORECASE
)


def parts_of(file: Path, pattern: str | None) -> dict[str, str]:
    """Return subject, session and run from the name of a file."""
    if pattern is None:
        return {}
    fields = set(re.findall(r"{(\w+)}", pattern))
    if not fields or fields - {"subject", "session", "run"}:
        raise InputError(
            f"got pattern={pattern!r}; expected {{subject}}, {{session}} or {{run}} in it"
        )
    regex = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^_./\\\\]+)", re.escape(pattern))
    match = re.search(regex, file.as_posix())
    if match is None:
        raise InputError(f"{file.name}: the name does not fit the pattern {pattern!r}")
    return match.groupdict()


def likely_pattern(paths: Sequence[Path]) -> str | None:
    """Return the pattern of names such as sub-01_ses-2_eeg.edf, if they tell several of those."""
    told = [{ENTITIES[m[2].lower()]: m[3] for m in ENTITY.finditer(p.stem)} for p in paths]
    if len({(one.get("subject"), one.get("session")) for one in told}) < 2:
        return None  # runs are counted anyhow
    found = {ENTITY.sub(lambda m: f"{m[1]}{{{ENTITIES[m[2].lower()]}}}", p.stem) for p in paths}
    if len(found) > 1:
        return None
    (likely,) = found
    return likely[likely.rfind("_", 0, likely.index("{")) + 1 : likely.rindex("}") + 1]


def name_of(paths: Sequence[Path]) -> str:
    """Return the name of a recording: that of its file, or of the folder of several."""
    if len(paths) == 1:
        return paths[0].stem
    folders = {path.resolve().parent.name for path in paths}
    folder = folders.pop() if len(folders) == 1 else f"{len(folders)} folders"
    return f"{len(paths)} files of {folder}"
