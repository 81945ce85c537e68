"""``p300 compare``: tabulate finished runs: mean and standard deviation over seeds.

Prints a Markdown table of every finished run below the folders named (default: runs).

  p300 compare runs/sweeps/2026-01-31_12-00-00
"""

from __future__ import annotations

import sys

from p300.errors import InputError
from p300.experiments.compare import collect_runs, comparison_table


def main() -> None:
    """Print one Markdown table of all finished runs below the folders on the command line."""
    folders = sys.argv[1:] or ["runs"]
    try:
        print(comparison_table(collect_runs(folders)))
    except InputError as error:
        sys.exit(f"p300 compare: {error}")
