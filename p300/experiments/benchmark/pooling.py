"""Scores of the cells of a task, pooled per subject."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from p300 import metrics
from p300.errors import InputError
from p300.experiments.benchmark.findings import Finding

if TYPE_CHECKING:
    import pandas as pd

#: The rows of each subject among pooled flashes, and the unit of each of these flashes.
Units = dict[str, tuple[np.ndarray, np.ndarray]]

#: Columns that identify one flash in every cell of a task.
FLASH_KEY = ["subject", "session", "run", "segment", "onset"]


def complete_seeds(
    findings: Sequence[Finding], labels: Sequence[str]
) -> dict[str, list[list[Finding]]]:
    """Group by experiment, then by seed; within a seed the cells in the order of the labels."""
    grouped: dict[tuple[str, int], dict[str, Finding]] = {}
    for finding in findings:
        cell = finding.cell
        grouped.setdefault((cell.experiment, cell.seed), {})[cell.label] = finding
    complete: dict[str, list[list[Finding]]] = {}
    for (experiment, _), cells in grouped.items():
        if set(labels) == set(cells):
            complete.setdefault(experiment, []).append([cells[label] for label in labels])
    return complete


def pooled_flashes(seeds: Sequence[Sequence[Finding]]) -> tuple[pd.DataFrame, Units]:
    """Return the pooled flashes, and the rows of each subject with the unit of each flash."""
    import pandas as pd

    flashes = pd.concat([f.flashes for f in seeds[0]], ignore_index=True)
    twice = int(flashes.duplicated(FLASH_KEY).sum())
    if twice:
        raise InputError(
            f"task {seeds[0][0].cell.task}: {twice} of {len(flashes)} flashes are tested in two "
            f"cells; expected sweeps over subjects, folds or split.n_characters only"
        )
    by_subject = {s: flashes.index[flashes["subject"] == s] for s in flashes["subject"].unique()}
    resampling = metrics.resampling_units
    return flashes, {s: (rows, resampling(flashes.loc[rows])) for s, rows in by_subject.items()}


def unit_sizes(units: Units) -> list[int]:
    """Count the characters or blocks of each subject, which intervals are over."""
    return [int(unit.max()) + 1 for _, unit in units.values()]


def pooled_counts(
    seeds: Sequence[Sequence[Finding]], flashes: pd.DataFrame, units: Units
) -> tuple[list[metrics.Counts], np.ndarray]:
    """Count for each subject what its AUC is computed of, mean over seeds; and each seed's AUCs.

    Returns
    -------
    counts : list of Counts
        Of each subject.
    aucs : ndarray, shape (n_seeds, n_subjects)
    """
    tables = [_pooled(cells, flashes) for cells in seeds]
    means, aucs = [], np.empty((len(tables), len(units)))
    for k, (here, unit_of) in enumerate(units.values()):
        counts = [
            metrics.auc_counts(t["is_target"].to_numpy(bool), t["score"].to_numpy(), unit_of)
            for t in (table.iloc[here] for table in tables)
        ]
        once = np.ones((1, int(unit_of.max()) + 1))
        aucs[:, k] = [metrics.weighted_auc(*c, once)[0] for c in counts]
        wins = np.mean([c[0] for c in counts], axis=0)  # the AUC is linear in them
        means.append((wins, *counts[0][1:]))
    return means, aucs


def _pooled(cells: Sequence[Finding], expected: pd.DataFrame) -> pd.DataFrame:
    """Concatenate the test flashes of all folds, with scores on one scale."""
    import pandas as pd

    table = pd.concat([finding.flashes for finding in cells], ignore_index=True)
    detector = np.repeat(np.arange(len(cells)), [len(finding.flashes) for finding in cells])
    table["score"] = metrics.on_one_scale(table["score"], detector)
    if not table[FLASH_KEY].equals(expected[FLASH_KEY]):
        cell = cells[0].cell
        raise InputError(
            f"task {cell.task}: {cell.experiment} with seed {cell.seed} was tested on other "
            f"flashes than the first experiment; expected the same test part; set split.seed"
        )
    return table


def auc_difference(
    counts: list[metrics.Counts], rival: list[metrics.Counts], weights: np.ndarray
) -> np.ndarray:
    """Compute how far the mean AUC of a detector lies above another's, for weights of units."""
    return metrics.mean_auc(counts, weights) - metrics.mean_auc(rival, weights)
