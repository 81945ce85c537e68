"""The screen: its symbols, and which flash code lights which of them.

A speller is any screen whose symbols are lit in groups: a matrix lit by columns and rows, keys
lit one at a time, or any other assignment of symbols to codes. Where the groups change from
repetition to repetition (checkerboard, random groups), the flash table says which symbols each
flash lit (:func:`p300.flashes.with_lit_codes`). A plain oddball has no speller
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
    n_per_repetition : int
        Flashes in one repetition; 0 for one per code. With a number, groups may change from
        repetition to repetition, so two symbols may have the same codes, and a code may flash
        twice in one.

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
    n_per_repetition: int = 0

    def __hash__(self) -> int:
        return hash((self.symbols, tuple(self.groups.items()), self.name, self.n_per_repetition))

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
        if self.n_per_repetition < 0 or not (groups or self.n_per_repetition):
            raise InputError(
                f"speller {self.name!r}: got {len(groups)} groups and n_per_repetition="
                f"{self.n_per_repetition}; expected groups, or the flashes in a repetition"
            )
        if self.n_per_repetition:
            return
        object.__setattr__(self, "n_per_repetition", len(groups))
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
    def matrix(
        cls, rows: Sequence[Sequence[str]], name: str = "matrix", *, rows_first: bool = False
    ) -> Speller:
        """Build a matrix speller: columns have the codes 1…n_columns, rows the codes after.

        Parameters
        ----------
        rows : sequence of sequence of str
            The symbols of each row, left to right; all rows have the same length.
        name : str
            Name of the screen, for messages.
        rows_first : bool
            Rows have the codes 1…n_rows, columns those after.

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
        lines = [*rows, *columns] if rows_first else [*columns, *rows]
        groups = dict(enumerate(lines, start=1))
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

    @classmethod
    def changing(
        cls, symbols: Iterable[str], n_per_repetition: int, name: str = "changing groups"
    ) -> Speller:
        """Build a speller whose groups change: each flash says which symbols it lit.

        Parameters
        ----------
        symbols : iterable of str
            Every symbol on the screen.
        n_per_repetition : int
            Flashes in one repetition.
        name : str
            Name of the screen, for messages.

        Examples
        --------
        >>> Speller.changing("ABCD", n_per_repetition=4).codes
        ()
        """
        return cls(tuple(symbols), {}, name, n_per_repetition)

    @property
    def is_changing(self) -> bool:
        """Whether a repetition is so many flashes, whatever they light, and not one per code."""
        return self.n_per_repetition != len(self.groups)

    @cached_property
    def codes(self) -> tuple[int, ...]:
        """Every flash code, ascending."""
        return tuple(self.groups)

    @cached_property
    def membership(self) -> np.ndarray:
        """Whether a code (column) lights a symbol (row): bool, shape (n_symbols, n_codes)."""
        found = [[s in lit for lit in self.groups.values()] for s in self.symbols]
        return np.array(found, bool).reshape(len(self.symbols), len(self.groups))

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

    def find(self, symbol: str) -> str:
        """Return the symbol on the screen that is meant, whatever its case.

        Raises
        ------
        InputError
            If none or several are meant.

        Examples
        --------
        >>> WADSWORTH.find("a")
        'A'
        """
        symbol = str(symbol)
        alike = [s for s in self.symbols if s.casefold() == symbol.casefold()]
        if symbol in self.symbols or len(alike) != 1:
            self.codes_of(symbol)  # an error, unless it is on the screen
            return symbol
        return alike[0]

    def symbol_of(self, codes: Iterable[int]) -> str | None:
        """Return the symbol lit by exactly these codes, or None where there is none."""
        return next(iter(self.symbols_of(codes, self.codes)), None)

    def symbols_of(self, targets: Iterable[int], flashed: Iterable[int]) -> tuple[str, ...]:
        """Return the symbols that fit the target codes among the flashed ones.

        Several fit where not every code has flashed, as after early stopping.

        Examples
        --------
        >>> WADSWORTH.symbols_of([7], [1, 7, 8, 9, 10, 11, 12])
        ('B', 'C', 'D', 'E', 'F')
        """
        code = np.array(self.codes)
        is_target, has_flashed = np.isin(code, list(targets)), np.isin(code, list(flashed))
        fits = ((self.membership & has_flashed) == is_target).all(axis=1)
        return tuple(s for s, fit in zip(self.symbols, fits, strict=True) if fit)

    @property
    def target_ratio(self) -> float:
        """Fraction of target flashes when every code flashes once, averaged over symbols."""
        return float(self.membership.mean())

    def to_dict(self) -> dict[str, Any]:
        """Return plain containers, for a checkpoint; :meth:`from_dict` reads them."""
        state: dict[str, Any] = {
            "symbols": list(self.symbols),
            "groups": {code: list(lit) for code, lit in self.groups.items()},
            "name": self.name,
        }
        if self.is_changing:
            state["n_per_repetition"] = self.n_per_repetition
        return state

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Speller:
        """Build the speller from the output of :meth:`to_dict`."""
        size = int(state.get("n_per_repetition", 0))
        return cls(tuple(state["symbols"]), state["groups"], state["name"], size)


#: The 6 x 6 matrix of the Wadsworth recordings: columns 1-6 left to right, rows 7-12 downwards.
WADSWORTH = Speller.matrix(
    ["ABCDEF", "GHIJKL", "MNOPQR", "STUVWX", "YZ1234", "56789_"], name="Wadsworth 6x6"
)
