"""Where the flashes of an MNE Raw are marked: annotations, event arrays, stimulus channels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.proposals import Proposal
from p300.readers.events.build import Events, Given, no_flash
from p300.readers.events.code_channels import find_onsets
from p300.readers.events.edf_gaps import read_discontinuous
from p300.readers.events.labels import Understood, counted
from p300.readers.events.marks import BREAK, SEAM

if TYPE_CHECKING:
    import mne

#: Annotations of stretches whose flashes are not used.
BAD = re.compile(r"bad|edge", re.IGNORECASE)

#: Most channels of a type that are named; EOG among the EEG often comes last.
MAX_NAMES = 72

#: Bits of a trigger; a BioSemi's status channel has states of the amplifier above them.
TRIGGER_BITS = 0xFFFF


@dataclass(frozen=True)
class Clock:
    """Where the signal is continuous, and where the clock of its annotations jumps."""

    spans: list[tuple[int, int]]  # in samples, half-open
    jumps: list[tuple[float, float]]  # (seconds of the signal, seconds that are missing there)
    late: list[tuple[float, str]]  # annotations that MNE leaves out, on the file's clock

    def seconds(self, onsets: np.ndarray) -> np.ndarray:
        """Convert times on the file's clock to seconds of the signal; NaN for those in a gap."""
        seconds = np.array(onsets, float)
        for place, missing in self.jumps:
            is_after = seconds >= place + missing - 1e-6
            is_within = (seconds >= place - 1e-6) & ~is_after
            seconds = np.where(is_after, seconds - missing, np.where(is_within, np.nan, seconds))
        return seconds


def find_clock(raw: mne.io.BaseRaw, name: str) -> Clock:
    """Find the intervals of continuous time."""
    sfreq = raw.info["sfreq"]
    jumps: list[tuple[float, float]] = []
    late: list[tuple[float, str]] = []
    files = [Path(file) for file in raw.filenames if file is not None]
    known = [times for file in files if (times := read_discontinuous(file)) is not None]
    if known:
        if len(files) > 1:
            raise InputError(
                f"{name}: got {len(files)} files of which some are discontinuous (EDF+D); "
                "expected one such file at a time; read each alone and concatenate the recordings."
            )
        ((starts, duration_s, annotations),) = known
        missing = np.diff(starts) - duration_s
        places = duration_s * np.arange(1, len(starts)) - raw.first_time
        jumps = [(places[k], missing[k]) for k in np.flatnonzero(missing > 0.5 / sfreq)]
        late = [
            (onset, text) for onset, _, text in annotations if onset > duration_s * len(starts)
        ]
    clock = Clock([], jumps, late)
    marked = clock.seconds(intervals_of(raw, BREAK).ravel()).reshape(-1, 2).tolist()
    marked = [ends for ends in marked if not np.isnan(ends).any()]
    marked += [[place, place] for place, _ in jumps]
    spans, begin = [], 0
    for ends in [*sorted(marked), [raw.n_times / sfreq] * 2]:
        start, stop = (min(max(round(s * sfreq), 0), raw.n_times) for s in ends)
        if start > begin:
            spans.append((begin, start))
        begin = max(begin, stop)
    return replace(clock, spans=spans)


def find_flashes(
    raw: mne.io.BaseRaw,
    events: np.ndarray | None,
    event_id: Mapping[str, int] | None,
    source: str | None,
    given: Given,
    clock: Clock,
) -> tuple[Events, Understood, list[str]]:
    """Find the events of the source that has flashes, and what they mean."""
    where = given.name
    if events is not None:
        found = _numbered_events(raw, events, event_id)
        understood = given.understand(found.labels)
        if not understood.is_flash.any():
            raise _no_flash(given, {"events": found})
        return found, understood, []
    tried: dict[str, Events] = {}
    notes: list[str] = []
    if source in (None, "annotations"):
        tried["annotations"] = found = _annotated_events(raw, clock)
        understood = given.understand(found.labels)
        if understood.is_flash.any():
            if source is None:
                notes += _other_source(raw, found, understood, given)
            return found, understood, notes
        notes += understood.left  # the channel may have the labels that these lack
    if source != "annotations":
        channel, found, doubts = _channel_events(
            raw, None if source in (None, "stim") else source, where
        )
        if channel is not None:
            tried[f"channel {channel}"] = found
            understood = given.understand(found.labels)
            if understood.is_flash.any():
                taken = f"Flashes come from the stimulus channel {channel!r}."
                lost = [doubt for doubt in doubts if "may be missing" in doubt]
                notes += [taken, *(doubt for doubt in doubts if doubt not in lost)]
                return found, replace(understood, left=(*understood.left, *lost)), notes
    raise _no_flash(given, tried)


