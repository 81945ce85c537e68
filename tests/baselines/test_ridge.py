"""The ridge regression against answers reached another way."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge as BruteForceRidge

from p300.baselines import GaussianProcessRidge
from p300.baselines.ridge import PENALTIES, Ridge, choose_penalty, smooth_basis


@pytest.mark.parametrize("n_features", [7, 90])
def test_both_forms_agree_with_a_brute_force_ridge(n_features):
    rng = np.random.default_rng(0)
    features, desired = rng.normal(size=(40, n_features)) + 3, rng.normal(size=40)
    mean_eigenvalue = np.cov(features.T, bias=True).trace() / n_features
    found = Ridge(features, desired).weights([0.1, 10.0])
    for weights, penalty in zip(found.T, [0.1, 10.0], strict=True):
        brute = BruteForceRidge(alpha=40 * penalty * mean_eigenvalue, solver="svd")
        brute.fit(features, desired)
        np.testing.assert_allclose(weights, brute.coef_, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("n_out", [5, 20])
@pytest.mark.parametrize("n_features", [7, 90])
def test_left_out_flashes_are_scored_as_by_a_regression_on_the_others(n_features, n_out):
    rng = np.random.default_rng(1)
    features, desired = rng.normal(size=(40, n_features)) + 3, rng.normal(size=40)
    out = np.isin(np.arange(40), rng.permutation(40)[:n_out])
    ridge = Ridge(features, desired)
    found = ridge.left_out_scores(out, [0.1, 10.0])
    for scores, penalty in zip(found.T, [0.1, 10.0], strict=True):
        brute = BruteForceRidge(alpha=penalty * ridge.size, solver="svd")
        wanted = brute.fit(features[~out], desired[~out]).predict(features[out])
        np.testing.assert_allclose(np.diff(scores), np.diff(wanted), rtol=1e-6, atol=1e-9)


def test_the_basis_rebuilds_the_kernel_of_the_gaussian_process():
    time = np.arange(78)
    kernel = np.exp(-0.5 * ((time[:, None] - time) / 3.6) ** 2)
    basis = smooth_basis(78, 3.6)
    assert basis.shape[1] < 40
    np.testing.assert_allclose(basis @ basis.T, kernel, atol=0.02)


def test_weights_are_smooth_in_time():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(300, 4, 78)), np.arange(300) % 6 == 0
    weights = GaussianProcessRidge(penalty=1.0).fit(X, y).weights_
    steps = np.abs(np.diff(weights, axis=1)).max()
    assert steps < 0.5 * np.abs(weights).max()


def test_noise_asks_for_a_larger_penalty_than_a_clear_answer():
    rng = np.random.default_rng(2)
    y = np.arange(600) % 6 == 0
    desired = np.where(y, 3.0, -0.6)
    clear = rng.normal(size=(600, 30)) + 3 * y[:, None] * rng.normal(size=30)
    groups = np.repeat(np.arange(10), 60)
    weak = rng.normal(size=(600, 30)) + 0.3 * y[:, None]
    assert choose_penalty(Ridge(weak, desired), y, groups) > PENALTIES[0]
    assert choose_penalty(Ridge(clear, desired), y, groups) in PENALTIES


def test_fewer_than_three_characters_take_the_fixed_penalty():
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(120, 4, 78)), np.arange(120) % 6 == 0
    assert GaussianProcessRidge().fit(X, y, groups=np.arange(120) // 60).penalty_ == 1.0
    assert GaussianProcessRidge().fit(X, y, groups=np.arange(120) // 30).penalty_ in PENALTIES


def test_a_score_of_zero_lies_midway_between_the_classes():
    rng = np.random.default_rng(4)
    y = np.arange(600) % 6 == 0
    X = rng.normal(size=(600, 4, 78)) + np.where(y, 1.0, 0.0)[:, None, None] * np.sin(
        np.arange(78) / 9
    )
    scores = GaussianProcessRidge().fit(X, y).decision_function(X)
    assert scores[y].mean() == pytest.approx(-scores[~y].mean())


def test_a_dead_electrode_changes_no_score():
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(120, 4, 78)), np.arange(120) % 6 == 0
    dead = np.concatenate([X, np.zeros((120, 1, 78))], axis=1)
    # the penalty is relative to the mean over all electrodes' features
    with_dead = GaussianProcessRidge(penalty=1.25).fit(dead, y).decision_function(dead)
    without = GaussianProcessRidge(penalty=1.0).fit(X, y).decision_function(X)
    np.testing.assert_allclose(with_dead, without, atol=1e-9)
