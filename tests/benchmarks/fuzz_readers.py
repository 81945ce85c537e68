"""Change the bytes of files at random, and check that each is read or refused in one sentence.

    python tests/benchmarks/fuzz_readers.py [SECONDS_PER_KIND] [SEED] [KIND ...]

Every kind of file from elsewhere is broken repeatedly: bytes flipped, cut out,
doubled, moved, sizes overwritten with extreme ones; in compressed MATLAB files and zip archives
also beneath the compression. Each broken file is read in a process with limits: address
space (MEMORY more than at its start) and time (TIME_S per file). A file that is not read must be
refused with an InputError; otherwise it is kept below ./fuzz-findings with the error.
"""

from __future__ import annotations

import collections
import copy
import io
import json
import mmap
import os
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import hostile_cases

from p300.errors import InputError

#: Address space of a reading process beyond that at its start, and seconds for one file.
MEMORY, TIME_S = 2**30, 10.0

EXTREME = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 14, 15, 100_000)

VALUES = (None, True, 0, -1, 1e308, float("nan"), 10**12, 10**400, "", "a", [], {}, [[]], [1, "b"])

CELLS = ("nan", "inf", "-1", "1e308", "", "a", "1" * 400, "0x10", "\0", "é", '"', ",", "\n")


@dataclass
class Outcome:
    """Counts of the files of one kind, and findings."""

    kind: str
    n_read: int = 0
    n_refused: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def n_tried(self) -> int:
        return self.n_read + self.n_refused + len(self.findings)

    def __str__(self):
        return (
            f"{self.kind:12} {self.n_tried:8} tried {self.n_refused:8} refused "
            f"{self.n_read:8} read {len(self.findings):4} findings"
        )


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """Break a file in one to a few places."""
    data = bytearray(content)
    for _ in range(1 + rng.geometric(0.5)):
        n = len(data)
        if not n:
            break
        # structure stands at the beginning more often than anywhere else
        reach = n if rng.random() < 0.4 else min(n, 600)
        at, length = int(rng.integers(reach)), int(min(rng.geometric(0.05), n))
        match int(rng.integers(8)):
            case 0:
                data[at] ^= 1 << int(rng.integers(8))
            case 1:
                data[at] = int(rng.integers(256))
            case 2:
                del data[at:]
            case 3:
                del data[at : at + length]
            case 4:
                data[at:at] = data[at : at + length]
            case 5:
                to = int(rng.integers(n))
                data[to : to + length] = data[at : at + length]
            case 6:
                at -= at % 4
                data[at : at + 4] = struct.pack("<I", EXTREME[rng.integers(len(EXTREME))])
            case _:
                data[at : at + length] = rng.bytes(length)
    return bytes(data)


def mutate_text(content: bytes, rng: np.random.Generator) -> bytes:
    """Break a table, a cell or a line at a time as often as bytes."""
    if rng.random() < 0.5:
        return mutate(content, rng)
    lines = content.split(b"\n")
    for _ in range(int(rng.geometric(0.4))):
        k = 0 if rng.random() < 0.2 else int(rng.integers(len(lines)))
        cells = lines[k].split(b",")
        cells[rng.integers(len(cells))] = CELLS[rng.integers(len(CELLS))].encode()
        lines[k] = b",".join(cells)
    return b"\n".join(lines)


def mutate_matlab(content: bytes, rng: np.random.Generator) -> bytes:
    """Break a MATLAB file; where its variables are compressed, beneath the compression too."""
    if rng.random() < 0.3:
        return mutate(content, rng)
    parts, at = [content[:128]], 128
    while at + 8 <= len(content):
        kind, n = struct.unpack_from("<II", content, at)
        parts.append((kind, content[at + 8 : at + 8 + n]))
        at += 8 + n
    chosen = 1 + int(rng.integers(len(parts) - 1))
    kind, body = parts[chosen]
    broken = mutate(zlib.decompress(body) if kind == 15 else body, rng)
    parts[chosen] = (kind, zlib.compress(broken, 1) if kind == 15 else broken)
    return parts[0] + b"".join(struct.pack("<II", k, len(b)) + b for k, b in parts[1:])


def mutate_zip(content: bytes, rng: np.random.Generator) -> bytes:
    """Break one file of a zip archive, and keep the archive itself whole."""
    if rng.random() < 0.3:
        return mutate(content, rng)
    broken = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as good, zipfile.ZipFile(broken, "w") as archive:
        names = good.namelist()
        pickled = [name for name in names if name.endswith(".pkl")]
        chosen = pickled[0] if rng.random() < 0.8 else names[rng.integers(len(names))]
        for name in names:
            part = good.read(name)
            archive.writestr(name, mutate(part, rng) if name == chosen else part)
    return broken.getvalue()


