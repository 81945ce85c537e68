"""What a stack gives its members to train on, and how it weighs them."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from p300.detector import Member
from p300.metrics import roc_auc
from p300.preprocessing import Preprocessor
from p300.recording import CHARACTER_KEY
from p300.simulation import simulate_recording
from p300.splits import shares_samples
from p300.training.stacking import Stack, fit_weights

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


#: A network and a classical detector by name, which decides what each is planned to learn from;
#: what stands in for them below has nothing to learn.
MODELS = {
    "a": {"_target_": "p300.models.CecottiCNN"},
    "b": {"_target_": "p300.baselines.ShrinkageLDA"},
}


class Amplitude(nn.Module):
    """The mean amplitude as the logit of a target."""

    def forward(self, x):
        level = x.mean(dim=(1, 2))
        return torch.stack([torch.zeros_like(level), level], dim=1)


class LoudTargets:
    """The mean amplitude as the score."""

    def decision_function(self, epochs):
        return epochs.mean(axis=(1, 2))


class Forgetful:
    """Scores that are wrong where it was fitted: the sign of the amplitude is turned."""

    def __init__(self, epochs, rows):
        self.known = {epoch.tobytes() for epoch in epochs.data[rows]}

    def decision_function(self, epochs):
        turned = np.array([-1.0 if epoch.tobytes() in self.known else 1.0 for epoch in epochs])
        return turned * epochs.mean(axis=(1, 2))


def make_epochs(text="ABCDEFG"):
    """Epochs of a simulated recording with targets three units above nontargets."""
    recording = simulate_recording(text, n_repetitions=3, seed=1)
    epochs = Preprocessor(scaling="none").fit(recording).epochs(recording)
    epochs.data[epochs.flashes["is_target"].to_numpy(bool)] += 3
    return epochs


def pretend_to_fit(planned):
    """Give detectors with nothing to learn, as if fitted as planned."""
    return [
        (Member(Amplitude(), dict(plan.model), "CrossEntropy"), {"best_epoch": 3})
        if plan.model is MODELS["a"]
        else (Member(LoudTargets(), dict(plan.model)), {})
        for plan in planned
    ]


def test_a_network_learns_once_a_fold_and_a_classical_detector_from_everything_too():
    epochs = make_epochs()
    rows = np.ones(len(epochs.flashes), bool)
    planned = Stack(MODELS, n_folds=5).plan(epochs, rows)
    assert [plan.model is MODELS["b"] for plan in planned] == 5 * [False] + 6 * [True]
    assert planned[-1].train.all() and planned[-1].left_out is None
    assert all(plan.left_out is not None for plan in planned[:-1])


def test_members_are_weighed_by_characters_they_were_not_trained_on():
    epochs = make_epochs()
    rows = ~epochs.flashes["character"].eq("D").to_numpy()  # which is tested
    planned = Stack(MODELS).plan(epochs, rows)
    for plan in planned[:-1]:
        assert not (plan.train & shares_samples(epochs.flashes, plan.left_out, (0, 0.65))).any()
        assert not ((plan.train | plan.left_out) & ~rows).any() and plan.train.any()
        side = epochs.flashes.assign(side=plan.left_out).groupby(CHARACTER_KEY)["side"]
        assert (side.nunique() == 1).all()
    for model in MODELS.values():
        own = [plan.left_out for plan in planned if plan.model is model]
        left_out = sum(part.astype(int) for part in own if part is not None)
        assert np.array_equal(left_out, rows.astype(int))


def test_a_network_stays_for_each_fold_and_a_classical_detector_as_fitted_to_everything():
    epochs = make_epochs()
    rows = np.ones(len(epochs.flashes), bool)
    stack = Stack(MODELS)
    planned = stack.plan(epochs, rows)
    fitted = pretend_to_fit(planned)
    kept, offset, _ = stack.combine(epochs, rows, planned, fitted)
    members, records = [member for member, _ in kept], [record for _, record in kept]
    assert [r["name"] for r in records] == ["a"] * 5 + ["b"]
    assert [r.get("best_epoch") for r in records] == [3] * 5 + [None]
    assert members == [member for member, _ in fitted[:5]] + [fitted[-1][0]]
    assert len({m.weight for m in members[:5]}) == 1
    scores = sum(m.weight * m.score(epochs.data) for m in members) + offset
    assert roc_auc(epochs.flashes["is_target"], scores) > 0.7


def test_held_out_scores_come_from_detectors_that_were_not_fitted_to_them():
    epochs = make_epochs()
    is_target = epochs.flashes["is_target"].to_numpy(bool)
    rows = np.arange(len(is_target)) < 180  # five of seven characters
    stack = Stack({name: MODELS["b"] | {"n": name} for name in "cd"})
    planned = stack.plan(epochs, rows)
    fitted = [(Member(Forgetful(epochs, p.train), {}), {}) for p in planned]
    kept, offset, scores = stack.combine(epochs, rows, planned, fitted)
    assert np.array_equal(~np.isnan(scores), rows)
    assert roc_auc(is_target[rows], scores[rows]) > 0.7
    fitted_too = sum(m.weight * m.score(epochs.data) for m, _ in kept) + offset
    assert roc_auc(is_target[rows], fitted_too[rows]) < 0.3  # what those would have said


@pytest.mark.parametrize("text", ["AB", "A"])
def test_one_or_two_characters_give_equal_weights(text):
    epochs, stack = make_epochs(text), Stack(MODELS)
    rows = np.ones(len(epochs.flashes), bool)
    planned = stack.plan(epochs, rows)
    kept, *_ = stack.combine(epochs, rows, planned, pretend_to_fit(planned))
    members = [member for member, _ in kept]
    assert [m.is_network for m in members] == [True, True, False]
    network, classical = 2 * members[0].weight, members[2].weight
    assert network == pytest.approx(classical, rel=0.05)  # the two score alike
