"""A sweep in one process against as many processes of `p300 train`, in one run.

    python tests/benchmarks/bench_sweep.py [--jobs 100] [--alone 3] [OVERRIDE …]

CNN-1 on the simulated recording with seeds 0 … JOBS - 1, everything else as `p300 train` does it,
W&B files included. Of the separate processes only some are run, one after another, and their mean
stands for all of them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time


def timed(*arguments: str) -> float:
    started = time.perf_counter()
    command = "from p300.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", command, "train", *arguments, "quiet=true"],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--alone", type=int, default=3)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        alone = [
            timed(f"seed={seed}", f"hydra.run.dir={folder}/alone/{seed}", *options.overrides)
            for seed in range(options.alone)
        ]
        seeds, where = f"seed=range({options.jobs})", f"hydra.sweep.dir={folder}/sweep"
        together = timed("-m", seeds, where, *options.overrides)
        again = timed("-m", seeds, where, *options.overrides)
    mean = sum(alone) / len(alone)
    print(f"one process a job, mean of {options.alone}:   {mean:8.2f} s a job")
    print(f"a sweep of {options.jobs} in one process: {together / options.jobs:8.2f} s a job")
    print(f"ratio: {mean * options.jobs / together:.1f} x   (must: 8 x)")
    print(f"the same command again, all jobs finished: {again:.1f} s")


if __name__ == "__main__":
    main()
