"""The header of a BCI2000 file: how its samples are stored, its states and parameters.

Source: https://www.bci2000.org/mediawiki/index.php/Technical_Reference:BCI2000_File_Format, with
State_Definition and Parameter_Definition beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from p300.errors import InputError
from p300.readers.formats._segments import PIECE

#: Longest header that is read, in bytes.
MAX_HEADER = 2**25

#: Types of samples.
DTYPES = {"int16": "<i2", "int32": "<i4", "float32": "<f4"}

PARAMETER = re.compile(r"(\S+)\s+(\S+)\s+(\S+?)=\s*(.*)")


@dataclass(frozen=True, eq=False)
class Header:
    """What the header says.

    Parameters
    ----------
    version : str or None
        Of the format; None for files before 1.1.
    frame : dtype
        One sample of all channels ("signal") and the state vector ("states").
    offset, n_samples, n_odd_bytes : int
        Where the samples begin, how many there are, and the bytes behind them.
    states : dict of str to (int, int)
        First bit in the state vector, and number of bits.
    parameters : dict of str to list
        Values of each parameter, and for matrices a list of rows.
    """

    version: str | None
    frame: np.dtype
    offset: int
    n_samples: int
    n_odd_bytes: int
    states: dict[str, tuple[int, int]]
    parameters: dict[str, list]

    def numbers(self, name: str) -> list[float]:
        """Return the numbers of a parameter, without their units; empty if it has others."""
        found = [re.match(r"[-+\d.eE]+", str(value)) for value in self.parameters.get(name, [])]
        try:
            return [float(match[0]) for match in found if match]
        except ValueError:
            return []


def is_bci2000(path: Path) -> bool:
    """Return whether a file begins as BCI2000's do; others are called .dat, too."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(9) in (b"BCI2000V=", b"HeaderLen")


def read_header(path: Path) -> Header:
    """Read the header of a file.

    Raises
    ------
    InputError
        If it is damaged, or no sample is behind it.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        first = file.readline(1000).decode("latin-1")
        fields = dict(re.findall(r"(\w+)=\s*(\S+)", first))
        try:
            offset, n_chans, n_states = (
                int(fields[name]) for name in ("HeaderLen", "SourceCh", "StatevectorLen")
            )
            kind = DTYPES[fields.get("DataFormat", "int16")]
            if not 0 < offset <= min(size, MAX_HEADER) or n_chans < 1 or n_states < 0:
                raise ValueError(first)
            width = n_chans * np.dtype(kind).itemsize + n_states
            n_samples, n_odd = divmod(size - offset, width)
            if n_samples < 2:
                raise ValueError(first)
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{path.name}: got the first line {first.strip()[:120]!r} in a file of {size} "
                "bytes; expected HeaderLen, SourceCh, StatevectorLen and DataFormat of BCI2000 "
                "that fit it"
            ) from error
        file.seek(0)
        text = file.read(offset).decode("utf-8", "replace")
    frame = np.dtype([("signal", kind, (n_chans,)), ("states", "u1", (n_states,))])
    states: dict[str, tuple[int, int]] = {}
    parameters: dict[str, list] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[] ")
        elif section.startswith("State"):
            if match := re.match(r"(\S+)\s+(\d{1,9})\s+\S+\s+(\d{1,9})\s+(\d{1,9})\s*$", line):
                n_bits, byte, bit = (int(number) for number in match.groups()[1:])
                states[match[1]] = (8 * byte + bit, n_bits)
        elif match := PARAMETER.match(line):
            values = _values(match[2], match[4].split())
            if values is not None:
                parameters[match[3]] = values
    version = fields.get("BCI2000V")
    return Header(version, frame, offset, n_samples, n_odd, states, parameters)


def read_states(names: Iterable[str], header: Header, path: Path) -> dict[str, np.ndarray]:
    """Decode states: bits in little endian order, at any place of the state vector.

    Returns
    -------
    dict of str to ndarray of unsigned int, shape (n_samples,)
        Of those that the file has.

    Raises
    ------
    InputError
        If the bits of one lie outside the state vector.
    """
    n_bytes, states = header.frame["states"].shape[0], {}
    places = {name: header.states[name] for name in names if name in header.states}
    for name, (first, n_bits) in places.items():
        if not 0 < n_bits <= 32 or first + n_bits > 8 * n_bytes:
            raise InputError(
                f"{path.name}: the state {name} has {n_bits} bits from bit {first}; expected 1 to "
                f"32 within a state vector of {n_bytes} bytes"
            )
        states[name] = np.empty(header.n_samples, np.min_scalar_type(2**n_bits - 1))
    for start, frames in read_frames(header, path):
        for name, (first, n_bits) in places.items():
            value = np.zeros(len(frames), np.uint64)
            for shift, byte in enumerate(range(first // 8, (first + n_bits + 7) // 8)):
                value |= frames["states"][:, byte].astype(np.uint64) << np.uint64(8 * shift)
            value = (value >> np.uint64(first % 8)) & np.uint64(2**n_bits - 1)
            states[name][start : start + len(frames)] = value
    return states


def read_frames(header: Header, path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the samples with their state vectors, some at a time, and the number of the first."""
    with open(path, "rb") as file:
        file.seek(header.offset)
        for start in range(0, header.n_samples, PIECE):
            n = min(PIECE, header.n_samples - start)
            yield start, np.frombuffer(file.read(n * header.frame.itemsize), header.frame)


def _values(kind: str, words: Sequence[str]) -> list | None:
    """Return the values of a parameter line: one, those of a list, or rows of a matrix."""
    words = [_decoded(word) if word not in ("{", "}") else word for word in words]
    if not kind.endswith("list") and kind != "matrix":
        return words[:1]
    counts = []
    for _ in range(2 if kind == "matrix" else 1):
        if words[:1] == ["{"] and "}" in words:
            stop = words.index("}")
            counts.append(stop - 1)
            words = words[stop + 1 :]
        elif words and re.fullmatch(r"\d{1,6}", words[0]):
            counts.append(int(words[0]))
            words = words[1:]
        else:
            return None
    n_values = int(np.prod(counts))
    if n_values > len(words) or "{" in words[:n_values]:  # a matrix in a matrix: several menus
        return None
    if kind != "matrix":
        return list(words[:n_values])
    return [list(words[k * counts[1] : (k + 1) * counts[1]]) for k in range(counts[0])]


def _decoded(word: str) -> str:
    """Decode a value: "%20" is a space, "%" alone is empty."""
    return "" if word == "%" else unquote(word)
