"""Readers: one module per format, each with ``read(...) -> Recording``.

:mod:`~p300.readers.datasets` holds one per published data set (:mod:`p300.readers.bci3_ii`
and so on); :mod:`~p300.readers.moabb` fetches any P300 data set that MOABB knows.
:mod:`~p300.readers.file` reads any file by its name: what MNE can read, by
:mod:`~p300.readers.mne_raw`, and what :mod:`~p300.readers.formats` has.
"""

import importlib
from types import ModuleType

#: Readers in :mod:`~p300.readers.datasets`.
_PUBLISHED = (
    "bci2_iib",
    "bci3_ii",
    "bigp3bci",
    "bnci",
    "bnci_2014",
    "brain_invaders",
    "epfl",
    "muse",
)

__all__ = ["bids", "datasets", "file", "mne_epochs", "mne_raw", "moabb", "write"]

#: Where the readers lie.
_PLACES = {name: name for name in __all__}
_PLACES |= {name: f"datasets.{name}" for name in _PUBLISHED}
_PLACES |= {"formats": "formats", "xdf": "formats.xdf"}


def __getattr__(name: str) -> ModuleType:
    """Import a reader when it is first used."""
    if name not in _PLACES:
        raise AttributeError(f"module 'p300.readers' has no attribute {name!r}")
    return importlib.import_module(f"p300.readers.{_PLACES[name]}")
