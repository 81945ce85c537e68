"""Arrays stored in ``.npz`` and HDF5 files: their sizes, and their values piece by piece."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from p300.errors import InputError
from p300.readers.formats._segments import PIECE, check_size

#: Most arrays that are looked at, and most values of one that is no signal.
MAX_ARRAYS, MAX_VALUES = 1000, 50_000_000

#: Most bytes that one byte of a compressed array may hold; EEG has 10 at most, zeros 1000.
MAX_RATIO = 1100


@dataclass(frozen=True)
class Stored:
    """An array of a file: shape and type, without its values."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def parts(self) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and type."""
        return self.shape, self.dtype


class Archive(Protocol):
    """A file of arrays."""

    arrays: dict[str, Stored]

    def values(self, name: str) -> np.ndarray:
        """Read a whole array, which is small."""

    def signal(self, name: str, rows: list[int], *, is_transposed: bool) -> np.ndarray:
        """Read some channels as float32, shape (n_chans, n_samples)."""


class Npz:
    """Arrays of numpy's archive; nothing in it is unpickled.

    Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile):
        self._path, self._archive = path, archive
        self._members: dict[str, str] = {}
        self.arrays: dict[str, Stored] = {}
        self._is_fortran: dict[str, bool] = {}
        for info in archive.infolist()[:MAX_ARRAYS]:
            name = info.filename.removesuffix(".npy")
            with archive.open(info) as file:
                shape, is_fortran, dtype = _header(file)
            n_bytes = int(np.prod([float(n) for n in shape])) * dtype.itemsize
            is_bomb = info.file_size > MAX_RATIO * max(info.compress_size, 1)
            if dtype.hasobject or n_bytes > info.file_size or is_bomb or min(shape, default=0) < 0:
                dtype = np.dtype(object)  # cannot be read
            self._members[name] = info.filename
            self.arrays[name] = Stored(shape, dtype)
            self._is_fortran[name] = is_fortran

    def values(self, name: str) -> np.ndarray:
        """Read a whole array, which is small."""
        with self._archive.open(self._members[name]) as file:
            return np.lib.format.read_array(file, allow_pickle=False)

    def signal(self, name: str, rows: list[int], *, is_transposed: bool) -> np.ndarray:
        """Read some channels as float32, shape (n_chans, n_samples)."""
        shape, dtype = self.arrays[name].parts
        n_chans, n_samples = shape[::-1] if is_transposed else shape
        signal = np.empty((len(rows), n_samples), np.float32)
        # in memory, rows of a transposed array in C order are those of another in Fortran order
        by_sample = is_transposed != self._is_fortran[name]
        outer, inner = (n_samples, n_chans) if by_sample else (n_chans, n_samples)
        with self._archive.open(self._members[name]) as file:
            _header(file)
            if by_sample:
                step = max(1, PIECE // max(1, n_chans // 64))
                for k in range(0, outer, step):
                    block = _read(file, min(step, outer - k) * inner, dtype).reshape(-1, inner)
                    signal[:, k : k + step] = block[:, rows].T
            else:
                places = {row: k for k, row in enumerate(rows)}
                for row in range(outer):
                    for k in range(0, inner, PIECE):
                        piece = _read(file, min(PIECE, inner - k), dtype)
                        if row in places:
                            signal[places[row], k : k + PIECE] = piece
        return signal


class Hdf5:
    """Data sets of an HDF5 file; links to other files are not followed."""

    def __init__(self, file: Any):
        import h5py

        self._file = file
        self.arrays: dict[str, Stored] = {}
        todo = [("", file)]
        while todo and len(self.arrays) < MAX_ARRAYS:
            prefix, group = todo.pop(0)
            for key in list(group)[:MAX_ARRAYS]:
                if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                    continue
                item, name = group[key], f"{prefix}{key}"
                if isinstance(item, h5py.Group) and prefix.count("/") < 4:
                    todo.append((f"{name}/", item))
                elif isinstance(item, h5py.Dataset) and not (item.external or item.is_virtual):
                    is_text = h5py.check_string_dtype(item.dtype) is not None
                    dtype = np.dtype("S1") if is_text else item.dtype
                    self.arrays[name] = Stored(tuple(item.shape or ()), dtype)

    def values(self, name: str) -> np.ndarray:
        """Read a whole array, which is small."""
        item = self._file[name]
        found = item[()]
        if item.dtype.kind == "O":  # texts
            texts = [t.decode("utf-8", "replace") for t in np.ravel(found) if isinstance(t, bytes)]
            return np.array(texts)
        return np.asarray(found)

    def signal(self, name: str, rows: list[int], *, is_transposed: bool) -> np.ndarray:
        """Read some channels as float32, shape (n_chans, n_samples)."""
        item = self._file[name]
        n_samples = item.shape[0 if is_transposed else 1]
        signal = np.empty((len(rows), n_samples), np.float32)
        for k in range(0, n_samples, PIECE):
            piece = item[k : k + PIECE] if is_transposed else item[:, k : k + PIECE]
            signal[:, k : k + PIECE] = (piece.T if is_transposed else piece)[rows]
        return signal


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open a file of arrays.

    Raises
    ------
    InputError
        If it is damaged while it is opened or read.
    """
    try:
        if path.suffix.lower() == ".npz":
            with zipfile.ZipFile(path) as archive:
                yield Npz(path, archive)
            return
        try:
            import h5py
        except ImportError as error:
            raise InputError(f"h5py is needed to read {path.name}: pip install h5py") from error
        with h5py.File(path, "r") as file:
            yield Hdf5(file)
    except InputError:
        raise
    except Exception as error:  # of any kind: the file is somebody else's
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path.name} cannot be read: {reason}; expected arrays of numpy (.npz) or HDF5"
        ) from error


def check_signal(path: Path, array: Stored, n_chans: int) -> None:
    """Refuse a signal that does not fit into the memory, or claims more than the file can hold.

    Raises
    ------
    InputError
        With both sizes.
    """
    n_bytes = float(np.prod([float(n) for n in array.shape])) * array.dtype.itemsize
    if n_bytes > MAX_RATIO * path.stat().st_size:
        raise InputError(
            f"{path.name}: got a signal of shape {array.shape} in {path.stat().st_size} bytes; "
            "expected a file that holds it"
        )
    check_size(path, 4.0 * n_chans * max(array.shape))


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read shape, order and type at the beginning of an array."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)


def _read(file: Any, n: int, dtype: np.dtype) -> np.ndarray:
    content = file.read(n * dtype.itemsize)
    if len(content) < n * dtype.itemsize:
        raise EOFError("the file ends within an array")
    return np.frombuffer(content, dtype)
