"""What a run's detector learned, as far as its kind can be inspected."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.report.page import Picture, Section, Text, try_picture
from p300.report.signals import take
from p300.splits import PARTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from p300.experiments.finished import Run
    from p300.preprocessing import Epochs

#: Most flashes for occlusion, which scores them once per electrode and window; enough to rank.
MAX_OCCLUDED = 2000

#: Most targets for integrated gradients.
MAX_ATTRIBUTED = 400

#: Most filters drawn.
MAX_FILTERS = 12


def learned_section(run: Run, epochs: Epochs | None) -> Section:
    """Draw what the detector learned; without epochs, what its weights alone show."""
    drawn, absent = _weights(run)
    section = Section("What it learned", [Text(_members(run)), *drawn])
    if absent:
        text = f"There are no {' and no '.join(absent)} to draw: {run.name} has none."
        section.blocks.append(Text(text, is_note=True))
    if epochs is not None:
        section.blocks += _with_epochs(run, epochs, has_filters="spatial filters" not in absent)
        return section
    text = "Patterns, occlusion and attribution need the recording, which could not be read."
    section.blocks.append(Text(text, is_note=True))
    return section


def _weights(run: Run) -> tuple[list[Picture | Text], list[str]]:
    """Draw what the weights alone show, and name what the detector does not have."""
    from p300.explain.filters import electrode_power, temporal_kernels
    from p300.figures.learned import draw_electrode_power, draw_temporal_kernels

    steps, names = run.detector.preprocessor, list(run.results["ch_names"])
    drawn: list[Picture | Text] = []
    absent: list[str] = []
    for look, what, draw, caption in (
        (
            electrode_power,
            "spatial filters",
            lambda power: draw_electrode_power(power, names),
            "How much weight the spatial filters give each electrode, in units of the mean: "
            "Ω of Cecotti & Gräser 2011, equation 12. A large weight may also serve to remove "
            "noise.",
        ),
        (
            temporal_kernels,
            "temporal kernels",
            lambda kernels: draw_temporal_kernels(kernels, steps.sfreq, h_freq=steps.h_freq),
            "Temporal kernels, and their gain at each frequency.",
        ),
    ):
        try:
            found = look(run.detector)
        except InputError:
            absent.append(what)
            continue
        in_pixels = what == "spatial filters"
        figure = functools.partial(draw, found)
        drawn.append(try_picture(what.capitalize(), figure, caption, as_pixels=in_pixels))
    return drawn, absent


def _with_epochs(run: Run, epochs: Epochs, *, has_filters: bool) -> list[Picture | Text]:
    """Draw what needs the epochs: patterns of the training part, occlusion of a held-out part."""
    part = run.scores["part"].to_numpy()
    labelled = run.scores["is_target"].notna().to_numpy()
    train = take(epochs, (part == "train") & labelled)
    shown = next((p for p in PARTS[:0:-1] if "detection" in run.results.get(p, {})), "test")
    held_out = take(epochs, (part == shown) & labelled)
    drawn: list[Picture | Text] = []
    if has_filters:
        drawn.append(
            try_picture(
                "Spatial filters and patterns",
                lambda: _filters(run, train),
                "Filters are the weights that combine the electrodes. Patterns (Haufe et al. "
                "2014) show where on the head the signal of a filter appears; only patterns may "
                "be read as places. The sign of a filter has no meaning.",
                as_pixels=True,
            )
        )
    drawn += [
        try_picture(
            "Pattern of the score",
            lambda: _score_pattern(run, train),
            "How the EEG of the training part varies with the score. This exists for every kind "
            "of detector; for a linear one its weights are shown above.",
            as_pixels=True,
        ),
        try_picture(
            "Occlusion",
            lambda: _occlusion(run, held_out),
            f"Loss of AUC on the {shown} part when an electrode, or a time window, is replaced "
            "by its mean. Neighbouring electrodes carry similar signals: a detector may use an "
            "electrode although its loss is zero.",
            as_pixels=True,
        ),
        try_picture(
            "Integrated gradients",
            lambda: _attribution(run, held_out),
            "Contribution of each electrode and sample to the mean score of a target, compared "
            "with the mean nontarget epoch.",
            as_pixels=True,
        ),
    ]
    return drawn


def _members(run: Run) -> str:
    kinds = [type(m.detector).__name__ for m in run.detector.members]
    members = ", ".join(
        f"{kinds.count(k)} {k}" if kinds.count(k) > 1 else k for k in dict.fromkeys(kinds)
    )
    several = " If members differ, the mean over them is drawn, or else the first that has what "
    several += "is drawn."
    return f"Members of the detector: {members}.{several if len(kinds) > 1 else ''}"


def _filters(run: Run, train: Epochs) -> Figure:
    from p300.explain.filters import spatial_filters, spatial_patterns
    from p300.figures.learned import draw_filters_and_patterns

    filters = spatial_filters(run.detector)
    patterns = spatial_patterns(run.detector, train.data)
    order = np.argsort(-np.abs(filters).sum(axis=1), kind="stable")[:MAX_FILTERS]
    order = np.sort(order)
    return draw_filters_and_patterns(
        filters[order], patterns[order], train.ch_names, names=[f"{k + 1}" for k in order]
    )


def _score_pattern(run: Run, train: Epochs) -> Figure:
    from p300.explain.filters import linear_weights
    from p300.explain.patterns import score_pattern
    from p300.figures.attribution import draw_pattern_series

    pattern = score_pattern(train.data, run.detector.score_epochs(train.data))
    try:
        weights = linear_weights(run.detector)
    except InputError:  # not linear: the pattern stands alone
        weights = None
    return draw_pattern_series(
        pattern, train.ch_names, train.times, weights=weights, unit=train.unit
    )


def _occlusion(run: Run, held_out: Epochs) -> Figure:
    from p300.explain.occlusion import occlude_electrodes, occlude_windows
    from p300.figures.attribution import draw_occlusion

    some = _some_characters(held_out, MAX_OCCLUDED)
    by_electrode = occlude_electrodes(run.detector, some)
    by_window, windows = occlude_windows(run.detector, some)
    return draw_occlusion(by_electrode, by_window, windows, some.ch_names)


def _attribution(run: Run, held_out: Epochs) -> Figure:
    from p300.explain.attribution import attribute_targets
    from p300.figures.attribution import draw_attribution

    is_target = held_out.flashes["is_target"].to_numpy(bool)
    kept = ~is_target
    kept[np.flatnonzero(is_target)[:MAX_ATTRIBUTED]] = True
    some = take(held_out, kept)
    return draw_attribution(attribute_targets(run.detector, some), some.ch_names, some.times)


def _some_characters(epochs: Epochs, n_flashes: int) -> Epochs:
    """Return as many whole characters, or blocks of 30 s, as fit into ``n_flashes``."""
    from p300.metrics import resampling_units

    if len(epochs.flashes) <= n_flashes:
        return epochs
    unit = resampling_units(epochs.flashes)
    fits = np.cumsum(np.bincount(unit)) <= n_flashes
    return take(epochs, fits[unit]) if fits.sum() > 1 else epochs
