import math

import numpy as np
import pytest

from p300.metrics import (
    auc_counts,
    bootstrap_weights,
    brier_score,
    calibration_error,
    holm,
    interval,
    resampling_units,
    roc_auc,
    signed_rank_test,
    weighted_auc,
)
from p300.recording import flash_table


def scored_flashes(n_units=20, per_unit=12, seed=0):
    """Two targets a unit; scores are whole numbers, so that many are tied."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(n_units), per_unit)
    is_target = np.tile(np.arange(per_unit) < 2, n_units)
    return is_target, rng.integers(0, 5, len(unit)) + is_target, unit


def test_the_auc_of_a_bootstrap_sample_is_that_of_its_flashes_written_out():
    is_target, scores, unit = scored_flashes()
    weights = bootstrap_weights(20, 5, np.random.default_rng(1))
    found = weighted_auc(*auc_counts(is_target, scores, unit), weights)
    for draw, auc in zip(weights, found, strict=True):
        rows = np.concatenate([np.tile(np.flatnonzero(unit == k), n) for k, n in enumerate(draw)])
        assert auc == pytest.approx(roc_auc(is_target[rows], scores[rows]))


def test_every_bootstrap_sample_has_as_many_units_as_there_are_and_each_is_as_likely():
    weights = bootstrap_weights(7, 20_000, np.random.default_rng(0))
    assert (weights.sum(axis=1) == 7).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(7), abs=0.05)


def test_a_95_percent_interval_covers_the_true_auc_about_95_times_in_100():
    # two normal classes one standard deviation apart: AUC = Phi(1 / sqrt(2))
    truth = 0.5 * (1 + math.erf(0.5))
    is_target, _, unit = scored_flashes(n_units=30)
    rng, n_covered = np.random.default_rng(0), 0
    for _ in range(200):
        scores = rng.normal(size=len(unit)) + is_target
        weights = bootstrap_weights(30, 300, rng)
        low, high = interval(weighted_auc(*auc_counts(is_target, scores, unit), weights))
        n_covered += low <= truth <= high
    assert 176 <= n_covered <= 200


def test_a_sample_without_targets_has_no_auc_and_is_left_out_of_the_interval():
    counts = auc_counts([True, False, False], [1.0, 0.0, 0.0], [0, 0, 1])
    auc = weighted_auc(*counts, np.array([[0, 2], [1, 1]]))
    assert np.isnan(auc[0]) and auc[1] == 1
    assert interval(auc) == (1, 1)
    assert np.isnan(interval([np.nan])).all()


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
