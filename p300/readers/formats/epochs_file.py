"""Files that are cut into epochs already: MNE's (``-epo.fif``) and EEGLAB's (``.set``).

Where the epochs overlap and agree in every sample that they share, they are joined to the
continuous signal that they were cut from; else each is a segment of its own.
"""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.flashes import FLASH_COLUMNS
from p300.readers.events.build import EXTRAS, Events, Given, build_flashes, no_flash
from p300.readers.events.labels import counted
from p300.readers.events.values import WORDS, classes_by_targets, classes_of
from p300.readers.formats._segments import check_size, picked
from p300.readers.mne_epochs import eeg_picks, plain
from p300.recording import Recording

if TYPE_CHECKING:
    import mne

TAKES: tuple[str, ...] = ()

#: Epochs that are read at a time.
PIECE = 64

#: Largest difference of two epochs in a sample that both have, as a part of its size.
SAME = 1e-5


def read(path: str | Path, *, picks: Any = None, **meaning: Any) -> Recording:
    """Read a file of epochs.

    Parameters
    ----------
    path : path
        The file.
    picks : str, sequence of str, or None
        Channels; None for all EEG channels that are not marked bad.
    **meaning
        What the events' names mean, as for :func:`p300.readers.mne_raw.read_raw`. Columns
        ``code``, ``is_target``, ``character``, … of the metadata are used where there are some,
        unless ``targets`` or ``codes`` are given.

    Returns
    -------
    Recording

    Raises
    ------
    InputError
        If the file cannot be read, or no event is a flash.
    """
    path = Path(path)
    given = Given(**{"name": path.stem, **meaning})
    epochs = _open(path)
    if picks is not None:
        picks = [epochs.ch_names[k] for k in picked(epochs.ch_names, picks, path.name)]
    rows = eeg_picks(epochs, picks, path.name)
    labels, extras, given, notes = _labels(epochs, given)
    understood = given.understand(labels)
    if not understood.is_flash.any():
        raise no_flash(given, f"events of the epochs: {counted(labels)}", labels)
    sfreq = float(epochs.info["sfreq"])
    samples = epochs.events[:, 0].astype(np.int64)
    if len(np.unique(samples)) < len(samples):  # no times: as if they followed each other
        samples = np.arange(len(samples)) * (len(epochs.times) + 1)
    segments, segment, onset, said = _segments(epochs, rows, samples, path)
    events = Events(samples / sfreq, labels, extras)
    flashes, taken = build_flashes(events, understood, given, 0.0)
    # by their times, flashes that are left out keep the numbers of the others right
    where = dict(zip((samples / sfreq).tolist(), range(len(samples)), strict=True))
    found = [where[second - given.offset_s] for second in flashes["onset"]] if where else []
    flashes = flashes.assign(segment=segment[found], onset=onset[found] / sfreq + given.offset_s)
    notes += understood.warn(given.name)
    return Recording(
        segments,
        flashes,
        [epochs.ch_names[k] for k in rows],
        sfreq,
        "uV",
        given.speller,
        given.name,
        notes=[*notes, *taken, said],
    )


def contents(path: Path) -> str:
    """Describe a file: epochs, channels, rate and events."""
    epochs = _open(path)
    names = epochs.ch_names
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    columns = [] if epochs.metadata is None else list(epochs.metadata)
    return (
        f"epochs, read by MNE\n  {len(epochs.events)} epochs of {epochs.tmin:g} to "
        f"{epochs.tmax:g} s at {epochs.info['sfreq']:g} Hz\n  {len(names)} channels: {shown}\n"
        f"  events: {counted(_names(epochs), 24)}\n  metadata: {', '.join(columns) or 'none'}"
    )


def _open(path: Path) -> mne.BaseEpochs:
    """Open a file with MNE, without reading all its samples where that is possible."""
    import mne

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of pandas, by MNE
            if path.suffix.lower() == ".set":
                return mne.read_epochs_eeglab(path, verbose="error")
            return mne.read_epochs(path, proj=True, preload=False, verbose="error")
    except Exception as error:  # of any kind: the file is somebody else's
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"{path.name} cannot be read: {reason} (MNE); expected epochs of MNE (-epo.fif) or "
            "EEGLAB (.set)"
        ) from error


def _names(epochs: mne.BaseEpochs) -> list[str]:
    names = {number: name for name, number in epochs.event_id.items()}
    return [names[number] for number in epochs.events[:, 2]]


