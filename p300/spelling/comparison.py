"""Compare stopping rules with fixed numbers of repetitions, with confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.flashes import CHARACTER_KEY
from p300.metrics import (
    bits_per_minute,
    bits_per_selection,
    confidence_interval,
    rate_interval,
    wilson_interval,
)
from p300.spelling.sums import accuracy_by_repetition, mark_right
from p300.spelling.traces import Character, idle_twins, trace

if TYPE_CHECKING:
    import pandas as pd

    from p300.speller import Speller
    from p300.spelling.language import CharacterModel
    from p300.spelling.rules import StoppingRule


def read_with_rules(
    characters: Sequence[Character],
    speller: Speller,
    rules: Mapping[str, StoppingRule],
    *,
    idle_prior: float = 0.0,
    model: CharacterModel | None = None,
) -> pd.DataFrame:
    """Read characters with each stopping rule, as in a live session.

    Parameters
    ----------
    characters : sequence of Character
        In order of time.
    speller : Speller
        The screen.
    rules : mapping of str to StoppingRule
        The rules, under any names.
    idle_prior : float
        Probability that no symbol is wanted.
    model : CharacterModel or None
        The prior of each symbol, given the text that this rule has read before in the same run.

    Returns
    -------
    DataFrame
        One row per rule and character: ``rule``, the character's key, ``n_flashes``, ``symbol``
        ("" where none is read), ``wanted`` and ``is_right`` (<NA> where unlabelled).
    """
    import pandas as pd

    if model is None:  # the posterior is then the same under every rule
        traces = trace(characters, speller, idle_prior=idle_prior)
    names = [*speller.symbols, ""]  # the last is index -1, none
    rows = []
    for name, rule in rules.items():
        found: Iterable[tuple[int, int]]
        if model is None:
            found = zip(*traces.stop(rule), strict=True)
        else:
            found = _read_in_turn(characters, speller, rule, idle_prior, model)
        for character, (n_flashes, symbol) in zip(characters, found, strict=True):
            wanted = names[character.wanted] if character.wanted >= 0 else pd.NA
            rows.append((name, *character.key, int(n_flashes), names[symbol], wanted))
    columns = ["rule", *CHARACTER_KEY, "n_flashes", "symbol", "wanted"]
    return mark_right(pd.DataFrame(rows, columns=columns))


def _read_in_turn(
    characters: Sequence[Character],
    speller: Speller,
    rule: StoppingRule,
    idle_prior: float,
    model: CharacterModel,
) -> Iterator[tuple[int, int]]:
    """Read the characters in order; the prior of each follows from the text read before it."""
    text, run = "", None
    for character in characters:
        if character.key[:-1] != run:
            text, run = "", character.key[:-1]
        traces = trace([character], speller, model.log_prior(text), idle_prior)
        (n_flashes,), (symbol,) = traces.stop(rule)
        text += speller.symbols[symbol] if symbol >= 0 else ""
        yield n_flashes, symbol


def read_fixed(spelled: pd.DataFrame, n_codes: int, numbers: Mapping[str, int]) -> pd.DataFrame:
    """Select the symbols that are read after fixed numbers of repetitions.

    Parameters
    ----------
    spelled : DataFrame
        Output of :func:`p300.spelling.spell`: sums of scores, without a likelihood.
    n_codes : int
        Flashes per repetition.
    numbers : mapping of str to int
        Numbers of repetitions, under any names. A character with fewer is read after its last.

    Returns
    -------
    DataFrame
        As returned by :func:`read_with_rules`.
    """
    import pandas as pd

    parts = []
    for name, n in numbers.items():
        usable = spelled[spelled["n_repetitions"] <= n]
        last = usable.drop_duplicates(CHARACTER_KEY, keep="last")
        parts.append(last.assign(rule=name, n_flashes=last["n_repetitions"] * n_codes))
    return pd.concat(parts, ignore_index=True).drop(columns="n_repetitions")


def best_fixed(
    spelled: pd.DataFrame, speller: Speller, *, repetition_s: float, pause_s: float
) -> int | None:
    """Find the fixed number of repetitions with most bits per minute on these characters.

    Returns
    -------
    int or None
        None if no wanted symbol is known.
    """
    table = accuracy_by_repetition(spelled, speller, repetition_s=repetition_s, pause_s=pause_s)
    rates = table.set_index("n_repetitions")["bits_per_minute"].dropna()
    return int(rates.idxmax()) if len(rates) else None


def compare_readings(
    readings: pd.DataFrame,
    speller: Speller,
    *,
    repetition_s: float,
    pause_s: float,
    rivals: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Compute accuracy and bits per minute of each rule, and compare them with other rules.

    Parameters
    ----------
    readings : DataFrame
        Output of :func:`read_with_rules` and :func:`read_fixed`, with the same characters in the
        same order under every rule. Unlabelled characters do not count.
    speller : Speller
        The screen.
    repetition_s, pause_s : float
        Seconds per repetition, and between two characters (eq. 20 of the paper).
    rivals : sequence of str
        Names of the rules that every rule is compared with.

    Returns
    -------
    list of dict
        One per rule: ``rule, n_right, n_characters, accuracy, low, high`` (Wilson), means over
        characters ``n_repetitions`` and ``seconds`` (the pause included), ``bits_per_minute``
        with ``bits_low, bits_high``, ``text``, and ``over``: for each rival the ratio of the
        bits per minute with ``low`` and ``high``. All intervals are 95 % intervals over characters
        (:mod:`p300.metrics.intervals`); their ends are ``nan`` where there is none.
    """
    n_codes, n_symbols = speller.n_per_repetition, len(speller.symbols)
    seconds = {"repetition_s": repetition_s, "pause_s": pause_s}
    parts = readings.groupby("rule", sort=False)
    rates: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    rows = []
    for name, part in parts:
        counted = part[part["is_right"].notna()]
        right = counted["is_right"].to_numpy(float)
        n_repetitions = counted["n_flashes"].to_numpy(float) / n_codes

        def rate(weights, right=right, shown=n_repetitions):
            with np.errstate(invalid="ignore"):
                accuracy, mean = (weights @ x / weights.sum(axis=1) for x in (right, shown))
            return bits_per_minute(accuracy, mean, n_symbols, **seconds)

        rates[name] = rate
        n_right, mean = int(right.sum()), float(part["n_flashes"].mean()) / n_codes
        low, high = wilson_interval(n_right, len(right))
        bits_low, bits_high = rate_interval(
            right,
            pause_s + repetition_s * n_repetitions,
            lambda accuracy: float(bits_per_selection(accuracy, n_symbols)),
        )
        rows.append(
            {
                "rule": name,
                "n_right": n_right,
                "n_characters": len(right),
                "accuracy": n_right / len(right) if len(right) else math.nan,
                "low": low,
                "high": high,
                "n_repetitions": mean,
                "seconds": pause_s + mean * repetition_s,
                "bits_per_minute": float(rate(np.ones((1, len(right))))[0]),
                "bits_low": bits_low,
                "bits_high": bits_high,
                "text": "".join(symbol or "·" for symbol in part["symbol"]),
            }
        )
    for row in rows:
        row["over"] = {
            rival: _ratio(rates[row["rule"]], rates[rival], row["n_characters"])
            for rival in rivals
        }
    return rows


def _ratio(
    rate: Callable[[np.ndarray], np.ndarray],
    rival: Callable[[np.ndarray], np.ndarray],
    n_characters: int,
) -> dict[str, float]:
    def ratio(weights: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return rate(weights) / rival(weights)

    low, high = confidence_interval(ratio, n_characters, scale="log")
    return {"ratio": float(ratio(np.ones((1, n_characters)))[0]), "low": low, "high": high}


def idle_readings(
    characters: Sequence[Character],
    speller: Speller,
    rules: Mapping[str, StoppingRule],
    idle_prior: float,
) -> dict[str, float]:
    """Compute how often each rule reads a symbol where none is wanted.

    Parameters
    ----------
    characters : sequence of Character
        Labelled; their idle twins (:func:`p300.spelling.traces.idle_twins`) are read.
    speller, rules, idle_prior
        As in :func:`read_with_rules`.

    Returns
    -------
    dict
        Per rule, the fraction of idle characters in which it read a symbol.
    """
    twins = idle_twins(characters, np.random.default_rng(0))
    traces = trace(twins, speller, idle_prior=idle_prior)
    return {name: float(np.mean(traces.stop(rule)[1] >= 0)) for name, rule in rules.items()}