def mutate_json(content: bytes, rng: np.random.Generator) -> bytes:
    """Put another value at some places of a JSON file, or break its bytes."""
    if rng.random() < 0.2:
        return mutate(content, rng)
    tree = json.loads(content)
    for _ in range(int(rng.geometric(0.5))):
        node = tree
        while True:
            keys = list(node) if isinstance(node, dict) else range(len(node))
            if not len(keys):
                break
            key = keys[rng.integers(len(keys))]
            if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.85:
                node = node[key]
                continue
            if rng.random() < 0.2:
                del node[key]
            else:
                node[key] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
            break
    return json.dumps(tree).encode()


def mutate_records(content: bytes, rng: np.random.Generator) -> bytes:
    """Break the content of a record and give it the checksum that belongs to it."""
    from p300.online.journal import HEADER, _record

    if rng.random() < 0.3:
        return mutate(content, rng)
    records, at = [], 0
    while at < len(content):
        kind, n, _ = HEADER.unpack_from(content, at)
        records.append((kind, content[at + HEADER.size : at + HEADER.size + n]))
        at += HEADER.size + n
    chosen = int(rng.integers(len(records)))
    kind, body = records[chosen]
    records[chosen] = (kind, mutate(body, rng))
    return b"".join(_record(kind, body) for kind, body in records)


def fuzz(kind: str, seconds: float, seed: int, keep: Path | None = None) -> Outcome:
    """Break files of one kind for some seconds; findings are kept in a folder."""
    outcome = Outcome(kind)
    counts = mmap.mmap(-1, 24)
    generation = 0
    with tempfile.TemporaryDirectory() as folder:
        good = hostile_cases.KINDS[kind](Path(folder))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            good.read()  # its imports do not count towards the limits
        stop_at = time.monotonic() + seconds
        while time.monotonic() < stop_at:
            child = os.fork()
            if not child:
                try:
                    _read_on(good, kind, [seed, generation], stop_at, counts, keep)
                finally:
                    os._exit(0)  # without cleaning up: the folder is the parent's
            _, status = os.waitpid(child, 0)
            if os.WIFSIGNALED(status):
                number = os.WTERMSIG(status)
                what = "hang" if number == signal.SIGALRM else signal.Signals(number).name
                outcome.findings.append(what)
                _keep(keep, kind, good.path.read_bytes(), what)
            generation += 1
    outcome.n_read, outcome.n_refused, n_raised = struct.unpack("<QQQ", counts[:])
    outcome.findings += ["error"] * n_raised
    return outcome


def _read_on(good, kind, seed, stop_at, counts, keep) -> None:
    """Read broken files until the time is over or one of them ends this process."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # libraries in C print warnings
    os.dup2(null, 2)
    rng = np.random.default_rng(seed)
    warnings.simplefilter("ignore")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    seen = collections.Counter()
    while time.monotonic() < stop_at:
        variant = good.variants[rng.integers(len(good.variants))]
        broken = globals()[good.breaks](variant, rng)
        good.path.write_bytes(broken)
        signal.setitimer(signal.ITIMER_REAL, TIME_S)  # unhandled: it ends the process
        place = 0
        try:
            good.read()
        except InputError:
            place = 8
        except BaseException as error:
            place = 16
            where = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__}-{Path(where.filename).stem}-{where.lineno}"
            seen[what] += 1
            if seen[what] == 1:
                _keep(keep, kind, broken, what, traceback.format_exc())
        signal.setitimer(signal.ITIMER_REAL, 0)
        (n,) = struct.unpack_from("<Q", counts, place)
        struct.pack_into("<Q", counts, place, n + 1)


def _keep(keep: Path | None, kind: str, content: bytes, what: str, why: str = "") -> None:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{kind}-{what}.bin").write_bytes(content)
        (keep / f"{kind}-{what}.txt").write_text(why)


def main() -> None:
    """Fuzz the kinds named, or all."""
    numbers = [a for a in sys.argv[1:] if a.replace(".", "").isdigit()]
    kinds = [a for a in sys.argv[1:] if a in hostile_cases.KINDS] or list(hostile_cases.KINDS)
    seconds, seed = (float(n) for n in [*numbers, "60", "0"][:2]) if numbers else (60.0, 0.0)
    outcomes = []
    for kind in kinds:
        outcomes.append(fuzz(kind, seconds, int(seed), Path("fuzz-findings")))
        print(outcomes[-1], flush=True)
    sys.exit(any(outcome.findings for outcome in outcomes))


if __name__ == "__main__":
    main()
