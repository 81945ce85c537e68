"""Keep preprocessed epochs on disk: between runs, and where they are larger than the memory.

One file per entry: a ``.npy`` of the epochs, then one byte per flash (is it rejected?), then the
SHA-256 of all that precedes. The epochs are written as they are cut, batch by batch, and mapped
into memory when they are used, so they never are in memory all at once. The file name is the hash
of everything that the epochs depend on: the samples, the flashes, the fitted preprocessor, the
alignment and the code.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache, partial
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import scipy

from p300.preprocessing._engine.destinations import Destination, InFile
from p300.preprocessing.alignment import aligned
from p300.preprocessing.inputs import as_recording
from p300.storage.files import PARTIAL, atomic_write
from p300.storage.maps import map_array
from p300.storage.memory import check_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from p300.preprocessing.alignment import EuclideanAlignment
    from p300.preprocessing.epochs import Epochs
    from p300.preprocessing.inputs import RecordingLike
    from p300.preprocessing.preprocessor import Preprocessor
    from p300.recording import Recording

#: The epochs of an entry, mapped from its file, and which of them are rejected.
Entry = tuple[np.ndarray, np.ndarray]

#: Length of the hash at the end of a file.
N_DIGEST = hashlib.sha256().digest_size

#: Age in seconds from which an unfinished file counts as left by a process that died.
ABANDONED = 3600.0


class EpochsCache:
    """Folder of preprocessed epochs.

    Any number of processes may use one folder. Each entry is written under another name and then
    renamed, so that no process reads an incomplete entry. A damaged entry is computed again.

    Parameters
    ----------
    folder : path
        Created when the first entry is written.
    max_bytes : float
        Largest size of the folder; beyond it, the least recently used entries are deleted.

    Examples
    --------
    >>> import tempfile
    >>> from p300.preprocessing import Preprocessor, recording_from_arrays
    >>> signal = np.random.default_rng(0).normal(size=(8, 480))
    >>> recording = recording_from_arrays(signal, [1.0], sfreq=240)
    >>> cache = EpochsCache(tempfile.mkdtemp())
    >>> cache.epochs(Preprocessor().fit(recording), recording).data.shape
    (1, 8, 78)
    """

    def __init__(self, folder: str | os.PathLike[str], *, max_bytes: float = 20e9) -> None:
        self.folder = Path(folder)
        self.max_bytes = max_bytes

    def epochs(
        self,
        preprocessor: Preprocessor,
        recording: RecordingLike,
        *,
        alignment: EuclideanAlignment | None = None,
        on_cut: Callable[[int], object] | None = None,
    ) -> Epochs:
        """Return the epochs of a recording, from the folder; they are put there if need be.

        Parameters
        ----------
        preprocessor : Preprocessor
            Fitted.
        recording : Recording or MNE object
            As for :meth:`~p300.preprocessing.Preprocessor.transform`.
        alignment : EuclideanAlignment or None
            Applied to the epochs. The epochs before and after it are two entries.
        on_cut : callable or None
            As for :meth:`~p300.preprocessing.Preprocessor.epochs`; called only if the epochs are
            not in the folder.

        Returns
        -------
        Epochs
            As from :meth:`~p300.preprocessing.Preprocessor.epochs`, bit for bit. ``data`` is read
            from the folder when it is needed; changes to it are never written to the folder. If
            the folder cannot be written to, a warning says so and ``data`` is in memory.

        Raises
        ------
        InputError
            If the epochs fit neither on the disk nor into the memory.
        """
        recording = as_recording(recording, is_filtered=preprocessor.is_filtering)
        preprocessor.check_is_fitted()
        recording = preprocessor.leave_out(recording)
        try:
            data, is_rejected = self._entry(preprocessor, recording, alignment, on_cut)
        except OSError as error:
            warnings.warn(f"epochs are not cached in {self.folder}: {error}", stacklevel=2)
            n_bytes = 4 * prod(_shape(preprocessor, recording))
            check_memory(
                n_bytes if alignment is None else 2 * n_bytes,
                f"epochs that are not on disk ({error})",
                f"free disk space in {self.folder}, or choose another folder",
            )
            return aligned(preprocessor.epochs(recording, on_cut=on_cut), alignment)
        epochs = preprocessor.build_epochs(
            data, is_rejected, recording.flashes, name=recording.name, speller=recording.speller
        )
        return epochs if alignment is None else replace(epochs, unit="sd")

    def _entry(
        self,
        preprocessor: Preprocessor,
        recording: Recording,
        alignment: EuclideanAlignment | None,
        on_cut: Callable[[int], object] | None,
    ) -> Entry:
        """Map the entry of some epochs; write it first if it is not there."""
        path = self.path(preprocessor, recording, alignment)
        shape = _shape(preprocessor, recording)
        kept = _read(path, shape)
        if kept is not None:
            return kept
        if alignment is None:
            return self._write(path, shape, partial(preprocessor.cut, recording, on_cut=on_cut))
        data, is_rejected = self._entry(preprocessor, recording, None, on_cut)

        def align(into: Destination) -> None:
            for rows, some in alignment.blocks(data, recording.flashes):
                into.put(rows, some, is_rejected[rows])

        return self._write(path, shape, align)

    def path(
        self,
        preprocessor: Preprocessor,
        recording: Recording,
        alignment: EuclideanAlignment | None = None,
    ) -> Path:
        """Return the file of these epochs, whether it exists or not."""
        steps: list[Any] = [_code_version(), preprocessor.get_state()]
        if alignment is not None:  # it depends on who is recorded when
            sessions = recording.flashes[["subject", "session"]].astype("string")
            steps += [alignment.to_dict(), sessions.to_csv(index=False)]
        signal = [recording.ch_names, recording.sfreq, recording.unit]
        key = hashlib.sha256(json.dumps(steps + signal).encode())
        key.update(recording.flashes["segment"].to_numpy(np.int64).tobytes())
        key.update(recording.flashes["onset"].to_numpy(np.float64).tobytes())
        with ThreadPoolExecutor() as workers:
            key.update(b"".join(workers.map(_hash_array, recording.segments)))
        return self.folder / f"{key.hexdigest()[:40]}.npy"

    def prune(self, max_bytes: float | None = None) -> int:
        """Delete the least recently used entries until the rest fits.

        Parameters
        ----------
        max_bytes : float or None
            None for the ``max_bytes`` of this cache; 0 deletes all.

        Returns
        -------
        int
            Bytes deleted.
        """
        entries, unfinished = (
            [(path, found) for path in self.folder.glob(name) if (found := _status(path))]
            for name in ("*.npy", f"*{PARTIAL}")
        )
        doomed = [e for e in unfinished if time.time() - e[1].st_mtime > ABANDONED]
        size = sum(status.st_size for _, status in entries)
        limit = self.max_bytes if max_bytes is None else max_bytes
        for path, status in sorted(entries, key=lambda entry: entry[1].st_mtime):
            if size > limit:
                doomed.append((path, status))
                size -= status.st_size
        for path, _ in doomed:
            path.unlink(missing_ok=True)
        return sum(status.st_size for _, status in doomed)

    def _write(
        self, path: Path, shape: tuple[int, int, int], make: Callable[[InFile], object]
    ) -> Entry:
        """Write an entry completely or not at all, after freeing space for it; map it.

        ``make`` puts the epochs into the file that it is given.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        n_bytes = 4 * prod(shape)
        self.prune(self.max_bytes - n_bytes)
        free = shutil.disk_usage(self.folder).free
        if free < n_bytes:
            left = f"{n_bytes / 1e9:.2f} GB of epochs, {free / 1e9:.2f} GB free"
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} ({left})", str(self.folder))
        with atomic_write(path, "wb") as file:
            into = InFile(file, *shape)
            map_epochs = partial(map_array, shape=shape, dtype=np.float32, offset=into.start)
            make(into)
            file.seek(into.stop)
            file.write(into.is_rejected.tobytes())
            n_bytes = file.tell()
            file.flush()
            with open(file.name, "rb") as written:
                file.write(_hash_file(written, n_bytes))
                if os.name == "posix":  # before another process may delete it to make room
                    return map_epochs(written), into.is_rejected
        with open(path, "rb") as file:  # Windows does not rename a file that is mapped
            return map_epochs(file), into.is_rejected


