"""Readers: one module per format, each with ``read(...) -> Recording``.

:mod:`~p300.readers.bci3_ii`, :mod:`~p300.readers.bci2_iib`, :mod:`~p300.readers.bnci` and
:mod:`~p300.readers.muse` read published data sets from a folder; :mod:`~p300.readers.moabb`
fetches any P300 data set that MOABB knows; :mod:`~p300.readers.mne_raw` converts to and from
what MNE can read.
"""

import importlib
from types import ModuleType

__all__ = ["bci2_iib", "bci3_ii", "bnci", "mne_epochs", "mne_raw", "moabb", "muse"]


def __getattr__(name: str) -> ModuleType:
    """Import a reader when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module 'p300.readers' has no attribute {name!r}")
    return importlib.import_module(f"p300.readers.{name}")
