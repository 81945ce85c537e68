"""Write the page of a folder, which is a run, a sweep or a benchmark."""

from __future__ import annotations

import importlib
from pathlib import Path

from p300.errors import InputError
from p300.experiments.folder import read_results

#: Usage of the command.
USAGE = "expected `p300 report RUN|SWEEP|BENCHMARK [out=FILE]`"


def write_report(folder: str | Path, out: str | Path | None = None) -> Path:
    """Write the page of a run, a sweep or a benchmark.

    Parameters
    ----------
    folder : path
        Written by ``p300 train`` (one run or, with ``-m``, several) or ``p300 benchmark``.
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
        raise InputError(f"got out={out}; expected a file in an existing folder")
    write_page(out, *importlib.import_module(f"p300.report.{kind}").describe(folder))
    return out


def kind_of(folder: Path) -> str:
    """Find whether a folder is a run, a sweep or a benchmark.

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
        if "choices" in read_results(folder):
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
