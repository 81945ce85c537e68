"""Memory that is used again: fresh pages cost more than the arithmetic done in them."""

from __future__ import annotations

from math import prod

import numpy as np


class Scratch:
    """Arrays by name, whose memory is used again when they are asked for again."""

    def __init__(self):
        self._memory = {}

    def array(self, name, shape, dtype=np.float32) -> np.ndarray:
        """Return an array with any content; what the name stood for before is overwritten."""
        n_bytes = prod(shape) * np.dtype(dtype).itemsize
        if name not in self._memory or len(self._memory[name]) < n_bytes:
            self._memory[name] = np.empty(n_bytes, np.uint8)
        return self._memory[name][:n_bytes].view(dtype).reshape(shape)


class Tape:
    """A stretch of signal that grows at one end and forgets at the other.

    Parameters
    ----------
    n_chans : int
        Rows.
    time_major : bool
        Whether the channels of one sample lie side by side in memory.

    Attributes
    ----------
    start, stop : int
        The samples held are those in ``[start, stop)``, counted from the start of the segment.
    """

    def __init__(self, n_chans, *, time_major=False):
        self._order = "F" if time_major else "C"
        self._samples = np.empty((n_chans, 0), np.float32)
        self.clear()

    def clear(self) -> None:
        """Forget everything: a new segment starts."""
        self.start = self.stop = 0
        self._offset = 0  # column of sample ``start``

    @property
    def signal(self) -> np.ndarray:
        """The samples held, shape (n_chans, stop - start); a view."""
        return self._samples[:, self._offset : self._offset + self.stop - self.start]

    def grow(self, n) -> np.ndarray:
        """Return room for ``n`` more samples, shape (n_chans, n), to be filled by the caller."""
        n_held = self.stop - self.start
        if self._offset + n_held + n > self._samples.shape[1]:
            self._make_room(n_held + n)
        begin = self._offset + n_held
        self.stop += n
        return self._samples[:, begin : begin + n]

    def forget(self, sample) -> None:
        """Drop the samples before ``sample``."""
        sample = min(max(sample, self.start), self.stop)
        self._offset += sample - self.start
        self.start = sample

    def _make_room(self, n_needed) -> None:
        """Move what is held to the front, of a larger array where it fills more than a quarter."""
        held = self.signal
        if 4 * n_needed > self._samples.shape[1]:
            self._samples = np.empty((len(held), 4 * n_needed), np.float32, self._order)
        self._samples[:, : held.shape[1]] = held
        self._offset = 0
