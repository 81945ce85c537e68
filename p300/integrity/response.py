"""Integrity of what flashes evoke: whether the EEG follows the labels, and when.

Labels or onsets that are shifted make no other check fail in an oddball: every flash has a label,
and every fifth is a target. But then the EEG after targets differs from that after nontargets too
early, too late, or not at all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pandas as pd

from p300.errors import InputError
from p300.flashes import CHARACTER_KEY
from p300.integrity.finding import Finding
from p300.integrity.symbols import check_symbols
from p300.preprocessing import Preprocessor
from p300.recording import Recording

#: Fewest targets and nontargets from which the difference of their averages can be judged.
MIN_FLASHES = 30

#: Flashes from which it is judged, about, if there are more, and how many are taken together.
MAX_FLASHES, N_TOGETHER = 2000, 250

#: Signal that is kept around them, in seconds: the filter rings for that long at its ends.
MARGIN_S = 5.0

#: Interval in which the difference of the averages is looked for, in seconds from the flash.
WINDOW_S = (-0.3, 1.0)

#: Interval in which it is expected to be largest: an N200 at the earliest, a late P300.
EXPECTED_S = (0.18, 0.55)

#: Interval from which symbols are told.
EVOKED_S = (0.0, 0.8)

#: Random orders of the labels with which the difference is compared.
N_PERMUTATIONS = 200


def check_response(recording: Recording) -> Iterator[Finding]:
    """Find whether EEG after targets and nontargets differs, and whether it does when it can."""
    is_target = recording.flashes["is_target"]
    counts = int(is_target.sum()), int((~is_target).sum())
    if min(counts) < MIN_FLASHES:
        return
    steps = Preprocessor(
        l_freq=0.5, h_freq=8.0, sfreq=20.0, tmin=WINDOW_S[0], tmax=WINDOW_S[1], scaling="none"
    )
    try:
        inside = steps.fits(recording)
        if inside.mean() < 0.5:
            return
        rows = np.flatnonzero(inside & is_target.notna().to_numpy())
        part = _some(recording, rows)
        data = _whitened(steps.fit(part).transform(part))
    except InputError:  # too short or too slow for this filter: other checks say so
        return
    data -= data.mean(axis=0)
    labels = part.flashes["is_target"].to_numpy(bool)
    strength = _differences(data, labels[None])[0]
    rng = np.random.default_rng(0)
    permuted = rng.permuted(np.tile(labels, (N_PERMUTATIONS, 1)), axis=1)
    by_chance = _differences(data, permuted)
    limit = np.quantile(by_chance.max(axis=1), 0.95)
    times = WINDOW_S[0] + np.arange(len(strength)) / steps.sfreq
    peak = float(times[strength.argmax()])
    if strength.max() <= limit:
        text = (
            f"The averages after {counts[0]} targets and {counts[1]} nontargets differ no more "
            "than with labels in random order: are labels and onsets right?"
        )
        yield Finding("warn", "response", text, counts[0])
        return
    if not EXPECTED_S[0] <= peak <= EXPECTED_S[1]:
        text = (
            f"The averages after targets and nontargets differ most {peak:.2f} s after the flash; "
            f"expected {EXPECTED_S[0]:g} to {EXPECTED_S[1]:g} s: are labels or onsets shifted?"
        )
        yield Finding("warn", "response", text, counts[0])
    yield from check_symbols(part, _in_pairs(data, times))


def _in_pairs(data: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the means of two samples each, in the interval of :data:`EVOKED_S`."""
    inside = data[..., (times > EVOKED_S[0] - 1e-6) & (times < EVOKED_S[1] - 1e-6)]
    return inside.reshape(*inside.shape[:2], -1, 2).mean(axis=-1)


def _some(recording: Recording, rows: np.ndarray) -> Recording:
    """Cut stretches out of a recording, evenly chosen, if it has many flashes.

    Parameters
    ----------
    recording : Recording
        Not changed; its samples are not copied.
    rows : ndarray of int
        Flashes that may be chosen.
    """
    flashes = recording.flashes
    segment = flashes["segment"].to_numpy(int)[rows]
    begins = np.arange(len(rows))
    if flashes["character"].notna().any():  # characters stay whole
        key = flashes.iloc[rows].groupby([*CHARACTER_KEY, "segment"], sort=False, dropna=False)
        is_first = np.diff(key.ngroup().to_numpy(), prepend=-1) != 0
        begins = np.maximum.accumulate(np.where(is_first, begins, 0))
    stretch = begins // N_TOGETHER
    starts = np.flatnonzero(
        (np.diff(segment, prepend=-1) != 0) | (np.diff(stretch, prepend=-1) != 0)
    )
    runs = np.split(rows, starts[1:])
    step = max(1.0, len(rows) / MAX_FLASHES)
    kept = [runs[int(k)] for k in np.arange(0, len(runs), step)]
    segments, tables = [], []
    for number, run in enumerate(kept):
        table = flashes.iloc[run]
        k = int(table["segment"].iloc[0])
        signal, rate = recording.segments[k], recording.rates[k]
        onset = table["onset"].to_numpy()
        first = max(0, int((onset.min() - MARGIN_S) * rate))
        stop = min(signal.shape[1], int((onset.max() + MARGIN_S) * rate) + 1)
        segments.append(signal[:, first:stop])
        tables.append(table.assign(segment=number, onset=onset - first / rate))
    of_segment = recording.segment_sfreq
    return dataclasses.replace(
        recording,
        segments=segments,
        flashes=pd.concat(tables, ignore_index=True),
        segment_sfreq=of_segment
        and [recording.rates[int(flashes["segment"].iloc[run[0]])] for run in kept],
    )


def _whitened(data: np.ndarray) -> np.ndarray:
    """Remove what channels share, so that blinks and drifts do not hide the response.

    The means are removed in place.
    """
    n_chans = data.shape[1]
    data -= data.mean(axis=0)
    covariance = np.zeros((n_chans, n_chans))
    for some in np.array_split(data, -(-len(data) // N_TOGETHER)):
        channels = some.swapaxes(0, 1).reshape(n_chans, -1)
        covariance += channels @ channels.T
    values, vectors = np.linalg.eigh(covariance / data[:, 0].size)
    values = np.maximum(values, 1e-3 * values.max() + 1e-20)
    whiten = (vectors / np.sqrt(values)) @ vectors.T
    return whiten.astype(np.float32) @ data


def _differences(data: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Compute how much two averages differ at each time, in units of their standard error.

    Parameters
    ----------
    data : ndarray, shape (n_flashes, n_chans, n_times)
        EEG, with a mean of 0 over flashes.
    labels : ndarray of bool, shape (n_draws, n_flashes)
        Which flashes are the first class.

    Returns
    -------
    ndarray, shape (n_draws, n_times)
        Mean over channels of the squared t statistic.
    """
    flat = data.reshape(len(data), -1)
    n = labels.sum(axis=1, keepdims=True)
    sums = labels.astype(np.float32) @ flat
    n_all = len(data)
    difference = sums * (1 / n + 1 / (n_all - n))  # of two means, of data with mean 0
    power = np.einsum("ij,ij->j", flat, flat) / n_all  # without a copy of all
    variance = np.maximum(power, 1e-20) * (1 / n + 1 / (n_all - n))
    t2 = difference**2 / variance
    return t2.reshape(len(labels), data.shape[1], data.shape[2]).mean(axis=1)
