"""Stopping early: rules are chosen on held-out characters and tested on others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.spelling.comparison import (
    best_fixed,
    compare_readings,
    idle_readings,
    read_fixed,
    read_with_rules,
)
from p300.spelling.language import CharacterModel
from p300.spelling.pace import timing
from p300.spelling.sums import spell
from p300.spelling.thresholds import choose_rules, fit_likelihood, read_held_out
from p300.spelling.traces import characters_of

if TYPE_CHECKING:
    import pandas as pd

    from p300.speller import Speller

log = logging.getLogger("p300.commands.evaluate")

#: Fixed numbers of repetitions that stopping early is compared with: all that were shown, and the
#: one with most bits per minute on the tested characters, which cannot be known beforehand.
ALL, HINDSIGHT = "all", "hindsight"


def find_held_out(run: str, *, seen: bool, same_screen: bool) -> pd.DataFrame | None:
    """Read the run's held-out flashes, if rules that are chosen on them can be tested.

    Otherwise the reason is logged and None is returned.

    Parameters
    ----------
    run : str
        Run folder or checkpoint.
    seen : bool
        Whether the flashes to read are from the run's own recording, but not its test part.
    same_screen : bool
        Whether the recording to read has the screen of the run.
    """
    if seen:
        reason = "chosen on the characters to read; expected the test part or another recording"
    elif not same_screen:
        reason = "the recording has another screen than the run"
    else:
        try:
            return read_held_out(run)
        except InputError as error:
            reason = str(error)
    log.warning("no stopping rules: %s", reason)
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
    pause_s: float | None,
) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """Choose stopping rules on held-out flashes and read other characters with them.

    Parameters
    ----------
    scores : ndarray, shape (n_flashes,)
        Scores of the flashes to read.
    flashes : DataFrame
        Their flash table.
    speller : Speller
        The screen of both tables.
    held_out : DataFrame
        Flash table with ``score``, from :func:`p300.spelling.thresholds.read_held_out`.
    goals, idle_prior, text, repetition_s, pause_s
        As in ``conf/stopping/all.yaml``.

    Returns
    -------
    rows : list of dict
        Output of :func:`p300.spelling.comparison.compare_readings`, with ``limit`` (threshold or
        number of repetitions) and, if ``idle_prior`` is not 0, ``idle_read``.
    readings : DataFrame
        One row per rule and character.
    """
    import pandas as pd

    known = {"repetition_s": repetition_s, "pause_s": pause_s}
    seconds: dict[str, Any] = timing(flashes, speller.n_per_repetition, **known)._asdict()
    likelihood = fit_likelihood(held_out, speller)
    characters = characters_of(scores, flashes, speller, likelihood)
    model = None if text is None else CharacterModel.read(text, speller.symbols)

    spelled = spell(scores, flashes, speller)
    numbers = {ALL: int(spelled["n_repetitions"].max())}
    rules: dict[str, Any] = {}
    for goal in goals:
        chosen = choose_rules(
            held_out, speller, likelihood, goal=goal, idle_prior=idle_prior, **seconds
        )
        numbers[f"fixed, {goal}"] = chosen.pop("fixed").max_repetitions
        rules |= {f"{name}, {goal}": rule for name, rule in chosen.items()}
    best = best_fixed(spelled, speller, **seconds)
    if best is not None:
        numbers[HINDSIGHT] = best
    fixed = read_fixed(spelled, speller.n_per_repetition, numbers)
    early = read_with_rules(characters, speller, rules, idle_prior=idle_prior, model=model)
    readings = pd.concat([fixed, early], ignore_index=True)
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
