"""Cross-validation of one recording: every flash is tested once, and the scores are pooled."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300 import __version__
from p300.errors import InputError
from p300.experiments.fitting.session import READINGS, read_readings
from p300.experiments.folder import read_results
from p300.experiments.results import SESSION, read_scores, results_table, summarize
from p300.metrics import on_one_scale
from p300.spelling import accuracy_by_repetition
from p300.splits import count_units
from p300.storage.files import write_text
from p300.terminal import show

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig

    from p300.experiments.run import Request
    from p300.recording import Recording
    from p300.speller import Speller

#: Folder of the runs of the folds, in that of the cross-validation.
FOLDS = "folds"


def is_cross_validation(cfg: DictConfig) -> bool:
    """Return whether a configuration asks for all folds of its split: ``split.fold`` is null."""
    return "fold" in cfg.split and cfg.split.fold is None


def count_folds(split: Mapping[str, Any], flashes: pd.DataFrame) -> int:
    """Count the folds of a split: as it states, or else the units of a recording.

    Raises
    ------
    InputError
        If the split does neither state them nor leave out one unit.
    """
    if split.get("n_folds"):
        return int(split["n_folds"])
    if split.get("by") is None:
        raise InputError(
            f"got split.fold=null of {split.get('_target_')}, which has neither n_folds nor by; "
            "expected a number; set split.fold=0"
        )
    return count_units(flashes, split["by"])


def of_fold(request: Request, fold: int) -> Request:
    """Return the request of one fold, in the folder of its own."""
    from omegaconf import open_dict

    cfg = request.cfg.copy()
    with open_dict(cfg):
        cfg.split.fold = fold
        if cfg.logger.get("wandb") is not None:
            grouped = {"group": request.folder.name, "job_type": "fold"}
            cfg.logger.wandb = grouped | dict(cfg.logger.wandb)  # configured wins
    return replace(request, cfg=cfg, folder=request.folder / FOLDS / str(fold))


def pool(
    cfg: DictConfig,
    config: Mapping[str, Any],
    folder: Path,
    recording: Recording,
    folds: Sequence[Path],
) -> dict[str, Any]:
    """Pool the test scores of all folds; write ``scores.csv``, show and return the results.

    Scores of different detectors have different scales, so :func:`p300.metrics.on_one_scale`
    brings those of all folds to one.

    Raises
    ------
    InputError
        If a flash is tested by two folds, or by none.
    """
    import pandas as pd

    found = [read_results(fold) for fold in folds]
    flashes = recording.flashes
    names = ["test", SESSION] if all(SESSION in one for one in found) else ["test"]
    scores = {name: np.full(len(flashes), np.nan) for name in names}
    tested = np.full(len(flashes), -1)
    for k, path in enumerate(folds):
        table = read_scores(path)
        part = table["part"].to_numpy()
        rows = np.flatnonzero(part[part != SESSION] == "test")
        if (part != SESSION).sum() != len(flashes) or (tested[rows] >= 0).any():
            raise InputError(f"fold {k}: a flash is tested twice; expected once by all folds")
        tested[rows] = k
        for name in names:
            scores[name][rows] = table["score"][part == name]
    reserved = cfg.split.get("n_reserved")
    if (n_left := int((tested < 0).sum())) and not reserved:
        raise InputError(
            f"{n_left} of {len(flashes)} flashes are tested by no fold; expected each by one"
        )
    some = tested >= 0
    flashes, tested = flashes[some], tested[some]
    tables, parts = [], {}
    for name in names:
        pooled = on_one_scale(scores[name][some], tested)
        tables.append(flashes.assign(part=name, score=pooled, fold=tested))
        parts[name] = summarize(pooled, flashes, recording.speller)
    write_text(folder / "scores.csv", pd.concat(tables).to_csv(index=False))
    if SESSION in parts:
        sessions = [one[SESSION] for one in found]
        assert recording.speller is not None
        readings = pd.concat([read_readings(fold) for fold in folds])
        write_text(folder / READINGS, readings.to_csv(index=False))
        parts[SESSION] = pooled_session(parts[SESSION], readings, sessions, recording.speller)
    by = re.search(r"by \w+", found[0]["split"])  # as it was divided in fact
    split = f"{len(folds)} folds{f' {by[0]}' if by else ''}, each tested once"
    if tables[0]["score"].nunique() > 1:
        show(results_table(parts["test"], f"{recording.name}, {split}"))
    if SESSION in parts:
        show(results_table(parts[SESSION], f"{recording.name}, {split}, learning while spelling"))
    first = found[0]
    return {
        "version": __version__,
        "choices": config["choices"],
        "name": cfg.name,
        "seed": cfg.seed,
        "split": split,
        "fold": None,
        **{key: first[key] for key in ("ch_names", "n_parameters", "speller", "score_ms")},
        **{key: sum(one[key] for one in found) for key in ("preprocess_s", "fit_s")},
        "members": first["members"],
        **validation_of(found),
        **parts,
        "folds": [of_results(one, f"{FOLDS}/{k}") for k, one in enumerate(found)],
    }


def pooled_session(
    whole: dict[str, Any],
    readings: pd.DataFrame,
    found: Sequence[Mapping[str, Any]],
    speller: Speller,
) -> dict[str, Any]:
    """Pool the parts ``session`` of all folds.

    After n repetitions a character was read by a detector that had learned from n repetitions
    only. So what was read is taken from the folds, and not read again from pooled scores.

    Parameters
    ----------
    whole : dict
        The summary of all pooled scores.
    readings : DataFrame
        What was read by all folds, as of :func:`~p300.spelling.spell`.
    found : sequence of mapping
        The part of each fold.
    speller : Speller
        The screen.
    """
    seconds = {name: whole[name] for name in ("repetition_s", "pause_s")}
    spelling = accuracy_by_repetition(readings, speller, **seconds).to_dict("records")
    again = [one["retrospective"] for one in found]
    counts = {k: sum(one[k] for one in again) for k in ("n_right", "n_characters")}
    text = "".join(one["text"] for one in again)
    stopped, doubted = (
        {who: what for one in found for who, what in one[name].items()}
        for name in ("stopped", "doubted")
    )
    return whole | {
        "spelling": spelling,
        "retrospective": {"text": text, **counts},
        "stopped": stopped,
        "doubted": doubted,
    }


def validation_of(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the validation results, mean over folds, if every fold has some.

    A measure that is undefined in a fold, such as the precision of no positive, is undefined.
    """
    parts = [one.get("validation", {}) for one in found]
    if not all("detection" in part for part in parts):
        return {}
    measures = parts[0]["detection"]
    values = {m: np.array([part["detection"][m] for part in parts], float) for m in measures}
    mean = {m: float(found.mean()) for m, found in values.items()}
    n_flashes = sum(part["n_flashes"] for part in parts)
    return {"validation": {"n_flashes": n_flashes, "detection": mean}}


def of_results(results: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """Return what is kept of the results of a fold."""
    test = results["test"]
    kept = {"folder": folder, "split": results["split"], "n_flashes": test["n_flashes"]}
    if "detection" in test:
        kept["auc"] = test["detection"]["auc"]
    if "spelling" in test:
        kept |= {key: test["spelling"][-1][key] for key in ("n_right", "n_characters", "text")}
    return kept
