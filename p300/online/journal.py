"""The files of a session: all of its input and all of its output.

A session folder holds

* ``session.json``: the stream, the detector and the settings, written before anything else;
* ``journal.bin``: every chunk of signal and every marker as they came, and every remark;
* ``scores.csv``: the flash table with one score per flash; ``decisions.csv``: the characters read;
* ``learned.csv``, if it learns: after each character the text as estimated then, and a hash of
  the weights.

The last ones are only appended to, one record per ``write``. What was written survives if the
process is killed at any moment. It is forced to disk (``fsync``) once per second, so a power
failure can lose only the last second. An incomplete record (the process was killed while writing
it) is recognised by its length and checksum, and left out when reading. If the disk is full,
:attr:`Journal.failure` says so and the session goes on.
"""

from __future__ import annotations

import csv
import io
import json
import struct
import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.online.events import Decided, Learned, Noted, Scored
from p300.storage.append_only import AppendOnly
from p300.storage.files import write_text

#: Written into ``session.json``; a folder with another one is refused.
FORMAT = "p300 session 1"

#: Before every record: what it is, its length in bytes, and the CRC-32 of both and the content.
HEADER = struct.Struct("<4sII")

#: Before a chunk: type of the samples, number of channels, number of samples.
SHAPE = struct.Struct("<cII")

#: The last one holds how many records of all files could not be written so far.
CHUNK, MARKER, NOTE, LOST = b"EEG1", b"MRK1", b"NOT1", b"LST1"

#: Seconds between two calls of ``fsync``.
SYNC_S = 1.0

#: Tables of a session: the events that are rows of each.
TABLES = {Scored: "scores.csv", Decided: "decisions.csv", Learned: "learned.csv"}


class Journal:
    """The files of a session, written as it happens.

    Parameters
    ----------
    folder : path
        Of the session. It is made if it is missing, and must hold no session yet.
    about : mapping
        Plain containers for ``session.json``: what ``p300 replay`` needs.
    """

    def __init__(self, folder: str | Path, about: Mapping[str, Any]):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "session.json"
        if path.exists():
            raise InputError(f"{self.folder} already holds a session; expected a new folder")
        content = {"format": FORMAT, **about}
        write_text(path, json.dumps(content, indent=1, ensure_ascii=False))
        self._sync_failure: str | None = None
        self._n_lost_told = 0
        self._signal = AppendOnly(self.folder / "journal.bin")
        learns = about.get("settings", {}).get("learn")
        kinds = {k: name for k, name in TABLES.items() if k is not Learned or learns}
        self._tables = {kind: AppendOnly(self.folder / name) for kind, name in kinds.items()}
        self._files = [self._signal, *self._tables.values()]
        for kind, table in self._tables.items():
            table.append(_csv_line(columns_of(kind)))
        self._is_closing = threading.Event()
        self._syncing = threading.Thread(target=self._sync, name="journal", daemon=True)
        self._syncing.start()

    @property
    def failure(self) -> str | None:
        """The reason why something could not be written just now; None if all was written."""
        return next((f.failure for f in self._files if f.failure), self._sync_failure)

    @property
    def n_lost(self) -> int:
        """Number of records that could not be written so far."""
        return sum(file.n_lost for file in self._files)

    def chunk(self, samples: np.ndarray, timestamps: np.ndarray) -> None:
        """Write a chunk of float32 or float64, shape (n_chans, n_samples), as it came."""
        self._tell_lost()
        shape = SHAPE.pack(samples.dtype.char.encode(), *samples.shape)
        times = np.asarray(timestamps, np.float64).tobytes()
        # sample after sample, as in the stream
        self._signal.append(_record(CHUNK, shape + times + samples.T.tobytes()))

    def marker(self, text: str, at: float, raw: float) -> None:
        """Write a marker: its text, its time by the EEG stream's clock, and by its own."""
        self._signal.append(_record(MARKER, _json([text, at, raw])))

    def event(self, event) -> None:
        """Write an event of the session, or a remark about it."""
        if type(event) in self._tables:
            self._tables[type(event)].append(_csv_line(as_row(event)))
        elif isinstance(event, Noted):
            self._signal.append(_record(NOTE, _json([event.time, event.text])))

    def close(self) -> None:
        """Force everything to disk and close the files."""
        self._tell_lost()
        self._is_closing.set()
        self._syncing.join()
        for file in self._files:
            file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _tell_lost(self) -> None:
        """Record how many records are missing, so that a replay knows it is not complete."""
        if (n := self.n_lost) > self._n_lost_told:
            self._signal.append(_record(LOST, _json([n])))
            if not self._signal.failure:
                self._n_lost_told = n

    def _sync(self) -> None:
        # in its own thread: fsync may take longer than a decision may wait
        is_last = False
        while not is_last:
            is_last = self._is_closing.wait(SYNC_S)
            try:
                for file in self._files:
                    file.sync()
                self._sync_failure = None
            except OSError as error:
                self._sync_failure = error.strerror or type(error).__name__


