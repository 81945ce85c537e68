"""``p300 evaluate``: score a recording with a trained detector and read the text."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.cli import run_with_hydra
from p300.errors import InputError
from p300.files import whole_file
from p300.progress import show, step
from p300.splits import PARTS

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig

    from p300.speller import Speller

log = logging.getLogger("p300.evaluate")

#: Fixed numbers of repetitions that stopping early is measured against: all that were shown, and
#: the one of most bits per minute on these very characters, which nobody could have known.
ALL, HINDSIGHT = "all", "hindsight"


def main() -> None:
    """Run the command with the arguments of the command line."""
    run_with_hydra("evaluate", evaluate)


def evaluate(cfg: DictConfig) -> None:
    """Score the configured recording and write scores and results into a folder of their own.

    Parameters
    ----------
    cfg : DictConfig
        As composed from ``conf/evaluate.yaml``.

    Raises
    ------
    InputError
        If the run is not finished or the recording does not fit its detector.
    """
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    from p300.checkpoint import TrainedDetector
    from p300.fitting import configured_split
    from p300.results import read_recording, results_table, summarize, write_json

    folder = Path(HydraConfig.get().runtime.output_dir)
    detector = TrainedDetector.load(cfg.run)
    trained_on = OmegaConf.create(detector.config)
    own = cfg.get("data") is None
    part = cfg.part or ("test" if own else "all")
    if part not in (*PARTS, "all") or (not own and part != "all"):
        raise InputError(
            f"part={part}: expected one of {', '.join(PARTS)} or all, and all for a recording "
            f"other than the run's own"
        )

    steps = detector.preprocessor
    data = trained_on.data if own else cfg.data
    recording = read_recording(data, folder, steps.tmin, steps.tmax)
    flashes = recording.flashes
    rows = np.ones(len(flashes), bool)
    if part != "all":
        rows = getattr(configured_split(trained_on, flashes), part)
    if not rows.any():
        raise InputError(f"{recording.name}: its {part} part is empty")
    with step("preprocessing", len(flashes), "flashes") as cut:
        epochs = detector.epochs(recording, on_cut=cut.advance)
    with step("scoring"):
        scores = detector.score_epochs(epochs.data)
    with whole_file(folder / "scores.csv") as file:
        flashes.assign(score=scores)[rows].to_csv(file, index=False)
    summary = summarize(scores[rows], flashes[rows], recording.speller)
    log.info("%s", cfg.run)
    show(results_table(summary, f"{recording.name}, part: {part}"))
    if cfg.stopping.goals and "spelling" in summary:
        held_out = find_held_out(
            cfg.run,
            seen=own and part != "test",
            same_screen=detector.speller == recording.speller,
        )
        if held_out is not None:
            with step("stopping rules"):
                rows_read, readings = stop_early(
                    scores[rows], flashes[rows], recording.speller, held_out, **cfg.stopping
                )
            with whole_file(folder / "stopping.csv") as file:
                readings.to_csv(file, index=False)
            summary["stopping"] = rows_read
            show(stopping_table(rows_read))
    write_json(folder / "results.json", {"run": str(cfg.run), "part": part, "own": own, **summary})
    log.info("results: %s", os.path.relpath(folder))


def find_held_out(run: str, *, seen: bool, same_screen: bool) -> pd.DataFrame | None:
    """Read the run's held-out flashes, if rules chosen on them can be judged; else say why not.

    Parameters
    ----------
    run : str
        Run folder or checkpoint.
    seen : bool
        Whether the flashes to read are the run's own and not its test part.
    same_screen : bool
        Whether both have one screen.
    """
    from p300.stopping_choice import read_held_out

    if seen:
        log.warning("no stopping rules: they were chosen on these very characters")
        return None
    if not same_screen:
        log.warning("no stopping rules: the recording has another screen than the run")
        return None
    try:
        return read_held_out(run)
    except InputError as error:
        log.warning("no stopping rules: %s", error)
        return None


def stop_early(
    scores: np.ndarray,
    flashes: pd.DataFrame,
    speller: Speller,
    held_out: pd.DataFrame,
    *,
    goals: Sequence[str],
    idle_prior: float,
    text: str | None,
    repetition_s: float | None,
    pause_s: float,
) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """Choose stopping rules on held-out flashes and read other characters with them.

    Parameters
    ----------
    scores : ndarray, shape (n_flashes,)
        Of the flashes to read.
    flashes : DataFrame
        Their flash table.
    speller : Speller
        The screen of both.
    held_out : DataFrame
        Flash table with ``score``, from :func:`p300.stopping_choice.read_held_out`.
    goals, idle_prior, text, repetition_s, pause_s
        As in ``conf/stopping/all.yaml``.

    Returns
    -------
    rows : list of dict
        Of :func:`p300.stopping_report.compare_readings`, with ``limit`` (threshold or number of
        repetitions) and, where ``idle_prior`` is not 0, ``idle_read``.
    readings : DataFrame
        One row a rule and character.
    """
    import pandas as pd

    from p300.language import CharacterModel
    from p300.spelling import spell, timing
    from p300.stopping_choice import choose_rules, fit_likelihood
    from p300.stopping_replay import characters_of
    from p300.stopping_report import (
        best_fixed,
        compare_readings,
        idle_readings,
        read_fixed,
        read_with_rules,
    )

    measured_s, _ = timing(flashes, len(speller.codes))
    seconds = {"repetition_s": repetition_s or measured_s, "pause_s": pause_s}
    likelihood = fit_likelihood(held_out, speller)
    characters = characters_of(scores, flashes, speller, likelihood)
    model = None if text is None else CharacterModel.read(text, speller.symbols)

    spelled = spell(scores, flashes, speller)
    numbers = {ALL: int(spelled["n_repetitions"].max())}
    rules = {}
    for goal in goals:
        chosen = choose_rules(
            held_out,
            speller,
            likelihood,
            goal=goal,
            idle_prior=idle_prior,
            **seconds,
        )
        numbers[f"fixed, {goal}"] = chosen.pop("fixed").max_repetitions
        rules |= {f"{name}, {goal}": rule for name, rule in chosen.items()}
    best = best_fixed(spelled, speller, **seconds)
    if best is not None:
        numbers[HINDSIGHT] = best
    readings = pd.concat(
        [
            read_fixed(spelled, len(speller.codes), numbers),
            read_with_rules(characters, speller, rules, idle_prior=idle_prior, model=model),
        ],
        ignore_index=True,
    )
    rivals = [name for name in (ALL, "fixed, rate", HINDSIGHT) if name in numbers]
    rows = compare_readings(readings, speller, rivals=rivals, **seconds)
    limits = numbers | {name: rule.threshold for name, rule in rules.items()}
    idle = {}
    if idle_prior and best is not None:
        idle = idle_readings(characters, speller, rules, idle_prior)
    for row in rows:
        row["limit"] = limits[row["rule"]]
        if row["rule"] in idle:
            row["idle_read"] = idle[row["rule"]]
    return rows, readings


def stopping_table(rows: list[dict[str, Any]]):
    """Make what the terminal shows of :func:`stop_early`."""
    from rich.table import Table

    names = {ALL: "× all", HINDSIGHT: "× best"}
    rivals = [rival for rival in names if rival in rows[0]["over"]]
    table = Table(
        title="ending a character early",
        title_justify="left",
        caption="brackets: 95 % intervals; × all, × best: bits/min over those of all repetitions, "
        "and of the fixed number that is best in hindsight; idle: read though nothing was wanted",
        caption_justify="left",
    )
    table.add_column("rule, chosen for", no_wrap=True)
    idle = ["idle"] if any("idle_read" in row for row in rows) else []
    for name in ["right", "repet.", "bits/min", *(names[r] for r in rivals), *idle]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row["rule"],
            f"{row['n_right']}/{row['n_characters']}",
            f"{row['n_repetitions']:.1f}",
            f"{row['bits_per_minute']:.1f} [{row['bits_low']:.1f}, {row['bits_high']:.1f}]",
            *(f"{row['over'][rival]['ratio']:.2f}" for rival in rivals),
            *([f"{row['idle_read']:.0%}"] if "idle_read" in row else []),
        )
    return table
