"""How long an exported detector takes for one flash, against onnxruntime and PyTorch.

    python tests/benchmarks/bench_export.py runs/light runs/best   # exported runs
    python tests/benchmarks/bench_export.py                        # CNN-1, untrained

Four ways take turns in one process, on one thread: onnxruntime alone with the same graph and
options, the reader around it, onnxruntime with its own options (as many threads as cores, which
spin), and the checkpoint in PyTorch. Printed are microseconds for one flash, median and 99th
percentile, and each median over that of onnxruntime alone.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from p300.detector import Detector, Member
from p300.export.onnx_detector import OnnxDetector, find_pair
from p300.export.write import export
from p300.models import CecottiCNN
from p300.preprocessing import Preprocessor
from p300.readers.datasets.bci3_ii import CH_NAMES
from p300.simulation import simulate_recording

N_FLASHES = 2000


def main(runs: list[str]) -> None:
    torch.set_num_threads(1)
    if runs:
        for run in runs:
            compare(Path(run))
        return
    with tempfile.TemporaryDirectory() as folder:
        recording = simulate_recording("A", n_repetitions=1, ch_names=CH_NAMES)
        preprocessor = Preprocessor().fit(recording)
        sizes = {"n_chans": 64, "n_outputs": 2, "n_times": 78, "sfreq": 120.0}
        model = {"_target_": "p300.models.CecottiCNN", **sizes}
        member = Member(CecottiCNN(**sizes), model, "CrossEntropy")
        Detector([member], preprocessor).save(Path(folder) / "checkpoint.pt")
        export(Path(folder) / "checkpoint.pt")
        compare(Path(folder), Detector.load(Path(folder) / "checkpoint.pt"))


def compare(run: Path, trained: Detector | None = None) -> None:
    """Print the table of one run."""
    trained = trained or Detector.load(run)
    exported = OnnxDetector.load(run)
    bare = exported.session
    default = onnxruntime.InferenceSession(find_pair(run)[0], providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    flashes = rng.normal(size=(N_FLASHES, 1, *exported.epoch_shape)).astype(np.float32)
    ways = {
        "onnxruntime alone": lambda epochs: bare.run(["score"], {"epochs": epochs}),
        "OnnxDetector": exported.score_epochs,
        "onnxruntime, its own options": lambda epochs: default.run(["score"], {"epochs": epochs}),
        "checkpoint, PyTorch": trained.score_epochs,
    }
    taken = {name: np.empty(N_FLASHES) for name in ways}
    for k, epochs in enumerate(flashes):
        for name, score in ways.items():
            score(epochs)  # so that none pays for what the one before left in the cache
            started = time.perf_counter()
            score(epochs)
            taken[name][k] = time.perf_counter() - started
    print(f"\n{run}: {', '.join(m['name'] for m in exported.info['members'])}")
    print("| one flash | p50 (µs) | p99 (µs) | p50 / onnxruntime alone |\n|---|---:|---:|---:|")
    first = np.median(taken["onnxruntime alone"])
    for name, seconds in taken.items():
        p50, p99 = 1e6 * np.percentile(seconds[100:], [50, 99])
        print(f"| {name} | {p50:.0f} | {p99:.0f} | {p50 / (1e6 * first):.2f} |")


if __name__ == "__main__":
    main(sys.argv[1:])
