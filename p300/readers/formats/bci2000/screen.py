"""The screen of BCI2000's P3Speller and the text that is to be spelled, from the parameters."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from p300.errors import InputError
from p300.readers.events.build import Given
from p300.readers.formats.bci2000.header import Header
from p300.speller import Speller


@dataclass(frozen=True, eq=False)
class Shown:
    """The flashes: shape (n_flashes,) each; class and character are None where not known."""

    code: np.ndarray
    is_target: np.ndarray | None
    character: np.ndarray | None


class Screen(NamedTuple):
    """How codes are counted, the screen, and which symbol a selected text belongs to."""

    order: str
    speller: Speller
    enters: dict[str, str]


def screens_of(header: Header) -> list[Screen]:
    """Find the screen of the P3Speller that the parameters describe, in both orders of codes.

    P3SpellerTask numbers the rows first, older versions the columns.

    Returns
    -------
    list of Screen
        That of the file's version first; none if the parameters describe no single matrix.
    """
    size = [header.numbers(name) for name in ("NumMatrixRows", "NumMatrixColumns")]
    cells = header.parameters.get("TargetDefinitions", [])
    if not all(size) or not cells or not all(isinstance(cell, list) and cell for cell in cells):
        return []
    n_rows, n_columns = (int(numbers[0]) for numbers in size)
    symbols = [cell[0] or cell[min(1, len(cell) - 1)] for cell in cells]
    if n_rows < 1 or n_rows * n_columns != len(symbols) or "" in symbols:
        return []
    rows = [symbols[k * n_columns : (k + 1) * n_columns] for k in range(n_rows)]
    name = f"BCI2000 {n_rows}x{n_columns}"
    texts = [cell[min(1, len(cell) - 1)] for cell in cells]
    enters = dict(zip(texts, symbols, strict=True))
    try:
        orders = [
            Screen("rows first", Speller.matrix(rows, name, rows_first=True), enters),
            Screen("columns first", Speller.matrix(rows, name), enters),
        ]
    except InputError:  # a symbol twice, or two that no code tells apart
        return []
    return orders if header.version is not None else orders[::-1]


def with_screen(header: Header, given: Given, shown: Shown) -> tuple[Given, list[str]]:
    """Take the screen of the parameters if none is given; compare the labels with the text.

    The order of rows and columns is that in which the labels spell ``TextToSpell``, else that of
    the file's version.
    """
    screens = [s for s in screens_of(header) if set(shown.code.tolist()) <= set(s.speller.codes)]
    text = spelled(header, screens[0].enters) if screens else None
    fits = {s.order: _fits(s.speller, text, shown) for s in screens}
    if given.speller is not None:
        if text and _fits(given.speller, text, shown) is False:
            said = f"The labels do not spell TextToSpell, {''.join(text)!r}, on the given screen"
            return given, [f"{said} {given.speller.name!r}: are rows and columns swapped?"]
        return given, []
    if not screens:
        return given, []
    right = [s for s in screens if fits[s.order]]
    taken, how = (right or screens)[0], "as is usual in this version"
    if right and not all(fits.values()):
        how = "because the labels then spell TextToSpell"
    note = (
        f"The screen is {taken.speller.name} of the parameters, its codes {taken.order}, {how}; "
        "set speller if it is another."
    )
    return dataclasses.replace(given, speller=taken.speller), [note]


def with_text(header: Header, given: Given, shown: Shown) -> tuple[Given, list[str]]:
    """Label the flashes of copy spelling by ``TextToSpell``, where nothing else does."""
    known = given.text is not None or given.targets is not None or shown.is_target is not None
    if known or given.speller is None or shown.character is None:
        return given, []
    if header.numbers("InterpretMode") == [1.0]:
        return given, ["InterpretMode is 1, free spelling: TextToSpell labels no flash."]
    enters = {symbol: symbol for symbol in given.speller.symbols}
    enters |= {k: v for s in screens_of(header)[:1] for k, v in s.enters.items() if v in enters}
    text, n_found = spelled(header, enters), int(shown.character[-1])
    if not text or n_found > len(text):
        said = (
            f"TextToSpell, {_text_of(header)!r}, does not fit {n_found} characters of the screen"
        )
        return given, [f"{said}: the flashes have no labels; set text."]
    notes = ["Labels come from TextToSpell; set text if another was spelled."]
    if n_found < len(text):
        notes.append(f"{n_found} of the {len(text)} symbols of TextToSpell are recorded.")
    return dataclasses.replace(given, text=text[:n_found]), notes


def spelled(header: Header, enters: dict[str, str]) -> list[str] | None:
    """Return the symbols of ``TextToSpell``; None if one is not on the screen."""
    symbols = set(enters.values())
    found = [enters.get(c, c if c in symbols else None) for c in _text_of(header)]
    return [s for s in found if s is not None] if found and None not in found else None


def _text_of(header: Header) -> str:
    return "".join(map(str, header.parameters.get("TextToSpell", [])))


def _fits(speller: Speller, text: list[str] | None, shown: Shown) -> bool | None:
    """Return whether the labels spell the beginning of the text; None if that is not known."""
    if not text or shown.is_target is None or shown.character is None:
        return None
    for k, symbol in enumerate(text[: int(shown.character[-1])], start=1):
        codes = shown.code[shown.character == k]
        lit = shown.code[(shown.character == k) & shown.is_target]
        if symbol not in speller.symbols_of(lit.tolist(), codes.tolist()):
            return False
    return True
