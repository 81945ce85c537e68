"""The flash table: one row per flash, in order of time within its segment.

============ ========= =====================================================================
column       dtype     meaning
============ ========= =====================================================================
subject      str       whose EEG
session      str       one sitting, or the data set's own part ("train", "test")
run          Int64     one recording without a break
segment      int64     index into ``Recording.segments``
character    Int64     one act of spelling, from 1 within its run; <NA> without a speller
repetition   Int64     pass in which every code flashes once, from 0; <NA> without a speller
code         Int64     which group was lit, in the recording's own codes
onset        float64   seconds from the first sample of the segment
is_target    boolean   did the flash light the wanted symbol? <NA> where not known
============ ========= =====================================================================

A table may have one more column, ``lit`` (str): the symbols that the flash lit, separated by
spaces, where the groups change from repetition to repetition and a code does not tell them.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.proposals import OPEN, Proposal

if TYPE_CHECKING:
    import pandas as pd

    from p300.speller import Speller

#: Columns of a flash table with their dtypes, in order.
FLASH_COLUMNS = {
    "subject": "str",
    "session": "str",
    "run": "Int64",
    "segment": "int64",
    "character": "Int64",
    "repetition": "Int64",
    "code": "Int64",
    "onset": "float64",
    "is_target": "boolean",
}

#: Column of the symbols that a flash lit, which a table may have.
LIT = "lit"

#: Columns that identify one character in a table of several runs.
CHARACTER_KEY = ["subject", "session", "run", "character"]


def flash_table(**columns: Any) -> pd.DataFrame:
    """Build a flash table from columns; scalars are repeated, missing columns are <NA>.

    Parameters
    ----------
    **columns
        Any of :data:`FLASH_COLUMNS`; ``onset`` (seconds) is required. Defaults: subject and
        session "1", run 1, segment 0. Values of a DataFrame are taken in their order. Labels may
        be bool, 0 and 1, -1 and 1, or words ("target" and "nontarget", "yes" and "no"); runs may
        be names with one number ("0train"). ``lit`` may hold texts ("A G M") or sequences of
        symbols.

    Raises
    ------
    InputError
        If a column is unknown or its values cannot be read, ``onset`` is missing or the lengths
        differ.

    Examples
    --------
    >>> flash_table(onset=[0.0, 0.175], code=[1, 7], subject="A").shape
    (2, 9)
    """
    import pandas as pd

    if unknown := sorted(set(columns) - {*FLASH_COLUMNS, LIT}):
        raise InputError(
            f"flash table: got unknown columns {unknown}; expected some of {[*FLASH_COLUMNS, LIT]}"
        )
    lit = columns.pop(LIT, None)
    if lit is not None:
        lit = [_lit_text(one) for one in lit]
        if "onset" in columns and len(lit) != np.size(columns["onset"]):
            raise InputError(
                f"flash table: column lit has {len(lit)} values; expected "
                f"{np.size(columns['onset'])}, as onset"
            )
    if "onset" not in columns:
        raise InputError(f"flash table: got columns {sorted(columns)}; expected onset among them")
    if not np.ndim(columns["onset"]):
        raise InputError(f"flash table: got onset={columns['onset']}; expected a list of seconds")
    n_flashes = np.shape(columns["onset"])[0]
    table: dict[str, Any] = {"subject": "1", "session": "1", "run": 1, "segment": 0}
    for name, values in columns.items():
        if np.ndim(values):
            if np.ndim(values) > 1 and np.size(values) == len(values):
                values = np.ravel(values)  # a column of a matrix
            if np.ndim(values) > 1 or len(values) != n_flashes:
                size = len(values) if np.ndim(values) == 1 else np.shape(values)
                raise InputError(
                    f"flash table: column {name} has {size} values; expected {n_flashes}, as onset"
                )
            values = list(values)
        table[name] = values
    frame = pd.DataFrame(table, index=range(n_flashes), columns=list(FLASH_COLUMNS))
    frame["is_target"] = as_labels(frame["is_target"])
    for name in ("run", "character", "repetition", "code", "segment", "onset"):
        frame[name] = _numbers(frame[name])
    frame = frame.astype(FLASH_COLUMNS)
    return frame if lit is None else frame.assign(lit=lit)


def _lit_text(lit: Any) -> str | None:
    """Return the symbols of one flash as a text; None where they are not known."""
    if lit is None or isinstance(lit, float):
        return None
    symbols = lit.split() if isinstance(lit, str) else list(map(str, lit))
    if wrong := [s for s in symbols if not s or s.split() != [s]]:
        raise InputError(
            f"flash table: got the lit symbol {wrong[0]!r}; expected symbols without spaces, "
            "which separate them"
        )
    return " ".join(symbols) or None


def with_lit_codes(flashes: pd.DataFrame, speller: Speller) -> tuple[pd.DataFrame, Speller]:
    """Give each set of lit symbols a code of its own, where the table says what was lit.

    Parameters
    ----------
    flashes : DataFrame
        A flash table, perhaps with the column ``lit``.
    speller : Speller
        The screen.

    Returns
    -------
    flashes : DataFrame
        With other codes; without ``lit``, the table as it is.
    speller : Speller
        The same screen with a group per code. A flash without ``lit`` lights the group of its
        own code.

    Raises
    ------
    InputError
        If there is no screen, a lit symbol is not on it, or a flash has neither ``lit`` nor a
        known code.

    Examples
    --------
    >>> from p300.speller import Speller
    >>> flashes = flash_table(onset=[0.0, 0.2, 0.4], lit=["A B", "C", "B A"])
    >>> table, speller = with_lit_codes(flashes, Speller.changing("ABC", 2))
    >>> table["code"].tolist(), speller.groups
    ([1, 2, 1], {1: ('A', 'B'), 2: ('C',)})
    """
    if not hasattr(speller, "symbols"):
        raise InputError(
            f"got speller={speller!r}; expected a Speller, such as p300.WADSWORTH; an oddball has "
            "none, and no symbol can be read from it"
        )
    if LIT not in flashes or flashes[LIT].isna().all():
        return flashes, speller
    place = {symbol: k for k, symbol in enumerate(speller.symbols)}
    known = {code: frozenset(map(place.__getitem__, lit)) for code, lit in speller.groups.items()}
    sets: dict[frozenset[int], int] = {}
    codes = []
    for lit, code in zip(flashes[LIT], flashes["code"], strict=True):
        if isinstance(lit, str):
            symbols = lit.split()
            if unknown := [s for s in symbols if s not in place]:
                raise InputError(
                    f"a flash lit {unknown}, which the screen {speller.name!r} does not have; "
                    f"expected some of {''.join(speller.symbols)}"
                )
            one = frozenset(map(place.__getitem__, symbols))
        elif code in known:
            one = known[code]
        else:
            raise InputError(
                f"a flash has neither lit symbols nor a code of the screen {speller.name!r} "
                f"(code {code}); expected one of them"
            )
        codes.append(sets.setdefault(one, len(sets) + 1))
    groups = {code: [speller.symbols[k] for k in sorted(one)] for one, code in sets.items()}
    screen = replace(speller, groups=groups, n_per_repetition=speller.n_per_repetition)
    import pandas as pd

    code_column = pd.array(codes, FLASH_COLUMNS["code"])
    return flashes.assign(code=code_column).drop(columns=LIT), screen


def _numbers(column: pd.Series) -> pd.Series:
    """Return the numbers of a column; names of runs that hold one number are read as it."""
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce")
    failed = numbers.isna() & column.notna() & (column.astype(str).str.lower() != "nan")
    if column.name == "run" and failed.any():
        found = column[failed].astype(str).str.findall(r"\d+")
        if (found.str.len() == 1).all():
            numbers = numbers.where(~failed, found.reindex(column.index).str[0].astype(float))
            names = column[failed].astype(str)
            if names.groupby(numbers[failed]).nunique().max() == 1:
                return numbers
    if failed.any() or (column.name != "onset" and (numbers.dropna() % 1 != 0).any()):
        wrong = column[failed | (numbers % 1 != 0)]
        raise InputError(
            f"flash table: got {len(wrong)} of {len(column)} values of {column.name} that are no "
            f"{'numbers' if column.name == 'onset' else 'whole numbers'} (the first: "
            f"{wrong.iloc[0]!r}); expected numbers; number them first"
        )
    return numbers


#: Words of a class, in lower case and without spaces, hyphens and underscores.
CLASS_WORDS = {
    **dict.fromkeys(("target", "oddball", "deviant", "rare"), True),
    **dict.fromkeys(("nontarget", "notarget", "standard", "frequent"), False),
}

#: Pairs of values that can only mean (nontarget, target).
LABEL_PAIRS = (
    (False, True),
    (0, 1),
    (-1, 1),
    ("0", "1"),
    ("-1", "1"),
    ("false", "true"),
    ("no", "yes"),
    ("n", "y"),
)


def class_of(label: Hashable) -> bool | None:
    """Return whether a word means a target; None for any other label.

    Examples
    --------
    >>> class_of("Oddball"), class_of("Non-Target"), class_of("left")
    (True, False, None)
    """
    if not isinstance(label, str):
        return None
    return CLASS_WORDS.get(re.sub(r"[\s_-]+", "", label.lower()))


#: Texts for a label that is not known, in lower case.
MISSING_LABELS = ("", "nan", "na", "n/a", "<na>", "none")


def as_labels(values: Any, where: str = "flash table", *, by_targets: bool = False) -> pd.Series:
    """Read labels: bool, 0 and 1, -1 and 1, or words with one meaning; <NA> where not known.

    Parameters
    ----------
    values : Series or array-like, shape (n_flashes,)
        Labels.
    where : str
        For messages.
    by_targets : bool
        Whether ``targets`` of the reader that calls this can say what others mean.

    Returns
    -------
    Series of nullable bool

    Raises
    ------
    InputError
        If the values can be read in several ways, such as 1 and 2.

    Examples
    --------
    >>> as_labels([-1, 1, None]).tolist()
    [False, True, <NA>]
    """
    import pandas as pd

    column = values if isinstance(values, pd.Series) else pd.Series(values)
    values = column.astype(object).where(column.notna(), None)
    plain = [v.strip().lower() if isinstance(v, str) else v for v in values]
    plain = [None if v in MISSING_LABELS else v for v in plain]
    found = {v for v in plain if v is not None}
    if all(isinstance(v, str) and class_of(v) is not None for v in found):
        return pd.Series([v and class_of(v) for v in plain], column.index, "boolean")
    for nontarget, target in LABEL_PAIRS:
        if found <= {nontarget, target}:
            labels = [None if v is None else v == target for v in plain]
            return pd.Series(labels, column.index, "boolean")
    written = dict(zip(plain, column.tolist(), strict=True))
    shown = [written[value] for value in sorted(found, key=repr)]
    targets = Proposal("targets", dict.fromkeys(shown[:24], OPEN))
    advice = "compare them first, such as is_target=labels == 2"
    if by_targets:
        advice = f"say which are targets: {targets}, with true or false for each ?"
    raise InputError(
        f"{where}: is_target has the values {', '.join(map(repr, shown[:6]))}; expected bool, 0 "
        "and 1, or -1 and 1 (nontarget, target), because others have several readings; "
        f"{advice}",
        [targets] if by_targets else [],
    )


def rows_by(values: np.ndarray) -> list[np.ndarray]:
    """Return the rows that hold each value, ascending by value and by row.

    Examples
    --------
    >>> [rows.tolist() for rows in rows_by(np.array([2, 1, 2]))]
    [[1], [0, 2]]
    """
    _, number = np.unique(values, return_inverse=True)
    order = number.argsort(kind="stable")
    return np.split(order, np.flatnonzero(np.diff(number[order])) + 1) if len(order) else []


def label_flashes(
    flashes: pd.DataFrame, text: Sequence[str], speller: Speller, where: str = "flash table"
) -> pd.DataFrame:
    """Label the flashes of a known text: targets are those that light the wanted symbol.

    Parameters
    ----------
    flashes : DataFrame
        A flash table with characters and codes, of one run or several.
    text : sequence of str
        The wanted symbols: one per character, in the order of the table. A string has symbols of
        one letter.
    speller : Speller
        The screen. "a" means "A" where only that is on it.
    where : str
        For messages.

    Returns
    -------
    DataFrame
        The table with ``is_target``; <NA> for flashes without a character.

    Raises
    ------
    InputError
        If the text has another length than the characters of the table, or a symbol is not on
        the screen.

    Examples
    --------
    >>> from p300.speller import WADSWORTH
    >>> flashes = flash_table(onset=[0.0, 0.2, 0.4], code=[1, 7, 8], character=1)
    >>> label_flashes(flashes, "A", WADSWORTH)["is_target"].tolist()
    [True, True, False]
    """
    import pandas as pd

    text = str(text) if isinstance(text, int) else text  # digits that YAML reads as a number
    given = flashes
    flashes, speller = with_lit_codes(flashes, speller)
    number = flashes.groupby(CHARACTER_KEY, sort=False, dropna=False).ngroup()
    outside = flashes["character"].isna()
    number = pd.Series(pd.factorize(number.where(~outside))[0], flashes.index)
    if len(text) != number.max() + 1:
        raise InputError(
            f"{where}: got a text of {len(text)} symbols for {number.max() + 1} recorded "
            "characters; expected one symbol per character."
        )
    wanted = {(k, code) for k, s in enumerate(text) for code in speller.codes_of(speller.find(s))}
    pairs = zip(number, flashes["code"], strict=True)
    is_target = pd.Series([pair in wanted for pair in pairs], flashes.index, "boolean")
    return given.assign(is_target=is_target.mask(outside))


def fitting_symbols(
    flashes: pd.DataFrame, speller: Speller
) -> Iterator[tuple[np.ndarray, tuple[str, ...] | None]]:
    """Yield the flashes of each character, and the symbols that fit its labels.

    Parameters
    ----------
    flashes : DataFrame
        A flash table, of :func:`with_lit_codes`.
    speller : Speller
        The screen.

    Yields
    ------
    rows : ndarray of int
        Of the flashes, ascending; characters in the order of the table.
    symbols : tuple of str, or None
        Several, where not every code has flashed; none, where the labels contradict the screen;
        None without labels.
    """
    number = flashes.groupby(CHARACTER_KEY, sort=False, dropna=False).ngroup().to_numpy()
    codes, labels = flashes["code"].to_numpy(), flashes["is_target"]
    is_known = labels.notna().to_numpy()
    is_target = labels.fillna(False).to_numpy(bool)
    for rows in rows_by(number):
        known = rows[is_known[rows]]
        targets = codes[known[is_target[known]]].tolist()
        fitting = speller.symbols_of(targets, codes[known].tolist()) if len(known) else None
        yield rows, fitting
