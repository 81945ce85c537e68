"""Conversion of MNE Raw to a Recording and back.

MNE keeps EEG in volts and marks flashes by annotations or events. Here EEG is in µV and the
flash table holds the rest. MNE is imported when one of the functions is called.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.electrodes import find_positions, make_info
from p300.readers.events.build import EXTRAS, Given, agreed_screen, build_flashes
from p300.readers.events.sources import BAD, Clock, find_clock, find_flashes, intervals_of
from p300.readers.mne_epochs import eeg_picks, kinds, plain, volts_per
from p300.recording import Recording
from p300.speller import Speller

if TYPE_CHECKING:
    import mne

#: Seconds of signal that are read at a time.
PIECE_S = 15


def read_raw(
    raw: mne.io.BaseRaw,
    *,
    events: np.ndarray | None = None,
    event_id: Mapping[str, int] | None = None,
    source: str | None = None,
    targets: Mapping[Any, bool | None] | None = None,
    codes: Mapping[Any, int | None] | None = None,
    ignore: Collection[Hashable] = (),
    picks: Any = "eeg",
    speller: Speller | None = None,
    text: Sequence[str] | None = None,
    characters: int | None = None,
    n_repetitions: int | None = None,
    pause_s: float | None = None,
    starts: Collection[Hashable] = (),
    offset_s: float = 0.0,
    interval: tuple[float, float] = (0.0, 0.65),
    subject: str = "1",
    session: str = "1",
    run: int | str = 1,
    name: str = "mne raw",
    with_date: bool = False,
) -> Recording:
    """Convert the EEG and the flashes of an MNE Raw to a Recording.

    Flashes come from ``events``, else from annotations, else from the stimulus channel. Each has
    a *label*: an annotation's description, or an event's name in ``event_id``, or its number.
    ``codes`` and ``targets`` define what a label means. Without them, labels that consist of a
    code ("S  7"), a class ("NonTarget") or both ("target/7") are understood; if others occur
    beside them, the recording is refused. A code and a class at one instant are one flash.

    The recording is cut where time is not continuous (``EDGE boundary``, ``BAD boundary``,
    ``BAD_ACQ_SKIP``, ``boundary``, ``New Segment/``, gaps of EDF+D). Flashes whose ``interval``
    meets another ``BAD_...`` stretch are left out, as MNE's Epochs does; the signal is kept.
    Characters and repetitions are numbered before. What was taken and left stands in
    ``Recording.notes``.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        EEG in volts. Projectors that are not applied yet are applied, as in MNE's Epochs.
    events : ndarray of int, shape (n_events, 3), or None
        MNE's event array.
    event_id : mapping of str to int, or None
        Names of event numbers; events without one are left out.
    source : {"annotations", "stim"} or str or None
        Where flashes come from, or the name of a stimulus channel; None for the first of both
        that has some.
    targets : mapping of label to bool, or None
        Which labels are target flashes; None as a value for a label that is no flash.
    codes : mapping of label to int, or None
        Which group each label lit.
    ignore : collection of labels
        Labels that are no flashes.
    picks : str, sequence of str or int, slice, or None
        Channels as in MNE: names, indices, types or "all"; "eeg" and None mean all EEG channels.
        Those that are marked bad are ``Recording.bad_channels``; where too few positions are
        known to interpolate them, they are left out.
    speller : Speller or None
        The screen; None for that of a file that ``p300 convert`` wrote, which another would
        contradict, else a plain oddball, whose codes are then 1 (nontarget) and 2 (target) where
        the labels have none.
    text : sequence of str or None
        The wanted symbols, for flashes without labels.
    characters, n_repetitions, pause_s : int, int, float, or None
        How characters follow each other: their number, the repetitions of each, or the shortest
        time between the last flash of one and the first of the next. None: by pauses, as said in
        ``Recording.notes``.
    starts : collection of labels
        Labels of events at which a character starts.
    offset_s : float
        Seconds from an event to its flash, such as the delay of a screen.
    interval : tuple of float
        Seconds around a flash that must not meet a ``BAD_...`` stretch.
    subject, session, run : str, str, int or str
        For the flash table (of a run's name the number), where the annotations' extras have none.
    name : str
        Name of the recording, for messages and reports.
    with_date : bool
        Keep the date of the measurement, which may tell who was measured.

    Returns
    -------
    Recording
        In µV, one segment per interval of continuous time.

    Raises
    ------
    InputError
        If there is no EEG channel or no flash, a picked channel is not EEG, some labels are
        understood and others not, or characters cannot be told apart.

    Warns
    -----
    UserWarning
        If events are left out, or flashes because they meet a bad stretch or lie outside the
        signal.
    """
    if any(not projector["active"] for projector in raw.info["projs"]):
        raw = raw.copy().apply_proj(verbose="error")  # on what is read, not in memory
    (picked, left_out), clock = _picked(raw, picks, name), find_clock(raw, name)
    stated = _screen_of(raw)
    if speller is None and stated is not None:
        left_out = [*left_out, f"The screen is that of the file: {stated.name!r}."]
    speller = agreed_screen(speller, stated, name)
    given = Given(
        targets=targets,
        codes=codes,
        ignore=ignore,
        speller=speller,
        text=text,
        characters=characters,
        n_repetitions=n_repetitions,
        pause_s=pause_s,
        starts=starts,
        offset_s=offset_s,
        subject=subject,
        session=session,
        run=run,
        name=name,
    )
    found, understood, notes = find_flashes(raw, events, event_id, source, given, clock)
    flashes, taken = build_flashes(found, understood, given, 1.0 / raw.info["sfreq"])
    notes += [*left_out, *taken]
    seconds = flashes["onset"].to_numpy()
    segment, is_usable, lost = _usable(raw, seconds, clock, interval)
    starts_s = np.array([start for start, _ in clock.spans]) / raw.info["sfreq"]
    flashes = flashes.assign(segment=segment, onset=seconds - starts_s[segment])
    notes += understood.warn(name, lost)
    if len(starts_s) > 1:
        places = ", ".join(f"{start:.3f}" for start in starts_s[1:9])
        notes.append(f"{len(starts_s)} segments: time is not continuous at {places} s.")
    return Recording(
        [_read_signal(raw, picked, *span) for span in clock.spans],
        flashes[is_usable].reset_index(drop=True),
        [raw.ch_names[k] for k in picked],
        _whole(raw.info["sfreq"]),
        "uV",
        speller,
        name,
        positions=_positions(raw, picked),
        bad_channels=[raw.ch_names[k] for k in picked if raw.ch_names[k] in raw.info["bads"]],
        notes=notes,
        about=_about(raw, with_date),
    )


def _about(raw: mne.io.BaseRaw, with_date: bool) -> dict[str, Any]:
    """Return what MNE knows of filter, reference and date of the measurement."""
    info = raw.info
    found: dict[str, Any] = {}
    if info["highpass"] > 0:
        found["highpass_hz"] = round(float(info["highpass"]), 6)
    if info["lowpass"] < 0.5 * info["sfreq"] * (1 - 1e-6):
        found["lowpass_hz"] = round(float(info["lowpass"]), 6)
    if info["custom_ref_applied"]:
        found["reference"] = "changed in MNE"
    if with_date and info["meas_date"] is not None:
        found["measured"] = info["meas_date"].isoformat()
    return found


def describe_screen(speller: Speller | None) -> str | None:
    """Return the screen as a text for ``info["description"]``, where :func:`read_raw` finds it."""
    return None if speller is None else json.dumps({"p300": speller.to_dict()})


def _screen_of(raw: mne.io.BaseRaw) -> Speller | None:
    try:
        return Speller.from_dict(json.loads(raw.info["description"])["p300"])
    except (ValueError, KeyError, TypeError):
        return None


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
        info = make_info(recording.ch_names, recording.rates[k], recording.positions)
        info["bads"] = list(recording.bad_channels)
        with info._unlock():  # of an amplifier's filter MNE has no other way
            for key, name in (("highpass_hz", "highpass"), ("lowpass_hz", "lowpass")):
                if isinstance(recording.about.get(key), int | float):
                    info[name] = float(recording.about[key])
        raw = mne.io.RawArray(segment * volts, info, verbose="error")
        flashes = recording.flashes[recording.flashes["segment"] == k]
        named = zip(kinds(flashes["is_target"]), plain(flashes["code"]), strict=True)
        labels = [kind if code is None else f"{kind}/{code}" for kind, code in named]
        table = flashes[[c for c in EXTRAS if c in flashes]].astype(object)
        extras = table.where(table.notna(), None).to_dict("records")
        onset = flashes["onset"].to_numpy()
        if isinstance(date := recording.about.get("measured"), str) and "," not in date:
            raw.set_meas_date(datetime.datetime.fromisoformat(date))
        raws.append(raw.set_annotations(mne.Annotations(onset, 0.0, labels, extras=extras)))
    return raws


def _whole(rate: float) -> float:
    """Return a rate without the rounding of its inverse, in which BrainVision states it."""
    return float(round(rate)) if abs(rate - round(rate)) < 1e-9 * rate else rate


def _picked(raw: mne.io.BaseRaw, picks: Any, name: str) -> tuple[np.ndarray, list[str]]:
    """Find the picked channels, with bad ones that can be interpolated; say which cannot."""
    import mne

    picked = eeg_picks(raw, picks, name)
    eeg = mne.pick_types(raw.info, eeg=True, exclude=())
    bad = [raw.ch_names[k] for k in eeg if raw.ch_names[k] in raw.info["bads"]]
    is_default = picks is None or (isinstance(picks, str) and picks in ("eeg", "all"))
    if not bad or not is_default:
        return picked, []
    places = _positions(raw, eeg) or find_positions([raw.ch_names[k] for k in eeg])
    if set(bad) <= set(places) and len(places) >= len(bad) + 4:
        return eeg, []
    listed = ", ".join(bad)
    return picked, [f"Channels {listed} are marked bad and left out: too few known positions."]


def _positions(raw: mne.io.BaseRaw, picked: np.ndarray) -> dict[str, tuple] | None:
    """Return the positions of the picked channels that the Raw has; None if it has none."""
    places = {raw.ch_names[k]: raw.info["chs"][k]["loc"][:3] for k in picked}
    known = {
        c: tuple(map(float, p)) for c, p in places.items() if np.isfinite(p).all() and p.any()
    }
    return known or None


def _read_signal(raw: mne.io.BaseRaw, picked: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Read some samples in µV, piece by piece: MNE's float64 of the whole is never in memory."""
    signal = np.empty((len(picked), stop - start), np.float32)
    step = max(1, PIECE_S * round(raw.info["sfreq"]))
    for k in range(start, stop, step):
        piece = raw.get_data(picked, k, min(k + step, stop))
        np.multiply(piece, 1e6, out=signal[:, k - start : k - start + step], casting="same_kind")
    return signal


def _usable(
    raw: mne.io.BaseRaw, seconds: np.ndarray, clock: Clock, interval: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, str]:
    """Find each flash's segment, whether it is used, and the sentence about those that are not."""
    sfreq = raw.info["sfreq"]
    starts, stops = np.reshape(clock.spans, (-1, 2)).T / sfreq
    segment = np.maximum(np.searchsorted(starts, seconds + 1e-9, side="right") - 1, 0)
    if not len(starts):
        return segment, np.zeros(len(seconds), bool), "there is no signal."
    # an instant just before the next segment is that segment's first sample
    is_inside = (seconds >= starts[segment] - 1e-9) & (seconds < stops[segment] - 1e-9)
    is_outside = ~is_inside  # NaN too: in a gap
    bad_from, bad_to = clock.seconds(intervals_of(raw, BAD).ravel()).reshape(-1, 2).T
    begin, end = seconds[:, None] + interval[0], seconds[:, None] + interval[1]
    is_bad = ((begin < bad_to) & (end > bad_from)).any(axis=1) & ~is_outside
    parts = []
    for which, what in (
        (is_bad, f"meet a bad stretch within {interval[0]:g} to {interval[1]:g} s"),
        (is_outside, "lie outside the signal"),
    ):
        if which.any():
            parts.append(f"{which.sum()} {what} (the first at {seconds[which][0]:.3f} s)")
    lost = is_bad | is_outside
    sentence = f"{lost.sum()} of {len(lost)} flashes are left out: {', '.join(parts)}."
    return segment, ~lost, sentence if parts else ""
