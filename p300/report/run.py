"""The page of one run."""

from __future__ import annotations

from pathlib import Path

from p300.errors import InputError
from p300.experiments.finished import Run, load_run, read_epochs
from p300.report.integrity import integrity_tables
from p300.report.learned import learned_section
from p300.report.page import Section, Text
from p300.report.repeat import (
    checkpoint_version,
    configuration,
    repeat_section,
    training_command,
    versions_section,
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
    epochs, why_not = None, ""
    try:
        epochs = read_epochs(run)
    except InputError as error:
        why_not = str(error)
    data = Section("The recording", [Text(f"{run.data}; {run.results['split']}.")])
    data.blocks += integrity_tables([folder])
    data.sections.append(signal_section(epochs, why_not))
    config = Section("Configuration", [Text(_choices(run)), configuration(run.config)])
    sections = [
        results_section(run),
        data,
        learned_section(run, epochs),
        config,
        versions_section(checkpoint_version(folder)),
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
    return (
        f"The detector {run.name} ({n_parameters:,} parameters{members}) was trained on "
        f"{run.data} with seed {run.results['seed']} in {run.results['fit_s']:.1f} s, "
        f"and {tested}."
    )


def _choices(run: Run) -> str:
    chosen = ", ".join(f"{k} {v}" for k, v in run.results["choices"].items() if v is not None)
    return f"Choice of each configuration group: {chosen}."
