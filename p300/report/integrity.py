"""What the checks of a recording said before anything was trained, as one table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from p300.report.page import Listing, Table, Text

#: A line of :class:`p300.integrity.IntegrityReport`.
FINDING = re.compile(r"(refuse|warn\w*|note)\s{2,}(\S.*?)\s{2,}(\d+)\s{2,}(.+)")

#: More findings than this are folded away.
MANY = 24


def integrity_tables(folders: Iterable[str | Path]) -> list[Table | Listing | Text]:
    """Show the integrity report of each recording among some runs once.

    Parameters
    ----------
    folders : iterable of path
        Run folders; ``integrity.txt`` may be missing.
    """
    found = dict.fromkeys(
        path.read_text("utf-8").strip()
        for path in (Path(folder) / "integrity.txt" for folder in folders)
        if path.exists()
    )
    if not found:
        return [Text("No integrity report was kept.", is_note=True)]
    rows, listings = [], []
    for text in found:
        findings = _findings(text)
        if findings:
            rows += findings
        else:  # written otherwise, and shown as it is
            listings.append(Listing(text))
    caption = "What was checked before anything was trained"
    head = ("recording", "level", "check", "count", "finding")
    return [Table(caption, head, rows, is_folded=len(rows) > MANY)] * bool(rows) + listings


def _findings(text: str) -> list[tuple[str, ...]]:
    """Take the lines of a report apart; none if one of them is written otherwise."""
    first, _, rest = text.partition("\n")
    lines = [line.strip() for line in rest.splitlines() if line.strip()][2:]
    found = [FINDING.fullmatch(line) for line in lines]
    recording = first.strip().removeprefix("<Recording ").removesuffix(">")
    return [(recording, *line.groups()) for line in found] if all(found) else []
