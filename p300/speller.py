"""The screen: its symbols, and which flash code lights which of them.

A speller is any screen whose symbols are lit in groups: a matrix lit by columns and rows, keys
lit one at a time, or any other assignment of symbols to codes. A plain oddball has no speller
(``speller=None`` everywhere). No EEG is used here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from p300.errors import InputError


@dataclass(frozen=True)
class Speller:
    """A screen whose symbols are lit in groups.

    Parameters
    ----------
    symbols : sequence of str
        Every symbol on the screen, once, in reading order.
    groups : mapping of int to sequence of str
        For each flash code the symbols that it lights.
    name : str
        Name of the screen, for messages and reports.

    Raises
    ------
    InputError
        If a symbol appears twice, a group lights an unknown symbol, or two symbols are lit by
        the same codes, so that no detector can distinguish them.

    Examples
    --------
    >>> WADSWORTH.codes_of("A"), WADSWORTH.codes_of("_")
    ((1, 7), (6, 12))
    """

    symbols: Sequence[str]
    groups: Mapping[int, Sequence[str]]
    name: str = "speller"

    def __post_init__(self) -> None:
        object.__setattr__(self, "symbols", tuple(str(s) for s in self.symbols))
        groups = {int(c): tuple(map(str, lit)) for c, lit in sorted(dict(self.groups).items())}
        object.__setattr__(self, "groups", groups)
        if twice := sorted({s for s in self.symbols if self.symbols.count(s) > 1}):
            raise InputError(
                f"speller {self.name!r}: got duplicate symbols {twice}; expected each once"
            )
        for code, lit in groups.items():
            unknown = [s for s in lit if s not in self.symbols]
            if unknown or not lit:
                raise InputError(
                    f"speller {self.name!r}: code {code} lights {unknown or 'nothing'}; "
                    f"expected some of the {len(self.symbols)} symbols on the screen"
                )
        seen: dict[tuple[int, ...], str] = {}
        for symbol in self.symbols:
            codes = self.codes_of(symbol)
            if codes in seen:
                raise InputError(
                    f"speller {self.name!r}: {seen[codes]!r} and {symbol!r} are lit by the same "
                    f"codes {codes}; expected different codes"
                )
            seen[codes] = symbol

    @classmethod
    def matrix(cls, rows: Sequence[Sequence[str]], name: str = "matrix") -> Speller:
        """Build a matrix speller: columns have the codes 1…n_columns, rows the codes after.

        Parameters
        ----------
        rows : sequence of sequence of str
            The symbols of each row, left to right; all rows have the same length.
        name : str
            Name of the screen, for messages.

        Raises
        ------
        InputError
            If the rows differ in length.

        Examples
        --------
        >>> Speller.matrix(["AB", "CD"]).groups
        {1: ('A', 'C'), 2: ('B', 'D'), 3: ('A', 'B'), 4: ('C', 'D')}
        """
        rows = [tuple(row) for row in rows]
        lengths = sorted({len(row) for row in rows})
        if len(lengths) != 1:
            raise InputError(
                f"speller {name!r}: got rows of {lengths} symbols; expected the same length"
            )
        columns = list(zip(*rows, strict=True))
        groups = dict(enumerate([*columns, *rows], start=1))
        return cls(tuple(s for row in rows for s in row), groups, name)

    @classmethod
    def single_keys(cls, keys: Iterable[str], name: str = "single keys") -> Speller:
        """Build a speller whose keys light one at a time: code 1 is the first key, and so on.

        Examples
        --------
        >>> Speller.single_keys(["yes", "no"]).groups
        {1: ('yes',), 2: ('no',)}
        """
        keys = tuple(keys)
        return cls(keys, {code: (key,) for code, key in enumerate(keys, start=1)}, name)

    @cached_property
    def codes(self) -> tuple[int, ...]:
        """Every flash code, ascending."""
        return tuple(self.groups)

    @cached_property
    def membership(self) -> np.ndarray:
        """Whether a code (column) lights a symbol (row): bool, shape (n_symbols, n_codes)."""
        return np.array([[s in lit for lit in self.groups.values()] for s in self.symbols])

    def codes_of(self, symbol: str) -> tuple[int, ...]:
        """Return the codes that light a symbol, ascending.

        Raises
        ------
        InputError
            If the symbol is not on the screen.
        """
        if symbol not in self.symbols:
            raise InputError(
                f"{symbol!r} is not on the screen {self.name!r}; "
                f"expected one of {''.join(self.symbols)}"
            )
        return tuple(code for code, lit in self.groups.items() if symbol in lit)

    def symbol_of(self, codes: Iterable[int]) -> str | None:
        """Return the symbol lit by exactly these codes, or None where there is none."""
        wanted = set(codes)
        return next((s for s in self.symbols if set(self.codes_of(s)) == wanted), None)

    @property
    def target_ratio(self) -> float:
        """Fraction of target flashes when every code flashes once, averaged over symbols."""
        return float(self.membership.mean())

    def to_dict(self) -> dict[str, Any]:
        """Return plain containers, for a checkpoint; :meth:`from_dict` reads them."""
        return {
            "symbols": list(self.symbols),
            "groups": {code: list(lit) for code, lit in self.groups.items()},
            "name": self.name,
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Speller:
        """Build the speller from the output of :meth:`to_dict`."""
        return cls(tuple(state["symbols"]), state["groups"], state["name"])


#: The 6 x 6 matrix of the Wadsworth recordings: columns 1-6 left to right, rows 7-12 downwards.
WADSWORTH = Speller.matrix(
    ["ABCDEF", "GHIJKL", "MNOPQR", "STUVWX", "YZ1234", "56789_"], name="Wadsworth 6x6"
)
