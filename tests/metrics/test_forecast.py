"""A power law is read beyond a learning curve; three points are too few for one."""

import numpy as np
import pytest

from p300.errors import InputError
from p300.metrics import PowerLaw, confidence_interval, fit_power_law, forecast_auc

N = np.array([2, 4, 8, 16, 32])


@pytest.mark.parametrize("law", [(0.9, 0.4, 0.5), (0.8, 0.6, 1.2), (0.98, 0.5, 0.25)])
def test_a_planted_curve_is_recovered_and_read_at_twice_its_end(law):
    a, b, c = law
    found = forecast_auc(N, a - b * N**-c)
    assert [found.law.a, found.law.b, found.law.c] == pytest.approx(law, abs=1e-3)
    assert found.n == 64 and found.auc == pytest.approx(a - b * 64**-c, abs=1e-4)


def test_a_planted_curve_with_noise_of_a_hundredth_is_guessed_within_three():
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(0, 0.01, len(N))
        guess = forecast_auc(N, 0.9 - 0.4 * N**-0.5 + noise).auc
        assert guess == pytest.approx(0.85, abs=0.03)


def test_a_flat_curve_has_a_flat_forecast_and_a_falling_one_never_rises():
    assert forecast_auc(N, np.full(5, 0.7)).auc == pytest.approx(0.7, abs=1e-4)
    falling = forecast_auc(N, [0.75, 0.74, 0.73, 0.72, 0.71])
    assert falling.auc == pytest.approx(0.73, abs=1e-3)


def test_no_law_leaves_the_range_of_an_auc():
    steep = fit_power_law(N, [0.5, 0.6, 0.7, 0.8, 0.9])  # straight in log n: no end in sight
    assert 0.5 <= steep.a <= 1 and steep.b > 0 and steep.c > 0
    assert 0.85 < steep(64) <= 1
    assert fit_power_law(N, np.full(5, 0.3)).a >= 0.5


def test_three_points_are_refused_since_a_law_goes_through_any_three():
    with pytest.raises(InputError, match="got 3 points of a learning curve; expected at least 4"):
        forecast_auc([3, 6, 12], [0.7, 0.8, 0.85])
    with pytest.raises(InputError, match="got 3 points"):
        forecast_auc([3, 6, 12, 12], [0.7, 0.8, 0.85, 0.85])
    with pytest.raises(InputError, match="expected n above 0"):
        forecast_auc([0, 3, 6, 12], [0.6, 0.7, 0.8, 0.85])


def test_the_interval_over_people_is_that_of_their_mean_where_all_have_flat_curves():
    levels = np.random.default_rng(0).uniform(0.7, 0.9, 8)

    def curve(weights):
        mean = weights @ levels / weights.sum(axis=1)
        return np.tile(mean[:, None], len(N))

    found = forecast_auc(N, curve(np.ones((1, 8)))[0], curve=curve, n_units=8, unit="people")
    mean = confidence_interval(
        lambda w: w @ levels / w.sum(axis=1), 8, scale="logit", unit="people"
    )
    assert found.interval.n == 8 and found.interval.unit == "people"
    assert [*found.interval] == pytest.approx([*mean], abs=1e-3)


def test_without_units_the_interval_is_over_five_points_or_there_is_none():
    noise = np.array([0.01, -0.01, 0.005, 0.01, -0.01])
    found = forecast_auc(N, PowerLaw(0.9, 0.4, 0.5)(N) + noise)
    assert found.interval.low < found.auc < found.interval.high
    assert found.interval.unit == "points of the curve"
    four = forecast_auc(N[:4], PowerLaw(0.9, 0.4, 0.5)(N)[:4])
    assert four.interval.why_not == "fewer than 5 points of the curve"
