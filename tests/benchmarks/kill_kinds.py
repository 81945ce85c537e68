"""Kinds of processes that the kill campaign kills, and how their finished files are read."""

from __future__ import annotations

import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from p300.detector import Detector
from p300.experiments.results import read_scores
from p300.export.write import write_pair
from p300.online.events import Scored
from p300.online.journal import CHUNK, Journal, read_about, read_records, read_rows
from p300.preprocessing import EpochsCache, Preprocessor
from p300.simulation import simulate_recording

#: A recording of eight electrodes and twelve characters, and a training of three epochs that is
#: saved after each.
DATA = [
    "data.read.ch_names=[Fz,Cz,Pz,P3,P4,PO7,PO8,Oz]",
    "data.read.train_text=ABCDEFGHIJ",
    "data.read.test_text=P3",
    "data.read.n_repetitions=2",
    "protocol.max_epochs=3",
    "save_every_s=0",
    "logger=csv",
]

#: Results that differ between any two runs: measured seconds.
TIMES = ("preprocess_s", "select_electrodes_s", "fit_s", "score_ms")


class Otherwise(Exception):
    """A file or result differs from what it must be."""


@dataclass
class Kind:
    """Kind of process to kill.

    Parameters
    ----------
    work : callable
        Runs it in a folder.
    finished : callable
        Returns the finished files of the folder, by name, as bytes; raises
        :class:`Otherwise` if one is incomplete.
    stage : callable
        Returns how far it has come.
    is_over : callable
        Whether starting it again would be refused.
    tolerance : float
        How far scores may be from an undisturbed one's; 0 compares bytes.
    """

    work: Callable[[Path], None]
    finished: Callable[[Path], dict[str, bytes]]
    stage: Callable[[Path], str]
    is_over: Callable[[Path], bool] = lambda folder: False
    tolerance: float = 0.0


def differences(
    found: dict[str, bytes], expected: dict[str, bytes], tolerance: float
) -> list[str]:
    """List the files that are missing, unexpected or different."""
    names = found.keys() | expected.keys()
    unlike = [name for name in names if found.get(name) != expected.get(name)]
    if not tolerance or found.keys() != expected.keys():
        return sorted(unlike)
    tables = [name for name in unlike if name.endswith(".csv")]
    tables = [n for n in tables if not _is_close(found[n], expected[n], tolerance)]
    # what is computed from the same scores is equal up to rounding
    others = [n for n in unlike if n.endswith(".yaml") or len(found[n]) != len(expected[n])]
    return sorted({*tables, *(n for n in others if n.endswith((".pt", ".yaml")))})


def _is_close(found: bytes, expected: bytes, tolerance: float) -> bool:
    try:
        pd.testing.assert_frame_equal(
            pd.read_csv(io.BytesIO(found)),
            pd.read_csv(io.BytesIO(expected)),
            rtol=0,
            atol=tolerance,
        )
    except AssertionError:
        return False
    return True


def typed(*arguments: str) -> None:
    """Run a command as if typed."""
    from p300.cli import main

    sys.argv = ["p300", *arguments]
    main()


# --- training, alone and in sweeps and benchmarks ---------------------------------------------


def train_once(folder: Path) -> None:
    typed("train", "experiment=cnn3", *DATA, f"hydra.run.dir={folder}")


def sweep(folder: Path) -> None:
    typed("train", "-m", "experiment=cnn3,lda", "seed=0,1", *DATA, f"hydra.sweep.dir={folder}")


def run_benchmark(folder: Path) -> None:
    overrides = ",".join(f"'{override}'" for override in DATA)
    cells = ["experiments=[cnn3,lda]", "seeds=[0]", "only=[own]", "reference=lda"]
    typed("benchmark", *cells, f"overrides=[{overrides}]", f"folder={folder}")


