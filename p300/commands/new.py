"""``p300 new``: a small project of your own: data set, network, split, benchmark, tests.

Writes a folder with a reader, a network, a split, a callback, their configuration, a benchmark,
tests and a README with the commands. All of it runs at once, on a simulated person. name= is the
word for its choices and modules, such as data=lab and lab_reader.py. No file is overwritten.

  p300 new project
  p300 new project name=lab
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import p300
from p300.commands import parse
from p300.errors import InputError
from p300.experiments.configuration import conf_dir

TEMPLATE = Path(p300.__file__).parent / "template"

#: The name in the template: a word, or the beginning of one like ``mine_reader``.
NAME = re.compile(r"(?<![a-z])mine(?![a-z])")

USAGE = "expected `p300 new FOLDER [name=NAME]`"


def main() -> None:
    """Write the project that the command line names."""
    try:
        folder, given = parse(sys.argv[1:], USAGE, key="name")
        name = given or "mine"
        files = new(folder, name)
    except (InputError, OSError) as error:
        sys.exit(f"p300 new: {error}")
    print("\n".join(str(folder / file) for file in files))
    there = shlex.quote(str(folder))
    print(f"\nto begin: cd {there} && p300 benchmark --config-dir . tasks={name}")


def new(folder: Path, name: str = "mine") -> list[Path]:
    """Write a project.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    name : str
        Replaces ``mine`` in names of files and in their text.

    Returns
    -------
    list of Path
        The files, relative to the folder.

    Raises
    ------
    InputError
        If a file exists, or the name cannot be that of a module, or is one of p300's choices.
    """
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise InputError(f"got name={name}; expected small letters, digits and _")
    texts = {Path(NAME.sub(name, str(file))): NAME.sub(name, text) for file, text in _template()}
    if taken := [
        file for file in texts if file.suffix == ".yaml" and (conf_dir() / file).exists()
    ]:
        raise InputError(f"got name={name}; p300 has {taken[0]}; expected a name of your own")
    if there := [str(file) for file in texts if (folder / file).exists()]:
        raise InputError(
            f"{folder} has {', '.join(there)} already, and nothing is overwritten; expected a "
            "new folder"
        )
    for file, text in texts.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        with open(folder / file, "x", encoding="utf-8") as opened:
            opened.write(text)
    return list(texts)


def _template() -> list[tuple[Path, str]]:
    files = sorted(p for p in TEMPLATE.rglob("*") if p.is_file() and p.suffix != ".pyc")
    return [(file.relative_to(TEMPLATE), file.read_text("utf-8")) for file in files]
