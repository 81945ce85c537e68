"""Likelihoods and thresholds from held-out training characters, never from test characters.

Thresholds are chosen on characters that are resampled from the held-out ones
(:func:`p300.spelling.traces.resampled`), since many thresholds read a small number of characters
without an error.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.flashes import FLASH_COLUMNS
from p300.metrics import bits_per_minute
from p300.spelling.pace import timing
from p300.spelling.posterior import ScoreLikelihood
from p300.spelling.rules import ExpectedRate, FixedRepetitions, PosteriorMargin, PosteriorThreshold
from p300.spelling.traces import Traces, characters_of, resampled, trace

if TYPE_CHECKING:
    import pandas as pd

    from p300.speller import Speller

#: Number of characters resampled from the held-out ones.
N_DRAWS = 1000

#: How much lower than with all repetitions the accuracy on those characters may be under
#: ``goal="accuracy"``. With 0, a single character would decide.
MAX_LOSS = 0.005

#: Fraction of held-out characters whose flashes may carry no information (the user looked
#: elsewhere), so that one such character does not lower the tempering factor of all flashes.
LAPSE = 0.05

#: Prior standard deviation of the logarithm of the tempering factor, around 0 (a factor of 1).
TEMPER_SD = 0.3


def read_held_out(run: str | Path) -> pd.DataFrame:
    """Read the flashes that a run's detectors were not trained on, with their scores.

    Parameters
    ----------
    run : path
        The run folder, or its checkpoint.

    Raises
    ------
    InputError
        If the run has no held-out flashes.
    """
    import pandas as pd

    run = Path(run)
    path = (run if run.is_dir() else run.parent) / "held_out.csv"
    if not path.is_file():
        raise InputError(
            f"{path} is not there; expected the held-out flashes of the training side, on which "
            f"stopping rules are fitted; `p300 train` writes them into the run folder"
        )
    return pd.read_csv(path, dtype=FLASH_COLUMNS)


def fit_likelihood(held_out: pd.DataFrame, speller: Speller | None) -> ScoreLikelihood:
    """Fit the likelihood of scores, tempered since flashes of one character are not independent.

    Parameters
    ----------
    held_out : DataFrame
        Flash table with ``score``, of flashes that the detectors were not trained on.
    speller : Speller or None
        The screen. Without one, or with flashes that belong to no character, the likelihood is
        not tempered.

    Returns
    -------
    ScoreLikelihood
        Tempered by the factor, at most 1, under which the wanted symbols of the held-out
        characters are most probable, over all numbers of repetitions.

    Raises
    ------
    InputError
        If one class is missing.
    """
    from scipy.optimize import minimize_scalar

    labelled = held_out.dropna(subset="is_target")
    likelihood = ScoreLikelihood.fit(labelled["score"], labelled["is_target"])
    if speller is None or held_out["character"].isna().any():
        return likelihood
    ends = []  # per character: log ratio of each symbol to the wanted one, after each repetition
    for character in characters_of(held_out["score"], held_out, speller, likelihood):
        if character.wanted < 0:
            continue
        gathered = np.cumsum(character.lit * character.log_ratio[:, None], axis=0)
        at_end = gathered[np.append(np.diff(character.repetition) != 0, True)]
        ends.append(at_end - at_end[:, [character.wanted]])

    def loss(log_factor: float) -> float:
        surprise = 0.0
        for ahead in ends:
            p_wanted = 1 / np.exp(np.minimum(np.exp(log_factor) * ahead, 700)).sum(axis=1)
            lapsed = LAPSE / len(speller.symbols)
            surprise -= np.log((1 - LAPSE) * p_wanted + lapsed).mean()
        return surprise + 0.5 * (log_factor / TEMPER_SD) ** 2

    found = minimize_scalar(loss, bounds=(np.log(0.1), 0.0), method="bounded")
    return likelihood.tempered(float(np.exp(found.x)))


def choose_rules(
    held_out: pd.DataFrame,
    speller: Speller,
    likelihood: ScoreLikelihood,
    *,
    repetition_s: float | None = None,
    pause_s: float | None = None,
    goal: str = "accuracy",
    idle_prior: float = 0.0,
    seed: int = 0,
) -> dict[str, FixedRepetitions | PosteriorThreshold | PosteriorMargin | ExpectedRate]:
    """Choose the threshold of every rule on held-out characters.

    Parameters
    ----------
    held_out : DataFrame
        Flash table with ``score``, labelled, of flashes that the detectors were not trained on.
    speller : Speller
        The screen.
    likelihood : ScoreLikelihood
        From :func:`fit_likelihood`.
    repetition_s : float or None
        Seconds per repetition, for the bits per minute; None measures them on the onsets.
    pause_s : float or None
        Seconds between two characters; None as in :func:`p300.spelling.timing`.
    goal : {"accuracy", "rate"}
        ``rate``: most bits per minute. ``accuracy``: the same, among the thresholds that read
        as many characters correctly as all repetitions do (less :data:`MAX_LOSS`); if there is
        none, among those that read most characters correctly.
    idle_prior : float
        Probability that no symbol is wanted, as in later use of the rules.
    seed : int
        Random seed of the resampling.

    Returns
    -------
    dict
        ``fixed``, ``posterior``, ``margin`` and ``expected``, each with the chosen threshold.
        ``max_repetitions`` is the number of repetitions of the held-out characters.

    Raises
    ------
    InputError
        If the goal is unknown, or the table holds no character.
    """
    if goal not in ("accuracy", "rate"):
        raise InputError(f"goal={goal}; expected accuracy or rate")
    characters = characters_of(held_out["score"], held_out, speller, likelihood)
    characters = [character for character in characters if character.wanted >= 0]
    if not characters:
        raise InputError(
            "got no held-out character of a known symbol to choose a rule on; expected at least "
            "one"
        )
    n_symbols, n_codes = len(speller.symbols), speller.n_per_repetition
    known = {"repetition_s": repetition_s, "pause_s": pause_s}
    seconds: dict[str, Any] = timing(held_out, n_codes, **known)._asdict()
    drawn = resampled(characters, N_DRAWS, np.random.default_rng(seed))
    plain = trace(drawn, speller)
    traces = trace(drawn, speller, idle_prior=idle_prior) if idle_prior else plain
    wanted = np.array([character.wanted for character in drawn])
    cap = max(int(character.repetition.max()) + 1 for character in characters)
    expected = partial(
        ExpectedRate, gain=mean_gain(traces), n_symbols=n_symbols, n_codes=n_codes, **seconds
    )
    probable, margins = 1 - np.geomspace(0.7, 1e-4, 40), np.linspace(0.25, 10, 40)
    tried: dict[str, list[Any]] = {
        "fixed": [FixedRepetitions(max_repetitions=n) for n in range(1, cap + 1)],
        "posterior": [PosteriorThreshold(threshold=p, max_repetitions=cap) for p in probable],
        "margin": [PosteriorMargin(threshold=m, max_repetitions=cap) for m in margins],
        "expected": [expected(threshold=p, max_repetitions=cap) for p in probable],
    }
    chosen = {}
    for name, rules in tried.items():
        # the fixed numbers come first: they set the accuracy to reach, without an idle user
        found = [(plain if name == "fixed" else traces).stop(rule) for rule in rules]
        accuracy = np.array([np.mean(symbol == wanted) for _, symbol in found])
        n_repetitions = np.array([n.mean() for n, _ in found]) / n_codes
        if name == "fixed":
            needed = accuracy[-1] - MAX_LOSS if goal == "accuracy" else 0.0
        allowed = accuracy >= min(needed, accuracy.max())
        rate = bits_per_minute(accuracy, n_repetitions, n_symbols, **seconds)
        chosen[name] = rules[int(np.where(allowed, rate, -1.0).argmax())]
    return chosen


def mean_gain(traces: Traces) -> float:
    """Compute the median increase of the log odds of the best symbol per repetition.

    A repetition counts if the best symbol is less than 99 % probable before it.
    """
    gains = []
    p = np.clip(np.exp(traces.belief.log_best), 1e-12, 1 - 1e-12)
    odds = np.log(p / (1 - p))
    for values, before, at_end in zip(odds, p, traces.at_end, strict=True):
        ends = np.flatnonzero((np.diff(at_end, prepend=0) != 0) & (at_end > 0))
        open_ends = before[ends[:-1]] < 0.99
        gains.append(np.diff(values[ends])[open_ends])
    gain = np.concatenate(gains)
    return float(np.median(gain)) if len(gain) else 0.0