def _labels(epochs: mne.BaseEpochs, given: Given) -> tuple[list, list[dict], Given, list[str]]:
    """Return label and further columns of each epoch, what is left of what was given, and notes.

    Metadata tell labels if nothing is said of them, or if ``targets`` are about their classes.
    """
    labels: list = _names(epochs)
    extras: list[dict] = [{} for _ in labels]
    table = epochs.metadata
    known = [] if table is None else [c for c in FLASH_COLUMNS if c in table]
    used = [c for c in known if c in EXTRAS and table[c].notna().any()]
    for column in used:
        for extra, value in zip(extras, plain(table[column]), strict=True):
            extra[column] = value
    tells = [c for c in ("code", "is_target") if c in known and table[c].notna().any()]
    meant = None
    if "is_target" in tells and given.codes is None:
        meant = classes_by_targets(table["is_target"], given.targets, given.name)
    if meant or (tells and given.targets is None and given.codes is None):
        words: list = ["flash"] * len(labels)
        if meant:
            given = dataclasses.replace(given, targets=meant[1])
        if "is_target" in tells:
            classes = meant[0] if meant else classes_of(table["is_target"], given.name)
            words = [WORDS.get(c, "flash") for c in classes]
        if "code" in tells:
            codes = plain(table["code"])
            words = [w if c is None else f"{w}/{c:g}" for w, c in zip(words, codes, strict=True)]
        labels, used = words, [*tells, *used]
    return (
        labels,
        extras,
        given,
        [f"Columns of the metadata are used: {', '.join(used)}."] if used else [],
    )


def _segments(
    epochs: mne.BaseEpochs, rows: np.ndarray, samples: np.ndarray, path: Path
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, str]:
    """Read the epochs, joined where they agree.

    Returns
    -------
    segments : list of ndarray, each of shape (n_chans, n_samples)
        In µV.
    segment, onset : ndarray of int, shape (n_epochs,)
        The segment of each epoch, and the sample of its event in it.
    said : str
        How they were joined.
    """
    n_epochs, n_times = len(samples), len(epochs.times)
    zero = -round(float(epochs.tmin) * float(epochs.info["sfreq"]))
    check_size(path, 4.0 * len(rows) * n_epochs * n_times)
    data = np.empty((n_epochs, len(rows), n_times), np.float32)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            for k in range(0, n_epochs, PIECE):
                some = epochs[k : k + PIECE].get_data(picks=rows, verbose="error")
                data[k : k + PIECE] = some * 1e6
    except Exception as error:  # of any kind: the file is somebody else's
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path.name} is damaged: {reason}; expected the whole file") from error
    steps = np.diff(samples)
    agrees = [
        0 < step <= n_times and _agree(data[k], data[k + 1], int(step))
        for k, step in enumerate(steps.tolist())
    ]
    begins = np.flatnonzero([True, *(not same for same in agrees)])
    segments, onset = [], np.empty(n_epochs, np.int64)
    for first, stop in zip(begins, [*begins[1:], n_epochs], strict=True):
        at = samples[first:stop] - samples[first]
        onset[first:stop] = at + zero
        signal = np.empty((len(rows), int(at[-1]) + n_times), np.float32)
        for k, place in enumerate(at.tolist()):
            signal[:, place : place + n_times] = data[first + k]
        segments.append(signal)
    segment = np.searchsorted(begins, np.arange(n_epochs), side="right") - 1
    if len(begins) < n_epochs:
        said = f"{n_epochs} epochs overlap and agree: they are {len(begins)} continuous segments."
    else:
        said = (
            f"{n_epochs} epochs of {n_times} samples are a segment each, so filters act within "
            "epochs: cut them long, or read the continuous file."
        )
    n_sharing = int(((steps > 0) & (steps < n_times) & (np.diff(segment) != 0)).sum())
    if n_sharing:
        said += (
            f" {n_sharing} of them overlap with the next and differ from it (a baseline, or "
            "artefacts removed): where one trains and the other tests, both have the same raw "
            "samples; hold out whole runs, or read the continuous file."
        )
        warnings.warn(f"{path.name}: {said}", UserWarning, stacklevel=3)
    return segments, segment, onset, said


def _agree(first: np.ndarray, second: np.ndarray, step: int) -> bool:
    """Return whether the second epoch, some samples later, has the first one's values."""
    a, b = first[:, step:], second[:, : first.shape[1] - step]
    return bool(a.size and np.allclose(a, b, rtol=SAME, atol=1e-4))
