"""How soon a training begins, as a ratio to what cannot be avoided, in one run.

python tests/benchmarks/bench_startup.py [--repeats 5] [overrides of `p300 train`]

What cannot be avoided is importing Lightning in a fresh process and, with everything imported,
reading and preprocessing the recording. Processes take turns; medians count.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

#: Runs `p300 train` up to its first step, says when that was, and repeats what is done with data.
TRAIN = """
import sys, time
from p300.cli import main
from p300.training.module import TrainingModule

class FirstStep(BaseException):
    pass

def reached(*args):
    raise FirstStep

def data_time():
    from contextlib import ExitStack
    from pathlib import Path
    from hydra import initialize_config_dir
    from p300.experiments.configuration import compose_training, conf_dir
    from p300.experiments.prepare import Shared
    from p300.experiments.run import begin
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg, choices = compose_training(overrides)
    Path("again").mkdir()
    started = time.perf_counter()
    with ExitStack() as at_end:
        begin(cfg, Path("again"), choices, Shared(), at_end)
        return time.perf_counter() - started

overrides = sys.argv[2:-1]
TrainingModule.training_step = reached
try:
    main()
except FirstStep:
    pass
reached = time.time()
from hydra.core.global_hydra import GlobalHydra
GlobalHydra.instance().clear()
print("\\nreached", reached, data_time())
"""


def time_import(module: str) -> float:
    """Time a fresh process that imports one module, in seconds."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - started


def time_training(overrides: list[str]) -> tuple[float, float]:
    """Time a fresh process up to its first training step, and its work with data, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.time()
        command = [sys.executable, "-c", TRAIN, "train", *overrides, "hydra.run.dir=run"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if "\nreached " not in done.stdout:
        raise RuntimeError(done.stdout + done.stderr)
    _, reached, data_s = done.stdout.splitlines()[-1].split()
    return float(reached) - started, float(data_s)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    options, overrides = parser.parse_known_args()
    overrides = overrides or ["experiment=cnn3", "logger=csv"]
    imports, trainings, data = [], [], []
    for _ in range(options.repeats):
        imports.append(time_import("pytorch_lightning"))
        spent, data_s = time_training(overrides)
        trainings.append(spent)
        data.append(data_s)
    rows = {"import pytorch_lightning": imports, "data": data, "first step": trainings}
    for name, seconds in rows.items():
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        print(f"{name:26} {statistics.median(seconds):6.2f} s   ({spread})")
    unavoidable = statistics.median(imports) + statistics.median(data)
    ratio = statistics.median(trainings) / unavoidable
    print(f"\np300 train {' '.join(overrides)}: first step after {ratio:.2f} x of both  <= 1.3")


if __name__ == "__main__":
    main()
