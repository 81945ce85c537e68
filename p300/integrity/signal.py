"""Integrity of the signal: finite, not flat, of plausible amplitude, EEG in every channel."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sized

import numpy as np

from p300.flashes import CHARACTER_KEY
from p300.integrity.finding import Finding
from p300.recording import UNITS, Recording

#: Names of channels that hold flash codes, labels or times, not EEG.
STIMULUS_NAME = re.compile(
    r"sti[ _]?\d*|stim.*|status|trig.*|marker.*|events?|targets?|flash.*|code|time(stamps?)?",
    re.IGNORECASE,
)

#: Fraction of samples at a channel's highest or lowest value above which it is saturated.
SATURATED_FRACTION = 0.01

#: Fewest flashes from which the content of a channel is judged.
MIN_FLASHES = 24

#: Most flashes of which it is judged, evenly chosen.
MAX_FLASHES = 2000

#: Seconds after a flash, and samples in them, within which a stimulus channel shows it.
SPAN_S, N_AFTER = 0.1, 12

#: Fraction of a channel's variance around the flashes that codes or labels may explain. Evoked
#: EEG reaches 0.3 at the best electrodes of the clearest recordings.
MAX_EXPLAINED = 0.7

#: Samples at the start by which most channels are no clock, whose values rise.
N_LOOKED = 5000

#: Delays in s at which a stimulus channel that comes late is looked for.
LATER_S = np.arange(1, 9) / 10

#: Most flashes of which each delay is judged.
FEW_FLASHES = 500

#: Names of channels that are no EEG although a file may say so.
OTHER_NAME = re.compile(
    r"[vh]?eog.*|.*eog[lr]?|ecg.*|ekg.*|emg.*|exg ?\d*|resp.*|gsr.*|eda|temp.*|acc[ _-]?[xyz]"
    r"|gyro.*|photo.*|battery|packet.*|counter|(.*\W)?aux ?\d*|pleth.*|spo2.*|misc.*",
    re.IGNORECASE,
)

#: Lowest and highest plausible standard deviation of EEG, in µV; otherwise check the unit.
PLAUSIBLE_UV = (0.1, 1e4)


def check_signal(recording: Recording) -> Iterator[Finding]:
    """Check that channels are EEG, finite, not flat and not saturated, by name and by value."""
    if named := [c for c in recording.ch_names if STIMULUS_NAME.fullmatch(c)]:
        yield _stimulus(named, "names")
    if other := [c for c in recording.ch_names if OTHER_NAME.fullmatch(c.strip())]:
        text = f"Channels {other} are no EEG by their names; leave them out, or rename them."
        yield Finding("warn", "channels", text, len(other))
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
    longest = max(recording.segments, key=lambda s: s.shape[1])
    n = max(2, min(longest.shape[1], round(recording.sfreq)))  # of a second: drifts do not count
    n_parts = longest.shape[1] // n
    parts = [longest[:, k * n : (k + 1) * n] for k in range(0, n_parts, max(1, n_parts // 100))]
    std = np.median([part.std(axis=1) for part in parts]) if parts else 0.0
    std_uv = float(std) * volts / 1e-6
    low, high = PLAUSIBLE_UV
    if std_uv and not low <= std_uv <= high:
        text = (
            f"The median channel has a standard deviation of {std_uv:.3g} µV; expected "
            f"{low:g} to {high:g}: is the unit {recording.unit!r} right?"
        )
        yield Finding("warn", "unit", text, recording.n_chans)


def _check_content(recording: Recording, is_flat: np.ndarray) -> Iterator[Finding]:
    """Find channels that show the flashes, their codes or labels, or the time."""
    flashes = recording.flashes
    segment = flashes["segment"].to_numpy(int)
    first = np.rint(flashes["onset"].to_numpy(float) * recording.flash_rates)
    stop = np.array([s.shape[1] for s in recording.segments])[segment]
    rows = np.flatnonzero((first >= 0) & (first < stop))  # not NaN
    if len(rows) < MIN_FLASHES:
        return
    rows = rows[:: max(1, len(rows) // MAX_FLASHES)]
    codes = flashes["code"].to_numpy(float, na_value=-1)[rows]
    labels = flashes["is_target"].to_numpy(float, na_value=-1)[rows]
    character = flashes.groupby(CHARACTER_KEY, dropna=False).ngroup().to_numpy()[rows]
    longest = max(recording.segments, key=lambda s: s.shape[1])
    around = _around(recording, rows)
    suspects, at_rest = {}, []
    for k in np.flatnonzero(~is_flat).tolist():
        name, signal = recording.ch_names[k], around[:, k].astype(float)
        shown = {"codes": _explained(signal, codes), "labels": _explained(signal, labels)}
        what, fraction = max(shown.items(), key=lambda pair: pair[1])
        if fraction > MAX_EXPLAINED:
            suspects[name] = (
                f"{fraction:.0%} of its variance at the flashes is explained by {what}"
            )
        elif character[0] != character[-1] and _explained(signal[:, 4:5], character) == 1:
            suspects[name] = "one value in each character"
        elif all(np.mean(np.diff(row) > 0) > 0.99 for row in (longest[k, :N_LOOKED], longest[k])):
            suspects[name] = "rises from sample to sample, like a clock"
        elif np.unique(signal, return_counts=True)[1].max() > signal.size / 2:
            at_rest.append(k)
    others = [k for k, c in enumerate(recording.ch_names) if not is_flat[k] and c not in suspects]
    some = slice(None, None, max(1, len(rows) // FEW_FLASHES))
    rows, codes, labels = rows[some], codes[some], labels[some]
    for lag in LATER_S:
        around = _around(recording, rows, lag)
        for k in others:
            signal = around[:, k].astype(float)
            # the P300 is explained by labels, so codes must do it among nontargets
            fraction = _explained(signal[labels != 1], codes[labels != 1])
            if k in at_rest:
                fraction = max(fraction, _explained(signal, labels))
            if fraction > MAX_EXPLAINED:
                suspects.setdefault(
                    recording.ch_names[k],
                    f"{fraction:.0%} of its variance {lag:.1f} s after the flashes is explained "
                    "by codes or labels",
                )
    if suspects:
        yield _stimulus(suspects, "values")


def _around(recording: Recording, rows: np.ndarray, lag_s: float = 0.0) -> np.ndarray:
    """Return the samples around some flashes, shape (n_rows, n_chans, 4 + N_AFTER)."""
    flashes = recording.flashes.iloc[rows]
    segment, rate = flashes["segment"].to_numpy(int), recording.flash_rates[rows, None]
    offsets = lag_s + np.arange(-4, N_AFTER) * (SPAN_S / N_AFTER)
    stop = np.array([s.shape[1] for s in recording.segments])[segment, None]
    sample = np.rint((flashes["onset"].to_numpy(float)[:, None] + offsets) * rate)
    places = np.clip(sample, 0, stop - 1).astype(int)
    return np.stack(
        [recording.segments[k][:, n] for k, n in zip(segment.tolist(), places, strict=True)]
    )


def _explained(signal: np.ndarray, group: np.ndarray) -> float:
    """Return the fraction of variance around the flashes that the group of each flash explains.

    Parameters
    ----------
    signal : ndarray, shape (n_flashes, n_times)
        One channel around every flash.
    group : ndarray, shape (n_flashes,)
        Its code or label.

    Returns
    -------
    float
        Corrected for the number of groups, so that it is about 0 for noise.
    """
    if not len(group):
        return 0.0
    _, number = np.unique(group, return_inverse=True)
    n = np.bincount(number)
    sums = np.zeros((len(n), signal.shape[1]))
    np.add.at(sums, number, signal)
    total = np.square(signal - signal.mean()).sum()
    rest = np.square(signal).sum() - np.square(sums / np.sqrt(n)[:, None]).sum()
    freedom = (len(signal) - len(n)) / len(signal)
    return float(1 - rest / total / freedom) if total > 0 and freedom > 0 else 0.0
