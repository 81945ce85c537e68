"""Arrays that are mapped from files.

An array that is mapped from a file takes no memory of its own: the system reads the parts that
are used, and forgets them when memory is needed.
"""

from __future__ import annotations

import mmap
import weakref
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import DTypeLike

#: Linux: no memory is set aside for changes to a private map. Without it, a file larger than the
#: memory cannot be mapped.
MAP_NORESERVE = 0x4000

#: The maps in use, by their first address.
_MAPS: weakref.WeakValueDictionary[int, mmap.mmap] = weakref.WeakValueDictionary()


def map_array(
    file: IO[bytes], shape: tuple[int, ...], dtype: DTypeLike, *, offset: int = 0
) -> np.ndarray:
    """Map an array of a file into memory; changes to it stay in memory.

    Parameters
    ----------
    file : binary file
        Open for reading; it may be closed and deleted afterwards.
    shape, dtype
        Of the array, which is stored in the order of C.
    offset : int
        Its first byte.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryFile() as file:
    ...     _ = file.write(bytes([9, 1, 2, 3]))
    ...     file.flush()
    ...     map_array(file, (3,), np.uint8, offset=1).tolist()
    [1, 2, 3]
    """
    n_bytes = offset + prod(shape) * np.dtype(dtype).itemsize
    if Path("/proc/self/maps").exists():
        flags, access = mmap.MAP_PRIVATE | MAP_NORESERVE, mmap.PROT_READ | mmap.PROT_WRITE
        mapped = mmap.mmap(file.fileno(), n_bytes, flags=flags, prot=access)
    else:
        mapped = mmap.mmap(file.fileno(), n_bytes, access=mmap.ACCESS_COPY)
    array = np.ndarray(shape, dtype, mapped, offset)
    _MAPS[array.ctypes.data - offset] = mapped
    return array


def is_mapped(address: int) -> bool:
    """Return whether an address is that of an array of :func:`map_array`, or of a view of one.

    Examples
    --------
    >>> is_mapped(np.zeros(3).ctypes.data)
    False
    """
    return _find_map(address) is not None


def announce_rows(address: int, n_bytes: int, rows: Iterable[int]) -> None:
    """Tell the system which rows of a mapped array are read next, so that it reads all at once.

    Without this, it would read one row after the other, and megabytes around each.

    Parameters
    ----------
    address : int
        Of the first row. If it is not that of a mapped array, nothing happens.
    n_bytes : int
        Size of a row.
    rows : iterable of int
    """
    found = _find_map(address)
    if found is None or not hasattr(mmap, "MADV_WILLNEED"):
        return
    mapped, first = found
    for row in rows:
        before = (first + row * n_bytes) % mmap.PAGESIZE
        start = first + row * n_bytes - before
        mapped.madvise(mmap.MADV_WILLNEED, start, before + n_bytes)


def _find_map(address: int) -> tuple[mmap.mmap, int] | None:
    """Find the map that holds an address, and the place there."""
    for start, mapped in list(_MAPS.items()):
        if start <= address < start + len(mapped):
            return mapped, address - start
    return None
