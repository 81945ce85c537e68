"""``p300 compare``: finished runs side by side, mean and standard deviation over seeds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from p300.errors import InputError

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
    import pandas as pd

    rows = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; expected run folders of `p300 train`")
        for path in sorted(folder.rglob("results.json")):
            results = json.loads(path.read_text("utf-8"))
            if "choices" not in results:
                continue  # written by another command
            test = results.get("test", {})
            rows.append(
                {
                    "folder": str(path.parent),
                    **results["choices"],
                    **{k: results[k] for k in ("seed", "n_parameters", "fit_s")},
                    "subjects": "+".join(test.get("by_subject", {})),
                    **{k: test.get("detection", {}).get(k) for k in MEASURES},
                    **{
                        f"accuracy_{r['n_repetitions']:02d}": r["accuracy"]
                        for r in test.get("spelling", [])
                    },
                }
            )
    if not rows:
        raise InputError(
            f"got no finished run below {', '.join(map(str, folders))}; expected run folders of "
            "`p300 train`"
        )
    return pd.DataFrame(rows)


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
    import pandas as pd
    import wandb

    rows = []
    for run in wandb.Api().runs(project):
        summary = dict(run.summary)
        if run.state != "finished" or "choices" not in run.config or "fit_s" not in summary:
            continue
        test = {k.removeprefix("test/"): v for k, v in summary.items() if k.startswith("test/")}
        rows.append(
            {
                "folder": run.name,
                **run.config["choices"],
                "seed": run.config["seed"],
                **{k: summary[k] for k in ("n_parameters", "fit_s")},
                **{k: test.get(k) for k in MEASURES},
                **{k: test[k] for k in sorted(test) if re.fullmatch("accuracy_[0-9]+", k)},
            }
        )
    if not rows:
        raise InputError(
            f"got no finished run in the W&B project {project}; expected runs of `p300 train`"
        )
    return pd.DataFrame(rows)


def comparison_table(
    runs: pd.DataFrame, by: Sequence[str] = ("data", "experiment", "protocol")
) -> str:
    """Write mean ± standard deviation over the runs of each kind as a Markdown table.

    Parameters
    ----------
    runs : DataFrame
        From :func:`collect_runs`.
    by : sequence of str
        Columns; each combination of their values is one row of the table.

    Returns
    -------
    str
        Rows sorted by mean AUC within a data set, best first. Accuracies are percentages of
        characters. The standard deviation is over the runs (seeds), not over people.
    """
    shown = [n for n in REPETITIONS if f"accuracy_{n:02d}" in runs]
    head = [*by, "runs", "AUC", *(f"{n} rep. (%)" for n in shown), "parameters", "fit (s)"]
    lines = []
    for key, part in runs.groupby(list(by), sort=False, dropna=False):
        cells = [*map(str, key), str(len(part)), _mean_sd(part["auc"], "{:.3f}")]
        cells += [_mean_sd(100 * part[f"accuracy_{n:02d}"], "{:.0f}") for n in shown]
        cells += [f"{part['n_parameters'].iloc[0]:,}", f"{part['fit_s'].median():.1f}"]
        lines.append((str(key[0]), -part["auc"].mean(), cells))
    rows = [cells for _, _, cells in sorted(lines, key=lambda line: line[:2])]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def _mean_sd(values: pd.Series, form: str) -> str:
    if values.isna().all():
        return "–"
    mean = form.format(values.mean())
    return mean if len(values) == 1 else f"{mean} ± {form.format(values.std())}"
