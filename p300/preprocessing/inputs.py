"""Inputs other than a Recording: plain arrays, MNE Raw, MNE Epochs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.flashes import flash_table
from p300.preprocessing.epochs import Epochs, concatenate_epochs, epochs_from_mne
from p300.readers.events.words import parse_label
from p300.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    import mne
    import pandas as pd
    from numpy.typing import ArrayLike

    from p300.speller import Speller

    #: What is preprocessed.
    RecordingLike: TypeAlias = Recording | mne.io.BaseRaw | mne.BaseEpochs


def recording_from_arrays(
    signals: np.ndarray | Sequence[ArrayLike],
    onsets: ArrayLike,
    *,
    sfreq: float,
    ch_names: Sequence[str] | None = None,
    unit: str = "uV",
    speller: Speller | None = None,
    name: str = "arrays",
    **columns: Any,
) -> Recording:
    """Build a Recording from plain arrays.

    Parameters
    ----------
    signals : ndarray, shape (n_chans, n_samples), or a list of such
        One continuous segment, or several.
    onsets : array_like, shape (n_flashes,)
        Seconds from the start of the flash's segment.
    sfreq : float
        Sampling rate in Hz.
    ch_names : sequence of str or None
        None for "0", "1", ….
    unit : {"uV", "mV", "V", "AD"}
        Unit of the samples.
    speller : Speller or None
        The screen; None for an oddball.
    name : str
        For messages and reports.
    **columns
        Further columns of the flash table (:mod:`p300.flashes`): ``segment`` if there are
        several segments, ``is_target``, ``code``, ``character``, ….

    Returns
    -------
    Recording

    Raises
    ------
    InputError
        If shapes or columns do not fit one another, or signals are transposed.

    Examples
    --------
    >>> recording_from_arrays(np.zeros((8, 2400)), [0.5, 1.0], sfreq=240).n_chans
    8
    """
    several = [signals] if isinstance(signals, np.ndarray) else signals
    segments = [np.asarray(s) for s in several]
    for k, segment in enumerate(segments):
        if segment.ndim != 2:
            raise InputError(
                f"segment {k} has shape {segment.shape}; expected (n_chans, n_samples)"
            )
    flashes = flash_table(onset=np.asarray(onsets, np.float64), **columns)
    _check_orientation(segments, flashes, sfreq, ch_names, name)
    if ch_names is None:
        ch_names = [str(k) for k in range(len(segments[0]))]
    return Recording(segments, flashes, ch_names, sfreq, unit, speller, name)


def _check_orientation(
    segments: Sequence[np.ndarray],
    flashes: pd.DataFrame,
    sfreq: float,
    ch_names: Sequence[str] | None,
    name: str,
) -> None:
    """Refuse signals that fit the flashes or the names only the other way round.

    Raises
    ------
    InputError
        With the shape.
    """
    for k, segment in enumerate(segments):
        n_rows, n_columns = segment.shape
        last = flashes.loc[flashes["segment"] == k, "onset"].max() * sfreq
        if ch_names is None:
            is_transposed = n_columns <= last < n_rows
        else:
            is_transposed = n_columns == len(ch_names) != n_rows
        if is_transposed:
            raise InputError(
                f"{name}: segment {k} has shape {segment.shape}: {n_rows} channels of {n_columns} "
                "samples; expected (n_chans, n_samples); transpose it"
            )


def as_recording(data: RecordingLike, *, is_filtered: bool = True) -> Recording:
    """Return a Recording unchanged, or convert an MNE object to one.

    Parameters
    ----------
    data : Recording, mne.io.BaseRaw or mne.BaseEpochs
        The flashes of a Raw come from its annotations (:func:`p300.readers.mne_raw.read_raw`
        has the options). Each epoch of an MNE Epochs object becomes a segment.
    is_filtered : bool
        Whether the segments will be filtered. MNE Epochs are then refused: they are too short.

    Returns
    -------
    Recording

    Raises
    ------
    InputError
        If ``data`` is anything else, or MNE Epochs that would be filtered.
    """
    if isinstance(data, Recording):
        return data
    mne = sys.modules.get("mne")  # an MNE object cannot exist before MNE is imported
    if mne is not None and isinstance(data, mne.io.BaseRaw):
        from p300.readers.mne_raw import read_raw

        return read_raw(data)
    if mne is not None and isinstance(data, mne.BaseEpochs):
        if is_filtered:
            span = data.times[-1] - data.times[0]
            raise InputError(
                f"MNE epochs of {span:.2f} s cannot be filtered: a filter distorts more than that "
                "at both ends of every epoch; expected a Raw, or l_freq=None and h_freq=None for "
                "epochs that were filtered before they were cut"
            )
        epochs = epochs_from_mne(data)
        flashes = epochs.flashes.assign(segment=range(len(epochs.data)), onset=-epochs.tmin)
        meaning = epochs.ch_names, epochs.sfreq, epochs.unit
        return Recording(list(epochs.data), flashes, *meaning, name=epochs.name)
    raise InputError(
        f"cannot preprocess {type(data).__name__}; expected a Recording, an MNE object, or "
        "recording_from_arrays(signal, onsets, sfreq=...)"
    )


def as_epochs(X: Any) -> Epochs | None:
    """Return p300's Epochs, MNE's, or a list of either as p300's; None for anything else.

    scikit-learn selects from what has no ``shape`` one by one, and passes a list.
    """
    several = list(X) if isinstance(X, list | tuple) else [X]
    if several and all(isinstance(one, Epochs) for one in several):
        return concatenate_epochs(several) if len(several) > 1 else several[0]
    mne = sys.modules.get("mne")  # an MNE object cannot exist before MNE is imported
    if mne is None or not several or not all(isinstance(x, mne.BaseEpochs) for x in several):
        return None
    whole = several[0]
    if len(several) > 1:
        whole = mne.concatenate_epochs(several, add_offset=False, verbose="error")
    return epochs_from_mne(whole, is_target=_known_labels(whole))


def _known_labels(epochs: Any) -> list[Any] | None:
    """Return the labels in the metadata of MNE's epochs; none, where names are not understood."""
    if epochs.metadata is not None and "is_target" in epochs.metadata:
        return None  # read by the reader
    meanings = [parse_label(name) for name in epochs.event_id]
    is_understood = all(m is not None and m.is_target is not None for m in meanings)
    return None if is_understood else [None] * len(epochs)
