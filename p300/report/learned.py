"""What a run's detector learned, as far as its kind can be inspected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from p300 import explain
from p300.errors import InputError
from p300.figures import attribution, learned
from p300.metrics import resampling_units
from p300.report.page import Section, Text
from p300.report.seeds import agreement, power_by_seed
from p300.splits import PARTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from p300.detector import Detector
    from p300.experiments.finished import Run
    from p300.preprocessing import Epochs

#: Most flashes for occlusion, which scores them once per electrode and window; enough to rank.
MAX_OCCLUDED = 2000

#: Most targets for integrated gradients.
MAX_ATTRIBUTED = 400

#: Most targets for the check of integrated gradients, which computes them for every layer.
MAX_CHECKED = 50

#: Most filters drawn.
MAX_FILTERS = 12


def learned_section(run: Run, epochs: Epochs | None, *, times_in_doubt: bool = False) -> Section:
    """Draw what the detector learned; without epochs, what its weights alone show."""
    section = Section("What it learned", [Text(_members(run))], times_in_doubt=times_in_doubt)
    steps, names = run.detector.preprocessor, list(run.results["ch_names"])
    kernels = _found(explain.temporal_kernels, run)
    try:
        powers = power_by_seed(run)
    except InputError:
        powers = {}
    if powers:
        section.draw(
            "Spatial filters",
            lambda: learned.draw_electrode_power(powers, names),
            "How much weight the spatial filters give each electrode, in units of the mean: Ω of "
            "Cecotti & Gräser 2011, equation 12. A large weight may also serve to remove noise. "
            + agreement(powers),
            as_pixels=True,
        )
    if kernels is not None:
        section.draw(
            "Temporal kernels",
            lambda: learned.draw_temporal_kernels(kernels, steps.sfreq, h_freq=steps.h_freq),
            f"Temporal kernels, and their gain at each frequency. {_one_seed(run)}",
        )
    known = {"spatial filters": powers or None, "temporal kernels": kernels}
    absent = " and no ".join(what for what, found in known.items() if found is None)
    if absent:
        section.note(f"There are no {absent} to draw: {run.name} has none.")
    if epochs is not None:
        _draw_with_epochs(section, run, epochs, has_filters=bool(powers))
        return section
    text = "Patterns, occlusion and attribution need the recording, which could not be read."
    section.note(text)
    return section


def _found(look: Callable[[Detector], np.ndarray], run: Run) -> np.ndarray | None:
    """Return what the detector of a run has; None if it does not have it."""
    try:
        return look(run.detector)
    except InputError:
        return None


def _draw_with_epochs(section: Section, run: Run, epochs: Epochs, *, has_filters: bool) -> None:
    """Draw what needs the epochs: patterns of the training part, occlusion of a held-out part."""
    part = run.scores["part"].to_numpy()
    labelled = run.scores["is_target"].notna().to_numpy()
    train = epochs[(part == "train") & labelled]
    shown = next((p for p in PARTS[:0:-1] if "detection" in run.results.get(p, {})), "test")
    held_out = epochs[(part == shown) & labelled]
    if has_filters:
        section.draw(
            "Spatial filters and patterns",
            lambda: _filters(run, train),
            "Filters are the weights that combine the electrodes. Patterns (Haufe et al. 2014) "
            "show where on the head the signal of a filter appears; only patterns may be read as "
            "places. The sign of a filter has no meaning. " + _one_seed(run),
            as_pixels=True,
        )
    section.draw(
        "Pattern of the score",
        lambda: _score_pattern(run, train),
        "How the EEG of the training part varies with the score. This exists for every kind of "
        "detector; for a linear one its weights are shown above.",
        as_pixels=True,
    )
    section.draw(
        "Occlusion",
        lambda: _occlusion(run, held_out),
        f"Loss of AUC on the {shown} part when an electrode, or a time window, is replaced by its "
        "mean. Neighbouring electrodes carry similar signals: a detector may use an electrode "
        "although its loss is zero.",
        as_pixels=True,
    )
    section.draw(
        "Integrated gradients",
        lambda: _attribution(run, held_out),
        "Share of each electrode and sample in the mean score of a target above that of the mean "
        "nontarget epoch. All shares sum to 100 %; negative ones lower the score.",
        as_pixels=True,
    )
    if any(member.is_network for member in run.detector.members):
        section.draw(
            "Check of the integrated gradients",
            lambda: _sanity(run, held_out),
            "How much such a map stays the same when the layers of the first network get random "
            "weights, one after another from the last (Adebayo et al. 2018). An explanation of "
            "what the network learned must change. One that stays above the dotted line shows "
            "the EEG and not the network. If the absolute values alone stay, only the signs of "
            "the map are the network's.",
        )


def single_pages(which: str) -> Section:
    """Build the section of a page of many runs, whose detectors are not drawn on it."""
    shows = "has its own page, which shows the EEG and what the detector learned"
    text = f"{which} {shows}: call `p300 report` with the folder of the run."
    return Section("What they learned", [Text(text)])


def _one_seed(run: Run) -> str:
    return f"They are those of seed {run.config['seed']}; another seed may learn others."


def _members(run: Run) -> str:
    kinds = Counter(type(m.detector).__name__ for m in run.detector.members)
    members = ", ".join(f"{n} {kind}" if n > 1 else kind for kind, n in kinds.items())
    several = " If members differ, the mean over them is drawn, or else the first that has what "
    several += "is drawn."
    return f"Members of the detector: {members}.{several if kinds.total() > 1 else ''}"


def _filters(run: Run, train: Epochs) -> Figure:
    filters = explain.spatial_filters(run.detector)
    patterns = explain.spatial_patterns(run.detector, train.data)
    order = np.sort(np.argsort(-np.abs(filters).sum(axis=1), kind="stable")[:MAX_FILTERS])
    return learned.draw_filters_and_patterns(
        filters[order], patterns[order], train.ch_names, names=[f"{k + 1}" for k in order]
    )


def _score_pattern(run: Run, train: Epochs) -> Figure:
    pattern = explain.score_pattern(train.data, run.detector.score_epochs(train.data))
    weights = _found(explain.linear_weights, run)
    return attribution.draw_pattern_series(
        pattern, train.ch_names, train.times, weights=weights, unit=train.unit
    )


def _occlusion(run: Run, held_out: Epochs) -> Figure:
    some = _some_characters(held_out, MAX_OCCLUDED)
    by_electrode = explain.occlude_electrodes(run.detector, some)
    by_window, windows = explain.occlude_windows(run.detector, some)
    return attribution.draw_occlusion(by_electrode, by_window, windows, some.ch_names)


def _attribution(run: Run, held_out: Epochs) -> Figure:
    is_target = held_out.flashes["is_target"].to_numpy(bool)
    kept = ~is_target
    kept[np.flatnonzero(is_target)[:MAX_ATTRIBUTED]] = True
    some = held_out[kept]
    found = explain.attribute_targets(run.detector, some)
    return attribution.draw_attribution(found, some.ch_names, some.times)


def _sanity(run: Run, held_out: Epochs) -> Figure:
    is_target = held_out.flashes["is_target"].to_numpy(bool)
    kept = ~is_target
    kept[np.flatnonzero(is_target)[:MAX_CHECKED]] = True
    found = explain.check_attribution(run.detector, held_out[kept])
    return attribution.draw_sanity(found)


def _some_characters(epochs: Epochs, n_flashes: int) -> Epochs:
    """Return as many whole characters, or blocks of 30 s, as fit into ``n_flashes``."""
    if len(epochs.flashes) <= n_flashes:
        return epochs
    unit = resampling_units(epochs.flashes)
    fits = np.cumsum(np.bincount(unit)) <= n_flashes
    return epochs[fits[unit]] if fits.sum() > 1 else epochs
