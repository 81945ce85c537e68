"""The results of one finished cell of a benchmark: its measures, scores, text and speed."""

from __future__ import annotations

import json
import math
import timeit
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.experiments.folder import read_results
from p300.experiments.results import read_scores, write_json
from p300.metrics import brier_score, calibration_error
from p300.spelling import accuracy_by_repetition, spell, timing

if TYPE_CHECKING:
    import pandas as pd

    from p300.detector import Detector
    from p300.experiments.benchmark.cells import Cell


@dataclass(frozen=True, eq=False)
class Finding:
    """The results of one finished cell on its test part.

    Parameters
    ----------
    cell : Cell
        The run.
    record : dict
        Its row in cells.csv.
    flashes : DataFrame
        Labelled test flashes with their ``score``.
    spelled : DataFrame or None
        From :func:`p300.spelling.spell`; None if no text can be read.
    """

    cell: Cell
    record: dict[str, Any]
    flashes: pd.DataFrame
    spelled: pd.DataFrame | None


def condition(cell: Cell) -> tuple[str, int | None]:
    """Return the task of a cell and its number of training characters; only alike ones pool."""
    given = dict(override.lstrip("+").partition("=")[::2] for override in cell.overrides)
    n_characters = given.get("split.n_characters")
    return cell.task, None if n_characters is None else int(n_characters)


def read_cell(cell: Cell) -> Finding:
    """Read the results, the test scores and the text of a finished cell."""
    from p300.detector import Detector

    results = read_results(cell.folder)
    scores = read_scores(cell.folder)
    test = scores[scores["part"].eq("test") & scores["is_target"].notna()].reset_index(drop=True)
    if not len(test):
        raise InputError(f"{cell.folder}: got no labelled test flash; expected some to summarise")
    detector = Detector.load(cell.folder)
    is_target, score = test["is_target"].to_numpy(bool), test["score"].to_numpy()
    train = scores[scores["part"].eq("train")]
    log_odds = score + prior_log_odds(detector, float(train["is_target"].mean()))
    detection = results["test"]["detection"]
    record = {
        "task": cell.task,
        "protocol": cell.protocol,
        "experiment": cell.experiment,
        "cell": cell.label,
        "subjects": "+".join(test["subject"].unique()),
        "fold": detector.config["split"].get("fold"),
        "n_characters": condition(cell)[1],
        "seed": cell.seed,
        "n_train_flashes": len(train),
        "n_test_flashes": len(test),
        "auc": detection["auc"],
        "balanced_accuracy": detection["balanced_accuracy"],
        "calibration_error": calibration_error(is_target, log_odds),
        "brier": brier_score(is_target, log_odds),
        "fit_s": results["fit_s"],
        "score_ms": score_time_ms(cell.folder, detector),
        "n_parameters": results["n_parameters"],
    }
    spelled = None
    if detector.speller is not None and not test["character"].isna().any():
        spelled = spell(score, test, detector.speller)
        repetition_s, pause_s = timing(test, len(detector.speller.codes))
        rows = accuracy_by_repetition(
            spelled, detector.speller, repetition_s=repetition_s, pause_s=pause_s
        )
        for row in rows.to_dict("records"):
            for name in ("accuracy", "bits_per_minute"):
                record[f"{name}_{row['n_repetitions']:02d}"] = row[name]
    return Finding(cell, record, test, spelled)


def prior_log_odds(detector: Detector, target_rate: float) -> float:
    """Compute the number to add to a detector's scores to get log odds of a target.

    Detectors assume equally frequent classes, unless they were calibrated or trained without
    class weights.

    Parameters
    ----------
    detector : Detector
        With the configuration of its run.
    target_rate : float
        Fraction of targets among the training flashes.
    """
    config = detector.config
    has_weights = detector.is_classical or config["protocol"]["loss"].get("balanced", False)
    assumes_equal = config.get("calibration", "none") == "none" and has_weights
    return math.log(target_rate / (1 - target_rate)) if assumes_equal else 0.0


def score_time_ms(folder: Path, detector: Detector) -> float:
    """Measure how long a detector takes to score one preprocessed epoch, as in live spelling.

    It is measured only once and kept in the run folder, so that a repeated summary is the same.

    Returns
    -------
    float
        Median of 30 calls in milliseconds.
    """
    path = folder / "score_time.json"
    if not path.exists():
        shape = (1, len(detector.preprocessor.ch_names_), detector.preprocessor.n_times)
        epoch = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        spent = timeit.repeat(lambda: detector.score_epochs(epoch), number=1, repeat=33)
        write_json(path, {"score_ms": 1e3 * float(np.median(spent[3:]))})  # three warm up
    return json.loads(path.read_text("utf-8"))["score_ms"]
