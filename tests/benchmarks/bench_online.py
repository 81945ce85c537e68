"""Time live spelling; each figure stands beside its bound.

Run ``OMP_NUM_THREADS=1 python tests/benchmarks/bench_online.py [MODEL]`` with a folder of
``p300 export`` (of 64 channels at 240 Hz, for figures that mean something); without one an LDA is
trained on simulated EEG. ``start`` needs mne-lsl, and starts a stream of its own.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from p300.export.onnx_detector import INPUT, OUTPUT, OnnxDetector
from p300.online.events import Scored
from p300.online.journal import Journal
from p300.online.live import Run
from p300.online.session import OnlineSpeller
from p300.online.streams.format import StreamFormat
from p300.online.telling import Telling

SOA_S = 0.175
N_REPETITIONS = 15


def main() -> None:
    """Print every figure."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else train(Path(scratch))
        detector = OnnxDetector.load(folder)
        steps = detector.preprocessor
        print(f"{folder}: {len(steps.ch_names_in_)} channels at {steps.sfreq_in_:g} Hz")
        show("single flash, times bare onnxruntime (median)", single_flash(detector), 1.5, "×")
        took, latencies = run_session(detector, Path(scratch) / "one", duration_s=600)
        show("last needed sample to published decision, p50", np.median(latencies) * 1e3, 10, "ms")
        show("    p99", np.percentile(latencies, 99) * 1e3, 10, "ms")
        show("    worst", max(latencies) * 1e3, None, "ms")
        show("session with journal, times real time", 600 / took, 50, "×", at_least=True)
        show("memory gained from hour 1 to hour 8", memory_gained(detector), 5, "MB")
        with contextlib.suppress(ImportError):
            show("start to listening", min(start(folder) for _ in range(3)), 3, "s")


def show(what, value, bound, unit, *, at_least=False) -> None:
    """Print a figure beside its bound."""
    limit = "" if bound is None else f"(bound: {'≥' if at_least else '≤'} {bound} {unit})"
    missed = bound is not None and (value < bound if at_least else value > bound)
    print(f"{what:50} {value:8.3g} {unit:3} {limit}{'   MISSED' if missed else ''}", flush=True)


def single_flash(detector) -> float:
    """Compare ``score_epochs`` with the graph alone, one flash at a time."""
    epoch = np.random.default_rng(0).normal(size=(1, *detector.epoch_shape)).astype(np.float32)
    ways = (
        lambda: detector.score_epochs(epoch),
        lambda: detector.session.run([OUTPUT], {INPUT: epoch}),
    )
    times = np.empty((2, 3000))
    for k in range(times.shape[1]):  # in turns, so that both see the same machine
        for way, call in enumerate(ways):
            began = time.perf_counter()
            call()
            times[way, k] = time.perf_counter() - began
    ours, bare = np.median(times[:, 500:], axis=1)
    return float(ours / bare)


def stream(detector, duration_s, *, chunk=8, seed=0):
    """Noise in chunks as an amplifier sends them, with the markers of a speller."""
    steps = detector.preprocessor
    sfreq, codes = steps.sfreq_in_, detector.speller.codes
    n_chans = len(steps.ch_names_in_)
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(240, n_chans, chunk)).astype(np.float32)
    n_flashes = N_REPETITIONS * len(codes)
    per_character = n_flashes * SOA_S + 2.5
    number = 0
    for k in range(int(duration_s * sfreq / chunk)):
        times = (k * chunk + np.arange(chunk)) / sfreq
        markers = []
        while (due := character_time(number, n_flashes, per_character)) <= times[-1]:
            place = number % (n_flashes + 1)
            if place == n_flashes:
                markers.append(("end", due))
            else:
                markers += [("begin", due)] if place == 0 else []
                markers.append((f"flash {codes[place % len(codes)]}", due))
            number += 1
        yield noise[k % len(noise)], times, markers


