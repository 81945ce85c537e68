"""What a stack gives its members to train on, and how it weighs them."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from p300.checkpoint import Member
from p300.metrics import roc_auc
from p300.preprocessing import Preprocessor
from p300.recording import CHARACTER_KEY
from p300.simulation import simulate_recording
from p300.splits import shares_samples
from p300.stacking import Stack, fit_weights

IS_TARGET = np.arange(1200) % 6 == 0


def noisy_scores(n_members, rng, *, noise=1.0):
    return IS_TARGET[:, None] + noise * rng.normal(size=(len(IS_TARGET), n_members))


def test_a_member_without_information_gets_no_weight():
    rng = np.random.default_rng(0)
    scores = np.column_stack([noisy_scores(1, rng, noise=0.3), rng.normal(size=len(IS_TARGET))])
    for penalty, share in ((0.0, 0.1), (0.03, 0.5)):  # the penalty draws weights together
        weights, _ = fit_weights(scores, IS_TARGET, penalty)
        useful, useless = weights * scores.std(axis=0)
        assert useless < share * useful


def test_members_that_score_alike_get_equal_weights_whatever_their_unit():
    scores = noisy_scores(1, np.random.default_rng(1)) * [1.0, 1.0, 5.0]
    weights, _ = fit_weights(scores, IS_TARGET)
    np.testing.assert_allclose(weights * [1, 1, 5], weights[0], rtol=1e-3)


@pytest.mark.parametrize("penalty", [0.0, 0.03, math.inf])
def test_no_weight_is_negative_even_for_a_detector_that_is_upside_down(penalty):
    scores = noisy_scores(2, np.random.default_rng(2)) * [1.0, -1.0]
    weights, _ = fit_weights(scores, IS_TARGET, penalty)
    assert (weights >= 0).all()


def test_an_infinite_penalty_weighs_standardised_scores_equally():
    scores = noisy_scores(3, np.random.default_rng(3)) * [1.0, 2.0, 9.0]
    weights, _ = fit_weights(scores, IS_TARGET, math.inf)
    np.testing.assert_allclose(weights * scores.std(axis=0), weights[0] * scores[:, 0].std())


def test_a_weighted_sum_is_the_log_odds_among_equally_many_targets_and_nontargets():
    # normal scores of unit deviation, one apart: the log odds are score - 1/2
    weights, offset = fit_weights(
        np.repeat(noisy_scores(1, np.random.default_rng(4)), 2, 1), IS_TARGET
    )
    assert weights.sum() == pytest.approx(1, abs=0.2) and offset == pytest.approx(-0.5, abs=0.2)


def test_separable_scores_keep_finite_weights():
    weights, offset = fit_weights(np.column_stack([IS_TARGET, IS_TARGET]).astype(float), IS_TARGET)
    assert (0 < weights).all() and (weights < 100).all() and math.isfinite(offset)


class Amplitude(nn.Module):
    """A network that has nothing to learn: the mean amplitude as the logit of a target."""

    def forward(self, x):
        level = x.mean(dim=(1, 2))
        return torch.stack([torch.zeros_like(level), level], dim=1)


class LoudTargets:
    """A classical detector that has nothing to learn."""

    def decision_function(self, epochs):
        return epochs.mean(axis=(1, 2))


def fit_stack(text, n_folds=5):
    """Fit a stack of one network and one classical detector and write down what they got."""
    recording = simulate_recording(text, n_repetitions=3, seed=1)
    epochs = Preprocessor(scaling="none").fit(recording).epochs(recording)
    is_target = epochs.flashes["is_target"].to_numpy(bool)
    epochs.data[is_target] += 3
    rows = np.ones(len(epochs.flashes), bool)
    calls = []

    def fit_member(model, train, validation):
        calls.append((model["kind"], train, validation))
        if model["kind"] == "network":
            return Member(Amplitude(), dict(model), "CrossEntropy"), {"best_pass": 3}
        return Member(LoudTargets(), dict(model)), {}

    stack = Stack({"a": {"kind": "network"}, "b": {"kind": "classical"}}, n_folds)
    return stack.fit(epochs, rows, fit_member), calls, epochs


def test_a_network_stays_for_each_fold_and_a_classical_detector_learns_from_everything():
    (members, offset, records), calls, epochs = fit_stack("ABCDEFG")
    assert [r["name"] for r in records] == ["a"] * 5 + ["b"]
    assert [m.is_network for m in members] == [True] * 5 + [False]
    assert len({m.weight for m in members[:5]}) == 1
    assert calls[-1][1].all() and calls[-1][2] is None
    scores = sum(m.weight * m.score(epochs.data) for m in members) + offset
    assert roc_auc(epochs.flashes["is_target"], scores) > 0.7


def test_members_are_weighed_by_characters_they_were_not_trained_on():
    _, calls, epochs = fit_stack("ABCDEFG")
    for _, train, left_out in calls[:-1]:
        assert not (train & shares_samples(epochs.flashes, left_out, (0, 0.65))).any()
        side = epochs.flashes.assign(side=left_out).groupby(CHARACTER_KEY)["side"]
        assert (side.nunique() == 1).all()
    left_out = sum(c[2].astype(int) for c in calls if c[0] == "network")
    assert (left_out == 1).all()


@pytest.mark.parametrize("text", ["AB", "A"])
def test_one_or_two_characters_give_equal_weights(text):
    (members, _, _), _, epochs = fit_stack(text)
    assert [m.is_network for m in members] == [True, True, False]
    network, classical = 2 * members[0].weight, members[2].weight
    assert network == pytest.approx(classical, rel=0.05)  # the two score alike
