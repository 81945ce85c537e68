"""Checks of what a MATLAB file claims to contain, before memory is allocated for it.

SciPy trusts a file. It allocates the size that a header claims, so a few bytes can ask for
terabytes. It calls itself for every cell within a cell, so a few thousand nested cells overflow
the stack, which ends Python without an error.

Source: MathWorks, MAT-File Format, versions 5 to 7.2: tags, data elements, array subelements.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from p300.errors import InputError

#: Largest array in bytes that MATLAB itself writes in these versions.
MAX_BYTES = 2**31

#: Most levels of nested cells, and most arrays in one variable, that a recording could need.
MAX_DEPTH, MAX_ARRAYS = 8, 100_000

#: Largest number of bytes that zlib unpacks from one byte.
MAX_RATIO = 1032

#: Bytes at the start of a variable that contain its kind, size and name.
N_HEAD = 512

MATRIX, COMPRESSED = 14, 15
CELL, STRUCT = 1, 2

#: Bytes per value in memory, by the format's class number: letters and numbers.
ITEM_BYTES = {4: 4, 6: 8, 7: 4, 8: 1, 9: 1, 10: 2, 11: 2, 12: 4, 13: 4, 14: 8, 15: 8}

#: Bytes per value in the file, by the format's type number; SciPy trusts that number.
STORED_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 1, 18: 1}

LETTERS, OPAQUE, COMPLEX = 4, 17, 0x800

#: Classes that hold programs, or data that only MATLAB can read.
KINDS = {3: "an object", 5: "a sparse matrix", 16: "a function handle", 17: "an opaque object"}


class _Claim(Exception):
    """A claim that cannot be true; its text is the end of a sentence."""


def check_claims(path: Path, names: Sequence[str]) -> None:
    """Check that a MATLAB file can contain what it claims; nothing large is read or allocated.

    Parameters
    ----------
    path : Path
        A file of version 5 to 7.2.
    names : sequence of str
        The variables that will be read; others are skipped.

    Raises
    ------
    InputError
        If the file is of another version or shorter than its parts claim, or a variable claims
        more values than its bytes can hold, more than :data:`MAX_BYTES`, cells nested deeper
        than :data:`MAX_DEPTH`, or is not plain data.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(128)
        order = {b"IM": "<", b"MI": ">"}.get(head[126:])
        version = struct.unpack(f"{order}H", head[124:126])[0] >> 8 if order else 0
        if version == 2:
            raise InputError(
                f"{path} is a MATLAB 7.3 (HDF5) file; expected version 5 to 7.2: save it again "
                "in MATLAB with save(..., '-v7')."
            )
        if order is None or version != 1:
            raise InputError(
                f"{path} ({size} bytes) is no MATLAB file of version 5 to 7.2: its first 128 "
                "bytes say another version, or it is truncated or damaged."
            )
        at = 128
        while at + 8 <= size:
            file.seek(at)
            kind, n_bytes, start, _ = _tag(file.read(8), 0, order)
            at += start
            try:
                if at + n_bytes > size:
                    raise _Claim(f"claims {n_bytes} bytes of the {size - at} that follow")
                _check_variable(file, kind, n_bytes, order, names)
            except (_Claim, zlib.error, struct.error) as error:
                reason = str(error) if isinstance(error, _Claim) else f"is damaged ({error})"
                raise InputError(
                    f"{path} ({size} bytes): the variable at byte {at - start} {reason}; the file "
                    "is truncated or damaged, copy or download it again."
                ) from error
            at += n_bytes


