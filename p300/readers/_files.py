"""Files of a data set: where they must be, and MATLAB variables read from them safely."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from p300.errors import InputError
from p300.progress import step


def require_file(path: Path, source: str) -> Path:
    """Return the path if a file stands there.

    Parameters
    ----------
    path : Path
        The file wanted.
    source : str
        Where the data set can be had, for the message.

    Raises
    ------
    InputError
        If the folder or the file is missing; the message says what the folder holds.
    """
    if not path.parent.is_dir():
        raise InputError(f"There is no folder {path.parent}. {source}")
    if not path.is_file():
        others = sorted(p.name for p in path.parent.iterdir())
        there = ", ".join(others[:8]) + (" …" if len(others) > 8 else "")
        raise InputError(
            f"There is no {path.name} in {path.parent} (there: {there or '–'}). {source}"
        )
    return path


class _CountedFile(io.BufferedReader):
    """A file that tells how many more bytes were read from it."""

    def __init__(self, path: Path, tell: Callable[[int], None]):
        super().__init__(io.FileIO(path))
        self.on_read = tell

    def read(self, size: int | None = -1) -> bytes:
        """Read, and tell it."""
        content = super().read(size)
        self.on_read(len(content))
        return content


def load_variables(
    path: Path, required: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Read named variables from a MATLAB file of version 5 to 7.2.

    Parameters
    ----------
    path : Path
        The file.
    required, optional : sequence of str
        Variables to read; others in the file are left alone. Of the optional ones, those that
        are there.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    InputError
        If the file is truncated, of version 7.3 (HDF5) or no MATLAB file, or lacks a required
        variable.
    """
    from scipy.io import loadmat, whosmat

    try:
        # names given to loadmat also keep it from reading what nobody asked for
        names = [*required, *optional]
        with step(f"reading {path.name}", path.stat().st_size) as reading:
            with _CountedFile(path, reading.advance) as file:
                variables = loadmat(file, appendmat=False, variable_names=names)
        missing = [name for name in required if name not in variables]
        there = [name for name, _, _ in whosmat(path, appendmat=False)] if missing else []
    except MemoryError:
        raise
    except NotImplementedError:
        raise InputError(
            f"{path} is a MATLAB 7.3 (HDF5) file; expected version 5 to 7.2: "
            "save it again in MATLAB with save(..., '-v7')."
        ) from None
    except Exception as error:  # SciPy raises a dozen kinds for a damaged file
        raise InputError(
            f"{path} ({path.stat().st_size} bytes) cannot be read as a MATLAB file: it is "
            f"truncated or damaged ({type(error).__name__}: {error}); copy or download it again."
        ) from error
    if missing:
        raise InputError(
            f"{path} lacks the variables {', '.join(missing)}; it holds {', '.join(there)}."
        )
    return {name: value for name, value in variables.items() if not name.startswith("__")}
