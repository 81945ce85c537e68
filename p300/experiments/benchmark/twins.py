"""Experiments beside their twins: others that differ from them in one thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from p300 import metrics
from p300.errors import InputError
from p300.experiments.benchmark.cells import CURVES
from p300.experiments.benchmark.findings import Finding, condition
from p300.experiments.benchmark.pooling import (
    auc_difference,
    complete_seeds,
    pooled_counts,
    pooled_flashes,
    unit_sizes,
)
from p300.experiments.benchmark.tables import interval_text
from p300.experiments.compare import markdown_table
from p300.experiments.configuration import known_files

if TYPE_CHECKING:
    import pandas as pd

#: What is known of the cells of one condition: the findings, and the labels expected.
Known = tuple[Sequence[Finding], Sequence[str]]

HEADING = (
    "Each row minus its twin, which differs from it in one thing: AUC on the same flashes, mean "
    "over people and the seeds that both have, with intervals (95 %) over characters or blocks. "
    "An interval that holds 0, and any difference under 0.01, is a tie. Other people, and with "
    "one seed another training, may differ by more than an interval says. Seconds are for fitting."
)


def compare_twins(
    conditions: Mapping[Any, Known], twins: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """Compute the paired difference in AUC of experiments and their twins.

    Parameters
    ----------
    conditions : mapping
        What is known of each :func:`~p300.experiments.benchmark.findings.condition`.
    twins : mapping of str to sequence of str
        Experiment to its twins.

    Returns
    -------
    DataFrame
        One row per condition and pair: ``task``, ``n_characters``, ``experiment``, ``twin``,
        ``auc``, ``twin_auc``, ``difference`` with ``difference_low`` and ``difference_high``,
        ``n_seeds``, and ``fit_s`` and ``n_parameters`` of both.
    """
    import pandas as pd

    rows = []
    for findings, labels in conditions.values():
        complete = complete_seeds(findings, labels)
        pairs = [(one, twin) for one, given in twins.items() for twin in given]
        for one, twin in pairs:
            if one in complete and twin in complete:
                rows.append(compare_pair(one, twin, complete))
    return pd.DataFrame(rows)


def compare_pair(
    experiment: str, twin: str, complete: Mapping[str, Sequence[Sequence[Finding]]]
) -> dict[str, Any]:
    """Compare two experiments on the seeds that both have; see :func:`compare_twins`."""
    both = {e: {s[0].cell.seed: s for s in complete[e]} for e in (experiment, twin)}
    shared = [seed for seed in both[experiment] if seed in both[twin]]
    flashes, units = pooled_flashes(complete[experiment])
    sizes, unit = unit_sizes(units), metrics.unit_name(flashes)
    counts: list[Any] = []
    aucs, about = [], []
    for name in (experiment, twin):
        seeds = [both[name][seed] for seed in shared]
        found, auc = pooled_counts(seeds, flashes, units)
        counts.append(found)
        aucs.append(float(auc.mean()))
        records = [f.record for cells in seeds for f in cells]
        about.append(
            {
                "fit_s": float(np.median([r["fit_s"] for r in records])),
                "n_parameters": float(np.mean([r["n_parameters"] for r in records])),
            }
        )
    low, high = metrics.confidence_interval(partial(auc_difference, *counts), sizes, unit=unit)
    first = complete[experiment][0][0].cell
    return {
        "task": first.task,
        "n_characters": condition(first)[2],
        "counted": CURVES.get(condition(first)[1] or ""),
        "experiment": experiment,
        "twin": twin,
        "auc": aucs[0],
        "twin_auc": aucs[1],
        "difference": aucs[0] - aucs[1],
        "difference_low": low,
        "difference_high": high,
        "n_units": sum(sizes),
        "n_seeds": len(shared),
        **about[0],
        **{f"twin_{key}": value for key, value in about[1].items()},
    }


def twins_table(compared: pd.DataFrame) -> str:
    """Write :func:`compare_twins` as Markdown: a row for each pair, a column for each task."""
    tasks = {}
    for (task, n), part in compared.groupby(["task", "n_characters"], sort=False, dropna=False):
        name = task if n != n else f"{task}, {n:.0f}"
        tasks[name] = part.set_index(["experiment", "twin"])
    rows = []
    for pair, own in compared.groupby(["experiment", "twin"], sort=False):
        cells = [f"{pair[0]} − {pair[1]}"]
        for part in tasks.values():
            columns = "difference", "difference_low", "difference_high"
            known = pair in part.index
            cells.append(interval_text(part.loc[pair], *columns, "+.3f") if known else "–")
        for key, form in (("n_parameters", ",.0f"), ("fit_s", ".1f")):
            values = own[key].iloc[0], own[f"twin_{key}"].iloc[0]
            cells.append(" / ".join(format(value, form) for value in values))
        rows.append(cells)
    first = next(iter(tasks), "")
    head = ["row − twin", *tasks, f"parameters ({first})", f"seconds ({first})"]
    return markdown_table(head, rows)


def named_experiments(
    experiments: str | Sequence[str], twins: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return the experiments of a benchmark: those given, all that there are, or those of pairs.

    Raises
    ------
    InputError
        If there are no pairs, a pair has no list of twins, or an experiment of a pair is not among
        those given.

    Examples
    --------
    >>> named_experiments("twins", {"dbn": ["mlp", "autoencoder"]})
    ['dbn', 'mlp', 'autoencoder']
    """
    for one, given in twins.items():
        if isinstance(given, str):
            raise InputError(f"got twins.{one}={given}; expected a list; write {one}: [{given}]")
    of_pairs = list(dict.fromkeys(name for one, given in twins.items() for name in (one, *given)))
    if experiments == "twins":
        if not of_pairs:
            raise InputError("got experiments=twins without pairs; expected twins=primers too")
        return of_pairs
    given = known_files("experiment") if experiments == "all" else list(experiments)
    missing = [name for name in of_pairs if name not in given]
    if missing:
        raise InputError(
            f"got twins of {len(of_pairs)} experiments, of which this benchmark lacks "
            f"{', '.join(missing)}; expected all of them; set experiments=twins"
        )
    return given
