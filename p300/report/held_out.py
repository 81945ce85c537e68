"""The AUC by which a sweep may choose: of flashes that neither trained a detector nor test it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.experiments.folder import read_results
from p300.metrics import roc_auc
from p300.report.repeat import read_yaml
from p300.spelling.thresholds import read_held_out

if TYPE_CHECKING:
    import pandas as pd

#: Columns that identify one flash of a recording.
FLASH = ["subject", "session", "run", "segment", "onset"]

#: Where a detector's held-out scores come from.
VALIDATION, LEFT_OUT = "validation part", "left-out folds"
FOLDS = "on training flashes that were left out in turn"


def add_held_out(runs: pd.DataFrame) -> pd.DataFrame:
    """Add the AUC of held-out flashes to a table of runs; the test part is never looked at.

    A detector with a validation part is measured there. Another one, such as LDA, is measured on
    the training flashes that it left out in turn (``held_out.csv``). Where the runs of one
    recording, split and seed share held-out flashes, all are measured on these alone, so that
    the numbers can be compared.

    Parameters
    ----------
    runs : DataFrame
        From :func:`p300.experiments.compare.collect_runs`.

    Returns
    -------
    DataFrame
        With ``held_out_auc`` (mean over subjects; ``nan`` where no score was held out),
        ``held_out_on`` ("validation part" or "left-out folds"; "" where none) and ``n_held_out``,
        the number of flashes.
    """
    columns: dict[str, dict[Any, Any]] = {"held_out_auc": {}, "held_out_on": {}, "n_held_out": {}}
    splits = [
        str(read_yaml(Path(folder) / "config.yaml").get("split")) for folder in runs["folder"]
    ]
    by = [runs[c] for c in ("data", "subjects", "seed") if c in runs]
    for _, group in runs.groupby([*by, splits], sort=False, dropna=False):
        tables = {index: _labelled(Path(folder)) for index, folder in group["folder"].items()}
        known = {index: table for index, table in tables.items() if table is not None}
        shared = _shared(list(known.values()))
        for index, folder in group["folder"].items():
            table = known.get(index)
            if table is not None and shared is not None:
                table = table[table.index.isin(shared)]
            columns["held_out_auc"][index] = _mean_auc(table)
            is_validation = "validation" in read_results(Path(folder))
            source = VALIDATION if is_validation else LEFT_OUT
            columns["held_out_on"][index] = "" if table is None else source
            columns["n_held_out"][index] = 0 if table is None else len(table)
    return runs.assign(**{name: runs.index.map(values) for name, values in columns.items()})


def best_by_held_out(runs: pd.DataFrame) -> dict[str, str]:
    """Find, for each recording, the configuration with the largest mean held-out AUC."""
    known = runs[runs["held_out_auc"].notna()]
    return {
        str(data): part.groupby("configuration")["held_out_auc"].mean().idxmax()
        for data, part in known.groupby("data", sort=False)
    }


def what_was_held_out(runs: pd.DataFrame) -> str:
    """Return sentences on what held-out scores choose, what they were measured on, and limits."""
    best = best_by_held_out(runs)
    if not best:
        text = "No run has held-out scores, so nothing can be chosen here. "
    else:
        chosen = "; ".join(f"{name} for {data}" for data, name in best.items())
        text = f"Held-out AUC alone chooses {chosen}. "
        for source, what in ((VALIDATION, "on their validation part"), (LEFT_OUT, FOLDS)):
            names = runs.loc[runs["held_out_on"] == source, "configuration"].unique()
            if len(names):
                text += f"Measured {what}: {'; '.join(names)}. "
        if (runs["held_out_on"] == VALIDATION).any():
            text += (
                "A network also chose its best epoch by its validation part, so that its held-out "
                "AUC is a little too large. "
            )
        none = runs.loc[runs["held_out_auc"].isna(), "configuration"].unique()
        if len(none):
            text += f"These have no held-out scores and cannot be chosen: {'; '.join(none)}. "
    return text + (
        "Do not choose by the test results; a choice by them needs another test part. "
        "Differences of AUC below 0.01 are ties."
    )


def _labelled(folder: Path) -> pd.DataFrame | None:
    """Read the labelled held-out flashes of a run, indexed by flash; None if there are none."""
    if not (folder / "held_out.csv").exists():
        return None
    table = read_held_out(folder)
    table = table[table["is_target"].notna()]
    return table.set_index(FLASH, drop=False) if len(table) else None


def _shared(tables: list[pd.DataFrame]) -> pd.Index | None:
    """Find the flashes that all tables hold; None if they are not of both classes."""
    if len(tables) < 2:
        return None
    shared = tables[0].index
    for table in tables[1:]:
        shared = shared.intersection(table.index)
    truth = tables[0].loc[tables[0].index.isin(shared), "is_target"].to_numpy(bool)
    return shared if truth.any() and not truth.all() else None


def _mean_auc(table: pd.DataFrame | None) -> float:
    if table is None:
        return np.nan
    people = table.groupby(table["subject"].to_numpy(), sort=False)
    aucs = [roc_auc(own["is_target"].to_numpy(bool), own["score"]) for _, own in people]
    return float(np.mean(aucs))
