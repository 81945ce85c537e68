"""``p300 report``: a run, a sweep or a benchmark as one HTML page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from p300.errors import InputError
from p300.report.write import USAGE, write_report


def main() -> None:
    """Write the page of the folder on the command line."""
    from rich.console import Console

    try:
        folder, out = parse(sys.argv[1:])
        with Console(stderr=True).status("drawing"):
            path = write_report(folder, out)
    except (InputError, OSError) as error:
        sys.exit(f"p300 report: {error}")
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def parse(arguments: Sequence[str]) -> tuple[Path, Path | None]:
    """Parse the arguments into the folder and the file to write.

    Raises
    ------
    InputError
        Unless there is one folder and at most one ``out=``.
    """
    files = [a.removeprefix("out=") for a in arguments if a.startswith("out=")]
    folders = [a for a in arguments if not a.startswith("out=")]
    if len(folders) != 1 or len(files) > 1 or "" in files:
        raise InputError(f"got {' '.join(arguments) or 'no folder'}; {USAGE}")
    return Path(folders[0]), Path(files[0]) if files else None
