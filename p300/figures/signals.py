"""The EEG after a flash: averages, scalp maps over time, difference waves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.figures.averages import (
    flash_classes,
    front_to_back,
    mean_interval,
    mean_waves,
    pick_channels,
    time_windows,
)
from p300.figures.scalp import MIN_ELECTRODES, SIGNED, draw_scalp_map, without_place
from p300.figures.style import (
    AMPLITUDES,
    NONTARGET,
    TARGET,
    count,
    grid_of_axes,
    new_figure,
    significant,
    styled,
)
from p300.metrics import MIN_UNITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from p300.preprocessing import Epochs

#: Most channel names on an axis; with more channels only every second (third, …) is named.
MAX_NAMES = 72


@styled
def draw_averages(
    epochs: Epochs,
    channels: Sequence[str] | None = None,
    *,
    confidence: float = 0.95,
) -> Figure:
    """Draw the average EEG after target and nontarget flashes, with intervals of the averages.

    Positive is up. Flashes without a label and rejected ones are left out.

    Parameters
    ----------
    epochs : Epochs
        With ``is_target`` known for some flashes.
    channels : sequence of str or None
        One panel each, in upper or lower case; None for usual ones of the midline and the back,
        or the first six.
    confidence : float
        Coverage of the band at each time, between 0 and 1. The band is over whole characters (or
        blocks of 30 s), since the epochs of one character overlap.

    Returns
    -------
    Figure
        Lines in the unit of the epochs over seconds from the flash. A class from fewer than five
        characters has no band.

    Raises
    ------
    InputError
        If no flash is labelled, a channel is unknown or a sample is not finite.
    """
    classes, picked = flash_classes(epochs), pick_channels(epochs.ch_names, channels)
    n_columns = 2 if len(picked) in (2, 4) else 3
    heading = f"{epochs.name}: mean and {100 * confidence:g} % interval"
    figure = new_figure(1.2 + 1.7 * math.ceil(len(picked) / n_columns))
    axes = grid_of_axes(figure, len(picked), n_columns, sharex=True, sharey=True)
    for (kind, rows), style in zip(classes.items(), (TARGET, NONTARGET), strict=True):
        if not len(rows):
            continue
        data = epochs.data[rows][:, picked].astype(float)
        band = mean_interval(data, epochs.flashes.iloc[rows], confidence)
        why_not = f": no interval, {band.why_not}" if band.n < MIN_UNITS else ""
        units = count(band.n, band.unit.removesuffix("s"))
        number = f"n = {count(len(rows), 'flash')}, {units}{why_not}"
        look = style | {"label": f"{kind} ({number})"}
        look["marker"] = "o" if data.shape[2] == 1 else ""
        shade = {"color": style["color"], "alpha": 0.25, "lw": 0}
        for k, axis in enumerate(axes):
            axis.plot(epochs.times, data[:, k].mean(axis=0), **look)
            if not band.why_not:
                axis.fill_between(epochs.times, band.low[k], band.high[k], **shade)
    for k, axis in zip(picked, axes, strict=True):
        axis.axhline(0, color="0.6", lw=0.6, zorder=0)
        axis.axvline(0, color="0.6", lw=0.6, zorder=0)
        axis.set_title(epochs.ch_names[k])
    figure.supxlabel("time from the flash (s)")
    figure.supylabel(_amplitude(epochs))
    handles, labels = axes[0].get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside upper left", title=heading)
    legend.set_alignment("left")
    legend.get_title().set_fontsize(10)
    shown = ", ".join(epochs.ch_names[k] for k in picked)
    figure.set_label(
        f"Average EEG of {epochs.name} at {shown} after {_counts(classes)}"
        f"{_peak(epochs, classes, picked)}."
    )
    return figure


@styled
def draw_scalp_series(epochs: Epochs, *, edges: Sequence[float] | None = None) -> Figure:
    """Draw the averages of targets, nontargets and their difference as scalp maps over time.

    All maps share one scale. Channels without a place in the 10-05 system are left out, as are
    flashes without a label and rejected ones.

    Parameters
    ----------
    epochs : Epochs
        With ``is_target`` known for some flashes, and at least three placed electrodes.
    edges : sequence of float or None
        Edges of the windows in seconds from the flash, ascending; a map is the mean over a
        half-open window. None for every 0.1 s.

    Returns
    -------
    Figure
        One row per class that has flashes, and one for the difference if both have.

    Raises
    ------
    InputError
        If no flash is labelled, a window holds no sample, fewer than three electrodes have a
        place or a sample is not finite.
    """
    classes = flash_classes(epochs)
    lost = without_place(epochs.ch_names)
    placed = [k for k, name in enumerate(epochs.ch_names) if name not in lost]
    if len(placed) < MIN_ELECTRODES:
        raise InputError(
            f"{epochs.name}: {len(placed)} of {len(epochs.ch_names)} channels have a place on the "
            f"head; expected at least {MIN_ELECTRODES} for a map"
        )
    windows = time_windows(epochs, edges)
    means = mean_waves(epochs, classes, placed)
    maps = {
        kind: [wave[:, inside].mean(axis=1) for _, inside in windows]
        for kind, wave in means.items()
    }
    largest = max(np.abs(one).max() for row in maps.values() for one in row) or 1.0
    left_out = f"; without place: {', '.join(lost)}" if lost else ""
    heading = f"{epochs.name}: mean after {_counts(classes)}{left_out}"
    figure = new_figure(0.7 + 1.05 * len(maps), heading=heading)
    axes = figure.subplots(len(maps), len(windows), squeeze=False)
    names = [epochs.ch_names[k] for k in placed]
    for row, (kind, values) in zip(axes, maps.items(), strict=True):
        for axis, value in zip(row, values, strict=True):
            image = draw_scalp_map(value, names, axis, limits=(-largest, largest))
        row[0].text(
            -0.15, 0.5, kind, rotation=90, va="center", ha="right", transform=row[0].transAxes
        )
    for axis, (title, _) in zip(axes[0], windows, strict=True):
        axis.set_title(title, loc="center", fontsize=8)
    figure.colorbar(image, ax=axes, shrink=0.8, aspect=25, label=_amplitude(epochs))
    start, end = windows[0][0].split("–")[0], windows[-1][0].split("–")[1]
    figure.set_label(
        f"Scalp maps of the average EEG of {epochs.name} from {start} to {end} after "
        f"{_counts(classes)}{_peak(epochs, classes, placed)}."
    )
    return figure


@styled
def draw_difference_image(epochs: Epochs) -> Figure:
    """Draw the average of targets minus that of nontargets, channels by time.

    Channels are ordered from the front of the head to the back, those without a place last.

    Parameters
    ----------
    epochs : Epochs
        With labelled flashes of both classes.

    Returns
    -------
    Figure
        Colours in the unit of the epochs; red where targets are more positive.

    Raises
    ------
    InputError
        If a class is missing or a sample is not finite.
    """
    classes = flash_classes(epochs)
    if not all(map(len, classes.values())):
        raise InputError(f"{epochs.name}: {_counts(classes)}; expected both")
    order = sorted(range(len(epochs.ch_names)), key=lambda k: front_to_back(epochs.ch_names[k]))
    wave = mean_waves(epochs, classes, order)["difference"]  # (n_chans, n_times)
    n_chans = len(order)
    figure = new_figure(1.3 + min(max(0.135 * n_chans, 1.0), 0.135 * MAX_NAMES))
    axis = figure.subplots()
    image = channel_image(axis, wave, epochs.times, 0.5 / epochs.sfreq)
    step = math.ceil(n_chans / MAX_NAMES)
    axis.set_yticks(range(0, n_chans, step), [epochs.ch_names[k] for k in order[::step]])
    axis.set(xlabel="time from the flash (s)", ylabel="channel, front to back")
    axis.set_title(f"{epochs.name}: targets minus nontargets ({_counts(classes)})")
    figure.colorbar(image, ax=axis, aspect=30, label=_amplitude(epochs))
    figure.set_label(
        f"Average of targets minus that of nontargets of {epochs.name} at "
        f"{count(n_chans, 'channel')}, from {_counts(classes)}{_peak(epochs, classes, order)}."
    )
    return figure


def channel_image(axis: Axes, values: np.ndarray, times: np.ndarray, half: float) -> AxesImage:
    """Draw channels by time, red where positive; ``half`` of the time between two samples."""
    largest = np.abs(values).max() or 1.0
    extent = (times[0] - half, times[-1] + half, len(values) - 0.5, -0.5)
    return axis.imshow(
        values, cmap=SIGNED, vmin=-largest, vmax=largest, aspect="auto", extent=extent
    )


def _counts(classes: Mapping[str, np.ndarray]) -> str:
    targets, nontargets = (f"{len(rows):,}" for rows in classes.values())
    return f"{targets} target and {nontargets} nontarget flashes"


def _amplitude(epochs: Epochs) -> str:
    return AMPLITUDES.get(epochs.unit, f"amplitude ({epochs.unit})")


def _peak(epochs: Epochs, classes: Mapping[str, np.ndarray], picked: Sequence[int]) -> str:
    """Describe where the averages differ most; empty if a class is missing."""
    wave = mean_waves(epochs, classes, picked).get("difference")
    if wave is None:
        return ""
    k, when = np.unravel_index(np.abs(wave).argmax(), wave.shape)
    unit = AMPLITUDES.get(epochs.unit, epochs.unit).partition("(")[2].rstrip(")")
    where = f"{epochs.ch_names[picked[k]]} {epochs.times[when]:.2f} s after the flash"
    return f"; targets differ most, by {significant(float(wave[k, when]))} {unit}, at {where}"
