"""Which group to flash next: choices whose optimum is known without the code under test."""

import itertools

import numpy as np
import pytest

from p300.errors import InputError
from p300.speller import WADSWORTH, Speller
from p300.spelling import (
    BackspaceLearner,
    ScoreLikelihood,
    SymbolPosterior,
    choice_probabilities,
    choose_group,
)
from p300.spelling.next_group import POLICIES

RIGHT = 0.8  # of the answers below: a score is one of two numbers, and wrong in a fifth of flashes


def entropy(p):
    return -sum(x * np.log2(x) for x in p if x > 0)


def error(p):
    return 1 - max(p)


def best_value(p, groups, n_flashes, loss, first=None):
    """The least expected loss after some flashes, by trying all choices and all answers."""
    if n_flashes == 0:
        return loss(p)
    values = []
    for group in groups if first is None else [first]:
        value = 0.0
        for says_target in (True, False):
            agrees = [RIGHT if (s in group) == says_target else 1 - RIGHT for s in range(len(p))]
            joint = np.multiply(p, agrees)
            value += joint.sum() * best_value(joint / joint.sum(), groups, n_flashes - 1, loss)
        values.append(value)
    return min(values)


def posterior_of(groups, p):
    symbols = "ABCDEF"[: len(p)]
    lit = {code: [symbols[s] for s in group] for code, group in enumerate(groups, start=1)}
    return SymbolPosterior(Speller(symbols, lit), np.log(p))


@pytest.mark.parametrize("prior", [[0.5, 0.5], [0.8, 0.2]])
@pytest.mark.parametrize("loss", [entropy, error])
def test_of_two_symbols_either_is_optimal_and_either_is_chosen(prior, loss):
    groups = [(0,), (1,)]
    values = [best_value(prior, groups, 3, loss, first) for first in groups]
    assert values[0] == pytest.approx(values[1], abs=1e-12)
    found = choice_probabilities(posterior_of(groups, prior), "expected_gain")
    assert found.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("n_flashes", [1, 2, 3])
@pytest.mark.parametrize(
    "prior", [[0.5, 0.3, 0.2], [0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.9, 0.06, 0.04]]
)
def test_of_three_symbols_the_choice_is_that_of_exhaustive_search(prior, n_flashes):
    groups = [(0,), (1,), (2,)]
    values = [best_value(prior, groups, n_flashes, entropy, first) for first in groups]
    found = choice_probabilities(posterior_of(groups, prior), "expected_gain")
    assert values[found.argmax()] == pytest.approx(min(values), abs=1e-12)
    assert found.max() == 1.0


def test_the_chosen_group_tells_most_about_the_wanted_symbol():
    """The information in a score, by integrating two Gaussians over all scores."""
    rng, x, d_prime = np.random.default_rng(0), np.linspace(-8, 9, 4001), 1.0
    nontarget, target = (np.exp(-((x - m) ** 2) / 2) / np.sqrt(2 * np.pi) for m in (0, d_prime))

    def information(p):
        mixed = p * target + (1 - p) * nontarget
        gain = p * target * np.log(target / mixed) + (1 - p) * nontarget * np.log(
            nontarget / mixed
        )
        return gain.sum() * (x[1] - x[0])

    for _ in range(20):
        prior = rng.dirichlet(np.full(36, 0.3))
        posterior = SymbolPosterior(WADSWORTH, np.log(prior))
        of_codes = [
            information(sum(prior[WADSWORTH.symbols.index(s)] for s in WADSWORTH.groups[code]))
            for code in WADSWORTH.codes
        ]
        found = choice_probabilities(posterior, "expected_gain")
        assert found.argmax() == np.argmax(of_codes)


def test_thompson_draws_a_symbol_by_its_probability_and_one_of_its_groups():
    prior = np.array([0.4, 0.3, 0.2, 0.1])  # A B / C D: columns AC and BD, rows AB and CD
    posterior = SymbolPosterior(Speller.matrix(["AB", "CD"]), np.log(prior))
    found = choice_probabilities(posterior, "thompson")
    assert found == pytest.approx([0.6 / 2, 0.4 / 2, 0.7 / 2, 0.3 / 2])
    rng = np.random.default_rng(0)
    drawn = [choose_group(posterior, "thompson", rng) for _ in range(4000)]
    shares = np.bincount(drawn, minlength=5)[1:] / 4000
    assert shares == pytest.approx(found, abs=4 * 0.5 / np.sqrt(4000))


def test_thompson_on_single_keys_flashes_each_by_its_posterior():
    posterior = SymbolPosterior(Speller.single_keys("ABC"))
    posterior.update(2, np.log(2.0))  # B is now twice as probable as the others
    assert choice_probabilities(posterior, "thompson") == pytest.approx([0.25, 0.5, 0.25])


