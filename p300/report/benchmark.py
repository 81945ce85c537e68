"""The page of a benchmark: its tables, sentences and figures, and every run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from p300.figures.style import count
from p300.metrics import Interval
from p300.report.integrity import integrity_tables
from p300.report.learned import single_pages
from p300.report.page import Numbers, Section, Table, Text, number
from p300.report.provenance import citations, finished_text, versions_section
from p300.report.repeat import (
    command,
    configuration,
    read_yaml,
    repeat_section,
    typed,
)

if TYPE_CHECKING:
    import pandas as pd

#: AUCs that differ by less than this are ties.
TIE = 0.01


def describe(folder: Path) -> tuple[str, str, list[Section]]:
    """Return the title of the page, what was run, and the sections."""
    import pandas as pd

    summary = pd.read_csv(folder / "summary.csv")
    cells = pd.read_csv(folder / "cells.csv", dtype={"subjects": str, "cell": str})
    written = read_markdown((folder / "summary.md").read_text("utf-8"))
    results = Section("Results", [headline(summary), *written[0].blocks], written[1:])
    results.sections += [figures(summary), _cells(cells)]
    config = Section("Configuration")
    path = folder / ".hydra" / "config.yaml"
    if path.exists():
        config.blocks.append(configuration(read_yaml(path)))
    else:
        config.note("The configuration of the benchmark was not saved.")
    runs = sorted(path.parent for path in folder.rglob("results.json"))
    config.blocks.insert(0, finished_text(runs))
    sections = [
        results,
        Section("The recordings", citations(runs) + integrity_tables(runs)),
        single_pages("Each run of a benchmark is a run of `p300 train` and"),
        config,
        versions_section(),
        _repeat(folder),
    ]
    tasks = ", ".join(summary["task"].unique()) if len(summary) else "no task"
    return f"Benchmark: {tasks}", lead(summary, cells), sections


def lead(summary: pd.DataFrame, cells: pd.DataFrame) -> str:
    """Return one sentence on what was run."""
    names = ", ".join(cells["experiment"].unique())
    n_tasks = summary["task"].nunique() if len(summary) else 0
    return (
        f"{count(cells['experiment'].nunique(), 'detector')} ({names}) on "
        f"{count(n_tasks, 'task')} with {count(cells['seed'].nunique(), 'seed')}: "
        f"{count(len(cells), 'run')}."
    )


def headline(summary: pd.DataFrame) -> Numbers:
    """Return the largest AUC of every task, and how many detectors tie with it."""
    from p300.experiments.benchmark.tables import panels

    items = []
    for title, part in panels(summary[summary["auc"].notna()]):
        best = part.iloc[0]
        ties = int((part["auc"] > best["auc"] - TIE).sum()) - 1
        tied = f"; {ties} more within {TIE:g}" if ties else ""
        found = Interval(best["low"], best["high"], int(best["n_units"]), best["unit"])
        sure = f"{best['experiment']}, 95\xa0%: {found.text()}{tied}"
        items.append((f"{best['auc']:.3f}", f"largest AUC, {title}", sure))
    return Numbers(items)


def figures(summary: pd.DataFrame) -> Section:
    """Draw every detector's AUC and accuracy, and learning curves if there are any."""
    from p300.experiments.benchmark.tables import accuracy_figure, auc_figure
    from p300.figures import draw_learning_curves

    section = Section("Figures of the results")
    if not len(summary):
        section.note("No task has a complete result yet.")
        return section
    section.draw(
        "AUC",
        lambda: auc_figure(summary),
        "AUC of single flashes with 95 % intervals over characters. The intervals are valid for "
        "these subjects, not for new ones.",
    )
    if "accuracy_01" in summary and summary["accuracy_01"].notna().any():
        section.draw(
            "Accuracy",
            lambda: accuracy_figure(summary),
            "Characters read correctly by number of repetitions, mean over subjects and seeds.",
        )
    if summary["n_characters"].notna().any():
        section.draw(
            "Learning curves",
            lambda: draw_learning_curves(summary),
            "AUC by number of characters, or of other people, that were trained on. Dashed lines "
            "to an open circle, if there are any, are forecasts: guesses, no results.",
        )
    return section


def read_markdown(text: str) -> list[Section]:
    r"""Read the headings, paragraphs, tables and lists that a benchmark writes.

    Examples
    --------
    >>> page = "# All\n\nText.\n\n## One\n\n| a |\n| --- |\n| 1 |\n"
    >>> first, second = read_markdown(page)
    >>> first.blocks[0].text, second.title, second.blocks[0].rows
    ('Text.', 'One', [['1']])
    """
    sections: list[Section] = []
    for block in re.split(r"\n{2,}", text.strip()):
        lines = block.splitlines()
        if block.startswith("#"):
            sections.append(Section(block.lstrip("# ")))
        elif block.startswith("|"):
            head, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
            sections[-1].blocks.append(Table(f"{sections[-1].title}: {_about(head)}", head, rows))
        else:
            texts = lines if block.startswith("* ") else [block]
            sections[-1].blocks += [Text(text.removeprefix("* ")) for text in texts]
    return sections


def _about(head: list[str]) -> str:
    if "AUC [95 %]" in head:
        return "detection of single flashes"
    return "characters right (%)" if head[0] == "experiment" else "AUC"


def _cells(cells: pd.DataFrame) -> Section:
    names = [c for c in ("task", "experiment", "cell", "subjects", "seed") if c in cells]
    measures = ["auc", "balanced_accuracy", "calibration_error", "brier"]
    rows = []
    for row in cells.to_dict("records"):
        texts = ("" if row[n] != row[n] else str(row[n]) for n in names)
        rows.append((*texts, *(number(row[n]) for n in measures)))
    head = [name.replace("_", " ") for name in names + measures]
    return Section("Every run", [Table("One row per run", head, rows, is_folded=True)])


def _repeat(folder: Path) -> Section:
    overrides = typed(folder)
    if overrides is None:
        return Section("How to repeat it", [Text("The command was not saved.", is_note=True)])
    shown = [override for override in overrides if not override.startswith("folder=")]
    line = command("benchmark", [*shown, f"folder={folder.name}"])
    return repeat_section(line, "Finished runs in that folder are not run again.")
