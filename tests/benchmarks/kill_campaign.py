"""Kill processes at random moments and check that no finished file is lost or incomplete.

python tests/benchmarks/kill_campaign.py [--kills 200] [--seed 0] [--only train sweep ...]

Everything is imported once; each process to be killed is a fork. Half of them are killed
(SIGKILL) a random time after their start, half at, or up to 3 ms after, a random one of the
operations by which they change files. After every kill the finished files are read. Then the
same command starts again in the same folder, is killed up to three more times, and at last runs
to its end. Its result must equal that of an undisturbed run byte by byte, except for measured
seconds, and except for rounding where networks of a sweep that were trained side by side continue
alone. The exit status is 1 if any result differs.
"""

from __future__ import annotations

import argparse
import collections
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from kill_kinds import KINDS, Kind, Otherwise, differences

# what a fork would else have to import
from p300.training import loop as training  # noqa: F401

#: Operations by which a process changes files, as :func:`sys.addaudithook` names them.
OPERATIONS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree")


#: Of a hundred kills, how many each kind gets.
SHARES = {"train": 35, "sweep": 20, "benchmark": 15, "epochs": 10, "session": 10, "export": 10}


def forked(work: Callable[[], None], log: Path) -> int:
    """Run a function in a fork, with its output in a file; return the process id."""
    process = os.fork()
    if process:
        return process
    status = 2
    try:
        printed = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        work()
        status = 0
    except SystemExit as stop:
        print(stop, file=sys.stderr, flush=True)
        status = 1 if stop.code else 0
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def operations(folder: Path, on_operation: Callable[[int], None]) -> None:
    """Call a function with the number of every later operation that changes the folder."""
    place, count, is_telling = str(folder), 0, threading.Lock()

    def hear(event: str, arguments: tuple) -> None:
        nonlocal count
        if event not in OPERATIONS or not str(arguments[0]).startswith(place):
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
        with is_telling:
            count += 1
            on_operation(count)

    sys.addaudithook(hear)


def die(after_s: float) -> None:
    """Kill this process, now or after some seconds."""
    if not after_s:
        os.kill(os.getpid(), signal.SIGKILL)

    def later() -> None:
        time.sleep(after_s)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=later).start()


def undisturbed(kind: Kind, folder: Path, log: Path) -> tuple[float, int, dict[str, bytes]]:
    """Run one to its end; return seconds, number of operations and finished files."""
    counted = log.with_suffix(".count")

    def work() -> None:
        operations(folder, lambda n: counted.write_text(str(n)))
        kind.work(folder)

    folder.mkdir()
    started = time.perf_counter()
    _, status = os.waitpid(forked(work, log), 0)
    if status:
        raise Otherwise(f"status {status} undisturbed: {log.read_text()[-2000:]}")
    return time.perf_counter() - started, int(counted.read_text()), kind.finished(folder)


def kill_some(name: str, n_kills: int, rng: np.random.Generator, place: Path) -> Iterator[str]:
    """Kill processes of one kind; yield the stage of each.

    Raises
    ------
    Otherwise
        If a file was lost or incomplete, or a result differs.
    """
    kind, log = KINDS[name], place / "log.txt"
    seconds, n_operations, expected = undisturbed(kind, place / "undisturbed", log)
    n = 0
    for number in range(100 * n_kills):
        folder = place / str(number)
        folder.mkdir()
        before: dict[str, bytes] = {}
        for attempt in range(5):
            is_last = attempt == 4 or n == n_kills
            killed = _attempt(kind, folder, log, rng, seconds, n_operations, is_last)
            now = kind.finished(folder)
            if before.items() - now.items():
                raise Otherwise(f"{name}: lost or changed {before.keys()} in {folder}")
            before = now
            if killed:
                n += 1
                yield kind.stage(folder)
            if not killed or kind.is_over(folder):
                break
        different = differences(now, expected, kind.tolerance)
        if different:
            raise Otherwise(f"{name}: other than undisturbed in {folder}: {different}")
        shutil.rmtree(folder)
        if n == n_kills:
            return


def _attempt(kind, folder, log, rng, seconds, n_operations, in_peace) -> bool:
    """Start it once; return whether it was killed."""
    by_operation = rng.random() < 0.5
    at, later_s = int(rng.integers(1, n_operations + 1)), float(rng.choice([0, 1e-3, 3e-3]))

    def work() -> None:
        if by_operation and not in_peace:
            operations(folder, lambda k: die(later_s * rng.random()) if k == at else None)
        kind.work(folder)

    process = forked(work, log)
    if not by_operation and not in_peace:
        time.sleep(rng.uniform(0, 1.05 * seconds))
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        return True
    if status:
        raise Otherwise(f"status {status} in {folder}: {log.read_text()[-2000:]}")
    return False


def main() -> None:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    chosen = parser.parse_args()
    started, status, total = time.perf_counter(), 0, 0
    print(f"{'killed':10} {'times':>5}  survived  by stage")
    for number, name in enumerate(chosen.only):
        share = SHARES[name] / sum(SHARES[k] for k in chosen.only)
        rng, stages, verdict = np.random.default_rng([chosen.seed, number]), [], "all"
        place = Path(tempfile.mkdtemp(prefix=f"kill-{name}-"))
        try:
            for stage in kill_some(name, max(1, round(share * chosen.kills)), rng, place):
                stages.append(stage)
            shutil.rmtree(place)
        except Otherwise as found:
            verdict, status = f"NOT: {found}", 1
        counts = ", ".join(f"{k}: {n}" for k, n in sorted(collections.Counter(stages).items()))
        total += len(stages)
        print(f"{name:10} {len(stages):5}  {verdict:8}  {counts}", flush=True)
    print(f"{total} kills in {time.perf_counter() - started:.0f} s")
    sys.exit(status)


if __name__ == "__main__":
    main()
