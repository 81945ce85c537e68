"""What each classical detector computes, against an answer reached another way."""

import numpy as np
import pytest
from scipy import stats

from p300.baselines import SVMEnsemble, XdawnLDA, XdawnTangentSpace
from p300.baselines.base import bin_means, center
from p300.baselines.svm_ensemble import _overlap
from p300.baselines.swlda import SWLDA, stepwise_regression
from p300.baselines.xdawn import covariance_of_all, oas_covariances, xdawn_filters
from p300.errors import InputError


def p_of_last(columns, y):
    """Fit ``columns`` and a constant by least squares; p-value of the last column's t test."""
    design = np.column_stack([np.ones(len(y)), *columns])
    weights, *_ = np.linalg.lstsq(design, y, rcond=None)
    df = len(y) - design.shape[1]
    variance = np.sum((y - design @ weights) ** 2) / df
    error = np.sqrt(variance * np.linalg.inv(design.T @ design)[-1, -1])
    return 2 * stats.t.sf(abs(weights[-1]) / error, df)


def brute_force_stepwise(features, y, p_enter, p_remove, max_features):
    kept = []
    while len(kept) < max_features:
        others = [j for j in range(features.shape[1]) if j not in kept]
        p = [p_of_last([features[:, k] for k in [*kept, j]], y) for j in others]
        if min(p) >= p_enter:
            break
        kept.append(others[int(np.argmin(p))])
        while kept:
            p = [
                p_of_last([features[:, k] for k in [*(i for i in kept if i != j), j]], y)
                for j in kept
            ]
            if max(p) <= p_remove:
                break
            kept.pop(int(np.argmax(p)))
    return sorted(kept)


@pytest.mark.parametrize("seed", range(8))
def test_swlda_keeps_what_a_brute_force_stepwise_regression_keeps(seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(90, 4)) @ rng.normal(size=(4, 14)) + 0.7 * rng.normal(
        size=(90, 14)
    )
    y = features @ (rng.normal(size=14) / features.std(0)) + 4 * rng.normal(size=90) > 0
    features = 10 ** rng.uniform(-1, 1, 14) * features + 1
    for p_enter, p_remove, most in [(0.1, 0.15, 60), (0.3, 0.31, 60), (0.1, 0.15, 3)]:
        kept, weights = stepwise_regression(
            features, y, p_enter=p_enter, p_remove=p_remove, max_features=most
        )
        expected = brute_force_stepwise(features, y.astype(float), p_enter, p_remove, most)
        assert kept.tolist() == expected
        design = np.column_stack([np.ones(90), features[:, kept]])
        np.testing.assert_allclose(weights, np.linalg.lstsq(design, y, rcond=None)[0][1:])


def test_swlda_puts_out_a_feature_that_two_others_make_needless():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 400))
    y = a + b
    both = a + b + 0.3 * rng.normal(size=400)  # enters first, then explains nothing
    features = np.column_stack([both, a, b + 0.01 * rng.normal(size=400)])
    kept, _ = stepwise_regression(features, y)
    assert kept.tolist() == [1, 2]


def test_swlda_takes_no_channel_twice_and_no_flat_one():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=200)
    features = np.column_stack([np.full(200, 3.0), signal, signal, 2 * signal + 1])
    kept, _ = stepwise_regression(features, signal + rng.normal(size=200))
    assert len(kept) == 1 and kept[0] in (1, 2, 3)


def test_swlda_without_a_feature_says_so_and_scores_nothing():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2, 12)), np.arange(60) % 6 == 0
    with pytest.warns(UserWarning, match="no feature entered"):
        learned = SWLDA(p_enter=1e-12, p_remove=1e-11).fit(X, y)
    assert not learned.decision_function(X).any()