def character_time(number, n_flashes, per_character) -> float:
    """Time of a marker: the flashes of each character, and its end with the last."""
    character, place = divmod(number, n_flashes + 1)
    return 1.0 + character * per_character + min(place, n_flashes - 1) * SOA_S


def run_session(detector, folder, *, duration_s):
    """Run a session to disk as fast as it goes.

    Returns
    -------
    took : float
        Seconds.
    latencies : list of float
        From the arrival of the chunk that completed a flash's epoch until that flash was scored,
        its evidence looked at by a rule, and any decision published.
    """
    latencies = []
    speller = OnlineSpeller(detector, detector.preprocessor.ch_names_in_, rule=Always())
    with Journal(folder, {}) as journal, contextlib.redirect_stdout(io.StringIO()):
        run = Run(speller, journal, Telling(len(detector.speller.codes)), lambda text: None)
        take = run.take

        def timed(events):
            if any(isinstance(event, Scored) for event in events):
                latencies.append(time.perf_counter() - arrived)
            take(events)

        run.take = timed
        inputs = list(stream(detector, duration_s))
        gc.collect()
        began = time.perf_counter()
        for samples, times, markers in inputs:
            arrived = time.perf_counter()
            run.push(samples, times, [(text, at, at) for text, at in markers])
        took = time.perf_counter() - began
    return took, latencies


class Always:
    """Looks at the posterior after every flash as a rule does, and decides at the 24th."""

    def decide(self, posterior, n_repetitions, is_repetition_end):
        """Decide."""
        best, _ = posterior.best
        return best if posterior.n_flashes == 24 else None


def memory_gained(detector) -> float:
    """Megabytes that the process grows by from the first to the eighth hour of a session."""
    speller = OnlineSpeller(detector, detector.preprocessor.ch_names_in_, rule=Always())
    sizes = []
    for k, (samples, times, markers) in enumerate(stream(detector, 8 * 3600, chunk=60)):
        speller.push(samples, times, markers)
        if k in (int(3600 * 4), int(8 * 3600 * 4) - 2):
            gc.collect()
            sizes.append(resident_mb())
    return sizes[1] - sizes[0]


def resident_mb() -> float:
    """Memory of this process in MB; where the system does not tell, the most it ever had."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def start(folder) -> float:
    """Seconds from typing ``p300 online`` to listening, with both streams there."""
    import mne_lsl.lsl  # noqa: F401

    from p300.online.streams.lsl import open_signal, open_texts

    steps = OnnxDetector.load(folder).preprocessor
    names, n = steps.ch_names_in_, len(steps.ch_names_in_)
    eeg = open_signal(
        StreamFormat(f"bench {os.getpid()}", names, (steps.unit_,) * n, steps.sfreq_in_)
    )
    texts = open_texts(f"bench markers {os.getpid()}")
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", "from p300.cli import main; main()", "online"),
                *(str(folder.resolve()), f"eeg.name={eeg.name}", f"markers.name={texts.name}"),
                *("rule=null", f"hydra.run.dir={scratch}/session"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        took = next(time.perf_counter() - began for line in process.stdout if "listening" in line)
        process.terminate()
        process.communicate()
    return took


def train(folder: Path) -> Path:
    """Train an LDA on simulated EEG of 64 channels at 240 Hz and export it."""
    from p300.experiments.train import train
    from p300.export.write import export
    from p300.spelling import ScoreLikelihood

    logging.disable(logging.WARNING)
    run = folder / "run"
    settings = ("experiment=lda", "logger=csv", "preprocessing.phase=causal", "progress=false")
    train(run, *settings, "quiet=true")
    export(run)
    path = run / "detector.json"
    content = json.loads(path.read_text("utf-8"))
    if content["likelihood"] is None:  # any will do to time it
        content["likelihood"] = ScoreLikelihood(0.5, 0.0).to_dict()
        path.write_text(json.dumps(content), "utf-8")
    return run


if __name__ == "__main__":
    main()
