"""What is gained if the spelling chooses which group flashes next, by simulation.

    python tests/benchmarks/bench_next_group.py                    # two Gaussians, d' apart
    python tests/benchmarks/bench_next_group.py --run RUN          # scores of a trained detector
    python tests/benchmarks/bench_next_group.py --backspace        # d' is learned while spelling

A symbol of a 6 x 6 screen is read once its posterior reaches 95 %, or after 20 repetitions. No
group flashes twice in a row. With RUN, each flash draws a score of the test part of that person
and class, with replacement; the likelihood is that of the run's ``held_out.csv``.

All of this assumes that a score depends on nothing but its own flash. It does not: a target soon
after a target evokes a smaller P300, and overlapping epochs share noise. Policies that flash
likely groups often lose more by this than the random order. So people would gain less.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from p300.experiments.results import read_scores
from p300.metrics import bits_per_selection
from p300.metrics.intervals import rate_interval, wilson_interval
from p300.speller import Speller
from p300.spelling import BackspaceLearner, ScoreLikelihood, SymbolPosterior, choose_group
from p300.spelling.next_group import POLICIES
from p300.spelling.thresholds import read_held_out

SCREEN = Speller.matrix(["ABCDEF", "GHIJKL", "MNOPQR", "STUVWX", "YZ1234", "56789<"])
BACKSPACE = "<"

THRESHOLD, MOST_FLASHES = 0.95, 240
SOA_S, PAUSE_S = 0.175, 2.5

#: Draws the score of a flash, by its label.
Draw = Callable[[bool], float]


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="run folder of a trained detector")
    parser.add_argument("--backspace", action="store_true", help="learn d' while spelling")
    parser.add_argument("--characters", type=int, default=400, help="of each row")
    options = parser.parse_args()
    if options.run is not None:
        print_real(options.run, options.characters)
    elif options.backspace:
        print_backspaces(options.characters)
    else:
        print_gaussian(options.characters)


def print_gaussian(n_characters: int) -> None:
    """Print each policy on two Gaussians of variance 1."""
    print(HEADING.format("d'"))
    for d_prime in (0.5, 1.0, 1.5):
        for policy in POLICIES:
            rng = np.random.default_rng(0)
            people = [(gaussian(d_prime, rng), likelihood_of(d_prime))]
            print_row(f"{d_prime}", policy, spell_all(people, policy, n_characters, rng))


def print_real(run: Path, n_characters: int) -> None:
    """Print each policy on scores that are drawn from those of a run."""
    test, held_out = read_scores(run, "test"), read_held_out(run)
    likelihood = ScoreLikelihood.fit(held_out["score"], held_out["is_target"])
    print(HEADING.format("people"))
    for policy in POLICIES:
        rng = np.random.default_rng(0)
        people = []
        for _, own in test.groupby("subject"):
            is_target = own["is_target"].to_numpy(bool)
            scores = own["score"].to_numpy()
            people.append((resampled(scores[~is_target], scores[is_target], rng), likelihood))
        print_row(f"{len(people)}", policy, spell_all(people, policy, n_characters, rng))


HEADING = """
| {} | policy | right [95 %] | flashes per character ± s.e. | bits/min [95 %] |
|---|---|---|---|---|"""


def print_row(about: str, policy: str, found: np.ndarray) -> None:
    """Print a row: symbols right, flashes and bits per minute."""
    right, n_flashes = found.T
    low, high = wilson_interval(right.sum(), len(right))
    seconds = PAUSE_S + SOA_S * n_flashes
    bits = functools.partial(bits_per_selection, n_symbols=len(SCREEN.symbols))
    rate, ends = bits(right.mean()) / seconds.mean() * 60, rate_interval(right, seconds, bits)
    cells = [
        f"{right.mean():.1%} [{low:.1%}, {high:.1%}]",
        f"{n_flashes.mean():.1f} ± {n_flashes.std(ddof=1) / np.sqrt(len(found)):.1f}",
        f"{rate:.1f} [{ends.low:.1f}, {ends.high:.1f}]",
    ]
    print("|", " | ".join([about, policy, *cells]), "|", flush=True)


def spell_all(
    people: Iterable[tuple[Draw, ScoreLikelihood]],
    policy: str,
    n_characters: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Spell symbols drawn at random: right or not, and flashes, shape (n_characters, 2)."""
    found = []
    for k, (draw, likelihood) in enumerate(people := list(people)):
        for _ in range(k, n_characters, len(people)):
            wanted = str(rng.choice(SCREEN.symbols))
            read, scores, _ = spell_one(wanted, draw, likelihood, policy, rng)
            found.append((read == wanted, len(scores)))
    return np.array(found, float)


