"""What a stack gives its members to train on, and how it weighs them."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from p300.detector import Member
from p300.errors import InputError
from p300.metrics import roc_auc
from p300.preprocessing import Preprocessor
from p300.recording import CHARACTER_KEY
from p300.simulation import simulate_recording
from p300.splits import shares_samples
from p300.training.stacking import Stack, fit_weights

IS_TARGET = np.arange(1200) % 6 == 0


def noisy_scores(n_members, rng, *, noise=1.0):
    return IS_TARGET[:, None] + noise * rng.normal(size=(len(IS_TARGET), n_members))


@pytest.mark.parametrize("penalty", [0.0, 0.3, math.inf])
@pytest.mark.parametrize("seed", range(5))
def test_a_member_of_pure_noise_gets_next_to_no_weight_and_does_no_harm(seed, penalty):
    rng = np.random.default_rng(seed)

    def some_scores():
        return np.column_stack([noisy_scores(2, rng), rng.normal(size=len(IS_TARGET))])

    scores, others = some_scores(), some_scores()
    weights, _ = fit_weights(scores, IS_TARGET, penalty)
    *useful, noise = weights * scores.std(axis=0)
    # classes 0.9 apart, and of noise 0 with a standard error of 0.08
    assert noise < 0.25 * min(useful)
    with_noise = roc_auc(IS_TARGET, others @ weights)
    assert with_noise > roc_auc(IS_TARGET, others[:, :2] @ weights[:2]) - 0.01


def test_members_that_score_alike_get_equal_weights_whatever_their_unit():
    scores = noisy_scores(1, np.random.default_rng(1)) * [1.0, 1.0, 5.0]
    weights, _ = fit_weights(scores, IS_TARGET)
    np.testing.assert_allclose(weights * [1, 1, 5], weights[0], rtol=1e-3)


@pytest.mark.parametrize("penalty", [0.0, 0.3, math.inf])
def test_a_detector_that_is_upside_down_gets_next_to_no_weight(penalty):
    scores = noisy_scores(2, np.random.default_rng(2)) * [1.0, -1.0]
    weights, _ = fit_weights(scores, IS_TARGET, penalty)
    upright, upside_down = weights
    assert 0 < upside_down < 0.1 * upright


def test_an_infinite_penalty_weighs_standardised_scores_by_how_far_apart_they_hold_the_classes():
    scores = (IS_TARGET[:, None] * [1.0, 0.5, 0.0] + noisy_scores(3, np.random.default_rng(3))) * 9
    weights, _ = fit_weights(scores, IS_TARGET, math.inf)
    apart = (scores[IS_TARGET].mean(axis=0) - scores[~IS_TARGET].mean(axis=0)) / scores.std(axis=0)
    standardised = weights * scores.std(axis=0)
    np.testing.assert_allclose(standardised / standardised[0], apart / apart[0])


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


class Cheat:
    """Scores that are right about some flashes, and noise about all others."""

    def __init__(self, epochs, rows):
        labels = epochs.flashes["is_target"].to_numpy(bool)[rows]
        self.known = dict(zip([e.tobytes() for e in epochs.data[rows]], labels, strict=True))
        self.rng = np.random.default_rng(0)

    def decision_function(self, epochs):
        noise = self.rng.normal(size=len(epochs))
        found = [5 * self.known.get(e.tobytes(), n) for e, n in zip(epochs, noise, strict=True)]
        return np.array(found, float)


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


def test_a_network_is_not_weighed_by_the_characters_that_stopped_it():
    epochs = make_epochs()
    rows = np.ones(len(epochs.flashes), bool)
    networks = Stack(MODELS).plan(epochs, rows)[:5]
    for plan in networks:
        parts = plan.train.astype(int) + plan.stop + plan.left_out
        assert parts.max() == 1 and min(plan.train.sum(), plan.stop.sum()) > 0
    # each fold stops one network and weighs another
    for parts in ([plan.stop for plan in networks], [plan.left_out for plan in networks]):
        assert (np.sum(parts, axis=0) == 1).all()


def test_a_network_that_is_right_only_about_what_stopped_it_gets_next_to_no_weight():
    epochs = make_epochs()
    is_target = epochs.flashes["is_target"].to_numpy(bool)
    rows, stack = np.ones(len(is_target), bool), Stack(MODELS)
    planned = stack.plan(epochs, rows)
    fitted = [
        (Member(Cheat(epochs, plan.stop), {}), {})
        if plan.stop is not None
        else (Member(LoudTargets(), {}), {})
        for plan in planned
    ]
    kept, *_ = stack.combine(epochs, rows, planned, fitted)
    deviations = [m.score(epochs.data).std() for m, _ in kept]
    shares = [m.weight * s for (m, _), s in zip(kept, deviations, strict=True)]
    assert sum(shares[:5]) < 0.25 * shares[-1]
    dishonest = np.column_stack([np.where(is_target, 5.0, 0.0), epochs.data.mean(axis=(1, 2))])
    cheated = fit_weights(dishonest, is_target)[0] * dishonest.std(axis=0)
    assert cheated[0] > cheated[1]  # weighed by what stopped it, it would count most


def test_networks_are_left_out_where_few_targets_train_them():
    epochs = make_epochs()
    rows = np.ones(len(epochs.flashes), bool)
    n_targets = int(epochs.flashes["is_target"].sum())
    for least, n_networks in ((n_targets, 5), (n_targets + 1, 0)):
        stack = Stack(MODELS, network_targets=least)
        planned = stack.plan(epochs, rows)
        assert sum(plan.model is MODELS["a"] for plan in planned) == n_networks
        kept, *_ = stack.combine(epochs, rows, planned, pretend_to_fit(planned))
        assert [record["name"] for _, record in kept] == n_networks * ["a"] + ["b"]


def test_a_stack_of_networks_alone_says_that_it_needs_more():
    epochs = make_epochs("AB")
    rows = np.ones(len(epochs.flashes), bool)
    with pytest.raises(InputError, match="got 2 folds .* expected at least 3 folds"):
        Stack({"a": MODELS["a"]}).plan(epochs, rows)


def test_members_are_weighed_by_characters_they_were_not_trained_on():
    epochs = make_epochs()
    rows = ~epochs.flashes["character"].eq("D").to_numpy()  # which is tested
    planned = Stack(MODELS).plan(epochs, rows)
    for plan in planned[:-1]:
        for others in (plan.left_out, plan.stop):
            if others is not None:
                assert not (plan.train & shares_samples(epochs.flashes, others, (0, 0.65))).any()
                assert not (others & ~rows).any()
        assert not (plan.train & ~rows).any() and plan.train.any()
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
def test_one_or_two_characters_leave_networks_out(text):
    models = {**MODELS, "c": MODELS["b"] | {"n": 2}}
    epochs, stack = make_epochs(text), Stack(models)
    rows = np.ones(len(epochs.flashes), bool)
    planned = stack.plan(epochs, rows)
    fitted = [(Member(LoudTargets(), dict(plan.model)), {}) for plan in planned]
    kept, *_ = stack.combine(epochs, rows, planned, fitted)
    assert [record["name"] for _, record in kept] == ["b", "c"]
    assert kept[0][0].weight == pytest.approx(kept[1][0].weight)  # the two score alike


def test_members_that_fail_on_a_short_calibration_still_make_a_detector():
    rng = np.random.default_rng(0)
    is_target = np.arange(48) % 6 == 0
    scores = rng.normal(size=(48, 2)) - is_target[:, None]  # on the wrong side, by chance
    weights, _ = fit_weights(scores, is_target)
    first, second = weights * scores.std(axis=0)
    assert first > 0 and first == pytest.approx(second, rel=0.01)
