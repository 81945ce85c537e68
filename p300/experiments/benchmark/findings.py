"""What one finished cell of a benchmark found: its results, its scores, its text, its speed."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.metrics import brier_score, calibration_error

if TYPE_CHECKING:
    import pandas as pd

    from p300.detector import Detector
    from p300.experiments.benchmark.cells import Cell


@dataclass(frozen=True, eq=False)
class Finding:
    """What one finished cell found on its test part.

    Parameters
    ----------
    cell : Cell
        The run.
    record : dict
        Its row of cells.csv.
    flashes : DataFrame
        Labelled test flashes with their ``score``.
    spelled : DataFrame or None
        Of :func:`p300.spelling.spell`; None where no text can be read.
    """

    cell: Cell
    record: dict[str, Any]
    flashes: pd.DataFrame
    spelled: pd.DataFrame | None


def condition(cell: Cell) -> tuple[str, int | None]:
    """Name what a cell may be pooled within: its task and its number of training characters."""
    given = dict(override.lstrip("+").partition("=")[::2] for override in cell.overrides)
    n_characters = given.get("split.n_characters")
    return cell.task, None if n_characters is None else int(n_characters)


def read_cell(cell: Cell) -> Finding:
    """Read a finished cell: its results, its test scores, the text it read."""
    from p300.detector import Detector
    from p300.experiments.results import read_scores
    from p300.spelling import accuracy_by_repetition, spell, timing

    results = json.loads((cell.folder / "results.json").read_text("utf-8"))
    scores = read_scores(cell.folder)
    test = scores[scores["part"].eq("test") & scores["is_target"].notna()].reset_index(drop=True)
    if not len(test):
        raise InputError(f"{cell.folder}: no labelled test flash, nothing to summarise")
    detector = Detector.load(cell.folder)
    is_target, score = test["is_target"].to_numpy(bool), test["score"].to_numpy()
    n_train = int(scores["part"].eq("train").sum())
    share = float(scores.loc[scores["part"].eq("train"), "is_target"].mean())
    log_odds = score + prior_log_odds(detector, share)
    record = {
        "task": cell.task,
        "protocol": cell.protocol,
        "experiment": cell.experiment,
        "cell": cell.label,
        "subjects": "+".join(test["subject"].unique()),
        "fold": detector.config["split"].get("fold"),
        "n_characters": condition(cell)[1],
        "seed": cell.seed,
        "n_train_flashes": n_train,
        "n_test_flashes": len(test),
        "auc": results["test"]["detection"]["auc"],
        "balanced_accuracy": results["test"]["detection"]["balanced_accuracy"],
        "calibration_error": calibration_error(is_target, log_odds),
        "brier": brier_score(is_target, log_odds),
        "fit_s": results["fit_s"],
        "score_ms": _measured_once(cell.folder, detector),
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


def prior_log_odds(detector: Detector, share: float) -> float:
    """Tell what to add to a detector's scores to make them log odds of a target.

    Detectors reckon with equally frequent classes, unless they were calibrated or trained
    without class weights.

    Parameters
    ----------
    detector : Detector
        With the configuration of its run.
    share : float
        Of targets among the training flashes.
    """
    config = detector.config
    has_weights = detector.is_classical or config["protocol"]["loss"]["balanced"]
    reckons_equal = config.get("calibration", "none") == "none" and has_weights
    return math.log(share / (1 - share)) if reckons_equal else 0.0


def score_time_ms(detector: Detector, n_calls: int = 30) -> float:
    """Measure how long a detector takes to score one preprocessed flash alone, as a live one must.

    Returns
    -------
    float
        Median in milliseconds.
    """
    shape = (1, len(detector.preprocessor.ch_names_), detector.preprocessor.n_times)
    epoch = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    spent = []
    for _ in range(n_calls + 3):  # the first calls warm up
        started = time.perf_counter()
        detector.score_epochs(epoch)
        spent.append(time.perf_counter() - started)
    return 1e3 * float(np.median(spent[3:]))


def _measured_once(folder: Path, detector: Detector) -> float:
    """Keep the time of the first measurement, so that a summary made again is the same."""
    from p300.experiments.results import write_json

    path = folder / "score_time.json"
    if not path.exists():
        write_json(path, {"score_ms": score_time_ms(detector)})
    return json.loads(path.read_text("utf-8"))["score_ms"]
