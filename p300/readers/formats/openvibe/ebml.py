"""Elements of an EBML file, as OpenViBE writes them.

Source: https://www.rfc-editor.org/rfc/rfc8794 (EBML),
http://openvibe.inria.fr/ov-file-format-description/ (identifiers of up to 10 bytes).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from p300.errors import InputError

#: Longest identifier or size, in bytes, and what is read at a time.
MAX_VINT, WINDOW = 10, 2**13


class Element(NamedTuple):
    """An element: its identifier without the length marker, and where its content is."""

    name: int
    begin: int
    end: int


class EBMLFile:
    """A file of elements, read in small windows.

    Parameters
    ----------
    path : Path
        The file.

    Attributes
    ----------
    n_lost : int
        Bytes of the last element that the file should have and has not.
    """

    def __init__(self, path: Path):
        self._name, self.size, self.n_lost = path.name, path.stat().st_size, 0
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 (closed by __exit__)
        self._at, self._window = 0, b""

    def __enter__(self) -> EBMLFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def read(self, begin: int, end: int) -> bytes:
        """Read some bytes; fewer at the end of the file."""
        if begin < self._at or end > self._at + len(self._window):
            self._file.seek(begin)
            self._at, self._window = begin, self._file.read(max(end - begin, WINDOW))
        return self._window[begin - self._at : end - self._at]

    def elements(self, begin: int = 0, end: int | None = None) -> Iterator[Element]:
        """Yield the elements between two places of the file.

        Raises
        ------
        InputError
            If one reaches past the end, except the last of the file: it is left out.
        """
        stop = self.size if end is None else end
        while begin < stop:
            head = self.read(begin, min(begin + 2 * MAX_VINT, stop))
            name, n = _vint(head)
            size, m = _vint(head[n:])
            content = begin + n + m
            if not n or not m or content + size > stop:
                if end is None and begin:
                    self.n_lost = content + size - stop if n and m else stop - begin
                    return
                raise InputError(
                    f"{self._name}: got at byte {begin} no element of EBML that ends before byte "
                    f"{stop}; expected a file of OpenViBE; it is damaged or of another format"
                )
            yield Element(name, content, content + size)
            begin = content + size

    def number(self, element: Element) -> int:
        """Return the whole number that an element holds."""
        return int.from_bytes(self.read(element.begin, min(element.end, element.begin + 8)), "big")

    def text(self, element: Element) -> str:
        """Return the text that an element holds."""
        content = self.read(element.begin, min(element.end, element.begin + 1000))
        return content.split(b"\0")[0].decode("utf-8", "replace").strip()


def _vint(content: bytes) -> tuple[int, int]:
    """Return a number of variable length and its bytes; (0, 0) if it is none.

    Examples
    --------
    >>> _vint(bytes([0x1A, 0x45, 0xDF, 0xA3])), _vint(bytes([0x81])), _vint(b"")
    ((172351395, 4), (1, 1), (0, 0))
    """
    whole = int.from_bytes(content[:MAX_VINT].ljust(MAX_VINT, b"\0"), "big")
    n = 8 * MAX_VINT - whole.bit_length() + 1  # zeros before the first 1, and it
    if n > min(MAX_VINT, len(content)):
        return 0, 0
    return (whole >> 8 * (MAX_VINT - n)) & ((1 << 7 * n) - 1), n
