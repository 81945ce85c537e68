"""Readers: one file a format, each with ``read(...) -> Recording``.

:mod:`~p300.readers.bci3_ii`, :mod:`~p300.readers.bci2_iib`, :mod:`~p300.readers.bnci` and
:mod:`~p300.readers.muse` read published data sets from a folder; :mod:`~p300.readers.moabb`
fetches any P300 data set that MOABB knows; :mod:`~p300.readers.mne_raw` converts to and from
what MNE can read.
"""
