"""Averages over flashes and their intervals, for the figures of signals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.figures.scalp import electrode_place

if TYPE_CHECKING:
    import pandas as pd

    from p300.metrics import Interval
    from p300.preprocessing import Epochs

#: Electrodes shown by default, if the recording has them.
USUAL_ELECTRODES = ("Fz", "Cz", "Pz", "PO7", "Oz", "PO8")


def flash_classes(epochs: Epochs) -> dict[str, np.ndarray]:
    """Find the rows of targets and of nontargets among the flashes that can be averaged.

    Returns
    -------
    dict
        Row numbers by ``"targets"`` and ``"nontargets"``; one of them may be empty.

    Raises
    ------
    InputError
        If every flash is unlabelled or rejected, or a sample is not finite.
    """
    is_target = epochs.flashes["is_target"]
    usable = is_target.notna().to_numpy()
    n_labelled = int(usable.sum())
    if epochs.is_rejected is not None:
        usable = usable & ~epochs.is_rejected
    if not usable.any():
        raise InputError(
            f"{epochs.name}: {n_labelled} of {len(usable)} flashes are labelled, and 0 of these "
            f"are left after rejection; expected at least one flash to average"
        )
    broken = int((~np.isfinite(epochs.data[usable]).all(axis=(1, 2))).sum())
    if broken:
        raise InputError(
            f"{epochs.name}: {broken} of {usable.sum()} epochs hold samples that are not finite"
        )
    truth = is_target.fillna(False).to_numpy(bool)
    rows = {"targets": usable & truth, "nontargets": usable & ~truth}
    return {kind: np.flatnonzero(chosen) for kind, chosen in rows.items()}


def mean_waves(
    epochs: Epochs, classes: Mapping[str, np.ndarray], picked: Sequence[int]
) -> dict[str, np.ndarray]:
    """Average each class that has flashes, and compute the difference if both have.

    Returns
    -------
    dict
        Arrays of shape (n_picked, n_times) by ``"targets"``, ``"nontargets"`` and
        ``"difference"``.
    """
    means = {
        kind: epochs.data[rows].mean(axis=0, dtype=float)[list(picked)]
        for kind, rows in classes.items()
        if len(rows)
    }
    if len(means) == 2:
        means["difference"] = means["targets"] - means["nontargets"]
    return means


def mean_interval(data: np.ndarray, flashes: pd.DataFrame, confidence: float) -> Interval:
    """Compute the interval of the mean over flashes, over whole characters.

    The epochs of one character overlap, so they are not independent.

    Parameters
    ----------
    data : ndarray, shape (n_flashes, n_chans, n_times)
        EEG of one class.
    flashes : DataFrame
        The flash table; it defines which flashes belong together
        (:func:`p300.metrics.resampling_units`).
    confidence : float
        Coverage.

    Returns
    -------
    Interval
        Ends of shape (n_chans, n_times), if there is an interval.
    """
    from p300.metrics import confidence_interval, resampling_units, unit_name

    unit = resampling_units(flashes.reset_index(drop=True))
    n_units = int(unit.max()) + 1
    order = np.argsort(unit, kind="stable")
    starts = np.flatnonzero(np.diff(unit[order], prepend=-1))
    sums, sizes = np.add.reduceat(data[order], starts), np.bincount(unit)

    def mean(weights: np.ndarray) -> np.ndarray:
        return np.tensordot(weights, sums, 1) / (weights @ sizes)[:, np.newaxis, np.newaxis]

    kind = unit_name(flashes)
    return confidence_interval(mean, n_units, unit=kind, confidence=confidence)


def pick_channels(ch_names: Sequence[str], channels: Sequence[str] | None) -> list[int]:
    """Find channels by name, ignoring case; None for the usual ones or the first six.

    Examples
    --------
    >>> pick_channels(("Fz", "C3", "PZ"), None), pick_channels(("Fz", "C3"), ["c3"])
    ([0, 2], [1])
    """
    index = {name.lower(): k for k, name in reversed(list(enumerate(ch_names)))}
    if channels is None:
        usual = [index[name.lower()] for name in USUAL_ELECTRODES if name.lower() in index]
        return usual or list(range(min(6, len(ch_names))))
    unknown = [name for name in channels if name.lower() not in index]
    if unknown or not len(channels):
        raise InputError(
            f"got channels {', '.join(unknown) or '(none)'}; expected one or more of the "
            f"{len(ch_names)} channels {', '.join(ch_names)}"
        )
    return [index[name.lower()] for name in channels]


def time_windows(epochs: Epochs, edges: Sequence[float] | None) -> list[tuple[str, np.ndarray]]:
    """Split the epoch into time windows: a title in seconds, and which samples are inside.

    Without edges the windows are 0.1 s long. For an epoch below 0.3 s or above 0.9 s they are a
    sixth of it.
    """
    times, n_times = epochs.times, epochs.data.shape[2]
    if edges is None:
        end = times[-1] + 1 / epochs.sfreq
        start = max(0.0, float(times[0])) if end > 0 else float(times[0])
        length = 0.1 if 0.3 <= end - start <= 0.9 else (end - start) / min(6, n_times)
        n_windows = max(1, int((end - start) / length + 1e-6))
        edges = [start + k * length for k in range(n_windows + 1)]
    windows = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        inside = (times >= low - 1e-9) & (times < high - 1e-9)
        if not inside.any():
            raise InputError(
                f"window [{low:g}, {high:g}) s holds no sample; expected ascending edges within "
                f"[{times[0]:g}, {times[-1] + 1 / epochs.sfreq:g}) s"
            )
        windows.append((f"{low:.3g}–{high:.3g} s", inside))
    if not windows:
        raise InputError(f"{len(edges)} edges; expected at least two")
    return windows


def front_to_back(ch_name: str) -> tuple[int, float, float, str]:
    """Return the sort key of a channel: front to back, then left to right, unknown names last.

    Rows are found by name (AF7, AFz and AF8 are one row), since rows are curved on the head.

    Examples
    --------
    >>> sorted(["EMG", "Pz", "T8", "P3", "Cz", "FPZ", "AF7"], key=front_to_back)
    ['FPZ', 'AF7', 'Cz', 'T8', 'P3', 'Pz', 'EMG']
    """
    place = electrode_place(ch_name)
    if place is None:
        return (1, 0.0, 0.0, ch_name)
    row = re.split("[0-9z]", ch_name.lower())[0].replace("t", "c")
    middle = electrode_place(row + "z") or place
    return (0, -middle[1], place[0], ch_name)
