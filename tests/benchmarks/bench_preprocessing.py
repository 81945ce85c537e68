"""How fast, how small and how exact the preprocessing is, against rivals measured in one run.

    python tests/benchmarks/bench_preprocessing.py            # two to five minutes, two cores
    python tests/benchmarks/bench_preprocessing.py --no-mne   # without the slowest rival

Synthetic data of the size of BCI Competition III data set II: 85 characters x 7794 samples x 64
channels of float32 at 240 Hz, 180 flashes each, to 15300 x 64 x 78 samples at 120 Hz. Every way
runs in processes of its own, in turn, for as many rounds as asked; the best of the rounds counts.
The last part prints the table for the README.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np
from scipy import signal as sps

N_SEGMENTS, N_SAMPLES, N_CHANS, N_FLASHES, SFREQ = 85, 7794, 64, 180, 240.0
SOS = sps.butter(4, [0.1, 20], "band", output="sos", fs=SFREQ)
STARTS = 42 * np.arange(N_FLASHES)  # a flash every 175 ms


def make_signal(n_segments=N_SEGMENTS, n_samples=N_SAMPLES) -> np.ndarray:
    """Drifting noise as the competition stores it, shape (n_segments, n_samples, n_chans)."""
    rng = np.random.default_rng(0)
    signal = np.empty((n_segments, n_samples, N_CHANS), np.float32)
    for segment in signal:
        rng.standard_normal(dtype=np.float32, out=segment)
        np.cumsum(segment, axis=0, out=segment)
        segment += 100 * rng.standard_normal(N_CHANS, dtype=np.float32)
    return signal


def as_recording(signal):
    from p300.preprocessing import recording_from_arrays

    n_segments, n_samples, _ = signal.shape
    starts = np.arange(0, n_samples - 156 - 100, 42)[: max(N_FLASHES, n_samples // 43)]
    return recording_from_arrays(
        [segment.T for segment in signal],
        np.tile(starts / SFREQ, n_segments),
        sfreq=SFREQ,
        segment=np.repeat(np.arange(n_segments), len(starts)),
    )


# -- the ways --------------------------------------------------------------------------------


def prepare_ours(phase):
    from p300.preprocessing import Preprocessor

    def prepare(signal):
        recording = as_recording(signal)
        preprocessor = Preprocessor(phase=phase).fit(recording)
        return lambda: preprocessor.transform(recording)

    return prepare


def gather_and_scale(filtered):
    """Decimate, gather and z-score; ``filtered`` has shape (n_segments, n_samples, n_chans)."""
    half = filtered[:, ::2]
    epochs = half[:, (STARTS // 2)[:, None] + np.arange(78)]
    epochs = epochs.reshape(-1, 78, N_CHANS).transpose(0, 2, 1)
    epochs = (epochs - epochs.mean(-1, keepdims=True)) / epochs.std(-1, keepdims=True)
    return np.ascontiguousarray(epochs, dtype=np.float32)


def prepare_scipy(function):
    return lambda signal: lambda: gather_and_scale(function(SOS, signal, axis=1))


def prepare_scipy_loop(function):
    """The same, but with one segment at a time in memory."""

    def prepare(signal):
        def run():
            epochs = np.empty((len(signal) * N_FLASHES, N_CHANS, 78), np.float32)
            for k, segment in enumerate(signal):
                rows = slice(k * N_FLASHES, (k + 1) * N_FLASHES)
                epochs[rows] = gather_and_scale(function(SOS, segment[None], axis=1))
            return epochs

        return run

    return prepare


def prepare_mne(signal):
    import mne

    mne.set_log_level("error")
    info = mne.create_info(N_CHANS, SFREQ, "eeg")
    events = np.column_stack([STARTS, np.zeros_like(STARTS), np.ones_like(STARTS)])
    iir = {"order": 4, "ftype": "butter"}

    def run():
        epochs = np.empty((len(signal) * N_FLASHES, N_CHANS, 78), np.float32)
        for k, segment in enumerate(signal):
            raw = mne.io.RawArray(segment.T.astype(float) * 1e-6, info)
            raw.filter(0.1, 20, method="iir", iir_params=iir)
            data = mne.Epochs(
                raw, events, tmin=0, tmax=77 / 120, baseline=None, decim=2, preload=True
            ).get_data()
            data -= data.mean(-1, keepdims=True)
            epochs[k * N_FLASHES : (k + 1) * N_FLASHES] = data / data.std(-1, keepdims=True)
        return epochs

    return run


def prepare_floor(signal):
    """Read the input once, write a new output."""

    def run():
        total = signal.sum()
        epochs = np.empty((len(signal) * N_FLASHES, N_CHANS, 78), np.float32)
        epochs.fill(total)
        return epochs

    return run


WAYS = {
    "floor": prepare_floor,
    "ours, causal": prepare_ours("causal"),
    "ours, zero phase": prepare_ours("zero"),
    "sosfilt": prepare_scipy(sps.sosfilt),
    "sosfiltfilt": prepare_scipy(sps.sosfiltfilt),
    "sosfilt, by segment": prepare_scipy_loop(sps.sosfilt),
    "sosfiltfilt, by segment": prepare_scipy_loop(sps.sosfiltfilt),
    "MNE IIR + Epochs(decim)": prepare_mne,
}


# -- one way in its own process --------------------------------------------------------------


def memory_kb(field) -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


def measure(name, n_warm, n_segments, n_samples) -> dict:
    """Time the first call and the best of the later ones, and the memory that they take."""
    signal = make_signal(n_segments, n_samples)
    run = WAYS[name](signal)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # forget the peak of making the signal
    before = memory_kb("VmRSS")
    times = []
    for _ in range(1 + n_warm):
        start = time.perf_counter()
        epochs = run()
        times.append(time.perf_counter() - start)
        n_bytes = epochs.nbytes
        del epochs
    extra = (memory_kb("VmHWM") - before) * 1024 / n_bytes
    return {"first": times[0], "warm": min(times[1:], default=times[0]), "memory": extra}


def measure_all(names, n_rounds, n_warm, n_segments=N_SEGMENTS, n_samples=N_SAMPLES) -> dict:
    """Run every way in turn, round after round; the best of each figure."""
    best: dict = {}
    for _ in range(n_rounds):
        for name in names:
            n = 0 if "MNE" in name else n_warm
            call = [sys.executable, __file__, "--way", name, str(n), str(n_segments)]
            done = subprocess.run(
                [*call, str(n_samples)], capture_output=True, text=True, check=True
            )
            figures = json.loads(done.stdout)
            known = best.setdefault(name, figures)
            best[name] = {key: min(known[key], figures[key]) for key in figures}
    return best


# -- exactness -------------------------------------------------------------------------------


def errors() -> dict:
    """Compare float32 with the float64 chain, in units of the z-scored epochs' deviation."""
    from p300.preprocessing import Preprocessor

    signal = make_signal(6)
    recording = as_recording(signal)
    found = {}
    for phase, function in (("causal", sps.sosfilt), ("zero", sps.sosfiltfilt)):
        level = signal.astype(float) - signal[:, :1]
        exact = gather_and_scale(function(SOS, level, axis=1).astype(np.float64))
        error = Preprocessor(phase=phase).fit(recording).transform(recording) - exact
        by_time = np.sqrt(np.square(error.reshape(6, N_FLASHES, -1)).mean(axis=(0, 2)))
        inner = by_time[30:-30]  # more than five seconds from either end
        ends = np.r_[by_time[:30], by_time[-30:]]
        found[phase] = {
            "rms": np.sqrt(np.square(inner).mean()),
            "rms at ends": np.sqrt(np.square(ends).mean()),
            "largest": np.abs(error).max(),
        }
    return found


