"""``p300 compare``: finished runs side by side, mean and standard deviation over seeds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.errors import InputError
from p300.experiments.folder import read_results

if TYPE_CHECKING:
    import pandas as pd


#: Numbers of repetitions shown, where they were measured.
REPETITIONS = (1, 3, 5, 10, 15)

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
        One row per run: ``folder``, the choice of every configuration group (``data``,
        ``experiment``, ``protocol`` …), ``seed``, ``n_parameters``, ``fit_s`` and, of the test
        part, ``subjects`` (joined by "+"), ``auc, balanced_accuracy, recall, precision`` and
        ``accuracy_NN`` after NN repetitions.

    Raises
    ------
    InputError
        If a folder does not exist, or no folder holds a finished run.
    """
    rows = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; expected run folders of `p300 train`")
        for path in sorted(folder.rglob("results.json")):
            results = read_results(path.parent)
            if "choices" not in results:
                continue  # written by another command
            test = results.get("test", {})
            spelling = test.get("spelling", [])
            row = {"folder": str(path.parent), **results["choices"]}
            row |= {k: results[k] for k in ("seed", "n_parameters", "fit_s")}
            row["subjects"] = "+".join(test.get("by_subject", {}))
            row |= {k: test.get("detection", {}).get(k) for k in MEASURES}
            row |= {f"accuracy_{r['n_repetitions']:02d}": r["accuracy"] for r in spelling}
            rows.append(row)
    return _table_of_runs(rows, f"below {', '.join(map(str, folders))}")


def collect_wandb_runs(project: str) -> pd.DataFrame:
    """Collect the finished runs of a W&B project into the table of :func:`collect_runs`.

    Parameters
    ----------
    project : str
        ``"entity/project"`` on the server that wandb is logged in to.

    Returns
    -------
    DataFrame
        One row per run; ``folder`` is its name in W&B. There is no column ``subjects``, which
        W&B's summary does not hold.

    Raises
    ------
    InputError
        If the project holds no finished training run.
    """
    import wandb

    rows = []
    for run in wandb.Api().runs(project):
        summary = dict(run.summary)
        if run.state != "finished" or "choices" not in run.config or "fit_s" not in summary:
            continue
        test = {k.removeprefix("test/"): v for k, v in summary.items() if k.startswith("test/")}
        row = {"folder": run.name, **run.config["choices"], "seed": run.config["seed"]}
        row |= {k: summary[k] for k in ("n_parameters", "fit_s")}
        row |= {k: test.get(k) for k in MEASURES}
        row |= {k: test[k] for k in sorted(test) if re.fullmatch("accuracy_[0-9]+", k)}
        rows.append(row)
    return _table_of_runs(rows, f"in the W&B project {project}")


def _table_of_runs(rows: list[dict[str, Any]], where: str) -> pd.DataFrame:
    import pandas as pd

    if not rows:
        raise InputError(f"got no finished run {where}; expected runs of `p300 train`")
    return pd.DataFrame(rows)


def comparison_table(runs: pd.DataFrame) -> str:
    """Write mean ± standard deviation over the runs of each kind as a Markdown table.

    Parameters
    ----------
    runs : DataFrame
        From :func:`collect_runs`.

    Returns
    -------
    str
        A row for each data set, experiment and protocol, sorted by mean AUC within a data set,
        best first. Accuracies are percentages of characters. The standard deviation is over the
        runs (seeds), not over people.
    """
    by = ["data", "experiment", "protocol"]
    shown = [n for n in REPETITIONS if f"accuracy_{n:02d}" in runs]
    head = [*by, "runs", "AUC", *(f"{n} rep. (%)" for n in shown), "parameters", "fit (s)"]
    rows = []
    kinds = runs.groupby(by, sort=False, dropna=False)
    for key, part in sorted(kinds, key=lambda kind: (str(kind[0][0]), -kind[1]["auc"].mean())):
        cells = [*map(str, key), str(len(part)), _mean_sd(part["auc"], "{:.3f}")]
        cells += [_mean_sd(100 * part[f"accuracy_{n:02d}"], "{:.0f}") for n in shown]
        cells += [f"{part['n_parameters'].iloc[0]:,}", f"{part['fit_s'].median():.1f}"]
        rows.append(cells)
    return markdown_table(head, rows)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table as Markdown.

    Examples
    --------
    >>> print(markdown_table(["n", "text"], [[1, "P"], [2, "P3"]]))
    | n | text |
    | --- | --- |
    | 1 | P |
    | 2 | P3 |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _mean_sd(values: pd.Series, form: str) -> str:
    if values.isna().all():
        return "–"
    mean = form.format(values.mean())
    return mean if len(values) == 1 else f"{mean} ± {form.format(values.std())}"