def finished_runs(folder: Path) -> dict[str, bytes]:
    """Return the content of finished runs, by file; a finished run must load."""
    found = {}
    for results in folder.rglob("results.json"):
        run, name = results.parent, results.parent.relative_to(folder).as_posix()
        try:
            Detector.load(run)
            n_scores = len(read_scores(run))
            n_flashes = json.loads(results.read_text("utf-8"))["test"]["n_flashes"]
        except Exception as error:
            raise Otherwise(f"a finished run cannot be read: {error!r}") from error
        if not n_scores > n_flashes > 0:
            raise Otherwise(f"a finished run has {n_scores} scores")
        found[f"{name}/checkpoint.pt"] = content_of(run / "checkpoint.pt")
        for file in ("scores.csv", "held_out.csv", "config.yaml"):
            found[f"{name}/{file}"] = (run / file).read_bytes()
        for file in run.glob("networks/*/metrics.csv"):
            found[f"{name}/{file.relative_to(run)}"] = file.read_bytes()
        content = json.loads(results.read_text("utf-8"))
        found[f"{name}/results.json"] = repr(
            {k: v for k, v in content.items() if k not in TIMES}
        ).encode()
    return found


def content_of(checkpoint: Path) -> bytes:
    """Return the content of a checkpoint, and the size of its storage.

    The files of equal contents need not be equal: pickle writes a text that was met before as a
    reference, if it is the same object.
    """

    def parts(value) -> Iterator[bytes]:
        if isinstance(value, dict):
            for key, one in value.items():
                yield str(key).encode()
                yield from parts(one)
        elif isinstance(value, list | tuple):
            for one in value:
                yield from parts(one)
        elif isinstance(value, torch.Tensor):
            yield f"{value.shape} {value.untyped_storage().size()}".encode()
            yield value.numpy().tobytes()
        else:
            yield repr(value).encode()

    return b"|".join(parts(torch.load(checkpoint, weights_only=True)))


def finished_cells(folder: Path) -> dict[str, bytes]:
    """Return the content of finished cells, and the tables, which must be complete."""
    found = finished_runs(folder)
    for name in ("cells.csv", "summary.csv"):
        if (folder / name).exists():
            table = pd.read_csv(folder / name)
            if len(table) != 2:
                raise Otherwise(f"{name} has {len(table)} rows")
            kept = table.drop(columns=[c for c in table if c in TIMES])
            found[name] = kept.to_csv().encode()
    for name in ("auc.png", "accuracy.png"):
        if (folder / name).exists() and not (folder / name).read_bytes().endswith(
            b"IEND\xaeB`\x82"
        ):
            raise Otherwise(f"{name} is not whole")
    return found


def stage_of_run(folder: Path) -> str:
    if (folder / "results.json").exists():
        return "finished"
    if (folder / "checkpoint.pt").exists() or (folder / "held_out.csv").exists():
        return "results being written"
    if any(folder.glob("networks/*.ckpt")):
        return "a training saved"
    return "begun" if (folder / "config.yaml").exists() else "nothing yet"


def stage_of_runs(folder: Path) -> str:
    n = len(list(folder.rglob("results.json")))
    if (folder / "summary.md").exists():
        return "all tables"
    return f"{n} runs finished" + (", some tables" if (folder / "cells.csv").exists() else "")


# --- kept epochs ------------------------------------------------------------------------------

RECORDINGS = [
    simulate_recording("ABCDEF", n_repetitions=4, ch_names=["Fz", "Cz", "Pz"], seed=k)
    for k in range(8)
]
FITTED = [Preprocessor().fit(recording) for recording in RECORDINGS]


def keep_epochs(folder: Path) -> None:
    for preprocessor, recording in zip(FITTED, RECORDINGS, strict=True):
        EpochsCache(folder).epochs(preprocessor, recording)