def hour_of_streaming() -> dict:
    """Stream an hour with an electrode that drifts by 18 mV; the error in its last minute."""
    from p300.preprocessing import Preprocessor, StreamingPreprocessor, recording_from_arrays

    n_samples = int(3600 * SFREQ)
    rng = np.random.default_rng(0)
    signal = np.cumsum(rng.standard_normal((4, n_samples)), axis=1)
    signal += 5.0 * np.arange(n_samples) / SFREQ
    exact = sps.sosfilt(SOS, signal - signal[:, :1], axis=1)
    head = recording_from_arrays(signal[:, :2400], [0.0], sfreq=SFREQ)
    streaming = StreamingPreprocessor(Preprocessor(phase="causal", scaling="none").fit(head))
    worst = 0.0
    for begin in range(0, n_samples - 32, 32):
        times = np.arange(begin, begin + 32) / SFREQ
        is_last = begin > n_samples - 60 * SFREQ
        flashes = times[:1] if is_last else None
        epochs = streaming.push(signal[:, begin : begin + 32], times, flashes)
        for onset, epoch in zip(epochs.flashes["onset"], epochs.data, strict=True):
            sample = round(onset * SFREQ) + 2 * np.arange(78)
            expected = exact[:, sample]
            error = np.abs(epoch - expected) / expected.std(axis=1, keepdims=True)
            worst = max(worst, float(error.max()))
    return {"largest": worst, "kept": streaming._tape._samples.nbytes}


def live_chunk(n=4000) -> dict:
    """Median microseconds for one chunk of 32 samples x 64 channels, the ways taking turns."""
    from p300.preprocessing import Preprocessor, StreamingPreprocessor, recording_from_arrays

    rng = np.random.default_rng(0)
    chunk = rng.standard_normal((32, N_CHANS), dtype=np.float32)  # as pylsl hands it over
    by_channel = np.ascontiguousarray(chunk.T)
    recording = recording_from_arrays(np.tile(by_channel, 100), [0.0], sfreq=SFREQ)
    fitted = Preprocessor(phase="causal").fit(recording)
    alone, whole = StreamingPreprocessor(fitted), StreamingPreprocessor(fitted)
    state = np.zeros((len(SOS), N_CHANS, 2))
    times: dict[str, list[float]] = {"sosfilt": [], "our filter": [], "our push": []}
    now = np.arange(32) / SFREQ
    for _ in range(n):
        start = time.perf_counter_ns()
        _, state = sps.sosfilt(SOS, by_channel, zi=state)
        times["sosfilt"].append(time.perf_counter_ns() - start)
        start = time.perf_counter_ns()
        alone._filter.push(chunk.T, alone._tape)
        times["our filter"].append(time.perf_counter_ns() - start)
        alone._tape.forget(alone._tape.stop - 1000)
        start = time.perf_counter_ns()
        whole.push(chunk.T, now)
        times["our push"].append(time.perf_counter_ns() - start)
        now = now + 32 / SFREQ
    return {name: float(np.median(values)) / 1e3 for name, values in times.items()}


