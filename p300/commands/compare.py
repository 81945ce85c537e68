"""``p300 compare``: tabulate finished runs: means, and spreads over seeds and over people.

Prints a Markdown table of every finished run below the folders named (default: runs). With out=
it is written into a file instead: .md, or .csv and .parquet with all measures.

  p300 compare runs/sweeps/2026-01-31_12-00-00
  p300 compare runs/first runs/second out=table.csv
"""

from __future__ import annotations

import sys

from p300.errors import InputError
from p300.experiments.compare import collect_runs, comparison_table, write_comparison


def main() -> None:
    """Print or write one table of all finished runs below the folders on the command line."""
    outs = [a.removeprefix("out=") for a in sys.argv[1:] if a.startswith("out=")]
    folders = [a for a in sys.argv[1:] if not a.startswith("out=")] or ["runs"]
    try:
        if len(outs) > 1 or "" in outs:
            raise InputError(f"got {' '.join(sys.argv[1:])}; expected at most one out=FILE")
        runs = collect_runs(folders)
        if outs:
            write_comparison(runs, outs[0])
        else:
            print(comparison_table(runs))
    except (InputError, OSError) as error:
        sys.exit(f"p300 compare: {error}")
