"""Integrity of the signal: finite, not flat, of plausible amplitude, EEG in every channel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from p300.integrity.finding import Finding
from p300.recording import UNITS

if TYPE_CHECKING:
    from p300.recording import Recording


#: Names of channels that hold flash codes, labels or times, not EEG.
STIMULUS_NAME = re.compile(
    r"sti[ _]?\d*|stim.*|status|trig.*|marker.*|events?|targets?|flash.*|code|time(stamps?)?",
    re.IGNORECASE,
)

#: Fraction of samples at a channel's highest or lowest value above which it is saturated.
SATURATED_FRACTION = 0.01

#: Lowest and highest plausible standard deviation of EEG, in µV; otherwise check the unit.
PLAUSIBLE_UV = (0.1, 1e4)


def check_names(recording: Recording) -> Iterator[Finding]:
    """Find channels that are named like a stimulus channel."""
    named = [c for c in recording.ch_names if STIMULUS_NAME.fullmatch(c)]
    if named:
        yield Finding(
            "refuse",
            "stimulus channel",
            f"Channels {named} are no EEG by their names; leave them out, because they "
            "show the labels to the detector.",
            len(named),
        )


def check_signal(recording: Recording) -> Iterator[Finding]:
    """Check that channels are finite, not flat, not saturated and no copy of the flash table."""
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
        yield from _check_finite(recording, is_broken)
        return
    names = np.array(recording.ch_names)
    is_flat = (low == high).mean(axis=0)
    for is_listed, extent in (
        (is_flat == 1, "throughout"),
        ((is_flat > 0) & (is_flat < 1), "in some segments"),
    ):
        if is_listed.any():
            yield Finding(
                "warn",
                "flat channels",
                f"Channels {names[is_listed].tolist()} are flat {extent}; expected a signal.",
                int(is_listed.sum()),
            )
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
        yield Finding(
            "warn",
            "saturated channels",
            f"Channels {names[is_saturated].tolist()} are at their highest or lowest value in up "
            f"to {fraction:.1%} of the samples; expected less than {SATURATED_FRACTION:.0%}.",
            int(is_saturated.sum()),
        )
    yield from _check_amplitude(recording)
    yield from _check_content(recording, is_flat == 1)


def _check_finite(recording: Recording, is_broken: np.ndarray) -> Iterator[Finding]:
    counts = {
        (segment, channel): int((~np.isfinite(recording.segments[segment][channel])).sum())
        for segment, channel in zip(*np.nonzero(is_broken), strict=True)
    }
    channels = sorted({recording.ch_names[channel] for _, channel in counts})
    segment, channel = max(counts, key=lambda place: counts[place])
    yield Finding(
        "refuse",
        "non-finite samples",
        f"{sum(counts.values())} samples are NaN or infinite, in {len(channels)} channels "
        f"({', '.join(channels[:5])}{' …' if len(channels) > 5 else ''}) and "
        f"{len({s for s, _ in counts})} segments; most, {counts[segment, channel]}, in channel "
        f"{recording.ch_names[channel]} of segment {segment}; expected finite numbers.",
        sum(counts.values()),
    )


def _check_amplitude(recording: Recording) -> Iterator[Finding]:
    """Check that the amplitude fits the unit; a factor of a million is easily missed."""
    volts = UNITS[recording.unit]
    if volts is None:
        return
    std = np.median(max(recording.segments, key=lambda s: s.shape[1]).std(axis=1))
    std_uv = float(std) * volts / 1e-6
    if std_uv and not PLAUSIBLE_UV[0] <= std_uv <= PLAUSIBLE_UV[1]:
        yield Finding(
            "warn",
            "unit",
            f"The median channel has a standard deviation of {std_uv:.3g} µV; expected "
            f"{PLAUSIBLE_UV[0]:g} to {PLAUSIBLE_UV[1]:g}: is the unit {recording.unit!r} right?",
            recording.n_chans,
        )


def _check_content(recording: Recording, is_flat: np.ndarray) -> Iterator[Finding]:
    """Find channels whose values at the flashes are the codes, the labels or the time."""
    flashes = recording.flashes
    sample = np.round(flashes["onset"].to_numpy() * recording.sfreq)
    segment = flashes["segment"].to_numpy()
    stop = np.array([s.shape[1] for s in recording.segments])[segment]
    is_inside = (sample >= 0) & (sample < stop)
    sample, segment = sample[is_inside].astype(int), segment[is_inside]
    if len(sample) < 24:
        return
    order = np.argsort(segment, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(segment[order])) + 1)
    at_flash = np.empty((recording.n_chans, len(sample)))
    for part in parts:
        at_flash[:, part] = recording.segments[segment[part[0]]][:, sample[part]]
    codes = flashes["code"][is_inside].astype("float64").to_numpy(na_value=np.nan)
    n_kinds = len(np.unique(codes[~np.isnan(codes)])) + 1

    suspects = {}
    for name, values, flat in zip(recording.ch_names, at_flash, is_flat, strict=True):
        if flat:
            continue
        n_values = len(np.unique(values))
        steps = np.concatenate([np.diff(values[part]) for part in parts])
        if n_values <= n_kinds and len(values) >= 8 * n_values:
            suspects[name] = f"{n_values} different values at {len(values)} flashes"
        elif len(steps) >= 20 and (steps > 0).all():
            suspects[name] = "rises from each flash to the next, like a clock"
    if suspects:
        yield Finding(
            "refuse",
            "stimulus channel",
            f"Channels {suspects} are no EEG by their values; leave them out, because they "
            "show the labels to the detector.",
            len(suspects),
        )