def import_time(n=5) -> dict:
    """Best seconds that a fresh process takes to import."""
    modules = {"rivals": "numpy, scipy.signal", "ours": "p300.preprocessing"}
    best = dict.fromkeys(modules, np.inf)
    for _ in range(n):
        for name, what in modules.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", f"import {what}"], check=True)
            best[name] = min(best[name], time.perf_counter() - start)
    return best


# -- the report ------------------------------------------------------------------------------


def report(best, larger, continuous, exact, hour, live, imports) -> str:
    floor = best["floor"]["warm"]
    lines = [
        f"One run, {os.environ.get('OMP_NUM_THREADS', os.cpu_count())} threads; best of the "
        "rounds; memory beyond input, as a multiple of the output.",
        "",
        "| way | first call s | warm s | to floor | memory |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, one in best.items():
        lines.append(
            f"| {name} | {one['first']:.2f} | {one['warm']:.3f} | {one['warm'] / floor:.1f} | "
            f"{one['memory']:.2f} |"
        )
    lines += ["", "| figure | causal | zero phase |", "|---|---:|---:|"]
    rows = [
        ("faster than SciPy, warm", "warm", ""),
        ("faster than SciPy, first call", "first", ""),
    ]
    rows.append(("faster than SciPy by segment, warm", "warm", ", by segment"))
    ours = best["ours, causal"], best["ours, zero phase"]
    for label, key, suffix in rows:
        rivals = best["sosfilt" + suffix], best["sosfiltfilt" + suffix]
        ratios = [rival[key] / one[key] for rival, one in zip(rivals, ours, strict=True)]
        lines.append(f"| {label} | {ratios[0]:.1f} x | {ratios[1]:.1f} x |")
    mne = best.get("MNE IIR + Epochs(decim)")
    if mne:
        ratios = [mne["warm"] / one["warm"] for one in ours]
        lines.append(
            f"| faster than MNE IIR + Epochs(decim) | {ratios[0]:.0f} x | {ratios[1]:.0f} x |"
        )
    for label, other in (
        ("4 x the data takes", larger),
        ("one continuous segment takes", continuous),
    ):
        ratios = [other[n]["warm"] / best[n]["warm"] for n in ("ours, causal", "ours, zero phase")]
        lines.append(f"| {label} | {ratios[0]:.2f} x | {ratios[1]:.2f} x |")
    for key in ("rms", "rms at ends", "largest"):
        values = [exact[phase][key] for phase in ("causal", "zero")]
        lines.append(
            f"| float32 error against float64, {key} (z) | {values[0]:.1e} | {values[1]:.1e} |"
        )
    lines += [
        "",
        f"* One live chunk of 32 x 64: filter {live['our filter']:.1f} µs, `sosfilt` with state "
        f"{live['sosfilt']:.1f} µs ({live['sosfilt'] / live['our filter']:.1f} x); all of `push` "
        f"(clock, gaps, flashes) {live['our push']:.1f} µs.",
        f"* In the last minute of an hour of streaming (drift 18 mV) the error is at most "
        f"{hour['largest']:.1e} of an epoch's deviation; {hour['kept'] / 1e3:.0f} kB are kept for "
        "4 channels.",
        f"* `import p300.preprocessing`: {imports['ours']:.2f} s, numpy + scipy.signal "
        f"{imports['rivals']:.2f} s ({imports['ours'] / imports['rivals']:.2f} x).",
    ]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-mne", action="store_true", help="leave out the slowest rival")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm", type=int, default=6, help="calls after the first")
    parser.add_argument("--way", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        name, *numbers = options.way
        print(json.dumps(measure(name, *map(int, numbers))))
        return
    quick = [n for n in WAYS if "MNE" not in n]
    best = measure_all(quick, options.rounds, options.warm)
    if not options.no_mne:
        best |= measure_all([n for n in WAYS if "MNE" in n], 1, 0)
    ours = [n for n in WAYS if n.startswith("ours")]
    larger = measure_all(ours, options.rounds, 3, n_segments=4 * N_SEGMENTS)
    continuous = measure_all(ours, options.rounds, 3, n_segments=1, n_samples=85 * N_SAMPLES)
    figures = errors(), hour_of_streaming(), live_chunk(), import_time()
    print(report(best, larger, continuous, *figures))


if __name__ == "__main__":
    main()
