"""How long reading and checking a recording takes, and how much memory, against MNE's own reading.

    python tests/benchmarks/bench_reading.py [MINUTES]

Writes an hour of 64 channels at 512 Hz with a flash every 0.2 s as BDF and as BrainVision into a
temporary folder. Each way runs in processes of its own, in turn, three rounds; the best counts.
The rivals are `mne.io.read_raw(path, preload=True)` and the size of the signal as float32.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SFREQ, N_CHANS, ROUNDS = 512, 64, 3

#: What a process runs, and prints: seconds and the highest memory beyond that after the imports.
WAYS = {
    "MNE, preload": "raw = mne.io.read_raw(path, preload=True, verbose='error')",
    "read": "recording = file.read(path, targets=targets, **more)",
    "read and check": (
        "recording = file.read(path, targets=targets, **more)\n"
        "report = check_recording(recording, tmin=0.0, tmax=0.65)"
    ),
}

CODE = """
import json, resource, sys, time, warnings
warnings.simplefilter("ignore")
import mne, pandas
import mne.io.brainvision.brainvision, mne.io.edf.edf, scipy.signal
from p300.integrity import check_recording
from p300.readers import file
from p300.simulation import simulate_recording
path, targets, more = sys.argv[1], {targets}, {more}
# MNE imports its readers when one is used for the first time
simulate_recording(None, speller=None, n_flashes=30, ch_names=["Fz", "Pz"], sfreq=128)
def peak():
    with open("/proc/self/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["VmHWM"].split()[0]) * 1024
def now():
    with open("/proc/self/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["VmRSS"].split()[0]) * 1024
open("/proc/self/clear_refs", "w").write("5")
before, started = now(), time.perf_counter()
{way}
print(json.dumps([time.perf_counter() - started, peak() - before]))
"""


def write_bdf(path: Path, n_seconds: int) -> None:
    """Write 24-bit samples and a status channel, a record per second."""
    names = [f"E{k + 1}" for k in range(N_CHANS)] + ["Status"]
    n = len(names)
    fields = [
        (16, names),
        (80, ["Active Electrode"] * N_CHANS + ["Triggers and Status"]),
        (8, ["uV"] * N_CHANS + ["Boolean"]),
        (8, [-262144] * N_CHANS + [-8388608]),
        (8, [262143] * N_CHANS + [8388607]),
        (8, [-8388608] * n),
        (8, [8388607] * n),
        (80, ["HP: DC; LP: 104 Hz"] * N_CHANS + ["No filtering"]),
        (8, [SFREQ] * n),
        (32, ["Reserved"] * n),
    ]
    head = b"\xffBIOSEMI" + b" " * 160 + b"01.01.2401.00.00"
    head += f"{256 * (n + 1):<8}".encode() + b"24BIT".ljust(44)
    head += f"{n_seconds:<8}{1:<8}{n:<4}".encode()
    for width, values in fields:
        head += b"".join(str(value)[:width].encode().ljust(width) for value in values)
    rng = np.random.default_rng(0)
    noise = (640 * rng.standard_normal((N_CHANS, SFREQ))).astype(np.int32)  # 20 µV
    status = np.zeros(n_seconds * SFREQ, np.int32)
    for k, onset in enumerate(range(SFREQ, len(status) - SFREQ, SFREQ // 5)):
        status[onset : onset + 20] = 1 + (k % 5 == 0)
    with open(path, "wb") as file:
        file.write(head)
        for second in range(n_seconds):
            shifted = np.roll(noise, 7 * second, axis=1) + rng.integers(-99, 99, (N_CHANS, 1))
            values = np.vstack([shifted, status[second * SFREQ : (second + 1) * SFREQ]])
            four = np.ascontiguousarray(values, "<i4").view(np.uint8).reshape(-1, 4)
            file.write(four[:, :3].tobytes())


def write_brainvision(path: Path, n_seconds: int) -> None:
    """Write int16 samples, multiplexed, and its markers."""
    stem, n_samples = path.stem, n_seconds * SFREQ
    channels = "\n".join(f"Ch{k + 1}=E{k + 1},,0.1,µV" for k in range(N_CHANS))
    path.write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={stem}.eeg\nMarkerFile={stem}.vmrk\nDataFormat=BINARY\n"
        f"DataOrientation=MULTIPLEXED\nNumberOfChannels={N_CHANS}\n"
        f"SamplingInterval={1e6 / SFREQ}\n[Binary Infos]\nBinaryFormat=INT_16\n"
        f"[Channel Infos]\n{channels}\n",
        "utf-8",
    )
    onsets = range(SFREQ, n_samples - SFREQ, SFREQ // 5)
    marks = "\n".join(
        f"Mk{k + 2}=Stimulus,S  {1 + (k % 5 == 0)},{onset + 1},1,0"
        for k, onset in enumerate(onsets)
    )
    path.with_suffix(".vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={stem}.eeg\n[Marker Infos]\nMk1=New Segment,,1,1,0,20240101000000000000\n"
        f"{marks}\n",
        "utf-8",
    )
    rng = np.random.default_rng(0)
    noise = (200 * rng.standard_normal((SFREQ, N_CHANS))).astype("<i2")
    with open(path.with_suffix(".eeg"), "wb") as file:
        for second in range(n_seconds):
            shifted = np.roll(noise, 7 * second, axis=0) + rng.integers(-99, 99, N_CHANS)
            file.write(shifted.astype("<i2").tobytes())


FILES = {
    "BDF": ("a.bdf", write_bdf, {2: True, 1: False}, {}),
    "BrainVision": (
        "a.vhdr",
        write_brainvision,
        {"Stimulus/S  2": True, "Stimulus/S  1": False},
        {},
    ),
}


def main() -> None:
    """Print a row per format and way."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    n_seconds = round(60 * minutes)
    size = 4 * N_CHANS * n_seconds * SFREQ
    print(f"{minutes:g} min, {N_CHANS} channels, {SFREQ} Hz; float32 signal {size / 1e6:.0f} MB")
    print(f"{'format':12} {'way':16} {'s':>7} {'× MNE':>7} {'MB':>7} {'× float32':>10}")
    for kind, (name, write, targets, more) in FILES.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            write(path, n_seconds)
            found: dict[str, list] = {way: [] for way in WAYS}
            for _ in range(ROUNDS):
                for way, code in WAYS.items():
                    text = CODE.format(targets=targets, more=more, way=code)
                    done = subprocess.run(
                        [sys.executable, "-c", text, path], capture_output=True, text=True
                    )
                    assert not done.returncode, done.stderr
                    found[way].append(json.loads(done.stdout.splitlines()[-1]))
        rival = min(seconds for seconds, _ in found["MNE, preload"])
        for way, runs in found.items():
            seconds, peak = (min(values) for values in zip(*runs, strict=True))
            print(
                f"{kind:12} {way:16} {seconds:7.2f} {seconds / rival:7.2f} {peak / 1e6:7.0f} "
                f"{peak / size:10.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