def read_about(folder: str | Path) -> dict[str, Any]:
    """Read the ``session.json`` of a session.

    Raises
    ------
    InputError
        If it is missing, damaged, or of another format.
    """
    path = Path(folder) / "session.json"
    try:
        about = json.loads(path.read_text("utf-8"))
    except OSError:
        raise InputError(
            f"{folder}: session.json is missing; expected the folder of a session of `p300 online`"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: damaged ({error}); expected the JSON that `p300 online` writes"
        ) from None
    found = about.get("format") if isinstance(about, dict) else type(about).__name__
    if found != FORMAT:
        raise InputError(f"{path}: its format is {found!r}; expected {FORMAT!r}")
    return about


def read_records(path: str | Path) -> Iterator[tuple[bytes, Any]]:
    """Read the records of a ``journal.bin`` up to the first incomplete one.

    Yields
    ------
    kind : bytes
        :data:`CHUNK`, :data:`MARKER`, :data:`NOTE` or :data:`LOST`. If the end is incomplete, the
        last one is ``b"TORN"`` with the number of bytes left out.
    content
        ``(samples, timestamps)``, ``[text, time, raw time]``, ``[time, text]`` or ``[number]``.

    Raises
    ------
    InputError
        If a complete record holds something that no session writes.
    """
    path = Path(path)
    left = path.stat().st_size
    with path.open("rb") as file:
        while left:
            head = file.read(HEADER.size)
            kind, n, checksum = HEADER.unpack(head) if len(head) == HEADER.size else (b"", 0, 0)
            content = file.read(n) if HEADER.size + n <= left else b""
            if len(content) != n or not kind or _checksum(kind, content) != checksum:
                yield b"TORN", left
                return
            left -= HEADER.size + n
            try:
                found = _chunk_of(content) if kind == CHUNK else _values_of(kind, content)
            except (ValueError, TypeError, RecursionError, struct.error) as error:
                raise InputError(
                    f"{path}: the record that ends {left} bytes before the end is complete but no "
                    f"valid {kind!r} ({type(error).__name__}); expected what a session wrote"
                ) from error
            yield kind, found


def read_inputs(folder: str | Path) -> Iterator[tuple[np.ndarray, np.ndarray, list]]:
    """Read the inputs of a session, exactly as the session had them.

    Yields
    ------
    samples : ndarray, shape (n_chans, n_samples)
    timestamps : ndarray, shape (n_samples,)
    markers : list of (str, float)
    """
    markers: list[tuple[str, float]] = []
    for kind, content in read_records(Path(folder) / "journal.bin"):
        if kind == MARKER:
            markers.append((content[0], content[1]))
        elif kind == CHUNK:
            yield *content, markers
            markers = []


def count_lost(folder: str | Path) -> int:
    """Count the records that a session had and could not write, as far as it could tell."""
    records = read_records(Path(folder) / "journal.bin")
    return max((content[0] for kind, content in records if kind == LOST), default=0)


def read_rows(path: str | Path) -> list[list[str]]:
    """Read the rows of a session's ``.csv``, without the header and an incomplete last line."""
    text = Path(path).read_text("utf-8")
    return list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))[1:]


def columns_of(kind: type) -> list[str]:
    """List the columns of a table."""
    who = ("subject", "session", "run") if kind is Scored else ()
    return [*who, *(field.name for field in fields(kind))]


def as_row(event: Scored | Decided | Learned) -> list[str]:
    """Format an event as :func:`read_rows` reads it."""
    who = ("online", "online", 1) if isinstance(event, Scored) else ()
    return ["" if value is None else str(value) for value in (*who, *astuple(event))]


def _csv_line(values) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue().encode("utf-8")


def _json(values) -> bytes:
    return json.dumps(values, ensure_ascii=False).encode("utf-8")


def _checksum(kind: bytes, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(kind + struct.pack("<I", len(content))))


def _record(kind: bytes, content: bytes) -> bytes:
    return HEADER.pack(kind, len(content), _checksum(kind, content)) + content


def _chunk_of(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    kind, n_chans, n_samples = SHAPE.unpack_from(content)
    if kind not in b"fd":
        raise TypeError(f"samples of type {kind!r}")
    timestamps = np.frombuffer(content, np.float64, n_samples, SHAPE.size)
    begin = SHAPE.size + timestamps.nbytes
    samples = np.frombuffer(content, kind.decode(), n_chans * n_samples, begin)
    return samples.reshape(n_samples, n_chans).T, timestamps


def _values_of(kind: bytes, content: bytes) -> list:
    values, number = json.loads(content), int | float
    known: dict[bytes, list] = {MARKER: [str, number, number], NOTE: [number, str], LOST: [int]}
    kinds = known.get(kind, [])
    if len(values) != len(kinds) or not all(map(isinstance, values, kinds)):
        raise TypeError(f"values {values}")
    return values
