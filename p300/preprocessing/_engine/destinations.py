"""Where epochs go as soon as they are cut and finished: into memory, or into a file."""

from __future__ import annotations

import threading
from typing import IO, Protocol

import numpy as np


class Destination(Protocol):
    """Takes finished epochs, in any order and from several threads."""

    def view(self, places: np.ndarray) -> np.ndarray | None:
        """Return the memory in which to make the epochs of some places, or None if it has none."""

    def put(self, places: np.ndarray, epochs: np.ndarray, is_rejected: np.ndarray | bool) -> None:
        """Take the epochs of some places, shape (n, n_chans, n_times); they are not kept."""


class InMemory:
    """Keep all epochs in one array.

    Parameters
    ----------
    n_flashes, n_chans, n_times : int

    Attributes
    ----------
    epochs : ndarray of float32, shape (n_flashes, n_chans, n_times)
    is_rejected : ndarray of bool, shape (n_flashes,)
    """

    def __init__(self, n_flashes: int, n_chans: int, n_times: int) -> None:
        self.epochs = np.empty((n_flashes, n_chans, n_times), np.float32)
        self.is_rejected = np.zeros(n_flashes, bool)

    def view(self, places: np.ndarray) -> np.ndarray | None:
        """Return a slice of the array if the places follow each other."""
        return self.epochs[places[0] : places[-1] + 1] if _is_run(places) else None

    def put(self, places: np.ndarray, epochs: np.ndarray, is_rejected: np.ndarray | bool) -> None:
        """Copy the epochs, unless they were made in the array."""
        self.is_rejected[places] = is_rejected
        if not _is_run(places):
            self.epochs[places] = epochs


class InFile:
    """Write epochs to their places in a ``.npy`` file; only the batch at hand is in memory.

    Parameters
    ----------
    file : binary file
        Empty, to be written to; it can seek.
    n_flashes, n_chans, n_times : int

    Attributes
    ----------
    is_rejected : ndarray of bool, shape (n_flashes,)
    start, stop : int
        The bytes of the array in the file are those in ``[start, stop)``.
    """

    def __init__(self, file: IO[bytes], n_flashes: int, n_chans: int, n_times: int) -> None:
        shape = n_flashes, n_chans, n_times
        header = {"descr": np.dtype(np.float32).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        self._file, self._lock = file, threading.Lock()
        self._n_bytes = 4 * n_chans * n_times
        self.is_rejected = np.zeros(n_flashes, bool)
        self.start = file.tell()
        self.stop = self.start + n_flashes * self._n_bytes

    def view(self, places: np.ndarray) -> None:
        """Return None: a file has no memory."""

    def put(self, places: np.ndarray, epochs: np.ndarray, is_rejected: np.ndarray | bool) -> None:
        """Write the epochs, those of places that follow each other at once."""
        self.is_rejected[places] = is_rejected
        ends = np.flatnonzero(np.diff(places) != 1) + 1
        with self._lock:
            for run in np.split(np.arange(len(places)), ends):
                self._file.seek(self.start + int(places[run[0]]) * self._n_bytes)
                self._file.write(np.ascontiguousarray(epochs[run[0] : run[-1] + 1]).data)


def _is_run(places: np.ndarray) -> bool:
    """Return whether places follow each other without a gap."""
    return bool((np.diff(places) == 1).all())