def _check_variable(
    file: BinaryIO, kind: int, n_bytes: int, order: str, names: Sequence[str]
) -> None:
    """Check one variable; if it holds numbers, only its head is read."""
    unpack, claimed, start = None, n_bytes, 0
    content = file.read(min(n_bytes, N_HEAD))
    if kind == COMPRESSED:
        unpack = zlib.decompressobj()
        content = unpack.decompress(content, N_HEAD)
        kind, claimed, start, _ = _tag(content, 0, order)
        if claimed > MAX_RATIO * n_bytes:
            raise _Claim(f"claims {claimed} bytes in {n_bytes} compressed ones")
    if kind != MATRIX:
        raise _Claim(f"is of kind {kind}; expected {MATRIX}, an array")
    number, _, name, _ = _array_head(content, start, order)
    if name not in names:
        return
    if claimed > MAX_BYTES:
        raise _Claim(f"claims {claimed} bytes; expected at most {MAX_BYTES}")
    if number in (CELL, STRUCT):
        rest = file.read(max(0, n_bytes - N_HEAD))
        content += unpack.decompress(unpack.unconsumed_tail + rest, claimed) if unpack else rest
    for n, found in enumerate(_arrays(content, start, claimed, order)):
        if n >= MAX_ARRAYS:
            raise _Claim(f"{name} holds more than {MAX_ARRAYS} arrays")
        if found in KINDS:
            raise _Claim(f"{name} holds {KINDS[found]}; expected numbers or letters")


def _arrays(content: bytes, at: int, n_bytes: int, order: str, depth: int = 0) -> Iterator[int]:
    """Check an array and those within it, and yield the class of each."""
    number, sizes, _, after = _array_head(content, at, order)
    yield number
    if number in KINDS:
        return
    if min(sizes) < 0:
        raise _Claim(f"claims the size {sizes}")
    n_values = math.prod(sizes)
    if n_values * ITEM_BYTES.get(number, 8) > MAX_BYTES or n_values > n_bytes:
        raise _Claim(f"claims {n_values} values {sizes} in {n_bytes} bytes")
    if number not in (CELL, STRUCT):
        kind, n_stored, _, _ = _tag(content, after, order)
        size = STORED_BYTES.get(kind, 0)
        fits = n_stored >= n_values if number == LETTERS else n_stored == n_values * size
        if not size or not fits or number not in ITEM_BYTES:
            values = f"{n_values} values {sizes} of class {number}"
            raise _Claim(f"claims {values} in {n_stored} bytes of type {kind}")
        return
    if depth == MAX_DEPTH:
        raise _Claim(f"has cells in cells, more than {MAX_DEPTH} deep")
    if number == STRUCT:
        _, _, start, after = _tag(content, after, order)
        (length,) = struct.unpack_from(f"{order}i", content, start)
        _, n_names, _, after = _tag(content, after, order)
        n_values *= n_names // length if length > 0 else 0
    for _ in range(n_values):
        kind, n_inner, start, _ = _tag(content, after, order)
        after = start + n_inner
        if kind != MATRIX or after > len(content):
            raise _Claim(f"holds a part of kind {kind} that claims {n_inner} bytes")
        if n_inner:
            yield from _arrays(content, start, n_inner, order, depth + 1)
        else:
            yield 0


def _array_head(content: bytes, at: int, order: str) -> tuple[int, tuple[int, ...], str, int]:
    """Read an array's class, size and name, and the byte at which its content begins."""
    (flags,) = struct.unpack_from(f"{order}I", content, at + 8)
    if flags & COMPLEX:
        raise _Claim("holds complex numbers; expected real numbers")
    number, sizes, at = flags & 0xFF, (), at + 16
    if number != OPAQUE:  # which has strings only, no size
        _, n_bytes, start, at = _tag(content, at, order)
        if not 8 <= n_bytes <= 4 * 32:
            raise _Claim(f"claims {n_bytes // 4} axes")
        sizes = struct.unpack_from(f"{order}{n_bytes // 4}i", content, start)
    _, n_bytes, start, at = _tag(content, at, order)
    if n_bytes > N_HEAD:
        raise _Claim(f"claims a name of {n_bytes} letters")
    return number, sizes, content[start : start + n_bytes].decode("latin-1"), at


def _tag(content: bytes, at: int, order: str) -> tuple[int, int, int, int]:
    """Read a tag: the kind of its content, the bytes, where they start, and the next tag."""
    (first,) = struct.unpack_from(f"{order}I", content, at)
    if first >> 16:  # content of four bytes or less is in the tag itself
        return first & 0xFFFF, first >> 16, at + 4, at + 8
    (n_bytes,) = struct.unpack_from(f"{order}I", content, at + 4)
    return first, n_bytes, at + 8, at + 8 + n_bytes + -n_bytes % 8
