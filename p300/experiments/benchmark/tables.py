"""The tables and figures of a benchmark, from its summary: Markdown and matplotlib figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from p300.experiments.compare import markdown_table
from p300.figures.style import plural
from p300.figures.sweeps import draw_accuracy_panels, draw_auc_intervals
from p300.metrics import MIN_SUBJECTS, MIN_UNITS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Numbers of repetitions at which an interval is printed.
SURE_AT = (3, 5)

#: Most people with a column each in summary.md.
MOST_PEOPLE = 12

SPELLING_HEAD = (
    "Characters read correctly (%) by number of repetitions, with Wilson's intervals over the n "
    "characters:"
)

NO_AUC = (
    "{} reads from nothing: each flash is scored by the other flashes of its character too, so it "
    "has no AUC of single flashes."
)

FORECAST = (
    "A forecast is a guess and no result. It is the power law a − b·n^(−c), fitted to the points "
    "of its row and read at twice the largest n. Its interval (95 %) is over the test characters "
    "that all points share, or over the points themselves where they share none. It holds neither "
    "what other training characters nor what another law would change."
)


def markdown(summary: pd.DataFrame, reference: str, failed: Mapping[str, str]) -> str:
    """Write a benchmark's summary as Markdown.

    Parameters
    ----------
    summary : DataFrame
        Rows of :func:`p300.experiments.benchmark.summary.summarize`, of all tasks.
    reference : str
        The experiment compared with; "" for none.
    failed : mapping of str to str
        Folder of each cell that failed, and why.

    Returns
    -------
    str
    """
    text = [
        "# Benchmark",
        "AUC of single flashes: scores standardised per fold, pooled per subject, mean over "
        "subjects and seeds. Intervals (95 %) are over n characters, or blocks of 30 s where "
        "there are none: they hold for these people, not for new ones. There is none below "
        f"{MIN_UNITS} characters (–). ± is the standard deviation over seeds. Differences under "
        "0.01 are ties. A row with + learning is of a detector that learned while it spelled: "
        "each score was computed before its character was learned from, and after n repetitions "
        "it has learned from n repetitions alone. Calibration error and Brier score are of the "
        "probability of a target that a score stands for by its loss, among flashes as frequent "
        "as in the training part, whatever class weights and repeated targets the training had.",
    ]
    for title, part in panels(summary):
        text += [f"## {title}", _auc_table(part, reference), _sentences(part, reference)]
        if len(alone := part[part["auc"].isna()]):
            text.append(NO_AUC.format(", ".join(alone["experiment"])))
        if "accuracy_01" in part and part["accuracy_01"].notna().any():
            text += [SPELLING_HEAD, _accuracy_table(part)]
    if len(summary) and summary["n_characters"].notna().any():
        curves = summary[summary["n_characters"].notna()]
        text.append("## Learning curves")
        for counted, part in curves.groupby("counted", sort=False):
            text += [f"AUC by number of {plural(counted)}.", _curves(part)]
            if has_forecast(part):
                text.append(FORECAST)
    if failed:
        lines = [f"* `{folder}`: {why}" for folder, why in failed.items()]
        text += [
            f"## {len(failed)} cells failed",
            "Experiments and seeds that lack a cell of a task are left out of its table.",
            "\n".join(lines),
        ]
    return "\n\n".join(text) + "\n"


def panels(summary: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield title and rows of each task and each point of a learning curve, best AUC first."""
    if not len(summary):
        return
    for (task, n), part in summary.groupby(["task", "n_characters"], sort=False, dropna=False):
        title = f"{task}: {part['protocol'].iloc[0]}"
        if n == n:  # not <NA>
            counted = part["counted"].iloc[0]
            title += f", {n:.0f} {counted if n == 1 else plural(counted)}"
        unused = [c for c in part if part[c].isna().all() and c not in ("auc", "low", "high")]
        yield title, part.drop(columns=unused).sort_values("auc", ascending=False)


def auc_figure(summary: pd.DataFrame) -> Figure:
    """Draw each detector's AUC with its interval, one panel per task."""
    return draw_auc_intervals(panels(summary[summary["auc"].notna()]))


def accuracy_figure(summary: pd.DataFrame) -> Figure:
    """Draw the fraction of correct characters by number of repetitions, one panel per task."""
    spelled = summary[summary["accuracy_01"].notna()] if "accuracy_01" in summary else summary[:0]
    return draw_accuracy_panels(panels(spelled))


