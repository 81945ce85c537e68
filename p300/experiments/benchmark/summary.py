"""The results of the cells of a benchmark: pooled per subject, with intervals, as tables.

Scores are standardised per fold and pooled per subject. The AUC reported is the mean of one AUC
per subject. Intervals are over characters, or blocks of time where there are none.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from p300 import metrics
from p300.errors import InputError
from p300.experiments.benchmark.cells import CURVES
from p300.experiments.benchmark.findings import LEARNS, Finding, condition, read_cell
from p300.experiments.benchmark.forecasts import with_forecasts
from p300.experiments.benchmark.pooling import (
    auc_difference,
    complete_seeds,
    pooled_counts,
    pooled_flashes,
    unit_sizes,
)
from p300.experiments.benchmark.tables import accuracy_figure, auc_figure, markdown
from p300.experiments.benchmark.twins import HEADING, compare_twins, twins_table
from p300.storage.files import atomic_write, write_text

if TYPE_CHECKING:
    import pandas as pd

    from p300.experiments.benchmark.cells import Cell

#: Columns of cells.csv of which the summary gives the mean, or the median.
MEANS = ("balanced_accuracy", "calibration_error", "brier", "n_parameters")
MEDIANS = ("fit_s", "score_ms")


def write_summary(
    cells: Sequence[Cell],
    folder: Path,
    failures: Mapping[Cell, str],
    reference: str,
    twins: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Write cells.csv, summary.csv, summary.md and two figures into a benchmark's folder.

    With ``twins``, the pairs are written into twins.csv and at the end of summary.md.

    Returns
    -------
    str
        The Markdown text.
    """
    import pandas as pd

    findings, failures = [], dict(failures)
    for cell in cells:
        try:
            findings += read_cell(cell)
        except InputError as error:  # the others can still be summarised
            failures[cell] = str(error)
    table = pd.DataFrame([f.record for f in findings])
    write_text(folder / "cells.csv", table.to_csv(index=False))
    planned = [*cells, *failures]
    conditions = {}
    for key in dict.fromkeys(map(condition, planned)):
        labels = list(dict.fromkeys(c.label for c in planned if condition(c) == key))
        conditions[key] = [f for f in findings if condition(f.cell) == key], labels
    parts = [summarize(*known, reference=reference) for known in conditions.values()]
    summary = pd.concat([p for p in parts if len(p)] or parts, ignore_index=True)
    summary = with_forecasts(summary, conditions)
    write_text(folder / "summary.csv", summary.to_csv(index=False))
    failed = {os.path.relpath(c.folder, folder): why for c, why in failures.items()}
    text = markdown(summary, reference, failed)
    if twins and len(compared := compare_twins(conditions, twins)):
        write_text(folder / "twins.csv", compared.to_csv(index=False))
        text += f"\n## Twins\n\n{HEADING}\n\n{twins_table(compared)}\n"
    write_text(folder / "summary.md", text)
    if len(summary):
        for name, draw in (("auc", auc_figure), ("accuracy", accuracy_figure)):
            with atomic_write(folder / f"{name}.png", "wb") as file:
                draw(summary).savefig(file, format="png", dpi=150)
    return text


