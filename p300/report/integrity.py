"""The integrity reports of recordings: as one table, and the page of `p300 check`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from p300.errors import InputError
from p300.integrity import RATE, IntegrityReport
from p300.preprocessing import Epochs
from p300.recording import Recording
from p300.report.page import Listing, Section, Table, Text, write_page
from p300.report.signals import recorded_epochs, signal_section
from p300.storage.privacy import without_paths

#: A line of :class:`p300.integrity.IntegrityReport`.
FINDING = re.compile(r"(refuse|warn\w*|note)\s{2,}(\S.*?)\s{2,}(\d+)\s{2,}(.+)")

#: With more findings than this, the table is collapsed.
MANY = 24


def integrity_tables(folders: Iterable[str | Path]) -> list[Table | Listing | Text]:
    """Build the table of the integrity reports of some runs, with each report once.

    Parameters
    ----------
    folders : iterable of path
        Run folders; ``integrity.txt`` may be missing.
    """
    found = dict.fromkeys(saved_reports(folders))
    if not found:
        return [Text("No integrity report was saved.", is_note=True)]
    rows: list[tuple[str, ...]] = []
    blocks: list[Table | Listing | Text] = []
    for text in found:
        if found_here := findings(text):
            rows += found_here
        else:  # in another format, shown as it is
            blocks.append(Listing(text))
    if rows:
        caption = "Checks of the recording before training"
        head = ("recording", "level", "check", "count", "finding")
        blocks.insert(0, Table(caption, head, rows, is_folded=len(rows) > MANY))
    return blocks


def saved_reports(folders: Iterable[str | Path]) -> list[str]:
    """Read the integrity reports of some runs; those that are missing are left out."""
    paths = [Path(folder) / "integrity.txt" for folder in folders]
    return [path.read_text("utf-8").strip() for path in paths if path.exists()]


def doubt_about_times(reports: Iterable[str]) -> str:
    """Return why the sampling rate is in doubt, from integrity reports; empty if it is not."""
    for text in reports:
        for _, _, check, _, finding in findings(text):
            if check == RATE:
                return finding
    return ""


def findings(text: str) -> list[tuple[str, ...]]:
    """Split the lines of a report into recording, level, check, count and finding.

    Returns
    -------
    list of tuple of str
        Empty if a line has another format.
    """
    first, _, rest = text.partition("\n")
    lines = [line.strip() for line in rest.splitlines() if line.strip()][2:]
    cells = [found.groups() for found in map(FINDING.fullmatch, lines) if found]
    recording = first.strip().removeprefix("<Recording ").removesuffix(">")
    return [(recording, *row) for row in cells] if len(cells) == len(lines) else []


def write_check(
    path: Path,
    recording: Recording,
    report: IntegrityReport,
    about: str,
    interval: tuple[float, float],
    after: Listing | Text,
) -> None:
    """Write the page.

    Parameters
    ----------
    path : Path
        The file; an existing one is replaced.
    recording : Recording
        As it was read.
    report : IntegrityReport
        Its checks.
    about : str
        What the file holds, several lines.
    interval : tuple of float
        Seconds from the flash that are drawn.
    after : Listing or Text
        The command that trains on it, or what is missing for that; shown if it can be used.
    """
    rows = [(f.level, f.check, str(f.count), f.text) for f in report.findings]
    checks = Section(
        "Checks", [Table("Checks of the recording", ("level", "check", "count", "finding"), rows)]
    )
    epochs: Epochs | None = None
    why_not = "the recording cannot be used"
    if not report.at("refuse"):
        try:
            epochs = recorded_epochs(recording, *interval)
        except InputError as error:
            why_not = str(error)
    sections = [checks, signal_section(recording, epochs, interval, why_not)]
    if about:
        sections.insert(0, Section("The file", [Listing(about)]))
    if not report.at("refuse"):
        training = Section("To train on it", [after])
        if "…/" in without_paths(after.text):
            training.note("… stands for folders outside of the one in which this was written.")
        sections.append(training)
    worst = {level: len(report.at(level)) for level in ("refuse", "warn")}
    lead = (
        f"{len(recording.flashes):,} flashes in {recording.duration_s:.0f} s of "
        f"{recording.n_chans} channels at {recording.sfreq:g} Hz. Findings that make results "
        f"meaningless: {worst['refuse']}; to be looked at: {worst['warn']}."
    )
    write_page(path, f"Check of {recording.name}", lead, sections)
