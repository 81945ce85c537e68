import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from simulated import spelled_flashes

from p300.errors import InputError
from p300.metrics import brier_score, calibration_error
from p300.speller import WADSWORTH
from p300.spelling import fit_platt
from p300.spelling.thresholds import choose_rules, fit_likelihood


def drawn(slope, offset, n=40_000, seed=0):
    """Scores, and labels whose log odds are slope * score + offset."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 3, n)
    return scores, rng.random(n) < expit(slope * scores + offset)


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.5, -1.6), (4.0, 0.3)])
def test_the_log_odds_that_labels_were_drawn_by_are_found(slope, offset):
    found = fit_platt(*drawn(slope, offset))
    assert found == pytest.approx((slope, offset), rel=0.06, abs=0.06)


def test_scores_of_another_scale_are_given_another_slope():
    scores, is_target = drawn(1.0, -1.6)
    slope, offset = fit_platt(1e4 * scores, is_target)
    assert slope == pytest.approx(1e-4, rel=0.06) and offset == pytest.approx(-1.6, abs=0.06)


def test_separable_scores_keep_a_finite_slope():
    slope, offset = fit_platt([-1.0] * 20 + [1.0] * 4, [False] * 20 + [True] * 4)
    assert 0 < slope < 20 and np.isfinite(offset)


def test_a_detector_that_is_wrong_is_silenced_and_not_turned_round():
    scores, is_target = drawn(1.0, 0.0)
    assert fit_platt(-scores, is_target)[0] == 0


def test_the_temperature_leaves_the_offset_alone():
    slope, offset = fit_platt(*drawn(0.5, 0.0), temperature_only=True)
    assert offset == 0 and slope == pytest.approx(0.5, rel=0.06)


def test_one_class_cannot_be_calibrated_on():
    with pytest.raises(InputError, match="0 targets among 2"):
        fit_platt([1.0, 2.0], [False, False])


@pytest.mark.parametrize("level", [0.0, 10.0, 1e3, 1e5])
@pytest.mark.parametrize("unit", [1e-3, 1.0, 100.0])
def test_neither_level_nor_unit_of_the_scores_moves_the_log_odds(level, unit):
    is_target = np.arange(3000) % 6 == 0
    scores = np.random.default_rng(0).normal(size=3000) + 2 * is_target
    slope, offset = fit_platt(scores, is_target)
    other = scores * unit + level
    found = np.polyval(fit_platt(other, is_target), other)
    assert found == pytest.approx(slope * scores + offset, abs=2e-3)


def test_probabilities_need_a_number_and_a_label_per_flash():
    for wrong in ([np.nan, 0.0], [0.0]):
        with pytest.raises(InputError, match="expected one number per flash"):
            calibration_error([True, False], wrong)
        with pytest.raises(InputError, match="expected one number per flash"):
            brier_score([True, False], wrong)
    assert calibration_error([1, -1], [np.inf, -np.inf]) == 0  # certain, and right
    with pytest.raises(InputError, match="values 1, 2"):
        brier_score([1, 2], [0.0, 0.0])


def test_held_out_characters_without_labels_take_no_part_in_choices():
    flashes = spelled_flashes("HELLO_WORLD", n_repetitions=4, d=1.5)
    unlabelled = flashes.copy()
    unlabelled.loc[unlabelled["character"] == 5, "is_target"] = pd.NA
    without = flashes[flashes["character"] != 5].reset_index(drop=True)
    found, expected = (fit_likelihood(table, WADSWORTH) for table in (unlabelled, without))
    assert found == expected
    rules = [choose_rules(table, WADSWORTH, expected) for table in (unlabelled, without)]
    assert rules[0] == rules[1]
    with pytest.raises(InputError, match="no held-out character of a known symbol"):
        choose_rules(flashes.assign(is_target=pd.NA), WADSWORTH, expected)
