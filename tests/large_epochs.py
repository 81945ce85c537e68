"""Epochs larger than the memory: a recording whose signal is small and whose flashes are many.

A few stretches of noise with a P300 are shared by all segments, and the epochs overlap almost
wholly. `watched` runs a training in a process of its own and measures the memory that it takes.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from p300.recording import Recording, flash_table

SFREQ, SEGMENT_S, N_PER_SEGMENT = 240.0, 40.0, 1500

#: Bytes of one channel of an epoch: 0 to 0.65 s at 120 Hz.
CHANNEL_BYTES = 4 * 78

#: Trains as `p300 train`, under a limit of what it may take beyond its imports. The map of the
#: epochs counts towards RLIMIT_DATA though it takes no memory; so it is added to the limit.
CHILD = """
import json, resource, sys
import p300, torch, pytorch_lightning, pandas, sklearn.base, hydra
import p300.experiments.run, p300.experiments.fitting.networks, p300.preprocessing, p300.models

def status(name):
    return 1024 * next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith(name))

limit, n_mapped, folder, *overrides = json.loads(sys.argv[1])
baseline = status("RssAnon")
if limit is not None:
    most = status("VmData") + limit + n_mapped
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
print("ready", baseline, flush=True)
p300.train(folder, *overrides)
"""


def read_recording(n_flashes, n_chans, n_distinct=3, seed=0):
    """Every sixth flash is a target; every segment is a run of ten characters."""
    rng = np.random.default_rng(seed)
    n_segments = -(-n_flashes // N_PER_SEGMENT)
    onsets = np.linspace(1, SEGMENT_S - 2, N_PER_SEGMENT).round(3)
    is_target = np.arange(N_PER_SEGMENT) // 50 % 6 == 0  # in spells, as the epochs overlap
    distinct = []
    for _ in range(n_distinct):
        signal = rng.normal(size=(n_chans, int(SEGMENT_S * SFREQ))).astype(np.float32)
        for onset in onsets[is_target]:
            peak = int((onset + 0.3) * SFREQ)
            signal[:, peak : peak + 12] += 0.3
        distinct.append(signal)
    n = n_segments * N_PER_SEGMENT
    segment, within = np.divmod(np.arange(n), N_PER_SEGMENT)
    flashes = flash_table(
        onset=onsets[within],
        segment=segment,
        run=segment,
        session=np.where(segment % 4 == 3, "test", "train"),
        character=segment * 10 + within // 150,
        is_target=is_target[within],
    )
    segments = [distinct[k % n_distinct] for k in range(n_segments)]
    return Recording(segments, flashes, [f"E{k}" for k in range(n_chans)], SFREQ, name="large")


#: conf/data/large.yaml of a configuration folder.
CONFIGURATION = """\
read:
  _target_: large_epochs.read_recording
  n_flashes: 600000
  n_chans: 64
test:
  session: [test]
"""


def overrides(n_flashes, n_chans, folder=None, *more):
    """What is typed for a short training on it; with a folder, its epochs are kept there."""
    return [
        "data=large",
        "allow_leaks=true",  # its segments are copies
        f"data.read.n_flashes={n_flashes}",
        f"data.read.n_chans={n_chans}",
        "split.validation_by=run",
        "split.validation_fraction=0.1",
        "logger=csv",
        "protocol.max_epochs=1",
        "protocol.batch_size=128",
        "held_out_folds=0",
        *([] if folder is None else [f"cache.folder={folder}", "cache.max_gb=100"]),
        *more,
    ]


def watched(folder, typed, *, limit=None, n_mapped=0):
    """Train in a process of its own.

    Parameters
    ----------
    folder : Path
        The run folder.
    typed : list of str
        Overrides.
    limit : int or None
        Bytes that it may take beyond its imports.
    n_mapped : int
        Bytes that are mapped from a file.

    Returns
    -------
    dict
        ``results``; ``peak`` bytes of its own (``RssAnon``: not those of mapped files, which the
        system takes back when it needs them) beyond ``baseline``, those of its imports; ``wall``
        seconds after the imports.
    """
    conf = folder.with_name("conf")
    (conf / "data").mkdir(parents=True, exist_ok=True)
    (conf / "data" / "large.yaml").write_text(CONFIGURATION)
    given = json.dumps([limit, n_mapped, str(folder), *typed])
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, given],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
        # of a heap per thread, the limit would count what no one uses
        env={**os.environ, "P300_CONF": str(conf), "MALLOC_ARENA_MAX": "1"},
    ) as child:
        ready = child.stdout.readline().split()
        started, baseline, peak = time.perf_counter(), int(ready[1]) if ready else 0, 0
        while child.poll() is None:
            for line in Path(f"/proc/{child.pid}/status").read_text().splitlines():
                if line.startswith("RssAnon"):
                    peak = max(peak, 1024 * int(line.split()[1]))
            time.sleep(0.005)
        wall = time.perf_counter() - started
        if child.returncode:
            raise RuntimeError(child.stderr.read())
    results = json.loads((folder / "results.json").read_text())
    return {"results": results, "peak": peak - baseline, "baseline": baseline, "wall": wall}
