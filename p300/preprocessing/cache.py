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
import secrets
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy

from p300.preprocessing.epochs import Epochs
from p300.preprocessing.inputs import as_recording

if TYPE_CHECKING:
    from collections.abc import Callable

    import mne

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
        recording: Recording | mne.io.BaseRaw | mne.BaseEpochs,
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
        if kept is None:
            epochs = preprocessor.epochs(recording, on_cut=on_cut)
            try:
                self._write(path, epochs)
            except OSError as error:
                warnings.warn(f"epochs are not cached in {self.folder}: {error}", stacklevel=2)
            return epochs
        data, is_rejected = kept
        return Epochs(
            data=data,
            flashes=recording.flashes,
            ch_names=preprocessor.ch_names_,
            sfreq=float(preprocessor.sfreq),
            tmin=float(preprocessor.tmin),
            unit=preprocessor.unit_out,
            speller=recording.speller,
            name=recording.name,
            is_rejected=None if preprocessor.reject_uv is None else is_rejected,
        )

    def path(self, preprocessor: Preprocessor, recording: Recording) -> Path:
        """Return the file of these epochs, whether it exists or not."""
        meaning = {
            "code": _code_version(),
            "state": preprocessor.get_state(),
            "ch_names": recording.ch_names,
            "sfreq": recording.sfreq,
            "unit": recording.unit,
        }
        key = hashlib.sha256(json.dumps(meaning).encode())
        key.update(recording.flashes["segment"].to_numpy(np.int64).tobytes())
        key.update(recording.flashes["onset"].to_numpy(np.float64).tobytes())
        with ThreadPoolExecutor() as workers:
            for digest in workers.map(_hash_array, recording.segments):
                key.update(digest)
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
        limit = self.max_bytes if max_bytes is None else max_bytes
        freed = 0
        found = [(path, _status(path)) for path in self.folder.glob("*.npy")]
        files = [(path, status) for path, status in found if status is not None]
        size = sum(status.st_size for _, status in files)
        for path, status in sorted(files, key=lambda file: file[1].st_mtime):
            if size - freed <= limit:
                break
            path.unlink(missing_ok=True)
            freed += status.st_size
        for path in self.folder.glob("*.unfinished"):
            left = _status(path)
            if left is not None and time.time() - left.st_mtime > ABANDONED:
                path.unlink(missing_ok=True)
                freed += left.st_size
        return freed

    def _write(self, path: Path, epochs: Epochs) -> None:
        """Write an entry completely or not at all, after freeing space for it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prune(self.max_bytes - epochs.data.nbytes)
        rejected = epochs.is_rejected
        rejected = np.zeros(len(epochs.data), bool) if rejected is None else rejected
        unfinished = self.folder / f"{os.getpid()}-{secrets.token_hex(8)}.unfinished"
        try:
            with open(unfinished, "xb") as file:  # a file of mkstemp is readable by its owner only
                np.save(file, epochs.data, allow_pickle=False)
                file.write(rejected.tobytes())
                file.flush()
                file.write(_hash_file(unfinished, os.path.getsize(unfinished)))
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise


def _read(path: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray] | None:
    """Map an entry into memory; return None if it is missing, damaged or of another shape."""
    try:
        n_bytes = os.path.getsize(path) - N_DIGEST
        with open(path, "rb") as file:
            file.seek(n_bytes)
            digest = file.read()
        if _hash_file(path, n_bytes) != digest:
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


def _hash_file(path: Path, n_bytes: int) -> bytes:
    return hashlib.sha256(np.memmap(path, np.uint8, "r", shape=n_bytes).data).digest()


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