def test_bins_are_means_and_the_last_may_be_short():
    epochs = np.arange(14.0).reshape(1, 2, 7)
    np.testing.assert_allclose(bin_means(epochs, 3), [[[1, 4, 6], [8, 11, 13]]])
    np.testing.assert_allclose(center(epochs).mean(axis=-1), 0)


def test_shrunk_covariances_equal_scikit_learns():
    from sklearn.covariance import oas

    signals = np.random.default_rng(0).normal(size=(5, 6, 40)).cumsum(axis=1)
    for one, many in zip(signals, oas_covariances(signals), strict=True):
        np.testing.assert_allclose(many, oas(one.T)[0])
    everything = signals.transpose(1, 0, 2).reshape(6, -1)
    np.testing.assert_allclose(covariance_of_all(signals), oas(everything.T)[0])


def test_xdawn_points_where_the_targets_differ():
    rng = np.random.default_rng(0)
    y = np.arange(600) % 6 == 0
    scalp = np.array([0.0, 1.0, 0.5, 0.0, 0.0, -0.5])
    X = rng.normal(size=(600, 6, 60))
    X += y[:, None, None] * np.outer(scalp, np.hanning(60))
    first = xdawn_filters(X, y, 1)[0]
    assert abs(first @ scalp) / np.linalg.norm(scalp) > 0.95


def test_xdawn_and_its_covariances_equal_pyriemanns():
    from pyriemann import estimation
    from pyriemann import spatialfilters as filters

    rng = np.random.default_rng(0)
    y = np.arange(120) % 6 == 0
    X = rng.normal(size=(120, 6, 40)).cumsum(axis=1) + y[:, None, None] * np.hanning(40)
    theirs = filters.Xdawn(nfilter=3, estimator="oas").fit(X, y)
    for c, of_class in enumerate((~y, y)):
        expected = theirs.filters_[3 * c : 3 * c + 3]
        cosines = np.sum(xdawn_filters(X, of_class, 3) * expected, axis=1)
        np.testing.assert_allclose(np.abs(cosines), 1, atol=1e-6)
    ours = XdawnTangentSpace(n_filters=3, remove_mean=False).fit(X, y)
    theirs = estimation.XdawnCovariances(3, estimator="oas", xdawn_estimator="oas").fit(X, y)
    # the sign of a filter is free, so that of a covariance is; its spectrum is not
    np.testing.assert_allclose(
        np.linalg.eigvalsh(ours._covariances(X)), np.linalg.eigvalsh(theirs.transform(X))
    )


def test_more_filters_than_electrodes_are_as_many_as_electrodes():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 4, 24)), np.arange(60) % 6 == 0
    assert XdawnLDA(n_filters=8).fit(X, y).filters_.shape == (4, 4)


def test_the_ensemble_never_cuts_a_character_and_drops_the_noisy_channel():
    rng = np.random.default_rng(0)
    characters = np.repeat(np.arange(6), 180)
    y = np.arange(1080) % 6 == 0
    X = rng.normal(size=(1080, 4, 78))
    X[:, :3] += y[:, None, None] * np.hanning(78)  # channel 3 has no answer
    ensemble = SVMEnsemble(n_flashes_per_part=360).fit(X, y, characters=characters)
    part = ensemble._cut_into_parts(characters, y)
    assert part.tolist() == np.repeat([0, 1, 2], 360).tolist()
    assert ensemble.coefs_.shape == (3, 4, 13)
    n_channels_left = (ensemble.coefs_ != 0).any(axis=2).sum(axis=0)
    assert n_channels_left[3] < n_channels_left[:3].min()
    with pytest.raises(InputError, match="characters of 3 flashes; expected 1080"):
        ensemble.fit(X, y, characters=[1, 2, 3])


def test_the_ensembles_criterion_counts_found_missed_and_false_targets():
    scores = np.array([1.0, 1.0, -1.0, -1.0, 1.0])
    truth = np.array([True, False, True, False, True])
    assert _overlap(scores, truth) == 2 / 4  # TP 2, FP 1, FN 1
