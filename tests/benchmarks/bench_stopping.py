"""What ending characters early gains: the tables and the picture of docs/stopping.md.

    python tests/benchmarks/bench_stopping.py RUNS                 # needs P300_DATA_ROOT
    python tests/benchmarks/bench_stopping.py RUNS --only iib --experiments lda

Detectors are trained into the folder RUNS, where finished runs are kept and not made again, and
so are the simulated recordings. Training talks on standard error, so that standard output holds
the tables alone. Thresholds come from each run's ``held_out.csv``; the five people of BNCI are
read with their own rules and pooled. Everything takes ten minutes on two busy cores.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any
from unittest import mock

import pandas as pd
from hydra import initialize_config_dir

from p300.experiments.configuration import compose_training, conf_dir
from p300.experiments.prepare import Shared
from p300.experiments.results import brackets, read_scores, summarize
from p300.experiments.train import train_several
from p300.figures import draw_stopping
from p300.simulation import write_bci3_ii
from p300.speller import WADSWORTH
from p300.spelling import (
    comparison as stopping_report,
)
from p300.spelling import (
    thresholds as stopping_choice,
)
from p300.spelling import timing
from p300.spelling import (
    traces as stopping_replay,
)
from p300.spelling.comparison import compare_readings
from p300.spelling.early import ALL, HINDSIGHT, stop_early
from p300.spelling.thresholds import read_held_out
from p300.spelling.traces import Traces

#: Recording of the tables to its title and the runs that are pooled in it.
RECORDINGS = {
    "iib": ("IIb", ["iib"]),
    "bnci": ("BNCI", [f"bnci-{subject}" for subject in range(6, 11)]),
    "simulated-6uv": ("simulated, 6 µV", ["simulated-6uv"]),
    "simulated-4uv": ("simulated, 4 µV", ["simulated-4uv"]),
}
EXPERIMENTS = ("lda", "cnn1", "light")

#: Size of the simulated P300.
P300_UV = {"simulated-6uv": 6.0, "simulated-4uv": 4.0}

#: Recording and experiment of the picture.
DRAWN = ("simulated-6uv", "light")

#: What thresholds are chosen for.
GOALS, SURE = ["accuracy", "rate"], ["accuracy"]

#: As conf/stopping/all.yaml has it, with the paper's pause everywhere.
SETTINGS = {"goals": GOALS, "idle_prior": 0.0, "text": None, "repetition_s": None, "pause_s": 2.5}

#: Seconds a repetition takes in BNCI if its flashes are 160 ms apart, as its paper says.
BNCI_REPETITION_S = 1.92

#: Recording and experiment to rule to its row.
Cells = dict[tuple[str, str], dict[str, dict[str, Any]]]


def main() -> None:
    """Train what is missing and print every table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, help="folder of the runs")
    parser.add_argument("--only", nargs="+", choices=RECORDINGS, default=list(RECORDINGS))
    parser.add_argument("--experiments", nargs="+", choices=EXPERIMENTS, default=EXPERIMENTS)
    options = parser.parse_args()
    logging.disable(logging.INFO)
    runs = options.runs.resolve()
    with contextlib.redirect_stdout(sys.stderr):
        for recording in options.only:
            for name in RECORDINGS[recording][1]:
                train_missing(runs, name, options.experiments)
    cells = [(name, experiment) for name in options.only for experiment in options.experiments]

    def read_all(**changed) -> Cells:
        return {cell: read(runs, *cell, **changed) for cell in cells}

    plain = read_all()
    print_table("Without losing accuracy:", plain, NOT_LESS_ACCURATE)
    print_table("As fast as possible:", plain, AS_FAST_AS_POSSIBLE)
    print_table("Bits per minute of every rule:", plain, of_rules(rate, GOALS))
    print_table("Right, and mean repetitions:", plain, of_rules(both, GOALS))
    told = read_all(goals=SURE, text=english(runs))
    print_table("The same with a language:", told, of_rules(both, SURE))
    with deciding_at_repetition_ends():
        waiting = read_all(goals=SURE)
    print_table("The same, deciding at the end of repetitions:", waiting, of_rules(both, SURE))
    idle = read_all(goals=SURE, idle_prior=0.5)
    print_table("The same where the user may look at nothing:", idle, of_rules(both, SURE))
    n_idle = of_rules(lambda row: str(row["n_idle"]), SURE)
    print_table("Idle characters in which a symbol was read:", idle, n_idle)
    cells = [cell for cell in cells if cell[0] == "bnci"]
    slower = read_all(goals=SURE, repetition_s=BNCI_REPETITION_S)
    print_table(f"With {BNCI_REPETITION_S} s a repetition:", slower, NOT_LESS_ACCURATE)
    if DRAWN in plain:
        test = read_scores(runs / "-".join(DRAWN), "test")
        spelling = summarize(test["score"], test, WADSWORTH)["spelling"]
        figure = draw_stopping(list(plain[DRAWN].values()), spelling)
        figure.savefig(runs / "stopping.png", dpi=150)


def train_missing(runs: Path, name: str, experiments: Sequence[str]) -> None:
    """Train the detectors of one recording that are not there yet."""
    missing = [e for e in experiments if not (runs / f"{name}-{e}" / "results.json").exists()]
    if not missing:
        return
    data = ["data=bci2_iib"]
    if name.startswith("bnci-"):
        data = ["data=bnci", f"subject={name.removeprefix('bnci-')}"]
    elif name in P300_UV:
        if not (runs / name / "Subject_A_Test.mat").exists():  # written last
            write_bci3_ii(runs / name, "A", brain={"p300_uv": P300_UV[name]})
        data = ["data=bci3_ii", f"data.root={runs / name}"]
    requests = []
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        for experiment in missing:
            overrides = [*data, f"experiment={experiment}", "logger=csv", "progress=false"]
            cfg, choices = compose_training(overrides)
            folder = runs / f"{name}-{experiment}"
            folder.mkdir(parents=True, exist_ok=True)
            requests.append((cfg, folder, choices))
    for found in train_several(requests, Shared()):
        if isinstance(found, Exception):
            raise found


