"""From fitted members to one detector: weights, calibration, checkpoint and scores."""

from __future__ import annotations

import itertools
import json
import logging
import timeit
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300 import __version__
from p300.errors import InputError
from p300.experiments.build import reason_of
from p300.experiments.fitting.fit import fit_classical
from p300.experiments.fitting.learning import source_of
from p300.experiments.fitting.networks import Fitted
from p300.experiments.fitting.probability import log_odds_of
from p300.experiments.fitting.run import Run
from p300.experiments.fitting.session import learning_settings, report_session
from p300.experiments.results import SESSION, report_parts, told_by, write_json
from p300.integrity.levels import SignalLevels, segment_digests
from p300.learning.files import FILE, write_source
from p300.spelling import fit_platt
from p300.storage.files import write_text
from p300.training.checks import check_same
from p300.training.stacking import left_out_folds

if TYPE_CHECKING:
    from p300.detector import Detector, Member  # noqa: F401  (Member is part of Fitted)
    from p300.preprocessing import Epochs

log = logging.getLogger("p300.experiments.fitting.fit")

#: An AUC that means scores of the wrong sign, and not only a bad detector.
BELOW_CHANCE = 0.4

#: Most flashes whose scores are compared when a checkpoint is checked.
N_COMPARED = 256


def finish(run: Run) -> dict[str, Any]:
    """Combine a run's members, calibrate, and write checkpoint and scores.

    Returns
    -------
    dict
        The content of ``results.json``.

    Raises
    ------
    InputError
        If something could not be fitted, the calibration is unknown, or the checkpoint is not
        what was trained.
    """
    cfg, epochs, split = run.cfg, run.epochs, run.split
    detector, records, held_out = combined_detector(run)
    scores = detector.score_epochs(epochs.data)
    if held_out is None and split.validation.any():
        held_out = np.where(split.validation, scores, np.nan)
    if held_out is None and cfg.held_out_folds:
        held_out = left_out_scores(run)
    slope, shift = calibrate(run, detector, scores)
    scores = slope * scores + shift
    detector.save(run.folder / "checkpoint.pt")
    check_saved(run.folder / "checkpoint.pt", detector, epochs)
    for number, record in enumerate((r for r in records if "best_epoch" in r), start=1):
        monitored = record[cfg.protocol.monitor]
        shown = number, cfg.protocol.monitor, monitored, record["best_epoch"], record["n_epochs"]
        log.info("network %d: %s %.3f in epoch %d of %d", *shown)
        if cfg.protocol.monitor == "validation/auc" and monitored < BELOW_CHANCE:
            log.warning("below chance: a score must be larger for targets than for nontargets")
    if held_out is not None:
        known = ~np.isnan(held_out)
        held_out = slope * held_out[known] + shift
        table = epochs.flashes[known].assign(score=held_out)
        write_text(run.folder / "held_out.csv", table.to_csv(index=False))
    write_json(run.folder / "training.json", describe_training(run))
    results = {
        "version": __version__,
        "choices": run.config["choices"],
        **told_by(run.recording),
        "name": cfg.name,
        "seed": cfg.seed,
        **run.content,
        "split": str(split),
        "fold": cfg.split.get("fold"),
        "ch_names": list(epochs.ch_names),
        "n_parameters": detector.n_parameters,
        "speller": None if detector.speller is None else detector.speller.to_dict(),
        "preprocess_s": run.preprocess_s,
        **({"select_electrodes_s": run.select_s} if cfg.select_electrodes.n is not None else {}),
        "fit_s": run.fit_s,
        "score_ms": score_time_ms(detector),
        "members": records,
    }
    log_odds = None
    try:
        target_rate = float(epochs.flashes["is_target"][split.train].mean())
        log_odds = log_odds_of(detector, scores, target_rate)
    except Exception as error:  # of any kind: an own loss may not tell, or fail
        log.info("no calibration error and no Brier score: %s", reason_of(error))
    results |= report_parts(scores, epochs, split, run.folder, log_odds)
    settings = learning_settings(cfg.learning)
    if settings is not None:
        source = None
        if settings.needs_source:
            source = source_of(detector, epochs, split.train)
            write_source(run.folder / FILE, source)
        if split.test.any():
            rows, before = split.test, None
            if split.before is not None:
                rows = split.test | split.before
                before = split.before[rows]
            parts = run.folder, detector, source, settings, epochs[rows], scores[rows]
            results[SESSION] = report_session(*parts, before)
    return results


def describe_training(run: Run) -> dict[str, Any]:
    """Describe the training part for live use: how loud its signal was, and its digests."""
    used = run.split.train | run.split.validation
    names = getattr(run.preprocessor, "ch_names_in_", run.epochs.ch_names)
    try:
        signal = SignalLevels.measure(run.recording, names, run.split.train).to_dict()
    except InputError as error:  # a recording of epochs may have no whole second
        log.info("no levels of the signal: %s", error)
        signal = None
    return {"signal": signal, "segments": segment_digests(run.recording, used)}


