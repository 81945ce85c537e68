import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, ttest_ind
from scipy.stats import t as student

from p300.metrics import (
    Interval,
    auc_counts,
    auc_interval,
    bits_per_selection,
    brier_score,
    calibration_error,
    confidence_interval,
    holm,
    rate_interval,
    resampling_units,
    roc_auc,
    signed_rank_test,
    weighted_auc,
    wilson_interval,
)
from p300.recording import flash_table


def scored_flashes(n_units=20, per_unit=12, seed=0):
    """Two targets a unit; scores are whole numbers, so that many are tied."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(n_units), per_unit)
    is_target = np.tile(np.arange(per_unit) < 2, n_units)
    return is_target, rng.integers(0, 5, len(unit)) + is_target, unit


def random_weights(n_units, n_draws, rng):
    return rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=n_draws)


def test_the_auc_of_weighted_units_is_that_of_their_flashes_written_out():
    is_target, scores, unit = scored_flashes()
    weights = random_weights(20, 5, np.random.default_rng(1))
    found = weighted_auc(*auc_counts(is_target, scores, unit), weights)
    for draw, auc in zip(weights, found, strict=True):
        rows = np.concatenate([np.tile(np.flatnonzero(unit == k), n) for k, n in enumerate(draw)])
        assert auc == pytest.approx(roc_auc(is_target[rows], scores[rows]))


def test_without_targets_there_is_no_auc_and_no_interval():
    counts = auc_counts([True, False, False], [1.0, 0.0, 0.0], [0, 0, 1])
    auc = weighted_auc(*counts, np.array([[0, 2], [1, 1]]))
    assert np.isnan(auc[0]) and auc[1] == 1
    counts = auc_counts([True, False] + 5 * [False], np.arange(7.0), [0, 0, 1, 2, 3, 4, 5])
    found = confidence_interval(lambda w: weighted_auc(*counts, w), 6, scale="logit")
    assert np.isnan(found.low) and np.isnan(found.high)


def test_the_interval_of_a_mean_is_students():
    x = np.random.default_rng(0).normal(size=9)
    found = confidence_interval(lambda w: w @ x / w.sum(axis=1), 9, confidence=0.9)
    low, high = student.interval(0.9, 8, x.mean(), x.std(ddof=1) / 3)
    assert [found.low, found.high] == pytest.approx([low, high])


def test_the_interval_of_a_mean_of_two_means_is_welchs():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=5), 3 * rng.normal(size=8)

    def difference(weights):
        a, b = weights[:, :5], weights[:, 5:]
        return a @ x / a.sum(axis=1) - b @ y / b.sum(axis=1)

    welch = ttest_ind(x, y, equal_var=False).confidence_interval()
    assert [*confidence_interval(difference, (5, 8))] == pytest.approx([*welch])


@pytest.mark.parametrize("n_units", [0, 1, 2, 4])
def test_fewer_than_five_units_have_no_interval_and_the_reason_is_said(n_units):
    x = np.arange(n_units, dtype=float)
    few = confidence_interval(lambda w: w @ x / w.sum(axis=1), n_units, unit="blocks")
    assert np.isnan([few.low, few.high]).all()
    assert few.text() == "– (fewer than 5 blocks)"
    assert wilson_interval(n_units // 2, n_units).why_not == "fewer than 5 characters"
    rate = rate_interval(np.ones(n_units), np.ones(n_units), lambda accuracy: accuracy)
    assert rate.why_not == "fewer than 5 characters"


def test_no_interval_has_a_width_of_zero():
    same = confidence_interval(lambda w: w @ np.ones(8) / w.sum(axis=1), 8)
    assert np.isnan([*same]).all() and same.text() == "– (no spread)"
    is_target, _, unit = scored_flashes(n_units=8)
    perfect = auc_counts(is_target, is_target.astype(float), unit)
    found = confidence_interval(lambda w: weighted_auc(*perfect, w), 8, scale="logit")
    assert found.why_not == "no spread"
    some = Interval(np.array([0.1, 0.2]), np.array([0.1, 0.3]), 7)
    assert np.isnan(some.low).tolist() == [True, False] and not some.why_not


def covered(simulate, n_units, n_simulations, seed=0):
    """Fraction of the simulated intervals that hold the truth."""
    rng = np.random.default_rng(seed)
    inside = 0
    for _ in range(n_simulations):
        found, truth = simulate(n_units, rng)
        inside += found.low <= truth <= found.high
    return inside / n_simulations


def simulated_auc(n_units, rng):
    """Characters whose response varies: each has its own amplitude and its own offset."""
    is_target = np.tile(np.arange(60) % 12 < 2, n_units)
    unit = np.repeat(np.arange(n_units), 60)
    amplitude, offset = 1.5 + 0.4 * rng.normal(size=n_units), 0.3 * rng.normal(size=n_units)
    scores = rng.normal(size=len(unit)) + offset[unit] + amplitude[unit] * is_target
    counts = auc_counts(is_target, scores, unit)
    found = confidence_interval(lambda w: weighted_auc(*counts, w), n_units, scale="logit")
    # of two characters: a difference of mean 1.5, variance 2 + 2 0.3^2 + 0.4^2
    return found, 0.5 * (1 + math.erf(1.5 / math.sqrt(2 * (2 + 2 * 0.09 + 0.16))))


def simulated_rate(n_units, rng, n_symbols=36):
    """Hard characters take longer and are more often wrong."""
    is_hard = rng.random(n_units) < 0.3
    right = rng.random(n_units) < np.where(is_hard, 0.6, 0.95)
    seconds = np.where(is_hard, 20.0, 10.0) + rng.normal(size=n_units)

    def bits(accuracy):
        return float(bits_per_selection(accuracy, n_symbols))

    return rate_interval(right, seconds, bits), 60 * bits(0.7 * 0.95 + 0.3 * 0.6) / 13


def simulated_ratio(n_units, rng):
    fast = 5 + rng.exponential(2.0, size=n_units)
    slow = 10 + 0.5 * fast + rng.exponential(2.0, size=n_units)
    found = confidence_interval(lambda w: (w @ slow) / (w @ fast), n_units, scale="log")
    return found, (10 + 3.5 + 2) / 7


@pytest.mark.parametrize("simulate", [simulated_auc, simulated_rate, simulated_ratio])
@pytest.mark.parametrize("n_units", [5, 6, 12, 25])
def test_a_95_percent_interval_covers_the_truth_about_95_times_in_100(simulate, n_units):
    # the standard error of 1000 simulations is 0.7 %
    assert 0.92 <= covered(simulate, n_units, 1000) <= 0.985


@pytest.mark.parametrize("n_units", [5, 6, 12, 25])
def test_wilson_intervals_cover_95_percent_on_average_over_all_proportions(n_units):
    truths = np.linspace(0.005, 0.995, 199)
    ends = np.array([[*wilson_interval(k, n_units)] for k in range(n_units + 1)])
    chance = binom.pmf(np.arange(n_units + 1)[:, np.newaxis], n_units, truths)
    inside = (ends[:, :1] <= truths) & (truths <= ends[:, 1:])
    coverage = (chance * inside).sum(axis=0)
    assert 0.94 <= coverage.mean() <= 0.97 and coverage.min() > 0.82


def test_the_auc_of_several_people_has_one_interval_over_all_their_characters():
    rng = np.random.default_rng(0)
    parts = []
    for subject in "AB":
        is_target, _, unit = scored_flashes(n_units=6)
        part = flash_table(
            onset=np.arange(72.0), character=unit + 1, is_target=is_target, subject=subject
        )
        parts.append(part.assign(score=rng.normal(size=72) + is_target))
    both, one = auc_interval(pd.concat(parts, ignore_index=True)), auc_interval(parts[0])
    assert (both.n, one.n) == (12, 6)
    mean = np.mean([roc_auc(p["is_target"].to_numpy(bool), p["score"]) for p in parts])
    assert both.low < mean < both.high
    assert both.high - both.low < one.high - one.low


def test_characters_are_units_and_blocks_of_an_oddball_do_not_cross_runs():
    spelled = flash_table(onset=[0, 1, 2, 3], character=[1, 1, 2, 2], run=[1, 1, 1, 2])
    assert resampling_units(spelled).tolist() == [0, 0, 1, 2]
    oddball = flash_table(onset=[1, 31, 1, 2], run=[1, 1, 2, 2], segment=[0, 0, 1, 1])
    assert resampling_units(oddball).tolist() == [0, 1, 2, 2]


def test_holm_by_hand():
    # sorted 0.005, 0.01, 0.03, 0.04, times 4, 3, 2, 1, never falling
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1, 1])
    assert holm([np.nan, 0.04]).tolist()[1] == 0.04


def test_five_people_are_too_few_for_a_test_and_six_of_one_mind_are_just_enough():
    assert np.isnan(signed_rank_test([1, 2, 3, 4, 5]))
    assert signed_rank_test([1, 2, 3, 4, 5, 6]) == pytest.approx(2 / 2**6)
    assert signed_rank_test(np.zeros(6)) == 1
    assert signed_rank_test([1, -1, 2, -2, 3, -3]) > 0.5


def test_true_log_odds_are_calibrated_and_tripled_ones_are_not():
    # P(target | x) = sigmoid(2 x + log odds) for classes N(+1, 1) and N(-1, 1)
    rng = np.random.default_rng(0)
    is_target = rng.random(100_000) < 1 / 6
    log_odds = 2 * (rng.normal(size=len(is_target)) + np.where(is_target, 1, -1)) + math.log(1 / 5)
    assert (
        calibration_error(is_target, log_odds) < 0.01 < calibration_error(is_target, log_odds * 3)
    )
    assert brier_score(is_target, log_odds) < brier_score(is_target, 3 * log_odds)


def test_saying_the_share_of_targets_is_calibrated_and_worth_its_variance():
    is_target, log_odds = np.arange(600) < 100, np.full(600, math.log(1 / 5))
    assert calibration_error(is_target, log_odds) == pytest.approx(0, abs=1e-9)
    assert brier_score(is_target, log_odds) == pytest.approx(5 / 36)