def test_the_random_order_flashes_every_group_once_in_each_repetition():
    posterior, rng = SymbolPosterior(WADSWORTH), np.random.default_rng(0)
    orders = []
    for _ in range(5):
        order = []
        for _ in range(12):
            order.append(choose_group(posterior, "random_order", rng))
            posterior.update(order[-1], float(rng.normal()))
        assert sorted(order) == list(WADSWORTH.codes)
        orders.append(tuple(order))
    assert len(set(orders)) == 5


def test_before_the_first_flash_no_group_of_a_matrix_is_better_than_another():
    for policy in POLICIES:
        found = choice_probabilities(SymbolPosterior(WADSWORTH), policy)
        assert found == pytest.approx(np.full(12, 1 / 12))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_group_that_may_not_flash_is_not_chosen(policy):
    sure = SymbolPosterior(Speller.single_keys("AB"), [0.0, -np.inf])
    assert choice_probabilities(sure, policy, without=[1]).tolist() == [0.0, 1.0]
    posterior, rng, last = SymbolPosterior(WADSWORTH), np.random.default_rng(0), []
    for _ in range(100):
        chosen = choose_group(posterior, policy, rng, without=last)
        assert chosen not in last
        posterior.update(chosen, float(rng.normal()))
        last = [chosen]


def test_what_cannot_be_chosen_from_is_refused():
    posterior = SymbolPosterior(Speller.single_keys("AB"))
    with pytest.raises(InputError, match="got policy 'greedy'; expected one of random_order, "):
        choice_probabilities(posterior, "greedy")
    with pytest.raises(InputError, match="expected a code that may flash"):
        choice_probabilities(posterior, "thompson", without=[1, 2])
    changing = SymbolPosterior(Speller.changing("ABCD", 4))
    with pytest.raises(InputError, match="expected fixed groups"):
        choice_probabilities(changing, "thompson")


START = ScoreLikelihood(slope=0.5, offset=-0.125)


def test_symbols_that_stand_teach_the_likelihood_of_their_scores():
    """Two Gaussians that are d apart have the log ratio d x - d^2 / 2."""
    rng, d = np.random.default_rng(0), 1.5
    learner = BackspaceLearner(START)
    for _ in range(200):
        is_lit = rng.permutation(np.arange(36) % 6 == 0)
        learner.take(rng.normal(size=36) + d * is_lit, is_lit, is_deleted=False)
    assert learner.likelihood.slope == pytest.approx(d, rel=0.1)
    assert learner.likelihood.offset == pytest.approx(-(d**2) / 2, rel=0.1)


def test_a_symbol_that_is_deleted_teaches_nothing_and_few_flashes_not_yet():
    learner, is_lit = BackspaceLearner(START, n_targets=10), np.arange(24) % 6 == 0
    scores = is_lit * 3.0 + np.tile([0.0, 0.5, 1.0], 8)
    for is_deleted in (*[True] * 9, False, False):
        learner.take(scores, is_lit, is_deleted)
        assert learner.likelihood is START  # 8 target flashes stand
    learner.take(scores, is_lit, is_deleted=False)
    assert learner.likelihood.slope > 1


def test_the_expected_gain_spells_in_fewer_flashes_than_the_usual_order():
    """The same simulated detector, read at the same probability: fewer flashes, as often right."""
    found = {policy: spelled(policy, 60) for policy in POLICIES}
    right, flashes = ({k: v[i] for k, v in found.items()} for i in range(2))
    assert min(right.values()) > 0.8
    assert flashes["expected_gain"] < 0.9 * flashes["random_order"]


def spelled(policy, n_characters, d=1.5):
    """The share of right symbols, and the mean number of flashes until one has 95 %."""
    rng, speller = np.random.default_rng(0), WADSWORTH
    n_right, n_flashes = 0, 0
    for wanted in itertools.islice(itertools.cycle(speller.symbols), n_characters):
        posterior = SymbolPosterior(speller)
        while posterior.best[1] < 0.95 and posterior.n_flashes < 240:
            code = choose_group(posterior, policy, rng)
            score = rng.normal() + d * (wanted in speller.groups[code])
            posterior.update(code, d * score - d**2 / 2)
        n_right += posterior.best[0] == wanted
        n_flashes += posterior.n_flashes
    return n_right / n_characters, n_flashes / n_characters


def test_a_code_that_the_screen_does_not_have_is_refused():
    posterior = SymbolPosterior(WADSWORTH)
    with pytest.raises(InputError, match=r"got without=\[0\]; expected codes of the screen"):
        choose_group(posterior, "thompson", np.random.default_rng(0), without=[0])
    chosen = choose_group(posterior, "expected_gain", np.random.default_rng(0), without=3)
    assert chosen in WADSWORTH.codes and chosen != 3