def score_time_ms(detector: Detector) -> float:
    """Measure how long a detector takes to score one preprocessed epoch, as in live spelling.

    Returns
    -------
    float
        Median of 30 calls in milliseconds.
    """
    shape = (1, len(detector.preprocessor.ch_names_), detector.preprocessor.n_times)
    epoch = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    spent = timeit.repeat(lambda: detector.score_epochs(epoch), number=1, repeat=33)
    return 1e3 * float(np.median(spent[3:]))  # three warm up


def check_saved(path: Path, detector: Detector, epochs: Epochs) -> None:
    """Check that a checkpoint, when it is loaded, is the detector that was trained.

    Raises
    ------
    InputError
        If its preprocessing is another, or its scores of :data:`N_COMPARED` flashes differ.
    """
    from p300.detector import Detector

    loaded, every = Detector.load(path), -(-len(epochs.data) // N_COMPARED)
    texts = [json.dumps(each.describe(), sort_keys=True) for each in (detector, loaded)]
    if texts[0] != texts[1]:
        raise InputError(f"{path}: it was saved with another preprocessing than it was trained")
    part = epochs.data[::every]
    try:
        check_same(detector.score_epochs(part), loaded.score_epochs(part), "scores")
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def combined_detector(run: Run) -> tuple[Detector, list[dict[str, Any]], np.ndarray | None]:
    """Build the detector of a fitted run, not calibrated yet.

    Returns
    -------
    detector : Detector
    records : list of dict
        What ``results.json`` states about each member.
    left_out_scores : ndarray, shape (n_flashes,), or None
        As of :func:`combined`.

    Raises
    ------
    InputError
        If something could not be fitted.
    """
    from p300.detector import Detector

    if run.error is not None:
        raise run.error
    fitted, offset, left_out = combined(run)
    members, records = [member for member, _ in fitted], [record for _, record in fitted]
    described = run.preprocessor, run.recording.speller, run.config
    return Detector(members, *described, (1.0, offset), run.alignment), records, left_out


def combined(run: Run) -> tuple[list[Fitted], float, np.ndarray | None]:
    """Compute the weight of each member of a run.

    Returns
    -------
    members : list of (Member, dict)
        With their weights; what ``results.json`` states about each member.
    offset : float
        Added to the weighted sum of their scores.
    left_out_scores : ndarray, shape (n_flashes,), or None
        Of a stack: scores of the training flashes by members that were not fitted to them.
    """
    members, offset, left_out = run.fitted, 0.0, None
    if run.stack is not None:
        parts = zip(run.train_rows, run.planned, run.fitted, strict=True)
        stacks = [run.stack.combine(run.epochs, *part) for part in parts]
        members = [stack[0] for stack in stacks]
        offset = float(np.mean([stack[1] for stack in stacks]))
        left_out = np.mean([stack[2] for stack in stacks], axis=0)
    found = list(itertools.chain(*members))
    for member, record in found:
        member.weight /= len(run.train_rows)
        record["weight"] = member.weight
    return found, offset, left_out


def left_out_scores(run: Run) -> np.ndarray:
    """Score each fold of the training flashes with classical detectors fitted to the others.

    Returns
    -------
    ndarray, shape (n_flashes,)
        NaN for all other flashes.
    """
    epochs, scores = run.epochs, np.full(len(run.epochs.flashes), np.nan)
    for others, out in left_out_folds(epochs, run.split.train, run.cfg.held_out_folds):
        fitted = [fit_classical(run.cfg.model, epochs, rows & others) for rows in run.train_rows]
        scores[out] = np.mean([member.score(epochs.data, out) for member in fitted], axis=0)
    return scores


def calibrate(run: Run, detector: Detector, scores: np.ndarray) -> tuple[float, float]:
    """Calibrate a detector on the validation part of its run, if that is configured.

    Returns
    -------
    slope, shift : float
        What turns the given scores into those of the calibrated detector; 1 and 0 for none.

    Raises
    ------
    InputError
        If there is no such kind of calibration.
    """
    kind, validation = run.cfg.calibration, run.split.validation
    if kind == "none":
        return 1.0, 0.0
    if kind not in ("platt", "temperature"):
        raise InputError(f"calibration={kind}; expected none, platt or temperature")
    is_target = run.epochs.flashes["is_target"][validation].to_numpy(bool)
    temperature_only = kind == "temperature"
    slope, shift = fit_platt(scores[validation], is_target, temperature_only=temperature_only)
    detector.calibration = slope, slope * detector.calibration[1] + shift
    return slope, shift