def kept_epochs(folder: Path) -> dict[str, bytes]:
    """Return the entries; none may be damaged."""
    found = {}
    for preprocessor, recording in zip(FITTED, RECORDINGS, strict=True):
        path = EpochsCache(folder).path(preprocessor, recording)
        if path.exists():
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                try:
                    epochs = EpochsCache(folder).epochs(preprocessor, recording)
                except UserWarning as warning:
                    raise Otherwise(str(warning)) from None
            found[path.name] = epochs.data.tobytes()
    return found


# --- a session --------------------------------------------------------------------------------

N_CHUNKS = 300


def record(folder: Path) -> None:
    """Record into a new session folder; write down the number of accepted chunks after each."""
    number = sum(1 for _ in folder.glob("session-*"))
    told = os.open(folder / f"told-{number}", os.O_WRONLY | os.O_CREAT)
    with Journal(folder / f"session-{number}", {"number": number}) as journal:
        for k in range(N_CHUNKS):
            journal.marker(f"flash {k}", float(k), float(k))
            journal.chunk(np.full((8, 8), k, np.float32), np.arange(8.0))
            journal.event(Scored(0, 1, k, 1, float(k), None, k / 7))
            os.pwrite(told, str(k + 1).encode(), 0)


def recorded(folder: Path) -> dict[str, bytes]:
    """Return the content of sessions: at least all accepted chunks, and nothing else."""
    found = {}
    for session in sorted(folder.glob("session-*")):
        told = folder / session.name.replace("session", "told")
        n_told = int(told.read_text() or 0) if told.exists() else 0
        if not (session / "journal.bin").exists() or not (session / "scores.csv").exists():
            if n_told:
                raise Otherwise("a session lost its journal")
            continue
        read_about(session)
        chunks = [c for kind, c in read_records(session / "journal.bin") if kind == CHUNK]
        rows = read_rows(session / "scores.csv")
        expected = [repr(k / 7) for k in range(len(rows))]
        if [s[0, 0] for s, _ in chunks] != list(range(len(chunks))):
            raise Otherwise("chunks are missing in the middle")
        if [row[-1] for row in rows] != expected or min(len(chunks), len(rows)) < n_told:
            raise Otherwise(f"{n_told} taken; {len(chunks)} chunks, {len(rows)} scores on disk")
        if len(chunks) == len(rows) == N_CHUNKS:
            found["a whole session"] = b"".join(s.tobytes() for s, _ in chunks)
    return found


def stage_of_session(folder: Path) -> str:
    session = max(folder.glob("session-*"), key=lambda p: int(p.name[8:]), default=folder)
    size = (session / "journal.bin").stat().st_size if (session / "journal.bin").exists() else 0
    return "nothing yet" if not size else "records written"


# --- an exported pair -------------------------------------------------------------------------


def write_pairs(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for k in range(20):
        write_pair(folder, bytes([k]) * 300_000, {"number": k, "filling": "x" * 100_000})


def whole_pair(folder: Path) -> dict[str, bytes]:
    """Return the pair; each file must be complete."""
    found = {p.name: p.read_bytes() for p in folder.glob("detector.*") if "partial" not in p.name}
    model, text = found.get("detector.onnx", b""), found.get("detector.json", b"{}")
    if (model and len(model) != 300_000) or len(set(model)) > 1:
        raise Otherwise("half a graph")
    try:
        number = json.loads(text).get("number")
    except ValueError:
        raise Otherwise("half a description") from None
    return found if number == 19 and model[:1] == bytes([19]) else {}


KINDS = {
    "train": Kind(
        train_once, finished_runs, stage_of_run, lambda folder: (folder / "results.json").exists()
    ),
    "sweep": Kind(sweep, finished_runs, stage_of_runs, tolerance=1e-6),
    "benchmark": Kind(run_benchmark, finished_cells, stage_of_runs),
    "epochs": Kind(keep_epochs, kept_epochs, lambda f: f"{len(list(f.glob('*.npy')))} entries"),
    "session": Kind(record, recorded, stage_of_session),
    "export": Kind(write_pairs, whole_pair, lambda f: "second pair" if any(f.iterdir()) else ""),
}