def spell_one(
    wanted: str, draw: Draw, likelihood: ScoreLikelihood, policy: str, rng: np.random.Generator
) -> tuple[str, np.ndarray, np.ndarray]:
    """Flash until a symbol is read: the symbol, the scores, and which flashes lit the symbol."""
    posterior, scores, codes = SymbolPosterior(SCREEN), [], []
    while posterior.best[1] < THRESHOLD and len(codes) < MOST_FLASHES:
        codes.append(choose_group(posterior, policy, rng, without=codes[-1:]))
        scores.append(draw(wanted in SCREEN.groups[codes[-1]]))
        posterior.update(codes[-1], float(likelihood.log_ratio(scores[-1])))
    read = posterior.best[0]
    return read, np.array(scores), np.isin(codes, SCREEN.codes_of(read))


def print_backspaces(n_letters: int) -> None:
    """Print what is written if d' is known, assumed, or learned from backspaces."""
    print("\n| d' | likelihood | right letters/min | selections per letter | slope at the end |")
    print("|---|---|---|---|---|")
    for d_prime in (1.0, 1.5):
        for name, start in (("known", d_prime), ("0.5 assumed", 0.5), ("3 assumed", 3.0)):
            for learns in (False, True) if start != d_prime else (False,):
                learner = BackspaceLearner(likelihood_of(start))
                rate, n_selections = write_text(learner, learns, d_prime, n_letters)
                cells = [f"{d_prime}", name + (", then learned" if learns else "")]
                cells += [f"{rate:.2f}", f"{n_selections / n_letters:.2f}"]
                print(
                    "|", " | ".join([*cells, f"{learner.likelihood.slope:.2f}"]), "|", flush=True
                )


def write_text(
    learner: BackspaceLearner, learns: bool, d_prime: float, n_letters: int
) -> tuple[float, int]:
    """Write letters, deleting wrong ones: right letters per minute, and selections.

    The user selects the backspace as any symbol, and it may be misread.
    """
    rng = np.random.default_rng(0)
    draw, letters = gaussian(d_prime, rng), [s for s in SCREEN.symbols if s != BACKSPACE]
    n_right = n_wrong = n_selections = 0  # letters that stand: right ones, and wrong ones after
    seconds, pending, wanted = 0.0, None, str(rng.choice(letters))
    while n_right < n_letters and n_selections < 20 * n_letters:
        aim = BACKSPACE if n_wrong else wanted
        read, *flashes = spell_one(aim, draw, learner.likelihood, "expected_gain", rng)
        n_selections += 1
        seconds += PAUSE_S + SOA_S * len(flashes[0])
        if pending is not None and learns:
            learner.take(*pending, is_deleted=read == BACKSPACE)
        pending = None if read == BACKSPACE else flashes
        if read == BACKSPACE:
            n_right, n_wrong = n_right - (not n_wrong and n_right > 0), max(0, n_wrong - 1)
        elif n_wrong or read != wanted:
            n_wrong += 1
        else:
            n_right, wanted = n_right + 1, str(rng.choice(letters))
    return n_right / seconds * 60, n_selections


def gaussian(d_prime: float, rng: np.random.Generator) -> Draw:
    """Return what draws scores of variance 1, of targets d' above nontargets."""
    return lambda is_target: rng.normal() + d_prime * is_target


def resampled(nontargets: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> Draw:
    """Return what draws scores of one class, with replacement."""
    return lambda is_target: float(rng.choice(targets if is_target else nontargets))


def likelihood_of(d_prime: float) -> ScoreLikelihood:
    """Return the true log ratio of :func:`gaussian`."""
    return ScoreLikelihood(slope=d_prime, offset=-(d_prime**2) / 2)


if __name__ == "__main__":
    main()