def read(runs: Path, recording: str, experiment: str, **changed) -> dict[str, dict[str, Any]]:
    """Read the test characters of one recording under every rule, its people pooled.

    Keyword arguments change :data:`SETTINGS`. Returned is each rule's row of
    :func:`p300.spelling.comparison.compare_readings`, with ``n_idle``: the idle characters in
    which a symbol was read (0 where ``idle_prior`` is).
    """
    settings = SETTINGS | changed
    readings, n_idle = [], {}
    for name in RECORDINGS[recording][1]:
        run = runs / f"{name}-{experiment}"
        test, held_out = read_scores(run, "test"), read_held_out(run)
        rows, some = stop_early(test["score"].to_numpy(), test, WADSWORTH, held_out, **settings)
        readings.append(some)
        for row in rows:
            n_read = row.get("idle_read", 0.0) * row["n_characters"]
            n_idle[row["rule"]] = n_idle.get(row["rule"], 0) + round(n_read)
    measured_s, _ = timing(test, len(WADSWORTH.codes))  # the same for all people
    pooled = compare_readings(
        pd.concat(readings, ignore_index=True),
        WADSWORTH,
        repetition_s=settings["repetition_s"] or measured_s,
        pause_s=settings["pause_s"],
        rivals=[r for r in (ALL, "fixed, rate", HINDSIGHT) if (readings[0]["rule"] == r).any()],
    )
    return {row["rule"]: row | {"n_idle": n_idle[row["rule"]]} for row in pooled}


@contextlib.contextmanager
def deciding_at_repetition_ends() -> Iterator[None]:
    """Let rules look at the evidence at the end of repetitions only, in choosing and reading."""
    after_every_flash = stopping_replay.trace

    def at_ends(*given, **named) -> Traces:
        whole, n_codes = after_every_flash(*given, **named), len(WADSWORTH.codes)
        ends = slice(None), slice(n_codes - 1, None, n_codes)
        return Traces(whole.belief.at(ends), whole.n_flashes[ends], whole.at_end[ends])

    with (
        mock.patch.object(stopping_choice, "trace", at_ends),
        mock.patch.object(stopping_report, "trace", at_ends),
    ):
        yield


def english(runs: Path) -> Path:
    """Write half a million letters of technical English: Python's own help on its language."""
    path = runs / "english.txt"
    path.write_text("\n".join(topics.values()), "utf-8")
    return path


def right(row) -> str:
    return f"{row['n_right']}/{row['n_characters']}"


def repetitions(row) -> str:
    return f"{row['n_repetitions']:.1f}"


def both(row) -> str:
    return f"{right(row)}, {repetitions(row)}"


def fixed(row) -> str:
    return f"{right(row)}, {row['bits_per_minute']:.1f}"


def rate(row) -> str:
    return f"{row['bits_per_minute']:.1f} {brackets(row['bits_low'], row['bits_high'])}"


def ratio(row, rival: str) -> str:
    over = row["over"][rival]
    return f"{over['ratio']:.2f} {brackets(over['low'], over['high'], '.2f')}"


#: Columns of a table: heading to what stands below it, made of a cell's rows by rule.
NOT_LESS_ACCURATE = {
    "all 15: right, bits/min": lambda rules: fixed(rules[ALL]),
    "sure (`margin, accuracy`): right": lambda rules: right(rules["margin, accuracy"]),
    "repetitions": lambda rules: repetitions(rules["margin, accuracy"]),
    "bits/min": lambda rules: rate(rules["margin, accuracy"]),
    "× all 15": lambda rules: ratio(rules["margin, accuracy"], ALL),
}
AS_FAST_AS_POSSIBLE = {
    "fixed n chosen: right, bits/min": lambda rules: fixed(rules["fixed, rate"]),
    "best in hindsight: right, bits/min": lambda rules: fixed(rules[HINDSIGHT]),
    "fast (`expected, rate`): right": lambda rules: right(rules["expected, rate"]),
    "repetitions": lambda rules: repetitions(rules["expected, rate"]),
    "bits/min": lambda rules: rate(rules["expected, rate"]).split()[0],
    "× chosen n": lambda rules: ratio(rules["expected, rate"], "fixed, rate"),
    "× hindsight": lambda rules: ratio(rules["expected, rate"], HINDSIGHT),
}


def of_rules(value: Callable[[dict[str, Any]], str], goals: Sequence[str]) -> dict[str, Callable]:
    """Make columns of one value of every rule."""
    names = [f"{rule}, {goal}" for goal in goals for rule in ("posterior", "margin", "expected")]
    return {name: lambda rules, name=name: value(rules[name]) for name in names}


def print_table(title: str, cells: Cells, columns: Mapping[str, Callable]) -> None:
    """Print one Markdown table, if there are cells for it."""
    if not cells:
        return
    print(f"\n{title}\n\n| recording | detector |", " | ".join(columns), "|")
    print("|---" * (len(columns) + 2) + "|")
    for (recording, experiment), rules in cells.items():
        values = (make(rules) for make in columns.values())
        print("|", " | ".join([RECORDINGS[recording][0], experiment, *values]), "|", flush=True)


if __name__ == "__main__":
    main()
