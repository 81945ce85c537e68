"""The page of one run."""

from __future__ import annotations

from pathlib import Path

from p300.errors import InputError
from p300.experiments.finished import Run, load_run, read_again
from p300.report.doubt import MARK
from p300.report.integrity import doubt_about_times, integrity_tables, saved_reports
from p300.report.learned import learned_section
from p300.report.page import Section, Text
from p300.report.provenance import checkpoint_version, citations, finished_text, versions_section
from p300.report.repeat import (
    configuration,
    repeat_section,
    training_command,
)
from p300.report.results import results_section
from p300.report.signals import signal_section


def describe(folder: Path) -> tuple[str, str, list[Section]]:
    """Return the title of the page, what was run, and the sections.

    Raises
    ------
    InputError
        If the checkpoint or another file of the run cannot be read.
    """
    run = load_run(folder)
    recording, epochs, why_not, reports = None, None, "", saved_reports([folder])
    try:
        recording, report = read_again(run)
        epochs = run.detector.epochs(recording)
        reports.append(report)
    except InputError as error:
        why_not = str(error)
    doubt = doubt_about_times(reports)
    data = Section("The recording", [Text(f"{run.data}; {run.results['split']}.")])
    if doubt:
        data.note(
            f"Times are in doubt. {doubt} Latencies, frequencies and bits per minute on "
            f"this page are therefore marked {MARK} and are no facts."
        )
    data.blocks += [*citations([folder]), *integrity_tables([folder])]
    steps, is_doubtful = run.detector.preprocessor, bool(doubt)
    interval = steps.tmin, steps.tmax
    data.sections.append(
        signal_section(recording, epochs, interval, why_not, times_in_doubt=is_doubtful)
    )
    one = load_run(folder / run.folds[0]["folder"], run.detector) if run.folds else run
    learned = learned_section(one, epochs, times_in_doubt=is_doubtful)
    if run.folds:
        learned.blocks.insert(0, Text("All of this section is of the first fold's detector."))
    config = Section(
        "Configuration", [finished_text([folder]), Text(_choices(run)), configuration(run.config)]
    )
    sections = [
        results_section(run, times_in_doubt=is_doubtful),
        data,
        learned,
        config,
        versions_section(checkpoint_version(one.folder)),
        repeat_section(training_command(folder, run.config)),
    ]
    return f"{run.name} on {run.data}", lead(run), sections


def lead(run: Run) -> str:
    """Return one sentence on what was run."""
    n_parameters, n_members = run.results["n_parameters"], len(run.detector.members)
    members = f", {n_members} members" if n_members > 1 else ""
    tested = "nothing was held out"
    if run.shown:
        n = run.results[run.shown]["n_flashes"]
        tested = f"tested on {n:,} held-out flashes"
        if run.shown != "test":
            chosen = "by which it may have been chosen"
            tested = f"evaluated on {n:,} flashes of its validation part, {chosen}"
    if run.folds:
        each = f"each time tested on another fold ({n:,} flashes in all)"
        return (
            f"The detector {run.name} ({n_parameters:,} parameters{members}) was trained on "
            f"{run.data} {len(run.folds)} times (seed {run.results['seed']}), {each}."
        )
    return (
        f"The detector {run.name} ({n_parameters:,} parameters{members}) was trained on "
        f"{run.data} with seed {run.results['seed']} in {run.results['fit_s']:.1f} s, "
        f"and {tested}."
    )


def _choices(run: Run) -> str:
    chosen = ", ".join(f"{k} {v}" for k, v in run.results["choices"].items() if v is not None)
    return f"Choice of each configuration group: {chosen}."
