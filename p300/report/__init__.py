"""``p300 report``: a run, a sweep or a benchmark as one HTML page that is complete in itself.

The files: :mod:`~p300.report.run`, :mod:`~p300.report.sweep` and :mod:`~p300.report.benchmark`
say what stands on the page, :mod:`~p300.report.signals` and :mod:`~p300.report.learned` what the
recording and the detector look like, :mod:`~p300.report.repeat` how to do it again, and
:mod:`~p300.report.page` how it all becomes HTML.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from p300.errors import InputError

USAGE = "expected `p300 report RUN|SWEEP|BENCHMARK [out=FILE]`"


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
    """Take the folder and the file to write from what was typed.

    Raises
    ------
    InputError
        Unless there is one folder and at most one ``out=``.
    """
    files = [a.removeprefix("out=") for a in arguments if a.startswith("out=")]
    folders = [a for a in arguments if not a.startswith("out=")]
    if len(folders) != 1 or len(files) > 1 or "" in files:
        raise InputError(f"{' '.join(arguments) or 'no folder'}: {USAGE}")
    return Path(folders[0]), Path(files[0]) if files else None


def write_report(folder: str | Path, out: str | Path | None = None) -> Path:
    """Write the page of a run, a sweep or a benchmark.

    Parameters
    ----------
    folder : path
        Of ``p300 train`` (one run or, with ``-m``, several) or ``p300 benchmark``.
    out : path or None
        The file; None for ``report.html`` in the folder. An existing file is replaced in one
        step.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the folder is none of the three, or not finished.
    """
    from p300.report.page import write_page

    folder = Path(folder)
    out = folder / "report.html" if out is None else Path(out)
    kind = kind_of(folder)
    if out.is_dir() or not out.parent.is_dir():
        raise InputError(f"{out}: expected a file in a folder that is there")
    if kind == "run":
        from p300.report.run import describe
    elif kind == "sweep":
        from p300.report.sweep import describe
    else:
        from p300.report.benchmark import describe
    write_page(out, *describe(folder))
    return out


def kind_of(folder: Path) -> str:
    """Tell what a folder is.

    Returns
    -------
    {"run", "sweep", "benchmark"}

    Raises
    ------
    InputError
        If it is none of them, or not finished.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; {USAGE}")
    if (folder / "results.json").exists():
        if "choices" in json.loads((folder / "results.json").read_text("utf-8")):
            return "run"
        raise InputError(f"{folder}: not written by `p300 train`; {USAGE}")
    if {"summary.csv", "summary.md", "cells.csv"} <= {path.name for path in folder.iterdir()}:
        return "benchmark"
    if (folder / "config.yaml").exists():
        raise InputError(f"{folder}: not a finished run, results.json is missing")
    if (folder / "benchmark.log").exists():
        raise InputError(f"{folder}: not a finished benchmark, summary.csv is missing")
    if any(folder.rglob("results.json")):
        return "sweep"
    raise InputError(f"{folder}: no finished run, sweep or benchmark in it; {USAGE}")
