"""The commands of ``p300``, one file each; ``p300 COMMAND --help`` prints its docstring."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from p300.errors import InputError
from p300.terminal import warnings_in_one_line


def run_on_folder(
    doing: str, usage: str, work: Callable[..., str], keys: Sequence[str] = ()
) -> None:
    """Run a command that takes one folder and ``out=``, and print the text that it returns.

    ``work`` is given the folder, the ``Path`` of ``out=`` or None, and by name the text of each
    other key of ``keys`` that is on the command line.
    """
    from rich.console import Console

    try:
        options, rest = take(sys.argv[1:], keys, usage)
        folder, out = parse(rest, usage)
        with Console(stderr=True).status(doing), warnings_in_one_line():
            text = work(folder, Path(out) if out else None, **options)
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


def take(
    arguments: Sequence[str], keys: Sequence[str], usage: str
) -> tuple[dict[str, str], list[str]]:
    """Take the values of some keys out of arguments; return them and the other arguments.

    Raises
    ------
    InputError
        If a key is given twice, or without a value.

    Examples
    --------
    >>> take(["runs/one", "prune=0.8"], ["prune"], "expected …")
    ({'prune': '0.8'}, ['runs/one'])
    """
    pairs = [argument.partition("=")[::2] for argument in arguments]
    given = [(key, value) for key, value in pairs if key in keys]
    options = dict(given)
    if len(options) < len(given) or "" in options.values():
        raise InputError(f"got {' '.join(arguments)}; {usage}")
    return options, [a for a, (key, _) in zip(arguments, pairs, strict=True) if key not in keys]