def summarize(
    findings: Sequence[Finding], labels: Sequence[str], *, reference: str
) -> pd.DataFrame:
    """Pool the cells of one task and compute AUC and accuracy with intervals per detector.

    Parameters
    ----------
    findings : sequence of Finding
        Of one :func:`condition`.
    labels : sequence of str
        The cells expected; a seed of an experiment that lacks one is left out.
    reference : str
        The experiment with which the others are compared, on the same characters.

    Returns
    -------
    DataFrame
        One row per experiment, best AUC first: ``auc`` with ``low`` and ``high`` (95 %, ``nan``
        where there is no interval) over ``n_units`` units, ``seed_sd``, ``difference`` to the
        reference with its interval and ``p`` (Holm; ``nan`` where a test across subjects is not
        valid; the AUC too is ``nan`` where it is not one of single flashes), ``gain`` by learning
        while spelling with its interval, ``auc_subject_S``, ``accuracy_NN`` with its interval, and
        means over the cells.

    Raises
    ------
    InputError
        If a flash was tested in two cells, or experiments were tested on different flashes.
    """
    import pandas as pd

    complete = complete_seeds(findings, labels)
    if not complete:
        return pd.DataFrame()
    flashes, units = pooled_flashes(next(iter(complete.values())))
    sizes, unit = unit_sizes(units), metrics.unit_name(flashes)
    rows, counts_of, subject_aucs = [], {}, {}
    for experiment, seeds in complete.items():
        means, aucs = pooled_counts(seeds, flashes, units)
        counts_of[experiment], subject_aucs[experiment] = means, aucs.mean(axis=0)
        first = seeds[0][0].cell
        cells = pd.DataFrame([f.record for found in seeds for f in found])
        low, high = metrics.confidence_interval(
            partial(metrics.mean_auc, means), sizes, scale="logit", unit=unit
        )
        if not seeds[0][0].has_auc:
            low = high = math.nan
            aucs = aucs * math.nan
            del counts_of[experiment]
        rows.append(
            {
                "task": first.task,
                "n_characters": condition(first)[2],
                "counted": CURVES.get(condition(first)[1] or ""),
                "protocol": first.protocol,
                "experiment": experiment,
                "n_subjects": len(units),
                "n_units": sum(sizes),
                "unit": unit,
                "n_seeds": len(seeds),
                "auc": float(aucs.mean()),
                "low": low,
                "high": high,
                "seed_sd": float(aucs.mean(axis=1).std(ddof=1)) if len(seeds) > 1 else math.nan,
                **{f"auc_subject_{s}": a for s, a in zip(units, aucs.mean(0), strict=True)},
                **{name: cells[name].mean() for name in MEANS},
                **{name: cells[name].median() for name in MEDIANS},
                **_accuracy(seeds),
            }
        )
    for row in rows:
        static = row["experiment"].removesuffix(LEARNS)
        if static != row["experiment"] and static in counts_of:
            row["gain"] = row["auc"] - float(subject_aucs[static].mean())
            pair = counts_of[row["experiment"]], counts_of[static]
            row["gain_low"], row["gain_high"] = metrics.confidence_interval(
                partial(auc_difference, *pair), sizes, unit=unit
            )
    if reference in counts_of:
        compared = [
            r for r in rows if r["experiment"] in counts_of and r["experiment"] != reference
        ]
        for row in compared:
            differences = subject_aucs[row["experiment"]] - subject_aucs[reference]
            row["difference"] = float(differences.mean())
            pair = counts_of[row["experiment"]], counts_of[reference]
            row["difference_low"], row["difference_high"] = metrics.confidence_interval(
                partial(auc_difference, *pair), sizes, unit=unit
            )
            row["p"] = metrics.signed_rank_test(differences)
        for row, p in zip(compared, metrics.holm([row["p"] for row in compared]), strict=True):
            row["p"] = p
    return pd.DataFrame(rows).sort_values("auc", ascending=False, ignore_index=True)


def _accuracy(seeds: Sequence[Sequence[Finding]]) -> dict[str, float]:
    """Compute the fraction of correct characters per number of repetitions, mean over subjects.

    A character counts once however many seeds read it. Of subjects with different numbers of
    characters, as many count as one proportion of the same variance has.
    """
    import pandas as pd

    tables = [f.spelled for cells in seeds for f in cells if f.spelled is not None]
    if len(tables) < sum(map(len, seeds)):
        return {}
    spelled = pd.concat(tables, ignore_index=True)
    key = ["session", "run", "character"]
    known = spelled[spelled["is_right"].notna()].astype({"is_right": float})
    of_character = known.groupby(["n_repetitions", "subject", *key], sort=False)["is_right"].mean()
    people = of_character.groupby(["n_repetitions", "subject"]).agg(["mean", "count"])
    columns = {}
    for n, found in people.groupby("n_repetitions"):
        mean = float(found["mean"].mean())
        n_alike = len(found) ** 2 / (1 / found["count"]).sum()
        low, high = metrics.wilson_interval(mean * n_alike, n_alike)
        columns[f"accuracy_{n:02d}"] = mean
        columns |= {f"accuracy_{n:02d}_low": low, f"accuracy_{n:02d}_high": high}
    return columns
