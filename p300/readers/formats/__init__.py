"""File formats, one module each: ``contents(path)`` and ``read(path, *, picks, ..., **meaning)``.

``TAKES`` names the arguments beyond ``picks`` and ``meaning`` that a module's ``read`` has.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from p300.readers.formats.bci2000.header import is_bci2000
from p300.readers.formats.openvibe.labels import is_openvibe_csv

#: Module of each end of a name; :mod:`~p300.readers.formats.mne_file` for all others.
ENDS = {
    **dict.fromkeys((".xdf", ".xdfz", ".xdf.gz"), "xdf"),
    ".dat": "bci2000.reader",
    ".ov": "openvibe.ov",
    **dict.fromkeys((".csv", ".tsv", ".txt"), "table"),
    **dict.fromkeys((".npz", ".h5", ".hdf5"), "arrays"),
}


def format_of(path: Path) -> ModuleType:
    """Find the module that reads a file, by its name and its first bytes.

    Examples
    --------
    >>> format_of(Path("a.xdf.gz")).__name__, format_of(Path("a.vhdr")).__name__
    ('p300.readers.formats.xdf', 'p300.readers.formats.mne_file')
    """
    known = [name for end, name in ENDS.items() if path.name.lower().endswith(end)]
    name = known[0] if known else "mne_file"
    if name == "bci2000.reader" and not is_bci2000(path):  # of others, such as Curry
        name = "mne_file"
    if name == "table" and is_openvibe_csv(path):
        name = "openvibe.table"
    if name == "mne_file" and is_epochs(path):
        name = "epochs_file"
    return importlib.import_module(f"p300.readers.formats.{name}")


def is_epochs(path: Path) -> bool:
    """Return whether a file holds epochs by its name, or by the content of a ``.set``."""
    name = path.name.lower()
    if name.endswith((".fif", ".fif.gz")):
        return "-epo" in name or "_epo" in name
    if not name.endswith(".set") or not path.is_file():
        return False
    import mne

    try:
        mne.io.read_raw_eeglab(path, verbose="error")
    except TypeError as error:  # of MNE, for files of several epochs
        return "trials" in str(error)
    except Exception:  # damaged: read_raw says how
        return False
    return False
