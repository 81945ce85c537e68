"""Configured runs from a recording to scores: preprocessing, members, calibration, checkpoint.

A run is prepared, its detectors are fitted, and it is finished. Networks of several runs that may
train side by side do (:mod:`p300.training.side_by_side`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np

from p300.experiments.build import build_classical
from p300.experiments.networks import PlannedNetwork, fit_networks
from p300.experiments.prepare import Fitted, Run
from p300.splits import inner_folds, unit_of
from p300.terminal import Step, step
from p300.training.members import is_network, labels, member_arguments

if TYPE_CHECKING:
    from p300.detector import Member
    from p300.preprocessing import Epochs


log = logging.getLogger("p300.experiments.fit")


def fit_all(runs: Sequence[Run]) -> None:
    """Fit everything that is planned in some runs; a run that fails gets its error.

    Time is divided evenly among the runs.
    """
    started = time.perf_counter()
    places = [
        (run, share, k)
        for run in runs
        for share, planned in enumerate(run.planned)
        for k in range(len(planned))
    ]
    networks, numbers = [], {id(run): 0 for run in runs}
    fitted: dict[tuple[int, int, int], Fitted | Exception] = {}
    several = len(places) > 1
    with step("detectors", len(places), "fitted") if several else nullcontext(Step()) as done:
        for place, (run, share, k) in enumerate(places):
            plan = run.planned[share][k]
            if is_network(plan.model):
                numbers[id(run)] += 1
                parts = plan.train, plan.left_out, numbers[id(run)], run.folder, run.tracker
                networks.append((place, PlannedNetwork(run.cfg, plan.model, run.epochs, *parts)))
            else:
                try:
                    fitted[place] = fit_classical(plan.model, run.epochs, plan.train), {}
                except Exception as error:  # whatever it is, it is not the other runs'
                    fitted[place] = error
                done.skip()  # far quicker than a network
        found = fit_networks([fit for _, fit in networks], done.advance)
    fitted |= {place: one for (place, _), one in zip(networks, found, strict=True)}
    for run in runs:
        run.fitted = [[] for _ in run.planned]
        run.fit_s = (time.perf_counter() - started) / len(runs)
    for place, (run, share, _) in enumerate(places):
        if isinstance(fitted[place], Exception):
            run.error = run.error or fitted[place]
        else:
            run.fitted[share].append(fitted[place])


def fit_classical(model: Mapping, epochs: Epochs, rows: np.ndarray) -> Member:
    """Fit one classical detector; one that chooses or divides is told what to leave whole."""
    from sklearn.utils.validation import has_fit_parameter

    from p300.detector import Member

    detector = build_classical(model)
    whole = {}
    if has_fit_parameter(detector, "groups"):
        whole["groups"] = inner_folds(epochs.flashes, rows)[rows]
    if has_fit_parameter(detector, "characters"):
        whole["characters"] = unit_of(epochs.flashes, "character")[rows]
    with step(type(detector).__name__):
        detector.fit(epochs.data[rows], labels(epochs)[rows], **whole)
    return Member(detector, member_arguments(model, epochs))
