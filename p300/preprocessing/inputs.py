"""Inputs other than a Recording: plain arrays, MNE Raw, MNE Epochs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.preprocessing.epochs import epochs_from_mne
from p300.recording import Recording, flash_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    import mne
    from numpy.typing import ArrayLike

    #: What is preprocessed.
    RecordingLike: TypeAlias = Recording | mne.io.BaseRaw | mne.BaseEpochs


def recording_from_arrays(
    signals: np.ndarray | Sequence[ArrayLike],
    onsets: ArrayLike,
    *,
    sfreq: float,
    ch_names: Sequence[str] | None = None,
    unit: str = "uV",
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
    **columns
        Further columns of the flash table (:mod:`p300.recording`): ``segment`` if there are
        several segments, ``is_target``, ``code``, ``character``, ….

    Returns
    -------
    Recording

    Raises
    ------
    InputError
        If shapes or columns do not fit one another.

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
    if ch_names is None:
        ch_names = [str(k) for k in range(len(segments[0]))]
    flashes = flash_table(onset=np.asarray(onsets, np.float64), **columns)
    return Recording(segments, flashes, ch_names, sfreq, unit, name="arrays")


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