def _no_flash(given: Given, tried: Mapping[str, Events]) -> InputError:
    """Return the error that lists what was found instead of flashes."""
    found = [f"{len(e.labels)} in {source} ({counted(e.labels)})" for source, e in tried.items()]
    labels = [label for events in tried.values() for label in events.labels]
    return no_flash(given, f"events: {'; '.join(found) or 'none'}", labels)


def _other_source(
    raw: mne.io.BaseRaw, found: Events, understood: Understood, given: Given
) -> list[str]:
    """Say that a stimulus channel is not used; refuse where it could as well be the right one."""
    channel, other, _ = _channel_events(raw, None, given.name, quiet=True)
    if channel is None or not other.labels:
        return []
    n_flashes, n_other = int(understood.is_flash.sum()), len(other.labels)
    is_sure = any(m is not None and m.is_target is not None for m in understood.meanings)
    is_sure = is_sure or given.codes is not None or given.targets is not None
    if not is_sure and n_other != n_flashes:
        raise InputError(
            f"{given.name}: got {n_flashes} annotations that may be flashes and {n_other} "
            f"events in the stimulus channel {channel!r}; expected one of both; set "
            "source='annotations' or source='stim'.",
            [Proposal("source", "annotations"), Proposal("source", "stim")],
        )
    return [
        f"Flashes come from annotations; the {n_other} events of the stimulus channel "
        f"{channel!r} are not used (set source to stim to use them)."
    ]


def _annotated_events(raw: mne.io.BaseRaw, clock: Clock) -> Events:
    """Return the annotations that are neither bad stretches nor breaks."""
    marks = [
        mark
        for mark in raw.annotations
        if not BAD.match(mark["description"]) and not BREAK.match(mark["description"])
    ]
    late = [mark for mark in clock.late if not BAD.match(mark[1]) and not BREAK.match(mark[1])]
    onsets = [*(mark["onset"] for mark in marks), *(onset for onset, _ in late)]
    labels = [*(str(mark["description"]) for mark in marks), *(text for _, text in late)]
    extras = [*(dict(mark.get("extras") or {}) for mark in marks), *({} for _ in late)]
    return Events(clock.seconds(np.array(onsets, float) - raw.first_time), labels, extras)


def _numbered_events(
    raw: mne.io.BaseRaw, events: np.ndarray, event_id: Mapping[str, int] | None
) -> Events:
    """Return the events of MNE's array, by name where there are names."""
    events = np.asarray(events)
    labels = events[:, 2].tolist()
    if event_id is not None:
        names = {number: label for label, number in event_id.items()}
        events = events[np.isin(events[:, 2], list(names))]
        labels = [names[number] for number in events[:, 2]]
    seconds = (events[:, 0] - raw.first_samp) / raw.info["sfreq"]
    return Events(seconds, labels, [{}] * len(labels))


def _channel_events(
    raw: mne.io.BaseRaw, channel: str | None, where: str, *, quiet: bool = False
) -> tuple[str | None, Events, list[str]]:
    """Return the stimulus channel's name, its events, and what was done to them."""
    nothing = Events(np.zeros(0), [], [])
    names = [
        n for n, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True) if kind == "stim"
    ]
    if channel is not None:
        if channel not in raw.ch_names:
            raise InputError(
                f"{where}: got source={channel!r}; expected 'annotations', 'stim' or the name of "
                f"a channel: {', '.join(names) or 'there is no stimulus channel'}."
            )
        names = [channel]
    steps = {name: _steps(raw, name) for name in names}
    found = {name: step for name, step in steps.items() if step[0].labels}
    sums = [n for n in found if n in ("STI101", "STI 014", "Status")]  # of all trigger lines
    if len(sums) == 1:
        found = {sums[0]: found[sums[0]]}
    if len(found) > 1 and not quiet:
        counts = ", ".join(f"{n} ({len(step[0].labels)})" for n, step in found.items())
        raise InputError(
            f"{where}: got events in {len(found)} stimulus channels: {counts}; expected one; set "
            "source to its name."
        )
    if not found:
        return (names[0] if names else None), nothing, []
    ((name, (events, doubts)), *_) = found.items()
    return name, events, doubts