def _auc_table(part: pd.DataFrame, reference: str) -> str:
    subjects = [c for c in part if c.startswith("auc_subject_")]
    if not 1 < len(subjects) <= MOST_PEOPLE:
        subjects = []  # summary.csv has them
    head = ["experiment", "n", "AUC [95 %]", "± seeds"]
    head += [f"minus {reference} [95 %]"] if reference else []
    head += ["p"] if "p" in part else []
    head += ["minus static [95 %]"] if "gain" in part else []
    head += [c.removeprefix("auc_") for c in subjects]
    head += ["bal. acc.", "cal. error", "Brier", "fit (s)", "ms per flash", "parameters"]
    rows = []
    for _, row in part.iterrows():
        cells = [row["experiment"], f"{row['n_units']:.0f}"]
        cells.append(interval_text(row, "auc", "low", "high", ".3f"))
        cells.append(_number(row.get("seed_sd"), ".3f"))
        if reference:
            cells.append(
                interval_text(row, "difference", "difference_low", "difference_high", "+.3f")
            )
        cells += [_number(row["p"], ".3f")] if "p" in part else []
        if "gain" in part:
            cells.append(interval_text(row, "gain", "gain_low", "gain_high", "+.3f"))
        cells += [_number(row[c], ".3f") for c in subjects]
        measures = "balanced_accuracy", "calibration_error", "brier"  # no column if nobody has one
        cells += [_number(row.get(c), ".3f") for c in measures] + [_number(row["fit_s"], ".2f")]
        cells += [_number(row["score_ms"], ".2f"), _number(row["n_parameters"], ",.0f")]
        rows.append(cells)
    return markdown_table(head, rows)


def interval_text(row, value: str, low: str, high: str, form: str) -> str:
    """Write the value of a column and its interval, which is in two others; – for none."""
    if np.isnan(row.get(value, np.nan)):
        return "–"
    ends = [row.get(low, np.nan), row.get(high, np.nan)]
    brackets = "–" if np.isnan(ends).any() else ", ".join(f"{end:{form}}" for end in ends)
    return f"{row[value]:{form}} [{brackets}]"


def _accuracy_table(part: pd.DataFrame) -> str:
    names = sorted(c for c in part if c.startswith("accuracy_") and c[-2:].isdigit())
    sure = [f"accuracy_{n:02d}" for n in SURE_AT if f"accuracy_{n:02d}" in names]
    head = ["experiment", *(str(int(name[-2:])) for name in names)]
    head += ["n", *(f"95 % at {int(name[-2:])}" for name in sure)]
    rows = [
        [
            row["experiment"],
            *(_number(100 * row[name], ".0f") for name in names),
            f"{row['n_units']:.0f}",
            *(_ends(row, name) for name in sure),
        ]
        for _, row in part.iterrows()
    ]
    return markdown_table(head, rows)


def _ends(row, name: str) -> str:
    low, high = (100 * row.get(f"{name}_{end}", np.nan) for end in ("low", "high"))
    return "–" if np.isnan(low) else f"{low:.0f}–{high:.0f}"


def _curves(summary: pd.DataFrame) -> str:
    table = summary.pivot_table(
        index=["task", "experiment"], columns="n_characters", values="auc", sort=False
    ).sort_index(axis=1)
    head = ["task", "experiment", *(f"{n:.0f}" for n in table)]
    rows = [[*key, *(_number(v, ".3f") for v in row)] for key, row in table.iterrows()]
    if has_forecast(summary):
        head.append("forecast at 2n [95 %]")
        last = summary[summary["forecast"].notna()].set_index(["task", "experiment"])
        for cells, key in zip(rows, table.index, strict=True):
            cells.append(_guess(last.loc[key]) if key in last.index else "–")
    return markdown_table(head, rows)


def has_forecast(summary: pd.DataFrame) -> bool:
    """Return whether a learning curve of a summary has a forecast."""
    return "forecast" in summary and bool(summary["forecast"].notna().any())


def _guess(row: pd.Series) -> str:
    found = interval_text(row, "forecast", "forecast_low", "forecast_high", ".3f")
    return f"{found} at {row['forecast_n']:.0f}, over {row['forecast_unit']}"


def _sentences(part: pd.DataFrame, reference: str) -> str:
    """Write how many people were tested, and whether a test across them is valid."""
    first, n_people = part.iloc[0], _n_people(part)
    people = "1 subject" if n_people == 1 else f"{n_people} subjects"
    text = f"{people}, {first['n_units']:.0f} test {first['unit']}, {_counts(part['n_seeds'])}. "
    if first["n_units"] < MIN_UNITS:
        text += f"There is no interval, because there are fewer than {MIN_UNITS} {first['unit']}. "
    if n_people < MIN_SUBJECTS:
        text += (
            f"A test across people is not valid here: {people} cannot differ significantly "
            f"(at least {MIN_SUBJECTS} are needed), so no p-value is given."
        )
    elif "p" in part:
        n_tests = int(part["p"].notna().sum())
        text += (
            f"p: Wilcoxon signed-rank test across subjects against {reference}, Holm-corrected "
            f"for {n_tests} comparison{'s' * (n_tests > 1)}."
        )
    if reference and reference not in set(part["experiment"]):
        text += f" {reference} has no complete result here, so nothing is compared with it."
    if first["protocol"] == "leave-one-subject-out":
        text += " People share most of their training data, so they are not independent."
    return text


def _n_people(part: pd.DataFrame) -> int:
    return int(part["n_subjects"].iloc[0])


def _counts(n_seeds: pd.Series) -> str:
    low, high = int(n_seeds.min()), int(n_seeds.max())
    return f"{high} seed{'s' * (high > 1)}" if low == high else f"{low} to {high} seeds"


def _number(value, form: str) -> str:
    return "–" if value is None or np.isnan(value) else format(value, form)
