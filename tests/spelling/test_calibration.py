import numpy as np
import pytest
from scipy.special import expit

from p300.errors import InputError
from p300.spelling import fit_platt


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
