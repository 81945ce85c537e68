"""The page of a sweep: many runs side by side; only held-out scores choose the best."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

from p300.experiments.compare import MEASURES, REPETITIONS, collect_runs
from p300.experiments.finished import recording_of
from p300.experiments.folder import read_results
from p300.experiments.folds import FOLDS
from p300.figures.style import count
from p300.report.held_out import add_held_out, best_by_held_out, what_was_held_out
from p300.report.integrity import integrity_tables
from p300.report.learned import single_pages
from p300.report.page import Numbers, Section, Table, Text, number
from p300.report.provenance import citations, finished_text, versions_section
from p300.report.repeat import (
    command,
    configuration,
    read_yaml,
    repeat_section,
    shared_configuration,
    training_command,
    typed,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Overrides that do not define a configuration: the recording has its own column, and the fold
#: or the seed of a split is another part of the same recording, not something to choose.
NO_KIND = r"[+~]*(seed|data|logger|trainer|progress|cache|quiet|split\.fold|split\.seed)[.=]"

#: Longer names are cut on an axis.
LONGEST = 32


def describe(folder: Path) -> tuple[str, str, list[Section]]:
    """Return the title of the page, what was run, and the sections."""
    runs = collect_sweep(folder)
    kinds = runs["configuration"].nunique()
    data = sorted(runs["data"].unique())
    n_seeds = runs["seed"].nunique()
    lead = (
        f"{len(runs)} runs of {count(kinds, 'configuration')} with {count(n_seeds, 'seed')} "
        f"were trained on {', '.join(data)}."
    )
    config, differing = shared_configuration(runs["folder"])
    values = configuration(config, "Values that all runs share")
    sections = [
        results_section(folder, runs),
        Section("The recordings", citations(runs["folder"]) + integrity_tables(runs["folder"])),
        single_pages(f"Each of the {len(runs)} runs"),
        Section("Configuration", [finished_text(runs["folder"]), differing, values]),
        versions_section(),
        repeat_section(*how_to_repeat(folder, runs)),
    ]
    return f"Sweep on {', '.join(data)}", lead, sections


def collect_sweep(folder: Path) -> pd.DataFrame:
    """Collect the finished runs below a folder.

    Returns
    -------
    DataFrame
        That of :func:`p300.experiments.compare.collect_runs` with the columns of
        :func:`p300.report.held_out.add_held_out` and ``configuration``, the choices that differ
        between runs, without seed and fold.
    """
    runs = collect_runs([folder])
    runs["data"] = [recording_of(read_results(Path(run))) for run in runs["folder"]]
    runs = add_held_out(runs)
    groups = [
        c for c in ("experiment", "protocol", "split") if runs.get(c, runs["data"]).nunique() > 1
    ]
    groups += ["subjects"] * ("subjects" in runs)  # subjects are not repetitions, as seeds are
    chosen = [
        typed(Path(row["folder"])) or [f"{k}={row[k]}" for k in groups]
        for row in runs.to_dict("records")
    ]
    chosen = [[c for c in line if not re.match(NO_KIND, c)] for line in chosen]
    shared = set(chosen[0]).intersection(*chosen)
    names = [", ".join(_short(c) for c in line if c not in shared) for line in chosen]
    experiments = runs.get("experiment", runs["model"]).astype(str)
    runs["configuration"] = [n or e for n, e in zip(names, experiments, strict=True)]
    return runs


def results_section(folder: Path, runs: pd.DataFrame) -> Section:
    """Build the tables and figures of the runs, and name what held-out scores choose."""
    section = Section("Results", [headline(runs), Text(what_was_held_out(runs))])
    if unfinished := unfinished_runs(folder):
        section.note(
            f"{count(len(unfinished), 'unfinished run')} left out: {', '.join(unfinished)}."
        )
    section.blocks += [summary_table(runs), runs_table(runs)]
    section.sections.append(figures(runs))
    return section


def figures(runs: pd.DataFrame) -> Section:
    """Draw every run as a dot: held-out AUC, test AUC, and characters right."""
    section = Section("Figures of the results")
    for value, part, what in (
        ("held_out_auc", "held-out flashes", "by which a configuration may be chosen"),
        ("auc", "the test part", "by which nothing was chosen, nor may be"),
        (_accuracy_shown(runs), "the test part", "characters read correctly"),
    ):
        if value in runs and runs[value].notna().any():
            section.draw(
                "Runs",
                functools.partial(_dots, runs, value, part),
                f"One dot per run, measured on {part}, {what}. Configurations are in the order of "
                "their held-out AUC; grey lines join runs of one seed.",
            )
    return section


def _dots(runs: pd.DataFrame, value: str, part: str) -> Figure:
    from p300.figures import draw_sweep

    by = ("data", "configuration") if runs["data"].nunique() > 1 else ("configuration",)
    lines_by = "seed" if runs["seed"].nunique() > 1 else None
    runs = runs.assign(configuration=_labels(runs["configuration"]))
    figure = draw_sweep(runs, value, by=by, lines_by=lines_by, rank_by="held_out_auc")
    figure.set_label(f"On {part}. {figure.get_label()}")
    return figure


def _labels(names: pd.Series) -> pd.Series:
    """Cut long names, and number them so that they stay different."""
    kinds = names.unique()
    cut = {
        name: name if len(name) <= LONGEST else f"{name[:LONGEST]}… ({k + 1})"
        for k, name in enumerate(kinds)
    }
    return names.map(cut)


def headline(runs: pd.DataFrame) -> Numbers:
    """Return the numbers of the configuration that held-out scores choose, or only counts."""
    kinds = runs["configuration"].nunique()
    items = [(str(len(runs)), "finished runs", count(kinds, "configuration"))]
    best = best_by_held_out(runs)
    for data, name in best.items():
        part = runs[(runs["data"] == data) & (runs["configuration"] == name)]
        how = "chosen by held-out AUC" + (f" on {data}" if len(best) > 1 else "")
        items += [
            (name, how, f"{_mean_and_std(part['held_out_auc'], '{:.3f}')}, {_on(part)}"),
            (f"{part['auc'].mean():.3f}", "its AUC on the test part", count(len(part), "run")),
        ]
    return Numbers(items)


def summary_table(runs: pd.DataFrame) -> Table:
    """Build the table of mean and standard deviation of every configuration."""
    shown = [n for n in REPETITIONS if f"accuracy_{n:02d}" in runs]
    several = runs["data"].nunique() > 1
    head = (
        "configuration",
        *["recording"] * several,
        "runs",
        "held-out AUC",
        "held out",
        "test AUC",
    )
    head += (*(f"{n} rep. (%)" for n in shown), "parameters", "fit (s)")
    rows = []
    for (data, name), part in runs.groupby(["data", "configuration"], sort=False):
        cells = [name, *[data] * several, str(len(part))]
        cells += [_mean_and_std(part["held_out_auc"], "{:.3f}"), _on(part)]
        cells.append(_mean_and_std(part["auc"], "{:.3f}"))
        cells += [_mean_and_std(100 * part[f"accuracy_{n:02d}"], "{:.0f}") for n in shown]
        cells += [f"{part['n_parameters'].iloc[0]:,}", f"{part['fit_s'].median():.1f}"]
        order = part["held_out_auc"].mean()
        rows.append((str(data), -order if order == order else 1.0, cells))
    caption = (
        "Mean ± standard deviation over runs, best held-out AUC first, with the part and the "
        "number of flashes held out; characters right after n repetitions of the test part. The "
        "deviation is over seeds and folds, not over subjects"
    )
    return Table(caption, head, [cells for _, _, cells in sorted(rows, key=lambda r: r[:2])])


def runs_table(runs: pd.DataFrame) -> Table:
    """Build the table of every run, collapsed."""
    names = ("held_out_auc", *MEASURES)
    head = ("run", "configuration", "recording", "seed", *(n.replace("_", " ") for n in names))
    rows = []
    for row in runs.to_dict("records"):
        what = (Path(row["folder"]).name, row["configuration"], row["data"], str(row["seed"]))
        rows.append((*what, *(number(row[n]) for n in names)))
    return Table("Every run", head, rows, is_folded=True)


def unfinished_runs(folder: Path) -> list[str]:
    """List the runs below a folder that have a configuration and no results."""
    found = (path.parent for path in sorted(folder.rglob("config.yaml")))
    return [
        str(run.relative_to(folder))
        for run in found
        if run.name != ".hydra"
        and run.parent.name != FOLDS
        and not (run / "results.json").exists()
    ]


def how_to_repeat(folder: Path, runs: pd.DataFrame) -> tuple[str, str]:
    """Return the command that repeats the sweep, or one command per run."""
    overrides = typed(folder)
    if overrides is not None:
        return command("train", ["-m", *overrides]), ""
    folders = map(Path, runs["folder"])
    lines = [training_command(run, read_yaml(run / "config.yaml")) for run in folders]
    return "\n".join(dict.fromkeys(lines)), "The runs were started one by one."


def _short(override: str) -> str:
    return re.sub(r"^[+~]*experiment=", "", override)


def _on(part: pd.DataFrame) -> str:
    """Return which flashes were held out, and how many."""
    sources = [source for source in part["held_out_on"].unique() if source]
    if not sources:
        return "–"
    low, high = part["n_held_out"].min(), part["n_held_out"].max()
    flashes = f"{high:,}" if low == high else f"{low:,} to {high:,}"
    return f"{' or '.join(sources)}, {flashes} flashes"


def _accuracy_shown(runs: pd.DataFrame) -> str:
    """Return the name of the middle one of the accuracies measured; "" if there is none."""
    names = [f"accuracy_{n:02d}" for n in REPETITIONS if f"accuracy_{n:02d}" in runs]
    return names[len(names) // 2] if names else ""


def _mean_and_std(values: pd.Series, form: str) -> str:
    known = values.dropna().astype(float)
    if not len(known):
        return "–"
    std = f" ± {form.format(known.std())}" if len(known) > 1 else ""
    return f"{form.format(known.mean())}{std}"