def _shape(preprocessor: Preprocessor, recording: Recording) -> tuple[int, int, int]:
    """Return the shape of all epochs of a recording."""
    return len(recording.flashes), len(preprocessor.ch_names_), preprocessor.n_times


def _read(path: Path, shape: tuple[int, int, int]) -> Entry | None:
    """Map an entry into memory; return None if it is missing, damaged or of another shape."""
    try:
        with open(path, "rb") as file:
            n_bytes = os.fstat(file.fileno()).st_size - N_DIGEST
            if n_bytes < 0 or _hash_file(file, n_bytes) != file.read():
                raise ValueError("the content does not match its SHA-256 hash")
            file.seek(0)
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"a .npy file of version {version}, expected (1, 0)")
            found, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
            if (found, is_fortran, dtype) != (shape, False, np.float32):
                raise ValueError(f"{dtype} of shape {found}, expected float32 of {shape}")
            start = file.tell()
            file.seek(n_bytes - shape[0])
            is_rejected = np.frombuffer(file.read(shape[0]), bool)
            data = map_array(file, shape, np.float32, offset=start)
        os.utime(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        warnings.warn(f"damaged cache entry {path} is computed again: {error}", stacklevel=4)
        return None
    return data, is_rejected


def _hash_file(file: IO[bytes], n_bytes: int) -> bytes:
    """Hash the first bytes of a file, a few at a time; afterwards the file is behind them."""
    digest, piece = hashlib.sha256(), memoryview(bytearray(1 << 20))
    file.seek(0)
    while n_bytes:
        n = file.readinto(piece[: min(n_bytes, len(piece))])  # type: ignore[attr-defined]
        if not n:
            raise ValueError("the file ended early")
        digest.update(piece[:n])
        n_bytes -= n
    return digest.digest()


def _hash_array(array: np.ndarray) -> bytes:
    """Hash the values of an array and its memory layout."""
    is_transposed = array.flags.f_contiguous and not array.flags.c_contiguous
    samples = np.ascontiguousarray(array.T if is_transposed else array)
    digest = hashlib.sha256(f"{samples.dtype.str} {samples.shape} {is_transposed}".encode())
    digest.update(samples.view(np.uint8).data)
    return digest.digest()


@lru_cache(maxsize=1)
def _code_version() -> str:
    """Hash this package's source and the versions of NumPy and SciPy."""
    digest = hashlib.sha256(f"{np.__version__} {scipy.__version__}".encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _status(path: Path) -> os.stat_result | None:
    """Return a file's size and times, or None if another process has just deleted it."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None
