"""Keep preprocessed epochs on disk between runs.

One file per entry: a ``.npy`` of the epochs (mapped into memory when it is used again), then one
byte per flash (is it rejected?), then the SHA-256 of all that precedes. The file name is the hash
of everything that the epochs depend on: the samples, the flashes, the fitted preprocessor and the
code.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy

from p300.preprocessing.inputs import as_recording
from p300.storage.files import PARTIAL, atomic_write

if TYPE_CHECKING:
    from collections.abc import Callable

    from p300.preprocessing.epochs import Epochs
    from p300.preprocessing.inputs import RecordingLike
    from p300.preprocessing.preprocessor import Preprocessor
    from p300.recording import Recording

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
        on_cut: Callable[[int], object] | None = None,
    ) -> Epochs:
        """Return the epochs of a recording, from the folder if they are there.

        Parameters
        ----------
        preprocessor : Preprocessor
            Fitted.
        recording : Recording or MNE object
            As for :meth:`~p300.preprocessing.Preprocessor.transform`.
        on_cut : callable or None
            As for :meth:`~p300.preprocessing.Preprocessor.epochs`; called only if the epochs are
            not in the folder.

        Returns
        -------
        Epochs
            As from :meth:`~p300.preprocessing.Preprocessor.epochs`. If they come from the folder,
            ``data`` is read when it is needed; changes to it are never written to the folder.
        """
        recording = as_recording(recording, is_filtered=preprocessor.is_filtering)
        path = self.path(preprocessor, recording)
        shape = (len(recording.flashes), len(preprocessor.ch_names_), preprocessor.n_times)
        kept = _read(path, shape)
        if kept is not None:
            return preprocessor.build_epochs(
                *kept, recording.flashes, name=recording.name, speller=recording.speller
            )
        epochs = preprocessor.epochs(recording, on_cut=on_cut)
        try:
            self._write(path, epochs)
        except OSError as error:
            warnings.warn(f"epochs are not cached in {self.folder}: {error}", stacklevel=2)
        return epochs

    def path(self, preprocessor: Preprocessor, recording: Recording) -> Path:
        """Return the file of these epochs, whether it exists or not."""
        steps = [_code_version(), preprocessor.get_state()]
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

    def _write(self, path: Path, epochs: Epochs) -> None:
        """Write an entry completely or not at all, after freeing space for it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prune(self.max_bytes - epochs.data.nbytes)
        rejected = epochs.is_rejected
        with atomic_write(path, "wb") as file:
            np.save(file, epochs.data, allow_pickle=False)
            file.write(bytes(len(epochs.data)) if rejected is None else rejected.tobytes())
            file.flush()
            file.write(hashlib.sha256(np.memmap(file.name, np.uint8, "r").data).digest())


def _read(path: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray] | None:
    """Map an entry into memory; return None if it is missing, damaged or of another shape."""
    try:
        content = np.memmap(path, np.uint8, "r")
        n_bytes = len(content) - N_DIGEST
        if hashlib.sha256(content[:n_bytes].data).digest() != content[n_bytes:].tobytes():
            raise ValueError("the content does not match its SHA-256 hash")
        data = np.load(path, mmap_mode="c", allow_pickle=False)
        if data.shape != shape or data.dtype != np.float32:
            raise ValueError(f"{data.dtype} of shape {data.shape}, expected float32 of {shape}")
        is_rejected = np.fromfile(path, bool, len(data), offset=n_bytes - len(data))
        os.utime(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        warnings.warn(f"damaged cache entry {path} is computed again: {error}", stacklevel=3)
        return None
    return data, is_rejected


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
