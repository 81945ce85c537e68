"""Fitting one configured detector: preprocessing, members, calibration, checkpoint, scores."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.fitting_networks import fit_network, is_network, member_arguments, select_electrodes
from p300.folds import inner_folds, member_rows, unit_of
from p300.progress import Step, step
from p300.results import report_parts
from p300.splits import Split

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig

    from p300.alignment import EuclideanAlignment
    from p300.checkpoint import Member
    from p300.preprocessing import Epochs, Preprocessor
    from p300.recording import Recording
    from p300.stacking import Stack

log = logging.getLogger("p300.fitting")


def fit_and_score(
    cfg: DictConfig, config: dict, recording: Recording, split: Split, folder: Path, tracker
) -> dict[str, Any]:
    """Preprocess, fit every member, write checkpoint and scores; return what was found."""
    from hydra.utils import instantiate

    from p300.checkpoint import TrainedDetector

    started = time.perf_counter()
    preprocessor = instantiate(cfg.preprocessing, _convert_="all")
    alignment = instantiate(cfg.alignment.method, _convert_="all")
    with step("preprocessing: fit"):
        preprocessor.fit(recording, rows=split.train)
    epochs = make_epochs(cfg, preprocessor, alignment, recording)
    if cfg.select_electrodes.n is not None:
        best = select_electrodes(cfg, epochs, split, folder)
        preprocessor = preprocessor.set_params(channels=best).fit(recording, rows=split.train)
        epochs = make_epochs(cfg, preprocessor, alignment, recording)
    preprocessed = time.perf_counter()
    log.info("preprocessed to %s in %.1f s", epochs.data.shape, preprocessed - started)

    shares = member_rows(
        epochs.flashes,
        split.train,
        n_members=cfg.ensemble.n_members,
        share=cfg.ensemble.share,
        seed=cfg.seed,
    )
    members, offset, training = fit_all(cfg, epochs, shares, split.validation, folder, tracker)
    log.info("fitted %d member(s) in %.1f s", len(members), time.perf_counter() - preprocessed)
    detector = TrainedDetector(
        members, preprocessor, recording.speller, config, (1.0, offset), alignment
    )
    scores = detector.score_epochs(epochs.data)
    if cfg.calibration != "none":
        slope, shift = calibrated(cfg.calibration, scores, epochs, split.validation)
        detector.calibration = slope, slope * offset + shift
        scores = slope * scores + shift
    detector.save(folder / "checkpoint.pt")
    results = {
        "choices": config["choices"],
        "seed": cfg.seed,
        "split": str(split),
        "ch_names": list(epochs.ch_names),
        "n_parameters": detector.n_parameters,
        "preprocess_s": preprocessed - started,
        "fit_s": time.perf_counter() - preprocessed,
        "members": training,
    }
    return results | report_parts(scores, epochs, split, folder)


def make_epochs(
    cfg: DictConfig,
    preprocessor: Preprocessor,
    alignment: EuclideanAlignment | None,
    recording: Recording,
) -> Epochs:
    """Cut all epochs, or take them from the configured cache, and align them."""
    from p300.alignment import aligned
    from p300.preprocessing import EpochsCache

    with step("preprocessing", len(recording.flashes), "flashes") as cut:
        on_cut = cut.advance if cut.has_bar else None
        if cfg.cache.folder is None:
            epochs = preprocessor.epochs(recording, on_cut=on_cut)
        else:
            cache = EpochsCache(cfg.cache.folder, max_bytes=cfg.cache.max_gb * 1e9)
            epochs = cache.epochs(preprocessor, recording, on_cut=on_cut)
        return aligned(epochs, alignment)


def fit_all(
    cfg: DictConfig,
    epochs: Epochs,
    shares: list[np.ndarray],
    validation_rows: np.ndarray,
    folder: Path,
    tracker,
) -> tuple[list[Member], float, list[dict[str, Any]]]:
    """Fit the configured model to each share of the training flashes; their scores are averaged.

    Returns
    -------
    members : list of Member
        With their weights.
    offset : float
        To be added to the weighted sum of their scores.
    records : list of dict
        What is to be told of each member.
    """
    from hydra.utils import instantiate

    from p300.checkpoint import import_class
    from p300.stacking import Stack

    numbers = itertools.count(1)  # of the networks of this run
    is_stack = import_class(cfg.model["_target_"]) is Stack
    stack = instantiate(cfg.model, _convert_="all") if is_stack else None
    n_fits = len(shares) if stack is None else count_fits(stack, epochs, shares)

    def fit_one(model, train_rows, validation_rows):
        if is_network(model):
            rows = train_rows, validation_rows
            fitted = fit_network(cfg, model, epochs, *rows, next(numbers), folder, tracker)
            done.advance()
        else:
            fitted = fit_classical(model, epochs, train_rows), {}
            (done.skip if is_stack else done.advance)()  # far quicker than the networks beside it
        return fitted

    with step("members", n_fits, "fitted") if n_fits > 1 else nullcontext(Step()) as done:
        if stack is not None:
            parts = [stack.fit(epochs, rows, fit_one) for rows in shares]
        else:
            fitted = [fit_one(cfg.model, rows, validation_rows) for rows in shares]
            parts = [([member], 0.0, [record]) for member, record in fitted]
    members, offsets, records = zip(*parts, strict=True)
    members, records = [m for p in members for m in p], [r for p in records for r in p]
    for member, record in zip(members, records, strict=True):
        member.weight /= len(shares)
        record["weight"] = member.weight
    return members, float(np.mean(offsets)), records


def count_fits(stack: Stack, epochs: Epochs, shares: list[np.ndarray]) -> int:
    """Count how many detectors a stack fits to each share: every kind once a left-out fold.

    A classical one is fitted once more to everything.
    """
    n_again = sum(not is_network(model) for model in stack.members.values())
    n_folds = [inner_folds(epochs.flashes, rows, stack.n_folds).max() + 1 for rows in shares]
    return sum(int(n) * len(stack.members) + n_again for n in n_folds)


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
    is_target = epochs.flashes["is_target"][rows].to_numpy(bool)
    with step(type(detector).__name__):
        detector.fit(epochs.data[rows], is_target, **whole)
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
