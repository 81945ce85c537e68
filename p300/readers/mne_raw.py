"""Conversion of MNE Raw to a Recording and back.

MNE keeps EEG in volts and marks flashes by annotations or events. Here EEG is in µV and the
flash table holds the rest. MNE is imported when one of the functions is called.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.electrodes import make_info
from p300.errors import InputError
from p300.readers._flashes import number_characters, number_repetitions
from p300.readers.mne_epochs import code_of, eeg_picks, is_target_of, kinds, plain, volts_per
from p300.recording import Recording, flash_table

if TYPE_CHECKING:
    import mne

    from p300.speller import Speller

#: Annotations at which the signal is not continuous in time, as in MNE's own filters.
BREAK = re.compile(r"edge|bad[ _]boundary|bad_acq_skip", re.IGNORECASE)

#: Annotations that are no flashes.
BAD = re.compile(r"edge|bad", re.IGNORECASE)

#: Columns of the flash table that are stored in the ``extras`` of annotations.
EXTRAS = ("subject", "session", "run", "character", "repetition")


def read_raw(
    raw: mne.io.BaseRaw,
    *,
    events: np.ndarray | None = None,
    event_id: Mapping[str, int] | None = None,
    targets: Mapping[Any, bool] | None = None,
    codes: Mapping[Any, int] | None = None,
    picks: str | Sequence[str] = "eeg",
    speller: Speller | None = None,
    subject: str = "1",
    session: str = "1",
    run: int = 1,
    name: str = "mne raw",
) -> Recording:
    """Convert the EEG and the flashes of an MNE Raw to a Recording.

    Flashes come from ``events``, else from annotations, else from the stimulus channel. Each has
    a *label*: an annotation's description, or an event's name in ``event_id``, or its number.
    ``codes`` and ``targets`` define what a label means. Without them, a number is the flash code,
    and a description is split into its parts: ``"target/7"``, ``"NonTarget"``. Labels with
    neither a code nor a class are not flashes. Pauses separate the characters.

    The recording is cut where MNE marks that time is not continuous (``EDGE boundary``, ``BAD
    boundary``, ``BAD_ACQ_SKIP``). Flashes that begin in any other ``BAD_...`` interval are left
    out; the signal there is kept.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        EEG in volts.
    events : ndarray of int, shape (n_events, 3), or None
        MNE's event array.
    event_id : mapping of str to int, or None
        Names of event numbers; events without one are left out.
    targets : mapping of label to bool, or None
        Which labels are target flashes.
    codes : mapping of label to int, or None
        Which group each label lit.
    picks : "eeg" or sequence of str
        Channels; "eeg" means all EEG channels that are not marked bad.
    speller : Speller or None
        The screen; None for a plain oddball, whose codes are then 1 (nontarget) and 2 (target)
        where the labels have none.
    subject, session, run : str, str, int
        For the flash table, where the annotations' extras have none.
    name : str
        Name of the recording, for messages and reports.

    Returns
    -------
    Recording
        In µV, one segment per interval of continuous time.

    Raises
    ------
    InputError
        If there is no EEG channel or no flash, a picked channel is not EEG, or the labels lack
        codes of the screen.

    Warns
    -----
    UserWarning
        If flashes are left out because they begin in a bad interval or outside the signal.
    """
    picked = eeg_picks(raw, picks, name)
    seconds, labels, extras = _labelled_events(raw, events, event_id)
    code = [code_of(label, codes) for label in labels]
    is_target = [is_target_of(label, targets) for label in labels]
    if codes is None and targets is None:
        known = [c is not None or t is not None for c, t in zip(code, is_target, strict=True)]
    else:
        known = [label in {*(codes or ()), *(targets or ())} for label in labels]
    is_flash = np.array(known, bool)
    if not is_flash.any():
        found = ", ".join(sorted({str(label) for label in labels})[:10]) or "none at all"
        raise InputError(
            f"{name}: got no flash among {len(labels)} events (labels: {found}); expected labels "
            "such as 'target/7'; set targets or codes for these labels."
        )
    spans = _continuous_spans(raw)
    starts, stops = np.reshape(spans, (-1, 2)).T / raw.info["sfreq"]
    segment = np.searchsorted(starts, seconds + 1e-9, side="right") - 1
    bad_from, bad_to = _intervals(raw, BAD).T
    is_bad = ((seconds[:, None] >= bad_from) & (seconds[:, None] < bad_to)).any(axis=1)
    is_usable = (segment >= 0) & (seconds < stops[segment]) & ~is_bad
    if n_left_out := int((is_flash & ~is_usable).sum()):
        warnings.warn(
            f"{name}: {n_left_out} of {is_flash.sum()} flashes are left out; expected each "
            "to begin inside the signal and outside intervals annotated as bad.",
            UserWarning,
            stacklevel=2,
        )
    rows = np.flatnonzero(is_flash & is_usable)
    rows = rows[np.argsort(seconds[rows], kind="stable")]
    columns = {
        "segment": segment[rows],
        "onset": seconds[rows] - starts[segment[rows]],
        "code": [code[k] for k in rows],
        "is_target": [is_target[k] for k in rows],
        "subject": subject,
        "session": session,
        "run": run,
    }
    for column in EXTRAS:
        if any(extras[k].get(column) is not None for k in rows):
            columns[column] = [extras[k].get(column) for k in rows]
    _complete_codes(columns, seconds[rows], speller, name)
    signal = [(raw.get_data(picked, *span) * 1e6).astype(np.float32) for span in spans]
    ch_names = [raw.ch_names[k] for k in picked]
    sfreq = raw.info["sfreq"]
    return Recording(signal, flash_table(**columns), ch_names, sfreq, "uV", speller, name)


def to_raw(recording: Recording, *, volts_per_unit: float | None = None) -> list[mne.io.RawArray]:
    """Convert a recording to MNE, one Raw per segment.

    Every flash is an annotation such as ``"target/7"`` (or ``"flash/7"`` without a label). Its
    ``extras`` hold the rest of its row. Channel names of the 10-05 system get their positions.

    Parameters
    ----------
    recording : Recording
        In a physical unit, or with ``volts_per_unit``.
    volts_per_unit : float or None
        Volts per unit of the samples; required if the unit is "AD".

    Returns
    -------
    list of mne.io.RawArray

    Raises
    ------
    InputError
        If the size of the unit in volts is unknown.
    """
    import mne

    volts = volts_per(recording.unit, volts_per_unit, recording.name)
    raws = []
    for k, segment in enumerate(recording.segments):
        info = make_info(recording.ch_names, recording.sfreq)
        raw = mne.io.RawArray(segment * volts, info, verbose="error")
        flashes = recording.flashes[recording.flashes["segment"] == k]
        named = zip(kinds(flashes["is_target"]), plain(flashes["code"]), strict=True)
        labels = [kind if code is None else f"{kind}/{code}" for kind, code in named]
        table = flashes[list(EXTRAS)].astype(object)
        extras = table.where(table.notna(), None).to_dict("records")
        onset = flashes["onset"].to_numpy()
        raws.append(raw.set_annotations(mne.Annotations(onset, 0.0, labels, extras=extras)))
    return raws


def _labelled_events(
    raw: mne.io.BaseRaw, events: np.ndarray | None, event_id: Mapping[str, int] | None
) -> tuple[np.ndarray, list, list[dict]]:
    """Return seconds from the first sample, labels and extras of all events."""
    import mne

    marks = [mark for mark in raw.annotations if not BAD.match(mark["description"])]
    if events is None and marks:
        seconds = np.array([mark["onset"] for mark in marks]) - raw.first_time
        extras = [dict(mark["extras"] or {}) for mark in marks]
        return seconds, [str(mark["description"]) for mark in marks], extras
    if events is None and "stim" in raw.get_channel_types():
        events = mne.find_events(raw, shortest_event=1, initial_event=True, verbose="error")
    events = np.zeros((0, 3), int) if events is None else np.asarray(events)
    labels = events[:, 2].tolist()
    if event_id is not None:
        names = {number: label for label, number in event_id.items()}
        events = events[np.isin(events[:, 2], list(names))]
        labels = [names[number] for number in events[:, 2]]
    seconds = (events[:, 0] - raw.first_samp) / raw.info["sfreq"]
    return seconds, labels, [{}] * len(labels)


def _complete_codes(
    columns: dict, seconds: np.ndarray, speller: Speller | None, name: str
) -> None:
    """Add codes of an oddball, or characters and repetitions of a speller."""
    code = columns["code"]
    if speller is None:
        labelled = zip(code, columns["is_target"], strict=True)
        columns["code"] = [int(t) + 1 if c is None and t is not None else c for c, t in labelled]
        return
    if unknown := [c for c in code if c not in speller.codes]:
        raise InputError(
            f"{name}: {len(unknown)} of {len(code)} flashes have no code of the screen "
            f"{speller.name!r} (the first: {unknown[0]}); expected one of {list(speller.codes)}; "
            "set codes."
        )
    characters = columns.setdefault("character", number_characters(seconds))
    columns.setdefault("repetition", number_repetitions(np.asarray(code), np.asarray(characters)))


def _continuous_spans(raw: mne.io.BaseRaw) -> list[tuple[int, int]]:
    """List the intervals [start, stop) of continuous time, in samples."""
    breaks = [raw.time_as_index(b, use_rounding=True).tolist() for b in _intervals(raw, BREAK)]
    spans, begin = [], 0
    for start, stop in [*sorted(breaks), (raw.n_times, raw.n_times)]:
        if start > begin:
            spans.append((begin, start))
        begin = max(begin, stop)
    return spans


def _intervals(raw: mne.io.BaseRaw, kind: re.Pattern[str]) -> np.ndarray:
    """Find the annotations of a kind: start and stop in seconds, shape (n_intervals, 2)."""
    marks = [mark for mark in raw.annotations if kind.match(mark["description"])]
    ends = [(mark["onset"], mark["onset"] + mark["duration"]) for mark in marks]
    return np.reshape(ends, (-1, 2)) - raw.first_time
