"""A benchmark on all cores against one process, in one run.

    python tests/benchmarks/bench_benchmark.py [--n-jobs 2] [OVERRIDE …]

`p300 benchmark` with its default tasks and detectors, three seeds; overrides are its own, such as
``experiments=[cnn1,eegnet]``. Both ways must find the same numbers.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

#: Columns of cells.csv that are times.
TIMES = ["fit_s", "score_ms"]


def timed(folder: Path, *arguments: str) -> float:
    """Run a benchmark in a process of its own; return the seconds it took."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "p300", "benchmark", f"folder={folder}", "quiet=true"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - started


def main() -> None:
    """Print the times of both ways, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-jobs", type=int, default=os.cpu_count())
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    asked = ["seeds=[0,1,2]", "overrides=['logger=csv']", *options.overrides]
    launcher = ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={options.n_jobs}"]
    with tempfile.TemporaryDirectory() as name:
        one, all_cores = Path(name) / "one", Path(name) / "all"
        alone = timed(one, *asked)
        together = timed(all_cores, *launcher, *asked)
        found = [pd.read_csv(f / "cells.csv").drop(columns=TIMES) for f in (one, all_cores)]
        pd.testing.assert_frame_equal(*found)
    print(
        f"{len(found[0])} runs: one process {alone:.1f} s, {options.n_jobs} jobs {together:.1f} s"
    )
    print(f"ratio: {alone / together:.2f} x   (must on two cores: 1.7 x)")


if __name__ == "__main__":
    main()
