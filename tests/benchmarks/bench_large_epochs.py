"""Train from epochs that are larger than the memory: how much it takes, and how long, in one run.

    python tests/benchmarks/bench_large_epochs.py --quick            1 GB under 0.5 GB, a minute
    python tests/benchmarks/bench_large_epochs.py [--n-flashes 600000] [--limit-gb 2] [--folder .]

`p300 train` with CNN-1 on 64 electrodes, each time in a process of its own: on a few flashes in
memory, on the same from the disk, and on many from the disk under a limit of the memory beyond the
imports. 600,000 flashes are 12 GB of epochs in the folder, which is emptied again. Memory is
RssAnon: pages of mapped files are not counted, since the system takes them back when it needs
them. Batches are also timed alone, after the file was put out of the system's memory.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from large_epochs import CHANNEL_BYTES, overrides, watched

from p300.storage.maps import map_array
from p300.training.datamodule import EpochsDataModule, time_first

N_CHANS, N_TIMES, BATCH, N_BATCHES, N_FEW = 64, 78, 128, 200, 15_000


def shown(name: str, found: dict, n_flashes: int) -> None:
    results = found["results"]
    detection = results["test"]["detection"]
    seconds = (results["preprocess_s"], results["fit_s"], found["wall"])
    print(
        f"{name:32s} {n_flashes * N_CHANS * CHANNEL_BYTES / 1e9:6.2f} GB of epochs, peak "
        f"{found['peak'] / 1e9:5.2f} GB + {found['baseline'] / 1e9:.2f} GB of imports; "
        f"preprocessing {seconds[0]:6.1f} s, training {seconds[1]:5.1f} s, all "
        f"{seconds[2]:6.1f} s; test AUC {detection['auc']:.3f}",
        flush=True,
    )


def seconds_per_batch(data: EpochsDataModule, rows: list[torch.Tensor]) -> float:
    started = time.perf_counter()
    for some in rows:
        data.gather(some)
    return (time.perf_counter() - started) / len(rows)


def time_batches(path: Path, n_flashes: int) -> None:
    """Gather random batches: in memory, from the disk, and from the disk's copy in memory."""
    labels, every = np.zeros(n_flashes, bool), np.ones(n_flashes, bool)
    few = torch.randn(N_FEW, N_CHANS, N_TIMES)
    resident = EpochsDataModule(time_first(few), labels[:N_FEW], every[:N_FEW])
    order = torch.randperm(N_FEW).repeat(1 + N_BATCHES * BATCH // N_FEW)
    rows = list(order[: N_BATCHES * BATCH].split(BATCH))
    seconds_per_batch(resident, rows)
    base = seconds_per_batch(resident, rows)
    print(f"{'a batch, in memory':32s} {1e3 * base:6.2f} ms")
    rows = list(torch.randperm(n_flashes)[: N_BATCHES * BATCH].split(BATCH))
    for way in ("announced", "one by one"):
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            if way == "announced":
                np.lib.format.read_magic(file)
                np.lib.format.read_array_header_1_0(file)
                shape, offset = (n_flashes, N_CHANS, N_TIMES), file.tell()
                epochs = map_array(file, shape, np.float32, offset=offset)
            else:
                epochs = np.load(path, mmap_mode="c")
        data = EpochsDataModule(torch.as_tensor(epochs), labels, every)
        data.reads_time_first = True
        some = rows if way == "announced" else rows[:20]  # it reads megabytes for each flash
        cold, warm = seconds_per_batch(data, some), seconds_per_batch(data, some)
        for name, found in ((f"from the disk, {way}", cold), ("the same again", warm)):
            print(f"{'a batch, ' + name:32s} {1e3 * found:6.2f} ms = {found / base:.1f} x memory")
        del data, epochs  # pages that are mapped stay in memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-flashes", type=int, default=600_000)
    parser.add_argument("--limit-gb", type=float, default=2.0)
    parser.add_argument("--folder", default=None)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    n_flashes, limit = options.n_flashes, int(1e9 * options.limit_gb)
    if options.quick:
        n_flashes, limit = 48_000, int(0.5e9)
    folder = Path(tempfile.mkdtemp(prefix="large-epochs-", dir=options.folder))
    size = n_flashes * N_CHANS * CHANNEL_BYTES
    if shutil.disk_usage(folder).free < 1.1 * size:
        sys.exit(f"{folder}: {1.1 * size / 1e9:.1f} GB are needed; choose another --folder")
    short = f"trainer.limit_train_batches={N_BATCHES}", "trainer.limit_val_batches=5"
    try:
        for name in ("in memory", "from the disk, written", "from the disk, read"):
            kept = None if name == "in memory" else folder / "few"
            found = watched(folder / name, overrides(N_FEW, N_CHANS, kept, *short))
            shown(f"few, {name}", found, N_FEW)
        typed = overrides(n_flashes, N_CHANS, folder / "many", *short)
        for name in ("written", "read"):
            found = watched(folder / f"many {name}", typed, limit=limit, n_mapped=size)
            shown(f"many, from the disk, {name}", found, n_flashes)
            assert found["peak"] < limit, "it took more than the limit"
        (path,) = (folder / "many").iterdir()
        time_batches(path, n_flashes)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