def _steps(raw: mne.io.BaseRaw, channel: str) -> tuple[Events, list[str]]:
    """Find where a stimulus channel changes to a number that is not 0."""
    values = np.nan_to_num(raw.get_data([channel])[0]).round().astype(np.int64)
    doubts = []
    if (values > TRIGGER_BITS).any() or (values < 0).any():
        values &= TRIGGER_BITS
        doubts.append(f"Of channel {channel!r} the lower 16 bits are the triggers.")
    (samples,) = find_onsets(values)
    # lines that do not switch at once: a number that lasts for one sample is on its way
    is_passing = np.append(np.diff(samples) == 1, False)
    if n_passing := int(is_passing.sum()):
        doubts.append(
            f"{n_passing} numbers of one sample in {channel!r} are on the way to others."
        )
    samples = samples[~is_passing]
    doubts += _held(values, samples, channel)
    labels = values[samples].tolist()
    return Events(samples / raw.info["sfreq"], labels, [{}] * len(labels)), doubts


def _held(values: np.ndarray, samples: np.ndarray, channel: str) -> list[str]:
    """Say what cannot be seen in a channel that holds its number until the next one."""
    gaps = np.diff(samples)
    if len(gaps) < 4 or (values[samples[0] : samples[-1]] == 0).any():
        return []
    pace = np.median(gaps[gaps < 1.5 * gaps.min()])
    n_lost = int((np.rint(gaps / pace) - 1).clip(0).sum())
    sentence = (
        f"Channel {channel!r} does not return to 0 between two numbers: one that comes twice in a "
        "row is seen once"
    )
    if not n_lost:
        return [f"{sentence}; none seems to, by the times between them."]
    return [
        f"{sentence}. By the times between them ({pace:.0f} samples and multiples) {n_lost} may "
        "be missing; a number that marks the rest between flashes is null in targets or codes."
    ]


def intervals_of(raw: mne.io.BaseRaw, kind: re.Pattern[str]) -> np.ndarray:
    """Find the annotations of a kind: start and stop in seconds, shape (n_intervals, 2)."""
    marks = [m for m in raw.annotations if kind.match(m["description"])]
    if kind is BAD:
        marks = [m for m in marks if not BREAK.match(m["description"])]
    lengths = [0.0 if SEAM.match(m["description"]) else m["duration"] for m in marks]
    ends = [(m["onset"], m["onset"] + length) for m, length in zip(marks, lengths, strict=True)]
    return np.reshape(ends, (-1, 2)) - raw.first_time


def contents(raw: mne.io.BaseRaw) -> str:
    """Describe a Raw: its channels by type, its rate and duration, its labels with counts."""
    kinds: dict[str, list[str]] = {}
    for name, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True):
        kinds.setdefault(kind, []).append(name)
    lines = [f"  {raw.n_times / raw.info['sfreq']:.1f} s at {raw.info['sfreq']:g} Hz"]
    for kind, names in kinds.items():
        shown = ", ".join(names[:MAX_NAMES])
        more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
        lines.append(f"  {len(names)} channels of type {kind}: {shown}{more}")
    if raw.info["bads"]:
        lines.append(f"  marked bad: {', '.join(raw.info['bads'])}")
    marks = raw.annotations.description.tolist()
    lines.append(f"  {len(marks)} annotations: {counted(marks, 24)}")
    for name in kinds.get("stim", ()):
        events, _ = _steps(raw, name)
        lines.append(f"  {len(events.labels)} events in {name}: {counted(events.labels, 24)}")
    return "\n".join(lines)
