"""``p300 export``: a trained detector as one ONNX file and one JSON file, for any language."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from p300.errors import InputError
from p300.export.write import export

USAGE = "expected `p300 export RUN [out=FOLDER]`"


def main() -> None:
    """Export the run on the command line."""
    from rich.console import Console

    try:
        run, out = parse(sys.argv[1:])
        with Console(stderr=True).status("exporting"):
            lines = export(run, out)
    except (InputError, OSError) as error:
        sys.exit(f"p300 export: {error}")
    print("\n".join(lines))


def parse(arguments: Sequence[str]) -> tuple[Path, Path | None]:
    """Parse the arguments into the run and the folder to write to.

    Raises
    ------
    InputError
        Unless there is one run and at most one ``out=``.
    """
    folders = [a.removeprefix("out=") for a in arguments if a.startswith("out=")]
    runs = [a for a in arguments if not a.startswith("out=")]
    if len(runs) != 1 or len(folders) > 1 or "" in folders:
        raise InputError(f"got {' '.join(arguments) or 'no run'}; {USAGE}")
    return Path(runs[0]), Path(folders[0]) if folders else None
