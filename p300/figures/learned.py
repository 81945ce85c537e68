"""What a detector learned: electrode power, spatial filters and patterns, temporal kernels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.explain.filters import frequency_response, rank_electrodes
from p300.figures.scalp import SIGNED, UNSIGNED, draw_scalp_map, without_place
from p300.figures.style import BLUE, GREY, SKY, VERMILION, count, named, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

#: Number of strongest electrodes that are marked, as many as CNN-2b uses.
N_MARKED = 8

#: Most filters side by side.
N_COLUMNS = 6


@styled
def draw_electrode_power(
    power: ArrayLike | Mapping[str, ArrayLike], ch_names: Sequence[str], *, n_bars: int = 16
) -> Figure:
    """Draw the power of every electrode as a scalp map, and of the strongest as ranked bars.

    Parameters
    ----------
    power : array-like, shape (n_chans,), or mapping of str to such
        From :func:`p300.explain.electrode_power`; by name, one row per subject or detector.
    ch_names : sequence of str
        The channels, in order; those without a place in the 10-05 system are not on the map.
    n_bars : int
        Number of electrodes in the ranking.

    Returns
    -------
    Figure
        In units of the mean over electrodes, so that rows can be compared. The eight strongest
        are marked on the map, and their bars are dark. After Cecotti & Graeser 2011, figure 4.
    """
    tables = {k: rank_electrodes(p, ch_names) for k, p in named(power, "").items()}
    largest = max(table["relative"].iloc[0] for table in tables.values())
    heading = "Electrode power Ω, the sum of absolute spatial weights, over its mean"
    figure = new_figure(0.5 + 2.1 * len(tables), heading=heading)
    axes = figure.subplots(len(tables), 2, squeeze=False, width_ratios=(1, 2.4))
    strongest = []
    for (name, table), (head, bars) in zip(tables.items(), axes, strict=True):
        relative = dict(zip(table["electrode"], table["relative"], strict=True))
        best = list(relative)[:N_MARKED]
        listed = ", ".join(f"{electrode} ({relative[electrode]:.2f})" for electrode in best)
        strongest.append(f"{name}: {listed}" if name else listed)
        image = scalp([relative[c] for c in ch_names], ch_names, head, (0, largest), best)
        shown = table.iloc[:n_bars]
        colours = [BLUE if k < N_MARKED else SKY for k in range(len(shown))]
        bars.bar(np.arange(len(shown)), shown["relative"], color=colours, width=0.75)
        bars.set_xticks(np.arange(len(shown)), shown["electrode"], rotation=90)
        bars.axhline(1, color=GREY, lw=0.8, ls="--")
        bars.set(xlim=(-0.6, len(shown) - 0.4), ylim=(0, 1.08 * largest), ylabel="power / mean")
        figure.colorbar(image, ax=head, shrink=0.8)
        bars.set_title(name or f"the strongest of {len(table)}")
    figure.set_label(
        f"Power of {count(len(ch_names), 'electrode')} in a detector's spatial filters, as "
        f"multiples of their mean. The strongest are {'; '.join(strongest)}."
    )
    return figure


@styled
def draw_filters_and_patterns(
    filters: ArrayLike,
    patterns: ArrayLike,
    ch_names: Sequence[str],
    *,
    names: Sequence[str] | None = None,
) -> Figure:
    """Draw each spatial filter with its pattern, as scalp maps.

    Parameters
    ----------
    filters, patterns : array-like, shape (n_filters, n_chans)
        From :func:`p300.explain.spatial_filters` and :func:`p300.explain.spatial_patterns`.
    ch_names : sequence of str
        The channels, in order.
    names : sequence of str or None
        Names of the filters; None numbers them from 1.

    Returns
    -------
    Figure
        Each pattern is below its filter, or beside it if there are one or two filters. Each map
        has its own scale. The sign of a filter has no meaning. Therefore a filter and its
        pattern are multiplied by −1 if the pattern's strongest electrode, which is named above
        it, would be negative. After Cecotti & Graeser 2011, figures 5 and 6.
    """
    weights, slopes = np.atleast_2d(filters).astype(float), np.atleast_2d(patterns).astype(float)
    n = len(weights)
    if not weights.shape == slopes.shape == (n, len(ch_names)):
        raise InputError(
            f"filters of shape {weights.shape} and patterns of shape {slopes.shape}; "
            f"expected both of shape (n_filters, {len(ch_names)})"
        )
    names = names or [f"{k + 1}" for k in range(n)]
    strongest = np.abs(slopes).argmax(axis=1)
    peaks = [ch_names[k] for k in strongest]
    sign = np.sign(slopes[np.arange(n), strongest])[:, np.newaxis]
    figure, pairs = _pairs_of_axes(n)
    for k, pair in enumerate(pairs):
        for axis, values, title in (
            (pair[0], weights, f"filter {names[k]}"),
            (pair[1], slopes, f"pattern {names[k]}: {peaks[k]}"),
        ):
            relative = values[k] * sign[k] / (np.abs(values[k]).max() or 1.0)
            image = scalp(relative, ch_names, axis, (-1, 1))
            axis.set_title(title, loc="center", fontsize=8)
    n_blocks = math.ceil(n / N_COLUMNS)
    bar = figure.colorbar(image, ax=pairs, shrink=0.7 / n_blocks, aspect=18, ticks=(-1, 0, 1))
    bar.set_label("relative to the strongest electrode")
    figure.set_label(_filters_in_words(slopes, peaks))
    return figure


@styled
def draw_temporal_kernels(
    kernels: ArrayLike, sfreq: float, *, h_freq: float | None = None
) -> Figure:
    """Draw a network's temporal kernels and their gain at each frequency.

    Parameters
    ----------
    kernels : array-like, shape (n_kernels, n_taps)
        From :func:`p300.explain.filters.temporal_kernels`.
    sfreq : float
        Rate of the epochs in Hz.
    h_freq : float or None
        Upper edge in Hz of the filter that preprocessed the epochs; they have no signal above
        it.

    Returns
    -------
    Figure
        Top: all kernels, one row each. Bottom: the strongest kernel (of largest energy) with
        its part below ``h_freq``, and the mean gain with the range of the middle 80 %.
    """
    taps = np.atleast_2d(kernels).astype(float)  # (n_kernels, n_taps)
    freqs, gain = frequency_response(taps, sfreq)
    if h_freq is not None and h_freq >= sfreq / 2:
        h_freq = None  # nothing was filtered out
    n, lags = len(taps), 1000 * np.arange(taps.shape[1]) / sfreq
    half, largest = 500 / sfreq, np.abs(taps).max() or 1.0
    heading = f"{count(n, 'temporal kernel')} in time and in frequency"
    figure = new_figure(2.8 + min(max(0.09 * n, 0.8), 4.0), heading=heading)
    axes = figure.subplots(2, 2, sharex="col", height_ratios=(min(max(n / 20, 0.7), 2), 1))
    weights: dict[str, Any] = {"cmap": SIGNED, "vmin": -largest, "vmax": largest}
    weights["extent"] = (lags[0] - half, lags[-1] + half, n + 0.5, 0.5)
    gains = {"cmap": UNSIGNED, "vmin": 0, "extent": (0, sfreq / 2, n + 0.5, 0.5)}
    for axis, values, look, name in (
        (axes[0, 0], taps, weights, "weight"),
        (axes[0, 1], gain, gains, "gain"),
    ):
        image = axis.imshow(values, aspect="auto", **look)
        figure.colorbar(image, ax=axis, label=name)
        axis.set_yticks(range(1, n + 1, math.ceil(n / 10)))
    axes[0, 0].set_ylabel("kernel")
    _draw_strongest(axes[1, 0], taps, lags, sfreq, h_freq)
    low, high = np.quantile(gain, (0.1, 0.9), axis=0)
    axes[1, 1].fill_between(freqs, low, high, color=VERMILION, alpha=0.25, lw=0)
    axes[1, 1].plot(freqs, gain.mean(axis=0), color=VERMILION)
    axes[1, 1].set(xlabel="frequency (Hz)", ylabel="gain", ylim=(0, None), xlim=(0, sfreq / 2))
    axes[1, 1].set_title("mean gain, middle 80 % of kernels")
    if h_freq is not None:
        axes[0, 1].axvline(h_freq, color="k", lw=1, ls="--")
        axes[1, 1].axvspan(h_freq, sfreq / 2, color="0.9", lw=0, zorder=0)
        across = axes[1, 1].get_xaxis_transform()
        axes[1, 1].text(h_freq + 1, 0.97, "filtered out before", va="top", transform=across)
    peak = freqs[gain.mean(axis=0).argmax()]
    figure.set_label(
        f"Weights and frequency responses of {count(n, 'temporal kernel')} of "
        f"{count(len(lags), 'sample')} at {sfreq:g} Hz; the mean gain is largest at {peak:g} Hz."
    )
    return figure


def scalp(
    values: ArrayLike,
    ch_names: Sequence[str],
    ax: Axes,
    limits: tuple[float, float],
    marked: Sequence[str] = (),
) -> ScalarMappable:
    """Draw a scalp map of the channels that have a place on the head."""
    lost = without_place(ch_names)
    kept = [k for k, name in enumerate(ch_names) if name not in lost]
    names, marked = [ch_names[k] for k in kept], [name for name in marked if name not in lost]
    return draw_scalp_map(np.asarray(values)[kept], names, ax, limits=limits, marked=marked)


def _pairs_of_axes(n: int) -> tuple[Figure, np.ndarray]:
    """Build a figure with two panels for each of ``n`` filters: axes of shape (n, 2)."""
    heading = "Spatial filters (weights) and patterns (the signal), each map on its own scale"
    if n <= 2:
        figure = new_figure(0.5 + 2.4 * n, heading=heading)
        return figure, figure.subplots(n, 2, squeeze=False)
    n_blocks = math.ceil(n / N_COLUMNS)
    n_columns = math.ceil(n / n_blocks)
    figure = new_figure(0.7 + 13 / (n_columns + 0.5) * n_blocks, heading=heading)
    axes = figure.subplots(2 * n_blocks, n_columns).reshape(n_blocks, 2, n_columns)
    pairs = axes.swapaxes(1, 2).reshape(-1, 2)
    for empty in pairs[n:].flat:
        empty.remove()
    return figure, pairs[:n]


def _draw_strongest(
    axis: Axes, kernels: np.ndarray, lags: np.ndarray, sfreq: float, h_freq: float | None
) -> None:
    strongest = int(np.square(kernels).sum(axis=1).argmax())
    kernel = kernels[strongest]
    axis.axhline(0, color=GREY, lw=0.6)
    axis.plot(lags, kernel, color=SKY, marker="o" if len(lags) < 40 else "", label="weights")
    if h_freq is not None:
        n_samples = 8 * len(kernel)
        spectrum = np.fft.rfft(kernel, n_samples)
        spectrum[np.fft.rfftfreq(n_samples, 1 / sfreq) > h_freq] = 0
        smooth = np.fft.irfft(spectrum, n_samples)[: len(kernel)]
        axis.plot(lags, smooth, color=BLUE, ls="--", label=f"below {h_freq:g} Hz")
        axis.margins(y=0.3)
        axis.legend(loc="upper right", ncols=2, handlelength=1.6, columnspacing=1)
    axis.set(xlabel="time within the kernel (ms)", ylabel="weight")
    axis.set_title(f"the strongest, kernel {strongest + 1}")


def _filters_in_words(patterns: np.ndarray, strongest: Sequence[str]) -> str:
    peaks = ", ".join(strongest)
    if len(patterns) == 1:
        return f"Scalp maps of one spatial filter and its pattern, strongest at {peaks}."
    alike = np.abs(np.corrcoef(patterns))[np.triu_indices(len(patterns), 1)].mean()
    return (
        f"Scalp maps of {len(patterns)} spatial filters and their patterns; these are strongest "
        f"at {peaks} and correlate with each other by {alike:.2f} on average, ignoring signs."
    )
