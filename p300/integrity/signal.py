"""Integrity of the signal: finite, not flat, of plausible amplitude, EEG in every channel."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sized

import numpy as np

from p300.integrity.finding import Finding
from p300.recording import UNITS, Recording

#: Names of channels that hold flash codes, labels or times, not EEG.
STIMULUS_NAME = re.compile(
    r"sti[ _]?\d*|stim.*|status|trig.*|marker.*|events?|targets?|flash.*|code|time(stamps?)?",
    re.IGNORECASE,
)

#: Fraction of samples at a channel's highest or lowest value above which it is saturated.
SATURATED_FRACTION = 0.01

#: Lowest and highest plausible standard deviation of EEG, in µV; otherwise check the unit.
PLAUSIBLE_UV = (0.1, 1e4)


def check_signal(recording: Recording) -> Iterator[Finding]:
    """Check that channels are EEG, finite, not flat and not saturated, by name and by value."""
    if named := [c for c in recording.ch_names if STIMULUS_NAME.fullmatch(c)]:
        yield _stimulus(named, "names")
    empty = [k for k, s in enumerate(recording.segments) if not s.shape[1]]
    if empty:
        yield Finding("refuse", "segments", f"Segments {empty} have no samples.", len(empty))
    if empty or not recording.segments:
        return
    # NaN and infinity show in the extremes, so no mask of all samples is needed
    low = np.stack([s.min(axis=1) for s in recording.segments])
    high = np.stack([s.max(axis=1) for s in recording.segments])
    is_broken = ~(np.isfinite(low) & np.isfinite(high))  # (n_segments, n_chans)
    if is_broken.any():
        yield _non_finite(recording, is_broken)
        return
    names = np.array(recording.ch_names)
    is_flat = (low == high).mean(axis=0)
    for extent, is_listed in (
        ("throughout", is_flat == 1),
        ("in some segments", (is_flat > 0) & (is_flat < 1)),
    ):
        if is_listed.any():
            text = f"Channels {names[is_listed].tolist()} are flat {extent}; expected a signal."
            yield Finding("warn", "flat channels", text, int(is_listed.sum()))
    n_at_rails = np.zeros(recording.n_chans)
    n_samples = sum(s.shape[1] for s in recording.segments)
    floor, ceiling = low.min(axis=0), high.max(axis=0)
    for segment, lowest, highest in zip(recording.segments, low, high, strict=True):
        # a segment that does not reach the recording's extremes has nothing to count
        for k in np.flatnonzero((lowest == floor) | (highest == ceiling)):
            row = segment[k]
            n_at_rails[k] += np.count_nonzero((row == floor[k]) | (row == ceiling[k]))
    is_saturated = (n_at_rails > SATURATED_FRACTION * n_samples) & (is_flat < 1)
    if is_saturated.any():
        fraction = (n_at_rails / n_samples)[is_saturated].max()
        text = (
            f"Channels {names[is_saturated].tolist()} are at their highest or lowest value in up "
            f"to {fraction:.1%} of the samples; expected less than {SATURATED_FRACTION:.0%}."
        )
        yield Finding("warn", "saturated channels", text, int(is_saturated.sum()))
    yield from _check_amplitude(recording)
    yield from _check_content(recording, is_flat == 1)


def _stimulus(channels: Sized, by: str) -> Finding:
    text = (
        f"Channels {channels} are no EEG by their {by}; leave them out, because they show the "
        "labels to the detector."
    )
    return Finding("refuse", "stimulus channel", text, len(channels))


def _non_finite(recording: Recording, is_broken: np.ndarray) -> Finding:
    """Count the samples that are not finite, by segment and channel."""
    counts = {
        (segment, channel): int((~np.isfinite(recording.segments[segment][channel])).sum())
        for segment, channel in zip(*np.nonzero(is_broken), strict=True)
    }
    channels = sorted({recording.ch_names[channel] for _, channel in counts})
    segment, channel = max(counts, key=lambda place: counts[place])
    text = (
        f"{sum(counts.values())} samples are NaN or infinite, in {len(channels)} channels "
        f"({', '.join(channels[:5])}{' …' if len(channels) > 5 else ''}) and "
        f"{len({s for s, _ in counts})} segments; most, {counts[segment, channel]}, in channel "
        f"{recording.ch_names[channel]} of segment {segment}; expected finite numbers."
    )
    return Finding("refuse", "non-finite samples", text, sum(counts.values()))


def _check_amplitude(recording: Recording) -> Iterator[Finding]:
    """Check that the amplitude fits the unit; a factor of a million is easily missed."""
    if (volts := UNITS[recording.unit]) is None:
        return
    std = np.median(max(recording.segments, key=lambda s: s.shape[1]).std(axis=1))
    std_uv = float(std) * volts / 1e-6
    low, high = PLAUSIBLE_UV
    if std_uv and not low <= std_uv <= high:
        text = (
            f"The median channel has a standard deviation of {std_uv:.3g} µV; expected "
            f"{low:g} to {high:g}: is the unit {recording.unit!r} right?"
        )
        yield Finding("warn", "unit", text, recording.n_chans)


def _check_content(recording: Recording, is_flat: np.ndarray) -> Iterator[Finding]:
    """Find channels whose values at the flashes are the codes, the labels or the time."""
    flashes = recording.flashes.sort_values("segment", kind="stable")
    sample = np.round(flashes["onset"].to_numpy() * recording.sfreq)
    segment = flashes["segment"].to_numpy()
    stop = np.array([s.shape[1] for s in recording.segments])[segment]
    is_inside = (sample >= 0) & (sample < stop)
    sample, segment = sample[is_inside].astype(int), segment[is_inside]
    if len(sample) < 24:
        return
    places = zip(segment, sample, strict=True)
    at_flash = np.stack([recording.segments[k][:, n] for k, n in places], axis=1).astype(float)
    steps = np.diff(at_flash)[:, np.diff(segment) == 0]
    n_kinds = flashes["code"][is_inside].nunique() + 1
    suspects = {}
    for k in np.flatnonzero(~is_flat).tolist():
        name, n_values = recording.ch_names[k], len(np.unique(at_flash[k]))
        if n_values <= n_kinds and len(sample) >= 8 * n_values:
            suspects[name] = f"{n_values} different values at {len(sample)} flashes"
        elif steps.shape[1] >= 20 and (steps[k] > 0).all():
            suspects[name] = "rises from each flash to the next, like a clock"
    if suspects:
        yield _stimulus(suspects, "values")
