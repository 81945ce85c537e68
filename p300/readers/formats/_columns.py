"""Columns of a delimited text file (CSV, TSV), read piece by piece."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.electrodes import clean_names
from p300.errors import InputError
from p300.readers._files import listed
from p300.readers.events.code_channels import find_onsets
from p300.readers.formats._segments import PIECE, check_size, picked, wanted_names

if TYPE_CHECKING:
    import pandas as pd

#: Longest line of names that is read, in characters, and most lines of comments before it.
MAX_LINE, MAX_COMMENTS = 1_000_000, 200

NUMBER = re.compile(r"[-+]?(\d+[.,]?\d*|[.,]\d+)(e[-+]?\d+)?|[-+]?nan", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Layout:
    """How a file is written.

    Parameters
    ----------
    path : Path
        The file.
    names : list of str
        Of the columns; "1", "2", … if the file has none.
    has_names : bool
        Whether the file has them.
    n_before : int
        Lines before the first row of values.
    delimiter, decimal : str
        Between cells, and within numbers.
    comments : list of str
        Lines before the names that begin with "%" or "#".
    """

    path: Path
    names: list[str]
    has_names: bool
    n_before: int
    delimiter: str
    decimal: str
    comments: list[str]


def find_layout(path: Path) -> Layout:
    """Find names, delimiter and decimal sign of a file.

    Raises
    ------
    InputError
        If it is no table of several columns.
    """
    comments: list[str] = []
    lines: list[str] = []
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            while len(lines) < 2 and len(comments) < MAX_COMMENTS:
                line = file.readline(MAX_LINE)
                if not line:
                    break
                if line.startswith(("%", "#")) and not lines:
                    comments.append(line.strip())
                elif line.strip() or not lines:
                    lines.append(line.rstrip("\r\n"))
        head = lines[0] if lines else ""
        delimiter = max("\t;,", key=head.count)
        rows = list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    except (ValueError, csv.Error) as error:  # not UTF-8
        raise InputError(f"{path.name} cannot be read as a table: {error}") from error
    if len(rows) < 2 or len(rows[0]) < 2:
        raise InputError(
            f"{path.name}: got {head[:80]!r} and {len(lines[1:])} rows of values; expected a line "
            "of names and rows below it, with commas, semicolons or tabs between the cells"
        )
    names = [name.strip() for name in rows[0]]
    has_names = not all(NUMBER.fullmatch(name) for name in names)
    if not has_names:
        names = [str(k + 1) for k in range(len(names))]
    names += [""] * min(1, len(rows[1]) - len(names))  # the last without a name
    for k, name in enumerate(names):
        if not name or name in names[:k]:
            names[k] = f"column {k + 1}"
    is_comma = delimiter != "," and re.search(r"\d,\d", lines[1]) and "." not in lines[1]
    return Layout(
        path,
        names,
        has_names,
        len(comments) + has_names,
        delimiter,
        "," if is_comma else ".",
        comments,
    )


def find_columns(layout: Layout, wanted: Any) -> list[str]:
    """Find columns by name, or by number from 1 where none has such a name.

    Parameters
    ----------
    layout : Layout
        Of the file.
    wanted : str, int, or sequence of them
        Names, as laboratories write them, or numbers.

    Raises
    ------
    InputError
        If there is no such column.
    """
    names = layout.names
    known = {*names, *clean_names(names)}
    numbers = {str(k): name for k, name in enumerate(names, start=1) if str(k) not in known}
    given = wanted_names(wanted)
    try:
        rows = picked(names, [numbers.get(one, one) for one in given], layout.path.name)
    except InputError:
        raise InputError(
            f"{layout.path.name}: got the columns {', '.join(given)}, of which some do not exist "
            f"or are several; expected some of {listed(names, 40)}, or numbers from 1 to "
            f"{len(names)}"
        ) from None
    return [names[k] for k in rows]


def pieces(
    layout: Layout, text: Collection[str] = (), rows: int = PIECE
) -> Iterator[pd.DataFrame]:
    """Yield the rows of a file, some at a time; columns in ``text`` stay texts.

    Raises
    ------
    InputError
        If a row has more cells than there are names, or the file is no text.
    """
    import pandas as pd

    try:
        reader = pd.read_csv(
            layout.path,
            names=layout.names,
            header=None,
            skiprows=layout.n_before,
            sep=layout.delimiter,
            decimal=layout.decimal,
            skipinitialspace=True,
            index_col=False,
            dtype={name: str for name in text},
            keep_default_na=True,
            encoding="utf-8-sig",
            chunksize=rows,
        )
        with reader:
            yield from reader
    except (ValueError, csv.Error, OverflowError) as error:  # of pandas
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{layout.path.name} cannot be read as a table: {reason}") from error


def read_signal(
    layout: Layout,
    channels: Sequence[str],
    text: Collection[str],
    take: Callable[[int, pd.DataFrame], None],
) -> np.ndarray:
    """Read some columns as float32, and hand each piece with its first row to ``take``.

    Returns
    -------
    ndarray of float32, shape (n_channels, n_rows)

    Raises
    ------
    InputError
        If a cell of them is no number.
    """
    path = layout.path
    n_most = max(0, _count_lines(path) - layout.n_before)
    check_size(path, 4.0 * len(channels) * n_most)
    signal, n_rows = np.empty((len(channels), n_most), np.float32), 0
    for piece in pieces(layout, text):
        values = piece[list(channels)]
        wrong = [c for c in channels if values[c].dtype.kind not in "fiub"]
        if wrong:
            cells = values[wrong[0]].fillna("").astype(str)
            odd = cells[(cells != "") & ~cells.str.fullmatch(NUMBER.pattern, case=False)]
            cell, row = (odd.iloc[0], odd.index[0] + 1) if len(odd) else ("too much", n_rows + 1)
            raise InputError(
                f"{path.name}: got {str(cell)[:40]!r} in row {row} of column {wrong[0]!r}; "
                "expected a number; leave the column out by picks"
            )
        with np.errstate(over="ignore", invalid="ignore"):  # the integrity checks find infinity
            signal[:, n_rows : n_rows + len(piece)] = values.to_numpy(np.float32).T
        take(n_rows, piece)
        n_rows += len(piece)
    return signal[:, :n_rows]


def as_numbers(column: pd.Series) -> np.ndarray:
    """Return a column as float64; NaN where a cell is no number."""
    import pandas as pd

    try:
        return pd.to_numeric(column, errors="coerce").to_numpy(float)
    except OverflowError:  # whole numbers of hundreds of digits
        return np.full(len(column), np.nan)


def _count_lines(path: Path) -> int:
    """Count the lines of a file, as an upper bound of its rows."""
    n_lines, last = 0, b""
    with open(path, "rb") as file:
        while content := file.read(2**22):
            n_lines += sum(content.count(end) for end in (b"\n", b"\r"))
            n_lines -= content.count(b"\r\n")
            last = content[-1:]
    return n_lines + (last not in (b"\n", b"\r"))


class Steps:
    """Where a column of markers changes to something else than nothing or 0.

    Attributes
    ----------
    samples, labels : list
        Of the events so far.
    """

    def __init__(self) -> None:
        self.samples: list[int] = []
        self.labels: list = []
        self._last: str = ""

    def take(self, start: int, column: pd.Series) -> np.ndarray:
        """Add the events of a piece that begins at row ``start``; return their rows in it."""
        import pandas as pd

        cells = column.fillna("").astype(str).str.strip()
        names = cells.where(~cells.str.fullmatch(r"[-+]?0*(\.0*)?(e[-+]?\d+)?"), "")
        names = names.str.replace(r"^([-+]?\d+)\.0*$", r"\1", regex=True)
        numbers = pd.factorize(pd.concat([pd.Series(["", self._last]), names]))[0]
        (at,) = find_onsets(numbers[1:])  # the first is what was before, never an event of its own
        at = at[at > 0] - 1
        self.samples += (start + at).tolist()
        found = names.to_numpy(object)[at]
        self.labels += [int(c) if re.fullmatch(r"-?\d{1,9}", c) else c for c in found]
        self._last = names.iloc[-1] if len(names) else self._last
        return at
