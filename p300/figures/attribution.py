"""Figures that explain a score: attribution, occlusion, and the pattern of the score."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.explain.sanity import SAME
from p300.figures.averages import front_to_back
from p300.figures.learned import scalp
from p300.figures.signals import channel_image
from p300.figures.style import BLUE, GREY, SKY, count, look, new_figure, styled
from p300.metrics import MIN_UNITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from p300.explain.attribution import Attribution
    from p300.explain.occlusion import Occlusion
    from p300.explain.sanity import Sanity

#: Seconds around the peak that the second map of an attribution sums.
PEAK_S = 0.05

BASELINES = {"nontarget": "the mean nontarget epoch", "zero": "an epoch of zeros"}


@styled
def draw_attribution(
    attribution: Attribution, ch_names: Sequence[str], times: ArrayLike
) -> Figure:
    """Draw the share of each electrode and sample in the mean score of a target.

    The shares are in % of the score above that of the baseline, and sum to 100 %.

    Parameters
    ----------
    attribution : Attribution
        From :func:`p300.explain.attribution.attribute_targets`.
    ch_names : sequence of str
        The channels, in order.
    times : array-like, shape (n_times,)
        Seconds from the flash.

    Returns
    -------
    Figure
        The image, channels from the front of the head to the back; below it the sum over
        channels; beside it, as scalp maps, the sums over the epoch and over 50 ms around
        the peak.

    Raises
    ------
    InputError
        If targets do not score above the baseline.
    """
    gained = float(attribution.values.sum())
    if not gained > 0:
        raise InputError(
            f"targets score {gained:.2f} above {BASELINES[attribution.baseline]}; expected more "
            "than 0, of which electrodes have shares"
        )
    values, seconds = 100 * attribution.values / gained, np.asarray(times, float)
    order = sorted(range(len(ch_names)), key=lambda k: front_to_back(ch_names[k]))
    course, total = values.sum(axis=0), values.sum(axis=1)
    peak = seconds[course.argmax()]
    at_peak = values[:, np.abs(seconds - peak) <= PEAK_S / 2 + 1e-9].sum(axis=1)
    targets, baseline = count(attribution.n_targets, "target"), BASELINES[attribution.baseline]
    scores = f"{attribution.score:.2f} against {attribution.baseline_score:.2f}".replace("-", "−")
    heading = f"Integrated gradients, mean of {targets}: score {scores}\nof {baseline}"
    figure = new_figure(2.7 + min(max(0.06 * len(order), 1.2), 4.2), heading=heading)
    grid = figure.add_gridspec(2, 2, height_ratios=(3, 1), width_ratios=(1.9, 1))
    image_axis = figure.add_subplot(grid[0, 0])
    _draw_image(image_axis, values[order], [ch_names[k] for k in order], seconds)
    line = figure.add_subplot(grid[1, 0], sharex=image_axis)
    line.axhline(0, color=GREY, lw=0.6)
    line.fill_between(seconds, course, color=SKY, alpha=0.4, lw=0)
    line.plot(seconds, course, color=BLUE)
    line.set(xlabel="time from the flash (s)", ylabel="share (%) of\neach sample")
    heads = grid[:, 1].subgridspec(2, 1)
    titles = ("whole epoch", f"{PEAK_S * 1000:.0f} ms at {peak:.2f} s")
    for k, (shown, title) in enumerate(zip((total, at_peak), titles, strict=True)):
        axis = figure.add_subplot(heads[k])
        largest = np.abs(shown).max() or 1.0
        image = scalp(shown, ch_names, axis, (-largest, largest))
        axis.set_title(title, loc="center")
        ends = (-largest, 0, largest)
        bar = figure.colorbar(image, ax=axis, shrink=0.7, location="bottom", label="share (%)")
        bar.set_ticks(ends, labels=[f"{end:.2g}".replace("-", "−") for end in ends])
    best = ", ".join(f"{ch_names[k]} ({total[k]:.0f} %)" for k in np.argsort(-total)[:5])
    figure.set_label(
        f"Shares of electrodes and samples in the mean score of {targets}, {gained:.2f} above "
        f"that of {baseline} (100 %); the largest are from {best}, and at {peak:.2f} s."
    )
    return figure


@styled
def draw_sanity(sanity: Sanity) -> Figure:
    """Draw how much an attribution stays the same while layers get random weights.

    Parameters
    ----------
    sanity : Sanity
        From :func:`p300.explain.sanity.check_attribution`.

    Returns
    -------
    Figure
        Spearman's correlation with the map of the trained network, by layer from the last to the
        first; above the dotted line a map is called the same.
    """
    n = len(sanity.layers)
    figure = new_figure(3.2, min(2.2 + 0.45 * n, 7.0))
    axis = figure.subplots()
    for k, (name, values) in enumerate(
        (("map", sanity.signed), ("its absolute values", sanity.absolute))
    ):
        axis.plot(range(n + 1), [1.0, *values], label=name, **look(k))
    axis.axhline(0, color=GREY, lw=0.6)
    axis.axhline(SAME, color=GREY, lw=0.8, ls=":")
    axis.set_xticks(range(n + 1), ["trained", *sanity.layers], rotation=40, ha="right")
    axis.set(ylim=(-1.05 if sanity.signed.min() < -0.2 else -0.25, 1.05))
    axis.text(n, SAME, "the same above", ha="right", va="bottom", fontsize="small", color=GREY)
    axis.set(xlabel="random from the last layer to this one", ylabel="Spearman's correlation")
    axis.set_title(f"an explanation that {sanity.verdict}")
    figure.legend(loc="outside lower left", ncols=2, handlelength=3)
    signed, absolute = (round(float(v[-1]), 2) + 0.0 for v in (sanity.signed, sanity.absolute))
    figure.set_label(
        f"Spearman's correlation of the attribution with that of the trained network falls to "
        f"{signed:.2f}, of absolute values to {absolute:.2f}, when all "
        f"{count(n, 'layer')} have random weights: the attribution {sanity.verdict}."
    )
    return figure


@styled
def draw_occlusion(
    by_electrode: Occlusion,
    by_window: Occlusion,
    windows: ArrayLike,
    ch_names: Sequence[str],
    *,
    n_bars: int = 16,
) -> Figure:
    """Draw the loss of AUC without each electrode, and without each time window.

    Parameters
    ----------
    by_electrode : Occlusion
        From :func:`p300.explain.occlusion.occlude_electrodes`.
    by_window, windows : Occlusion and array-like, shape (n_windows, 2)
        From :func:`p300.explain.occlusion.occlude_windows`.
    ch_names : sequence of str
        The channels, in order.
    n_bars : int
        Number of electrodes in the ranking.

    Returns
    -------
    Figure
        Losses of AUC with their 95 % intervals; for the windows also the fraction of the margin
        between targets and nontargets that is lost. The margin still changes where the AUC is
        too near 1 to fall.
    """
    edges = np.asarray(windows, float)  # (n_windows, 2)
    replaced = {"mean": "their mean over all flashes", "zero": "zeros"}[by_electrode.replacement]
    whole = f"{by_electrode.auc:.3f} ({count(by_electrode.n_flashes, 'flash')})"
    heading = f"Occlusion: replaced by {replaced}; AUC of whole epochs {whole}"
    figure = new_figure(4.9, heading=heading)
    axes = figure.subplots(2, 2, width_ratios=(1, 1.6))
    loss = by_electrode.auc_loss
    largest = np.abs(loss).max() or 1.0
    image = scalp(loss, ch_names, axes[0, 0], (-largest, largest))
    axes[0, 0].set_title("without one electrode")
    figure.colorbar(image, ax=axes[0, 0], shrink=0.8, label="AUC lost")
    order = np.argsort(-loss, kind="stable")[:n_bars]
    _draw_bars(axes[0, 1], np.arange(len(order)), by_electrode, order, 0.75)
    axes[0, 1].set_xticks(np.arange(len(order)), [ch_names[k] for k in order], rotation=90)
    axes[0, 1].set_xlim(-0.6, len(order) - 0.4)
    axes[0, 1].set_title(f"the {len(order)} with the largest loss\n{_sureness(by_electrode)}")
    middle, width = edges.mean(axis=1), 0.9 * np.diff(edges, axis=1)[:, 0]
    axes[1, 0].bar(middle, 100 * by_window.margin_loss, width, color=SKY)
    axes[1, 0].set(ylabel="margin lost (%)", title="without one time window")
    _draw_bars(axes[1, 1], middle, by_window, slice(None), width)
    window = 1000 * np.diff(edges[0])[0]
    axes[1, 1].set_title(f"each window of {window:.0f} ms\n{_sureness(by_window)}")
    for axis in axes[1]:
        axis.axhline(0, color=GREY, lw=0.6)
        axis.set_xlabel("time from the flash (s)")
    largest_losses = ", ".join(f"{ch_names[k]} ({loss[k]:.3f})" for k in order[:5])
    start, stop = edges[by_window.auc_loss.argmax()]
    figure.set_label(
        f"AUC lost when one electrode or time window is removed, of {by_electrode.auc:.3f} for "
        f"whole epochs; the largest losses are those of the electrodes {largest_losses}, and of "
        f"the window {start:.2f} to {stop:.2f} s ({by_window.auc_loss.max():.3f})."
    )
    return figure


@styled
def draw_pattern_series(
    pattern: ArrayLike,
    ch_names: Sequence[str],
    times: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    width_s: float = 0.1,
    unit: str = "sd",
) -> Figure:
    """Draw the pattern of a detector's score on the scalp by time window, and its weights above.

    Parameters
    ----------
    pattern : array-like, shape (n_chans, n_times)
        From :func:`p300.explain.patterns.score_pattern`.
    ch_names : sequence of str
        The channels, in order.
    times : array-like, shape (n_times,)
        Seconds from the flash.
    weights : array-like, shape (n_chans, n_times), or None
        From :func:`p300.explain.filters.linear_weights`, where the detector is linear.
    width_s : float
        Width of the windows; the last one may be narrower.
    unit : str
        Unit of the epochs.

    Returns
    -------
    Figure
        The maps of a row share one scale.
    """
    seconds, slope = np.asarray(times, float), np.asarray(pattern, float)
    n_times = len(seconds)
    step = (seconds[-1] - seconds[0]) / max(n_times - 1, 1) or 1.0
    starts = np.append(np.arange(0, n_times, max(round(width_s / step), 1)), n_times)
    rows = {f"pattern\n({unit} / score)": slope}
    if weights is not None:
        rows = {f"weights\n(score / {unit})": np.asarray(weights, float), **rows}
    edges = seconds[0] + starts * step
    heading = "Pattern of the score, by time after the flash (s)"
    figure = new_figure(0.5 + 1.1 * len(rows), heading=heading)
    axes = figure.subplots(len(rows), len(starts) - 1, squeeze=False)
    for row, (name, values) in zip(axes, rows.items(), strict=True):
        maps = [values[:, a:b].mean(axis=1) for a, b in itertools.pairwise(starts)]
        largest = np.abs(maps).max() or 1.0
        for axis, shown in zip(row, maps, strict=True):
            image = scalp(shown, ch_names, axis, (-largest, largest))
        bar = figure.colorbar(image, ax=row, shrink=0.9, aspect=10, label=name)
        ends = -largest, 0, largest
        bar.set_ticks(ends, labels=[f"{end:.2g}".replace("-", "−") for end in ends])
    for axis, (start, stop) in zip(axes[0], itertools.pairwise(edges), strict=True):
        axis.set_title(f"{start:.2f}–{stop:.2f}", loc="center", fontsize=8)
    channel, sample = np.unravel_index(np.abs(slope).argmax(), slope.shape)
    figure.set_label(
        f"Scalp maps of the EEG that varies with a detector's score, from {edges[0]:.2f} to "
        f"{edges[-1]:.2f} s after the flash; it is largest at {ch_names[channel]} at "
        f"{seconds[sample]:.2f} s, {slope[channel, sample]:+.3g} {unit} per unit of score."
    )
    return figure


def _draw_image(axis: Axes, values: np.ndarray, names: Sequence[str], times: np.ndarray) -> None:
    half = (times[1] - times[0]) / 2 if len(times) > 1 else 0.5
    image = channel_image(axis, values, times, half)
    n_chans = len(names)
    named: list[int] = []  # the strongest first, as far as there is room
    for k in np.argsort(-np.abs(values.sum(axis=1)), kind="stable"):
        if all(abs(k - other) >= n_chans / 32 for other in named):
            named.append(int(k))
    axis.set_yticks(named, [names[k] for k in named])
    axis.tick_params(labelbottom=False)
    axis.set_ylabel("channel, front to back" + (" (not all named)" if n_chans > 32 else ""))
    axis.figure.colorbar(image, ax=axis, aspect=30, label="share of the score (%)")


def _draw_bars(
    axis: Axes,
    x: np.ndarray,
    found: Occlusion,
    chosen: np.ndarray | slice,
    width: np.ndarray | float,
) -> None:
    loss = found.auc_loss[chosen]
    around = np.stack([loss - found.low[chosen], found.high[chosen] - loss])
    axis.bar(x, loss, width, color=SKY)
    axis.errorbar(x, loss, around, fmt="none", ecolor=BLUE, elinewidth=1)
    axis.axhline(0, color=GREY, lw=0.6)
    axis.set_ylabel("AUC lost")


def _sureness(found: Occlusion) -> str:
    if found.n_units < MIN_UNITS:
        return f"no interval: fewer than {MIN_UNITS} {found.unit}"
    return f"95 % interval over {found.n_units:,} {found.unit}"
