"""The commands of ``p300``, one file each; ``p300 COMMAND --help`` prints its docstring."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from p300.errors import InputError
from p300.terminal import warnings_in_one_line


def run_on_folder(doing: str, usage: str, work: Callable[[Path, Path | None], str]) -> None:
    """Run a command that takes one folder and ``out=``, and print the text that it returns."""
    from rich.console import Console

    try:
        folder, out = parse(sys.argv[1:], usage)
        with Console(stderr=True).status(doing), warnings_in_one_line():
            text = work(folder, Path(out) if out else None)
    except (InputError, OSError) as error:
        sys.exit(f"p300 {Path(sys.argv[0]).stem}: {error}")
    print(text)


def parse(arguments: Sequence[str], usage: str, key: str = "out") -> tuple[Path, str | None]:
    """Parse arguments into a folder and what ``out=``, or another key, names, if it is given.

    Raises
    ------
    InputError
        Unless there is one folder and at most one value, and no option.
    """
    values = [a.removeprefix(f"{key}=") for a in arguments if a.startswith(f"{key}=")]
    folders = [a for a in arguments if not a.startswith(f"{key}=")]
    is_option = any(folder.startswith("-") for folder in folders)
    if len(folders) != 1 or is_option or len(values) > 1 or "" in [*values, *folders]:
        raise InputError(f"got {' '.join(arguments) or 'no folder'}; {usage}")
    return Path(folders[0]), values[0] if values else None
