"""The results of one finished cell of a benchmark: its measures, scores, text and speed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from p300.errors import InputError
from p300.experiments.benchmark.cells import CURVES, Cell
from p300.experiments.finished import knows_nothing
from p300.experiments.fitting.session import read_readings
from p300.experiments.folder import read_results
from p300.experiments.results import SESSION, read_scores
from p300.speller import Speller
from p300.spelling import accuracy_by_repetition, spell, timing

if TYPE_CHECKING:
    import pandas as pd


#: What is added to the name of an experiment for the results of learning while spelling.
LEARNS = " + learning"


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
    has_auc : bool
        Whether its scores are of single flashes.
    """

    cell: Cell
    record: dict[str, Any]
    flashes: pd.DataFrame
    spelled: pd.DataFrame | None
    has_auc: bool = True


def condition(cell: Cell) -> tuple[str, str | None, int | None]:
    """Return the task of a cell and its point on a curve; only cells of one condition pool."""
    given = dict(override.lstrip("+").partition("=")[::2] for override in cell.overrides)
    for key in CURVES:
        if str(given.get(key, "")).isdigit():
            return cell.task, key, int(given[key])
    return cell.task, None, None


def read_cell(cell: Cell) -> list[Finding]:
    """Read the results, the scores and the text of a finished cell.

    Its checkpoint is not read, so that the summary of thousands of runs does not take long.

    Returns
    -------
    list of Finding
        Of the test part, and of a detector that learned while it spelled. One that knows nothing
        as it was trained has the second alone, and no AUC (``nan``): it scores a flash by the
        other flashes of its character, so its AUC is not one of single flashes.
    """
    results = read_results(cell.folder)
    if "score_ms" not in results:
        raise InputError(
            f"{cell.folder}: got results of an earlier version, without score_ms; expected "
            "those of this one; train it again, in another folder"
        )
    scores = read_scores(cell.folder)
    parts = [part for part in ("test", SESSION) if part in results]
    if knows_nothing(results):
        alone = _read_part(SESSION, cell, results, scores)
        alone.record.update(auc=math.nan, balanced_accuracy=math.nan)
        return [replace(alone, has_auc=False)]
    found = [_read_part(part, cell, results, scores) for part in parts]
    if len(found) == 2:
        learns = replace(cell, experiment=f"{cell.experiment}{LEARNS}")
        found[1] = replace(found[1], cell=learns)
        found[1].record["experiment"] = learns.experiment
    return found


def _read_part(part: str, cell: Cell, results: Mapping[str, Any], scores: pd.DataFrame) -> Finding:
    test = scores[scores["part"].eq(part) & scores["is_target"].notna()].reset_index(drop=True)
    if not len(test):
        raise InputError(f"{cell.folder}: got no labelled test flash; expected some to summarise")
    detection = results[part]["detection"]
    probability = results[part].get("probability", {})  # an own loss may not tell
    record = {
        "task": cell.task,
        "protocol": cell.protocol,
        "experiment": cell.experiment,
        "cell": cell.label,
        "subjects": "+".join(test["subject"].unique()),
        "fold": results["fold"],
        "n_characters": condition(cell)[2],
        "seed": cell.seed,
        "n_train_flashes": int(scores["part"].eq("train").sum()),
        "n_test_flashes": len(test),
        "auc": detection["auc"],
        "balanced_accuracy": detection["balanced_accuracy"],
        "calibration_error": probability.get("calibration_error", math.nan),
        "brier": probability.get("brier", math.nan),
        "fit_s": results["fit_s"],
        "score_ms": results["score_ms"],
        "n_parameters": results["n_parameters"],
    }
    spelled = None
    if results["speller"] is not None and not test["character"].isna().any():
        speller = Speller.from_dict(results["speller"])
        if part == SESSION:
            spelled = read_readings(cell.folder)
        else:
            spelled = spell(test["score"].to_numpy(), test, speller)
        seconds = timing(test, speller.n_per_repetition)._asdict()
        rows = accuracy_by_repetition(spelled, speller, **seconds)
        for row in rows.to_dict("records"):
            for name in ("accuracy", "bits_per_minute"):
                record[f"{name}_{row['n_repetitions']:02d}"] = row[name]
    return Finding(cell, record, test, spelled)
