"""What may be handed in besides a Recording: plain arrays, MNE Raw, MNE Epochs."""

from __future__ import annotations

import sys

import numpy as np

from p300.errors import InputError
from p300.preprocessing.epochs import epochs_from_mne
from p300.recording import Recording, flash_table


def recording_from_arrays(signals, onsets, *, sfreq, ch_names=None, unit="uV", **columns):
    """Make a Recording of plain arrays.

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
        Of the samples.
    **columns
        Further columns of the flash table (:mod:`p300.recording`): ``segment`` where there are
        several, ``is_target``, ``code``, ``character``, ….

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
    segments = [signals] if isinstance(signals, np.ndarray) else list(signals)
    segments = [np.asarray(s) for s in segments]
    for k, segment in enumerate(segments):
        if segment.ndim != 2:
            raise InputError(
                f"segment {k} has shape {segment.shape}; expected (n_chans, n_samples)"
            )
    if ch_names is None:
        ch_names = [str(k) for k in range(len(segments[0]))]
    return Recording(
        segments=tuple(segments),
        flashes=flash_table(onset=np.asarray(onsets, np.float64), **columns),
        ch_names=tuple(ch_names),
        sfreq=sfreq,
        unit=unit,
        name="arrays",
    )


def as_recording(data, *, is_filtered=True) -> Recording:
    """Take a Recording as it is, and make one of an MNE object.

    Parameters
    ----------
    data : Recording, mne.io.BaseRaw or mne.BaseEpochs
        A Raw's flashes come from its annotations (:func:`p300.readers.mne_raw.read_raw`
        has the options). Epochs become one segment each.
    is_filtered : bool
        Will the segments be filtered? Then Epochs are refused: they are too short.

    Returns
    -------
    Recording

    Raises
    ------
    InputError
        If ``data`` is anything else, or Epochs that would be filtered.
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
                f"MNE epochs of {span:.2f} s cannot be filtered: a filter rings longer than that "
                "at both ends of every epoch; expected a Raw, or l_freq=None and h_freq=None for "
                "epochs that were filtered before they were cut"
            )
        return _recording_from_epochs(data)
    raise InputError(
        f"cannot preprocess {type(data).__name__}; expected a Recording, an MNE object, or "
        "recording_from_arrays(signal, onsets, sfreq=...)"
    )


def _recording_from_epochs(data) -> Recording:
    epochs = epochs_from_mne(data)
    n_flashes = len(epochs.flashes)
    flashes = epochs.flashes.assign(segment=range(n_flashes), onset=-epochs.tmin)
    return Recording(
        segments=tuple(epochs.data),
        flashes=flashes,
        ch_names=epochs.ch_names,
        sfreq=epochs.sfreq,
        unit=epochs.unit,
        name=epochs.name,
    )
