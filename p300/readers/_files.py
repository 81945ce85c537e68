"""Files of a data set: which ones are asked for, and MATLAB variables read safely."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from p300.errors import InputError
from p300.readers._matlab import check_claims
from p300.terminal import step


def chosen(subject: int | str | Sequence[int | str], everyone: Sequence) -> list:
    """Return the subjects asked for: one, several, or everyone for "all".

    Examples
    --------
    >>> chosen("all", [1, 2]), chosen(2, [1, 2])
    ([1, 2], [2])
    """
    is_all = isinstance(subject, str) and subject == "all"
    return list(everyone) if is_all else np.atleast_1d(subject).tolist()


def listed(names: Sequence[str], n_most: int = 12) -> str:
    r"""Format names from a file on one line; unprintable characters become "?".

    Examples
    --------
    >>> listed(["signal", "a\nb", "x" * 99])
    'signal, a?b, xxxxxxxxxxxxxxxxxxxxxxxxxxxxx…'
    """
    shown = ["".join(c if c.isprintable() else "?" for c in str(name)) for name in names[:n_most]]
    shown = [name if len(name) <= 30 else f"{name[:29]}…" for name in shown]
    return ", ".join(shown + ["…"] * (len(names) > n_most)) or "nothing"


def natural(name: str | Path) -> list[tuple[str, int]]:
    """Return what names and labels are sorted by: numbers first, and s2 before s10.

    Examples
    --------
    >>> sorted(["s10", "s2", "11"], key=natural)
    ['11', 's2', 's10']
    """
    parts = re.findall(r"(\D*)(\d{0,18})", str(name))  # Python reads no number of 5000 digits
    return [(text, int(digits or -1)) for text, digits in parts]


def require_numbers(path: Path, name: str, values: np.ndarray, *, finite: bool = False) -> None:
    """Raise an error unless an array holds real numbers, all finite if ``finite``.

    Raises
    ------
    InputError
        The message has the type found, or how many values are NaN or infinite.
    """
    if values.dtype.kind not in "fiub":
        raise InputError(f"{path.name}: {name} has type {values.dtype}; expected numbers.")
    if finite and (n_wrong := int((~np.isfinite(values)).sum())):
        raise InputError(
            f"{path.name}: {name} has {n_wrong} values that are NaN or infinite; expected "
            "finite numbers."
        )


def to_single(values: np.ndarray) -> np.ndarray:
    """Convert to a float32 copy in C order; values that are too large become infinite.

    Examples
    --------
    >>> to_single(np.array([1.5, 1e300])).tolist()
    [1.5, inf]
    """
    with np.errstate(over="ignore", invalid="ignore"):  # the integrity checks find infinity
        return np.array(values, np.float32, order="C")


class _CountedFile(io.BufferedReader):
    """A file that reports how many bytes each read returned."""

    def __init__(self, path: Path, on_read: Callable[[int], None]):
        super().__init__(io.FileIO(path))
        self.on_read = on_read

    def read(self, size: int | None = -1) -> bytes:
        """Read bytes and report how many."""
        content = super().read(size)
        self.on_read(len(content))
        return content


def load_variables(
    path: Path, source: str, required: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Read named variables from a MATLAB file of version 5 to 7.2.

    Parameters
    ----------
    path : Path
        The file.
    source : str
        Where to get the data set, for the message.
    required, optional : sequence of str
        Variables to read; others in the file are not read. Optional ones may be missing.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    InputError
        If the folder or the file is missing (the message lists what the folder contains), or the
        file is truncated, of version 7.3 (HDF5) or no MATLAB file, or lacks a required
        variable.
    """
    from scipy.io import loadmat, whosmat

    if not path.parent.is_dir():
        raise InputError(f"There is no folder {path.parent}. {source}")
    if not path.is_file():
        others = sorted(p.name for p in path.parent.iterdir())
        there = ", ".join(others[:8]) + (" …" if len(others) > 8 else "") or "–"
        raise InputError(f"There is no {path.name} in {path.parent} (there: {there}). {source}")
    names = [*required, *optional]
    check_claims(path, names)
    try:
        reading = step(f"reading {path.name}", path.stat().st_size)
        with reading as bar, _CountedFile(path, bar.advance) as file:
            variables = loadmat(file, appendmat=False, variable_names=names)
        missing = [name for name in required if name not in variables]
        held = [name for name, _, _ in whosmat(path, appendmat=False)] if missing else []
    except MemoryError:
        raise InputError(
            f"{path} ({path.stat().st_size} bytes) needs more memory than is available; "
            "expected that its variables fit into memory."
        ) from None
    except Exception as error:  # SciPy raises a dozen kinds for a damaged file
        raise InputError(
            f"{path} ({path.stat().st_size} bytes) cannot be read as a MATLAB file: it is "
            f"truncated or damaged ({type(error).__name__}: {error}); copy or download it again."
        ) from error
    if missing:
        raise InputError(f"{path} lacks the variables {listed(missing)}; it holds {listed(held)}.")
    return {name: value for name, value in variables.items() if not name.startswith("__")}
