"""The command line: ``p300 COMMAND [overrides]``; a command is imported only when it runs."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys

from p300 import __version__

#: Files of ``p300/commands``, whose docstrings are the help.
COMMANDS = (
    "check convert train evaluate reproduce compare benchmark report export online replay "
    "audit new".split()
)


def main() -> None:
    """Run the command named on the command line."""
    command, *overrides = sys.argv[1:] or ["--help"]
    if command in ("-h", "--help"):
        print(_overview())
    elif command in ("-V", "--version"):
        print(f"p300 {__version__}")
    elif command == "--completion":
        from p300.completion import SCRIPT

        print(SCRIPT)
    elif command == "--complete":
        from p300.completion import complete

        print("\n".join(complete(" ".join(overrides), COMMANDS)))
    elif command not in COMMANDS:
        import difflib

        near = difflib.get_close_matches(command, COMMANDS, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        sys.exit(f"p300: no command {command!r}; expected one of {', '.join(COMMANDS)}{meant}")
    else:
        _run(command, overrides)


def _run(command: str, arguments: list[str]) -> None:
    """Run a command, or print its help, with the user's own folders beside p300's."""
    from p300.experiments.command_line import add_own_folders, run_with_hydra

    atexit.register(gc.freeze)  # or Python searches all that it imported, for a second
    arguments = add_own_folders(command, arguments)
    if {"-h", "--help"} & {*arguments}:
        print(_help(command))
    else:
        module = importlib.import_module(f"p300.commands.{command}")
        sys.argv = [str(module.__file__), *arguments]  # Lightning starts further processes by it
        if hasattr(module, "main"):
            module.main()
        else:
            run_with_hydra(command, getattr(module, command))


def _overview() -> str:
    lines = "\n".join(f"  {name:10} {_documentation(name)[0]}" for name in COMMANDS)
    return (
        f"p300 {__version__}: detect the P300 wave in EEG and spell with it\n\n"
        f"usage: p300 COMMAND [overrides]\n\n{lines}\n\n"
        "p300 COMMAND --help shows more, with the choices of each configuration group.\n"
        'eval "$(p300 --completion)" lets the shell complete commands and choices.'
    )


def _help(command: str) -> str:
    from p300.experiments.configuration import groups_of, known_files

    line, details = _documentation(command)
    text = f"p300 {command}: {line}\n\n{details}"
    if groups := groups_of(command):
        text += "\n\nConfiguration groups and choices:"
        for group in groups:
            text += f"\n  {group}={', '.join(known_files(group))}"
    return text


def _documentation(command: str) -> tuple[str, str]:
    """Read the one line and the details of a command from its file, without importing it."""
    path = os.path.join(os.path.dirname(__file__), "commands", f"{command}.py")
    with open(path, encoding="utf-8") as file:
        _, text, _ = file.read().split('"""', 2)
    line, _, details = text.partition("\n\n")
    return line.partition(": ")[2].removesuffix("."), details.rstrip()
