"""Collect finished runs, from run folders or from W&B, into one table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.errors import InputError
from p300.experiments.compare.kinds import FinishedRun, table_of_runs
from p300.experiments.finished import knows_nothing
from p300.experiments.folder import read_results
from p300.experiments.folds import FOLDS
from p300.experiments.results import SESSION, read_scores
from p300.splits.units import UNITS, count_units

if TYPE_CHECKING:
    import pandas as pd

#: How the name of a split says which unit was on one side as a whole.
UNIT = f"({'|'.join((*UNITS, 'block'))})"
DIVIDED = re.compile(rf"by {UNIT}\b|of the {UNIT}s held out|^test .*?{UNIT} [^ ,:]+(?:[,:]|$)")

#: Measures of single flashes that a table of runs holds.
MEASURES = ("auc", "balanced_accuracy", "recall", "precision")


def collect_runs(folders: Iterable[str | Path]) -> pd.DataFrame:
    """Collect every finished training run below some folders into one table.

    Parameters
    ----------
    folders : iterable of path
        Searched through all their subfolders; a run is finished when it has ``results.json``.

    Returns
    -------
    DataFrame
        One row per run: ``folder``, ``name``, ``kind`` (runs of one kind differ in seed, person
        and fold at most), the choice of every configuration group (``data``, ``experiment``,
        ``protocol`` …), a column for every other value that differs between runs, ``seed``,
        ``fold`` and ``n_folds`` of a cross-validation, ``n_parameters``, ``fit_s`` and, of the
        test part, ``subjects`` (joined by "+"), ``auc, balanced_accuracy, recall, precision``,
        ``auc_subject_S`` if several people are tested, and ``accuracy_NN`` after NN repetitions.

    Raises
    ------
    InputError
        If a folder does not exist, or no folder holds a finished run.
    """
    runs: dict[Path, FinishedRun] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; expected run folders of `p300 train`")
        for path in sorted(folder.rglob("results.json")):
            run = path.parent
            if FOLDS in run.relative_to(folder).parts:
                continue  # a part of a cross-validation, which counts as one run
            if run.resolve() in runs:
                continue  # below two of the folders
            results = read_results(run)
            if "choices" in results:  # written by `p300 train`
                runs[run.resolve()] = _of_folder(run, results)
    return _table(list(runs.values()), f"below {', '.join(map(str, folders))}")


def collect_wandb_runs(project: str) -> pd.DataFrame:
    """Collect the finished runs of a W&B project into the table of :func:`collect_runs`.

    Parameters
    ----------
    project : str
        ``"entity/project"`` on the server that wandb is logged in to.

    Returns
    -------
    DataFrame
        One row per run; ``folder`` is its name in W&B. ``subjects`` is the configured subject,
        since W&B's summary does not hold the people who were tested.

    Raises
    ------
    InputError
        If the project holds no finished training run.
    """
    import wandb

    runs = []
    for run in wandb.Api().runs(project):
        summary, config = dict(run.summary), dict(run.config)
        if run.state != "finished" or "choices" not in config or "fit_s" not in summary:
            continue
        test = {k.removeprefix("test/"): v for k, v in summary.items() if k.startswith("test/")}
        numbers = {k: summary.get(k) for k in ("n_parameters", "fit_s")}
        numbers |= {k: test.get(k) for k in MEASURES}
        numbers |= {k: test[k] for k in sorted(test) if re.fullmatch("accuracy_[0-9]+", k)}
        seed = config.get("seed")
        runs.append(FinishedRun(run.name, config["choices"], config, seed, numbers))
    return _table(runs, f"in the W&B project {project}")


def _of_folder(folder: Path, results: Mapping[str, Any]) -> FinishedRun:
    test = results.get(SESSION if knows_nothing(results) else "test", {})
    by_subject = test.get("by_subject", {})
    numbers = {k: results.get(k) for k in ("n_parameters", "fit_s")}
    alone = knows_nothing(results)  # its AUC is not of single flashes
    numbers |= {k: None if alone else test.get("detection", {}).get(k) for k in MEASURES}
    numbers |= {
        f"accuracy_{row['n_repetitions']:02d}": row["accuracy"] for row in test.get("spelling", [])
    }
    if len(by_subject) > 1:
        numbers |= {f"auc_subject_{s}": found["auc"] for s, found in by_subject.items()}
    if SESSION in results and not knows_nothing(results):
        numbers["auc_learning"] = results[SESSION].get("detection", {}).get("auc")
    config = _yaml(folder / "config.yaml") or {}
    split = config.get("split", {})
    name = str(results.get("folds", [results])[0].get("split"))
    if split.get("by") and (divided := DIVIDED.search(name)):
        split["by"] = divided[divided.lastindex or 0]  # in an oddball not as configured
    typed = _yaml(folder / ".hydra" / "overrides.yaml") or []
    run = FinishedRun(
        str(folder), results["choices"], config, results.get("seed"), numbers, [*by_subject], typed
    )
    if run.fold is not None and run.n_folds is None:
        run.n_folds = _count_folds(folder, split)
    return run


def _yaml(path: Path) -> Any:
    from omegaconf import OmegaConf

    return OmegaConf.to_container(OmegaConf.load(path)) if path.exists() else None


def _count_folds(folder: Path, split: Mapping[str, Any]) -> int | None:
    """Count the units of a recording, each of which is a fold; None if they are not known."""
    if split.get("by") not in (*UNITS, "block") or not (folder / "scores.csv").exists():
        return None
    return count_units(read_scores(folder), split["by"])


def _table(runs: list[FinishedRun], where: str) -> pd.DataFrame:
    if not runs:
        raise InputError(f"got no finished run {where}; expected runs of `p300 train`")
    return table_of_runs(runs)
