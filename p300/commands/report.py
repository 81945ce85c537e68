"""``p300 report``: one HTML page of a run, a sweep or a benchmark.

Writes one self-contained page: results with intervals, the recording and its checks, figures,
what the detector learned, configuration, versions, and how to repeat it. It opens without a
network, on a phone and in print.

  p300 report runs/bci2_iib/cnn1/2026-01-31_12-00-00      report.html in that folder
  p300 report runs/sweeps/2026-01-31_12-00-00 out=sweep.html
  p300 report runs/benchmark
"""

from __future__ import annotations

from pathlib import Path

from p300.commands import run_on_folder
from p300.report.write import USAGE, write_report


def main() -> None:
    """Write the page of the folder on the command line."""

    def report(folder: Path, out: Path | None) -> str:
        path = write_report(folder, out)
        return f"{path}: {path.stat().st_size / 1e6:.1f} MB"

    run_on_folder("drawing", USAGE, report)
