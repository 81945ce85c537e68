"""A file that is only appended to: what was written survives whatever happens next."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

#: Seconds after which a full disk is tried again.
RETRY_S = 1.0


class AppendOnly:
    """A file that is only appended to, in complete records.

    Parameters
    ----------
    path : path
        A new file.

    Attributes
    ----------
    n_lost : int
        Records that could not be written.
    failure : str or None
        Why the newest one could not be written; None if it was.
    """

    def __init__(self, path: Path):
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        self._end = 0
        self._retry_at = 0.0
        self.n_lost = 0
        self.failure: str | None = None

    def append(self, record: bytes) -> None:
        """Write one record; on failure, remove all of it and raise no error."""
        now = time.monotonic()
        if now < self._retry_at:
            self.n_lost += 1
            return
        try:
            written = 0
            while written < len(record):
                written += os.pwrite(self._file, record[written:], self._end + written)
        except OSError as error:
            self.n_lost += 1
            self.failure = error.strerror or type(error).__name__
            self._retry_at = now + RETRY_S
            with suppress(OSError):  # the next record is written over it, or reading stops there
                os.ftruncate(self._file, self._end)
            return
        self._end += len(record)
        self.failure = None

    def sync(self) -> None:
        """Force what was written to disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
