"""The ridge on smooth time courses, and the sums it is computed from, against other ways."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from p300.baselines import GaussianProcessRidge
from p300.baselines.ridge import PENALTIES, blocks_of, choose_penalty
from p300.learning.linear import quiet_weights, smooth_basis
from p300.learning.sums import EpochSums


def noise(n_flashes=300, n_chans=4, n_times=78, seed=0):
    """Epochs that are neither white in time nor independent between channels."""
    g = np.random.default_rng(seed)
    mixed = np.einsum("dc,ict->idt", g.normal(size=(n_chans, n_chans)), g.normal(
        size=(n_flashes, n_chans, n_times)
    ))  # fmt: skip
    smooth = np.cumsum(mixed, axis=2)
    return smooth - smooth.mean(axis=2, keepdims=True), np.arange(n_flashes) % 6 == 0


def sums_of(X, y, weight=None, basis=None):
    weight = np.ones(len(X)) if weight is None else weight
    return EpochSums.of(X, y, weight, smooth_basis(X.shape[2], 3.6) if basis is None else basis)


def test_sums_of_parts_add_up_to_the_sums_of_all():
    X, y = noise()
    weight = np.random.default_rng(1).uniform(0.2, 1, size=len(X))
    whole = sums_of(X, y, weight)
    first, rest = (sums_of(X[k], y[k], weight[k]) for k in (slice(0, 77), slice(77, None)))
    for found, wanted in [(first + rest, whole), (whole - first, rest)]:
        for name in ("n", "epochs", "products", "lags"):
            np.testing.assert_allclose(
                getattr(found, name), getattr(wanted, name), rtol=1e-9, atol=1e-9
            )


def test_a_probability_counts_a_flash_partly_to_either_class():
    X, y = noise(6)
    p = np.array([0.0, 0.25, 1.0, 0.5, 0.0, 1.0])
    split = sums_of(X, p)
    parts = sums_of(np.concatenate([X, X]), np.repeat([True, False], 6), np.r_[p, 1 - p])
    np.testing.assert_allclose(split.n, parts.n)
    np.testing.assert_allclose(split.epochs, parts.epochs)
    np.testing.assert_allclose(split.products, parts.products)


def test_the_covariance_is_the_weighted_one_within_the_classes():
    X, y = noise()
    weight = np.random.default_rng(1).uniform(0.2, 1, size=len(X))
    basis = smooth_basis(78, 3.6)
    features = (X @ basis).reshape(len(X), -1)
    wanted = sum(
        np.cov(features[rows].T, aweights=weight[rows], bias=True) * weight[rows].sum()
        for rows in (y, ~y)
    )
    found = sums_of(X, y, weight).covariance(0.0)
    np.testing.assert_allclose(found, wanted / weight.sum(), rtol=1e-8, atol=1e-8)


def test_the_stationary_part_averages_each_lag_over_time():
    X, y = noise(30, n_times=20)
    basis = smooth_basis(20, 3.0)
    centred = X.copy()
    for rows in (y, ~y):
        centred[rows] -= centred[rows].mean(axis=0)
    lags = {
        k: sum(np.einsum("ic,id->cd", centred[:, :, t], centred[:, :, t + k])
               for t in range(20) if 0 <= t + k < 20)
        for k in range(-19, 20)
    }  # fmt: skip
    whole = np.array([[lags[u - t] for u in range(20)] for t in range(20)])
    wanted = np.einsum("tf,tucd,ug->cfdg", basis, whole, basis).reshape(4 * basis.shape[1], -1)
    sums = sums_of(X, y, basis=basis)
    size = np.trace(sums.covariance(0.0))
    found = sums.covariance(1.0)
    np.testing.assert_allclose(found, wanted * size / np.trace(wanted), rtol=1e-7, atol=1e-7)
    assert np.linalg.eigvalsh(found).min() > -1e-9 * size


def test_without_a_penalty_it_is_the_linear_discriminant_of_the_smooth_features():
    X, y = noise(2000, n_chans=2)
    X = X + np.where(y, 1.0, 0.0)[:, None, None] * np.sin(np.arange(78) / 9)
    X /= np.sqrt(np.square(X).mean(axis=(1, 2), keepdims=True))  # so that every flash counts one
    ridge = GaussianProcessRidge(length_scale_s=0.1, penalty=1e-9, toeplitz=0.0)
    scores = ridge.fit(X, y).decision_function(X)
    basis = smooth_basis(78, 12.0)
    features = ((X - X.mean(axis=2, keepdims=True)) @ basis).reshape(len(X), -1)
    wanted = LinearDiscriminantAnalysis(solver="lsqr").fit(features, y).decision_function(features)
    assert np.corrcoef(scores, wanted)[0, 1] > 1 - 1e-6


def test_the_basis_rebuilds_the_kernel_of_the_gaussian_process():
    time = np.arange(78)
    kernel = np.exp(-0.5 * ((time[:, None] - time) / 3.6) ** 2)
    fine, coarse = smooth_basis(78, 3.6), smooth_basis(78, 6.0, 0.01)
    assert coarse.shape[1] < fine.shape[1] / 2 < 20
    np.testing.assert_allclose(fine @ fine.T, kernel, atol=0.02)


def test_weights_are_smooth_in_time():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(300, 4, 78)), np.arange(300) % 6 == 0
    weights = GaussianProcessRidge(penalty=1.0).fit(X, y).weights_
    steps = np.abs(np.diff(weights, axis=1)).max()
    assert steps < 0.5 * np.abs(weights).max()


def test_noise_that_electrodes_share_asks_for_a_smaller_penalty_than_that_of_each():
    g = np.random.default_rng(0)
    y, groups = np.arange(600) % 6 == 0, np.arange(600) // 60
    response = np.sin(np.arange(78) / 9) * np.where(y, 1.0, 0.0)[:, None, None]
    own = g.normal(size=(600, 8, 78))
    shared = 20 * np.cumsum(g.normal(size=(600, 1, 78)), axis=2)
    of_one = np.arange(8)[:, None] == 0
    large, small = (
        GaussianProcessRidge().fit(X, y, groups=groups).penalty_
        for X in (own + 0.2 * response, own + shared + 0.5 * of_one * response)
    )
    assert large > 1 and small < 0.01


def test_of_penalties_that_are_as_good_the_usual_one_is_chosen():
    aucs = np.full((5, 13), 0.7) + np.random.default_rng(0).normal(scale=0.01, size=(5, 13))
    assert choose_penalty(np.full((5, 13), 0.7), 1.1) == 1.0
    aucs[:, 2] += 0.1
    assert choose_penalty(aucs, 1.0) == PENALTIES[2]


@pytest.mark.parametrize(("n_groups", "n_blocks"), [(1, 1), (2, 1), (3, 3), (5, 5), (12, 5)])
def test_blocks_hold_whole_groups(n_groups, n_blocks):
    groups = np.repeat(np.arange(n_groups), 60)
    blocks = blocks_of(groups)
    assert blocks.max() + 1 == n_blocks
    assert all(len(set(blocks[groups == k])) == 1 for k in range(n_groups))


def test_fewer_than_three_characters_take_the_penalty_of_their_number_of_electrodes():
    X, y = noise(120)
    assert GaussianProcessRidge().fit(X, y, groups=np.arange(120) // 60).penalty_ == 4 / 160
    assert GaussianProcessRidge().fit(X, y, groups=np.arange(120) // 30).penalty_ in PENALTIES


def test_a_loud_flash_moves_the_weights_no_more_than_another():
    X, y = noise(400)
    X = X + 5 * np.where(y, 1.0, 0.0)[:, None, None] * np.sin(np.arange(78) / 9)
    quiet = GaussianProcessRidge(penalty=0.1).fit(X, y).weights_
    loud = X.copy()
    loud[::20] *= 50  # an electrode that moves
    found = GaussianProcessRidge(penalty=0.1).fit(loud, y).weights_
    assert np.corrcoef(quiet.ravel(), found.ravel())[0, 1] > 0.9
    counted = quiet_weights(loud)
    assert counted.max() == 1 and counted[::20].max() < 0.05


def test_a_score_of_zero_lies_midway_between_the_classes():
    X, y = noise(600, seed=4)
    X = X + np.where(y, 1.0, 0.0)[:, None, None] * np.sin(np.arange(78) / 9)
    scores = GaussianProcessRidge().fit(X, y).decision_function(X)
    weight = quiet_weights(X - X.mean(axis=2, keepdims=True))
    target, nontarget = (np.average(scores[rows], weights=weight[rows]) for rows in (y, ~y))
    assert target == pytest.approx(-nontarget)


def test_a_dead_electrode_changes_no_score():
    X, y = noise(120, seed=5)
    dead = np.concatenate([X, np.zeros((120, 1, 78))], axis=1)
    # the penalty is relative to the mean over all electrodes' features
    with_dead = GaussianProcessRidge(penalty=1.25).fit(dead, y).decision_function(dead)
    without = GaussianProcessRidge(penalty=1.0).fit(X, y).decision_function(X)
    np.testing.assert_allclose(with_dead, without, atol=1e-9)
