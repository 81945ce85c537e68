"""Memory that is used again: to allocate new pages costs more than the arithmetic in them."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class Scratch:
    """Arrays by name; the memory of a name is used again."""

    def __init__(self) -> None:
        self._memory: dict[str, np.ndarray] = {}

    def array(
        self, name: str, shape: tuple[int, ...], dtype: DTypeLike = np.float32
    ) -> np.ndarray:
        """Return an uninitialized array; it overwrites the earlier array of this name."""
        n_bytes = prod(shape) * np.dtype(dtype).itemsize
        if name not in self._memory or len(self._memory[name]) < n_bytes:
            self._memory[name] = np.empty(n_bytes, np.uint8)
        return self._memory[name][:n_bytes].view(dtype).reshape(shape)


class Tape:
    """Buffer of consecutive samples: new samples are appended, old ones are dropped.

    Parameters
    ----------
    n_chans : int
        Number of rows.
    time_major : bool
        Whether the channels of one sample are contiguous in memory.

    Attributes
    ----------
    start, stop : int
        The samples held are those in ``[start, stop)``, counted from the start of the segment.
    """

    def __init__(self, n_chans: int, *, time_major: bool = False) -> None:
        self._order: Literal["C", "F"] = "F" if time_major else "C"
        self._samples = np.empty((n_chans, 0), np.float32)
        self.clear()

    def clear(self) -> None:
        """Drop all samples: a new segment starts."""
        self.start = self.stop = 0
        self._offset = 0  # column of sample ``start``

    @property
    def signal(self) -> np.ndarray:
        """Samples held, shape (n_chans, stop - start); a view."""
        return self._samples[:, self._offset : self._offset + self.stop - self.start]

    def grow(self, n: int) -> np.ndarray:
        """Append ``n`` samples; return their view, shape (n_chans, n), for the caller to fill."""
        n_held = self.stop - self.start
        if self._offset + n_held + n > self._samples.shape[1]:  # move all to the front
            held = self.signal
            if 4 * (n_held + n) > self._samples.shape[1]:
                self._samples = np.empty((len(held), 4 * (n_held + n)), np.float32, self._order)
            self._samples[:, :n_held] = held
            self._offset = 0
        begin = self._offset + n_held
        self.stop += n
        return self._samples[:, begin : begin + n]

    def forget(self, sample: int) -> None:
        """Drop the samples before ``sample``."""
        sample = min(max(sample, self.start), self.stop)
        self._offset += sample - self.start
        self.start = sample
