"""Configured runs from a recording to scores: preprocessing, members, calibration, checkpoint.

A run is prepared, its detectors are fitted, and it is finished. Networks of several runs that may
train side by side do (:mod:`p300.batched`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300 import __version__
from p300.errors import InputError
from p300.files import whole_file
from p300.fitting_networks import (
    NetworkFit,
    fit_networks,
    is_network,
    labels,
    member_arguments,
)
from p300.folds import inner_folds, unit_of
from p300.progress import Step, step
from p300.results import report_parts
from p300.runs import Fitted, Run, Shared, prepare
from p300.splits import Split, shares_samples

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig

    from p300.checkpoint import Member
    from p300.preprocessing import Epochs
    from p300.recording import Recording

log = logging.getLogger("p300.fitting")


def fit_and_score(
    cfg: DictConfig, config: dict, recording: Recording, split: Split, folder: Path, tracker=None
) -> dict[str, Any]:
    """Preprocess, fit every member, write checkpoint and scores; return what was found.

    Raises
    ------
    InputError
        If something cannot be fitted.
    """
    run = Run(cfg, config, recording, split, folder, tracker)
    prepare(run, Shared())
    fit_all([run])
    return finish(run)


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
                networks.append((place, NetworkFit(run.cfg, plan.model, run.epochs, *parts)))
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


def finish(run: Run) -> dict[str, Any]:
    """Combine a run's members, calibrate, and write checkpoint and scores.

    Returns
    -------
    dict
        What ``results.json`` is to hold.

    Raises
    ------
    InputError
        If something could not be fitted, or the calibration is unknown.
    """
    from p300.checkpoint import TrainedDetector

    if run.error is not None:
        raise run.error
    cfg, epochs, split = run.cfg, run.epochs, run.split
    members, offset, records, held_out = combined(run)
    detector = TrainedDetector(
        members, run.preprocessor, run.recording.speller, run.config, (1.0, offset), run.alignment
    )
    scores = detector.score_epochs(epochs.data)
    if held_out is None and split.validation.any():
        held_out = np.where(split.validation, scores, np.nan)
    if held_out is None and cfg.held_out_folds:
        held_out = left_out_scores(run)
    slope, shift = 1.0, 0.0
    if cfg.calibration != "none":
        slope, shift = calibrated(cfg.calibration, scores, epochs, split.validation)
        detector.calibration = slope, slope * offset + shift
    scores = slope * scores + shift
    detector.save(run.folder / "checkpoint.pt")
    for number, record in enumerate((r for r in records if "best_pass" in r), start=1):
        monitored = record[cfg.protocol.monitor]
        shown = number, cfg.protocol.monitor, monitored, record["best_pass"], record["n_passes"]
        log.info("network %d: %s %.3f in pass %d of %d", *shown)
    if held_out is not None:
        known = ~np.isnan(held_out)
        held_out = slope * held_out[known] + shift
        table = epochs.flashes[known].assign(score=held_out)
        with whole_file(run.folder / "held_out.csv") as file:
            table.to_csv(file, index=False)
    results = {
        "version": __version__,
        "choices": run.config["choices"],
        "seed": cfg.seed,
        "split": str(split),
        "ch_names": list(epochs.ch_names),
        "n_parameters": detector.n_parameters,
        "preprocess_s": run.preprocess_s,
        "fit_s": run.fit_s,
        "members": records,
    }
    return results | report_parts(scores, epochs, split, run.folder)


def combined(
    run: Run,
) -> tuple[list[Member], float, list[dict[str, Any]], np.ndarray | None]:
    """Give each member of a run its weight.

    Returns
    -------
    members : list of Member
        With their weights.
    offset : float
        To be added to the weighted sum of their scores.
    records : list of dict
        What is to be told of each member.
    left_out_scores : ndarray, shape (n_flashes,), or None
        Of a stack: scores of the training flashes by members that were not fitted to them.
    """
    stack, left_out = run.stack, None
    if stack is None:
        fitted = [one for part in run.fitted for one in part]
        members, offset = [member for member, _ in fitted], 0.0
        records = [record for _, record in fitted]
    else:
        parts = [
            stack.combine(run.epochs, *part)
            for part in zip(run.shares, run.planned, run.fitted, strict=True)
        ]
        members = [member for part in parts for member in part[0]]
        offset = float(np.mean([part[1] for part in parts]))
        records = [record for part in parts for record in part[2]]
        left_out = np.mean([part[3] for part in parts], axis=0)
    for member, record in zip(members, records, strict=True):
        member.weight /= len(run.shares)
        record["weight"] = member.weight
    return members, offset, records, left_out


def left_out_scores(run: Run) -> np.ndarray:
    """Score the training flashes of a classical detector fold by fold, fitted to the others.

    Returns
    -------
    ndarray, shape (n_flashes,)
        nan elsewhere.
    """
    flashes, scores = run.epochs.flashes, np.full(len(run.epochs.flashes), np.nan)
    window_s = (run.epochs.tmin, run.epochs.tmin + run.epochs.data.shape[-1] / run.epochs.sfreq)
    folds = inner_folds(flashes, run.split.train, run.cfg.held_out_folds)
    for k in range(folds.max() + 1):
        out = folds == k
        others = ~shares_samples(flashes, out, window_s)
        fitted = [fit_classical(run.cfg.model, run.epochs, r & others) for r in run.shares]
        scores[out] = np.mean([member.score(run.epochs.data[out]) for member in fitted], axis=0)
    return scores


def fit_classical(model: Mapping, epochs: Epochs, rows: np.ndarray) -> Member:
    """Fit one classical detector; one that chooses or divides is told what to leave whole."""
    from hydra.utils import instantiate
    from sklearn.utils.validation import has_fit_parameter

    from p300.checkpoint import Member

    detector = instantiate(model, _convert_="all")
    whole = {}
    if has_fit_parameter(detector, "groups"):
        whole["groups"] = inner_folds(epochs.flashes, rows)[rows]
    if has_fit_parameter(detector, "characters"):
        whole["characters"] = unit_of(epochs.flashes, "character")[rows]
    with step(type(detector).__name__):
        detector.fit(epochs.data[rows], labels(epochs)[rows], **whole)
    return Member(detector, member_arguments(model, epochs))


def calibrated(
    kind: str, scores: np.ndarray, epochs: Epochs, validation: np.ndarray
) -> tuple[float, float]:
    """Fit slope and offset of the scores on the validation part.

    Raises
    ------
    InputError
        If there is no such kind.
    """
    from p300.calibration import fit_platt

    if kind not in ("platt", "temperature"):
        raise InputError(f"calibration={kind}; expected none, platt or temperature")
    is_target = epochs.flashes["is_target"][validation].to_numpy(bool)
    return fit_platt(scores[validation], is_target, temperature_only=kind == "temperature")


def configured_split(cfg: DictConfig, flashes: pd.DataFrame) -> Split:
    """Split a flash table as configured; with nothing to choose, validation is trained on too."""
    from hydra.utils import instantiate

    split = instantiate(cfg.split, flashes, _convert_="all")
    return split if needs_validation(cfg) else split.without_validation()


def needs_validation(cfg: DictConfig) -> bool:
    """Tell whether anything is chosen by a validation part; else it is trained on too."""
    return is_network(cfg.model) or cfg.calibration != "none"
