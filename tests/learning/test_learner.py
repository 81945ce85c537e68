"""Learning while spelling: what it must give, and what it must never see."""

import numpy as np
import pytest
from learners import SYMBOLS, character, noise, pool, source_of

from p300 import Speller
from p300.errors import InputError
from p300.learning import EpochSums, Learner, LearningSettings
from p300.learning.guard import N_COMPARED, DriftGuard, clarity
from p300.learning.session import lit_by
from p300.metrics import roc_auc


def line_of(source, sums):
    """The weights of the discriminant between the classes of sums, and its offset."""
    means = sums.means
    weights = source.discriminants(sums).of(np.diff(means, axis=0))[0]
    return weights, -float(weights.ravel() @ means.mean(axis=0).ravel())


def test_before_the_first_character_nothing_has_changed():
    learner = Learner(source_of(), SYMBOLS)
    np.testing.assert_allclose(learner.change(noise(50, 1)), 0, atol=1e-12)


def test_learning_with_known_symbols_equals_fitting_to_all_flashes_at_once():
    source = source_of()
    settings = LearningSettings(mean_flashes=None, covariance_flashes=None, guard=False)
    learner, whole = Learner(source, SYMBOLS, settings), source.whole()
    for k, symbol in enumerate((2, 0, 5)):
        epochs, lit, is_target = character(symbol, seed=10 + k)
        learner.learn(epochs, lit, np.zeros(30), np.zeros(30), known=symbol)
        centred = source.centred(epochs)
        weight = source.counted(centred)
        whole = whole + EpochSums.of(centred, is_target, weight, whole.basis)
    new = noise(40, 3)
    weights, offset = line_of(source, whole)
    trained, before = line_of(source, source.whole())
    moved = source.centred(new).reshape(40, -1) @ (weights - trained).ravel() + offset - before
    np.testing.assert_allclose(learner.change(new), moved, rtol=1e-9, atol=1e-12)
    assert np.abs(moved).max() > 0.01


def test_characters_that_are_sure_teach_what_their_labels_would():
    source = source_of()
    settings = LearningSettings(temper=1.0, guard=False)
    by_labels, by_odds = (Learner(source, SYMBOLS, settings) for _ in range(2))
    for k, symbol in enumerate((2, 0, 5, 1)):
        epochs, lit, is_target = character(symbol, size=3.0, seed=10 + k)
        sure = np.where(is_target, 20.0, -20.0)
        by_labels.learn(epochs, lit, sure, sure, known=symbol)
        by_odds.learn(epochs, lit, sure, sure)
    assert by_odds.symbols_so_far() == list("CAFB")
    new = noise(40, 3)
    np.testing.assert_allclose(by_odds.change(new), by_labels.change(new), atol=1e-6)


def test_other_people_count_as_many_flashes_as_is_said():
    source = source_of(n=1200, people=("1", "2", "3"))
    limited = source.weighted("new", 250)
    assert limited.n.sum() == pytest.approx(250)
    own = source.weighted("2", 250)
    assert own.n.sum() == pytest.approx(250 + source.people["2"].n.sum())
    assert source.weighted("2", None).n.sum() == pytest.approx(source.whole().n.sum())
    assert source.weighted("new", 10_000).n.sum() == pytest.approx(source.whole().n.sum())


def test_a_character_counts_half_after_its_half_life():
    def last_weights(half_life):
        settings = LearningSettings(half_life=half_life, guard=False, mean_flashes=30)
        learner = Learner(source_of(), SYMBOLS, settings, "new")
        for k in range(12):
            where = k < 6  # the P300 moves to another electrode
            epochs, lit, is_target = character(k % 6, size=0.0, seed=k)
            epochs[is_target, 1 if where else 2, 10:20] += 1.5
            sure = np.where(is_target, 20.0, -20.0)
            learner.learn(epochs, lit, sure, sure)
        probe = np.zeros((2, 3, 40))
        probe[0, 1, 10:20] = probe[1, 2, 10:20] = 1.0
        return learner.change(probe)

    old, new = last_weights(2.0)
    assert new > 1.5 * old
    old, new = last_weights(None)
    assert abs(new - old) < 0.5 * new


def test_a_backspace_says_that_the_symbol_before_it_was_wrong():
    settings = LearningSettings(backspace="F", guard=False)
    learner = Learner(source_of(), SYMBOLS, settings)
    unsure = np.zeros(30)
    epochs, lit, _ = character(2, size=0.0)
    favours_a = np.where(lit[:, 0], 1.0, 0.0) + np.where(lit[:, 2], 0.9, 0.0)
    learner.learn(epochs, lit, favours_a, favours_a, decided=0)
    assert learner.symbols_so_far() == ["A"]
    learner.learn(*character(5, seed=1)[:2], unsure, unsure, decided=5)
    assert learner.characters[0].posterior[0] == 0
    assert learner.symbols_so_far()[0] == "C"


def test_a_second_backspace_deletes_the_symbol_before_the_deleted_one():
    learner = Learner(source_of(), SYMBOLS, LearningSettings(backspace="F", guard=False))
    unsure = np.zeros(30)
    for k, decided in enumerate((0, 1, 5, 5, 5)):
        learner.learn(*character(3, seed=k)[:2], unsure, unsure, decided=decided)
    first, second, *_ = learner.characters
    assert first.posterior[0] == 0
    assert second.posterior[1] == 0
    assert all(one.posterior.min() > 0 for one in learner.characters[2:])


def test_a_backspace_that_is_not_on_the_screen_is_refused():
    with pytest.raises(InputError, match=r"backspace='<'.*not on the screen"):
        Learner(source_of(), SYMBOLS, LearningSettings(backspace="<"))


def test_names_that_a_command_line_reads_as_numbers_are_names():
    settings = LearningSettings(person=2, backspace=1)  # type: ignore[arg-type]
    learner = Learner(source_of(people=("1", "2")), "ABC1", settings)
    assert learner.person == "2"
    assert settings.backspace == "1"


@pytest.mark.parametrize("value", [-1, np.nan, np.inf])
def test_settings_that_are_no_numbers_from_0_are_refused(value):
    with pytest.raises(InputError, match=r"learning\.temper"):
        LearningSettings(temper=value)


def test_clarity_is_that_of_students_t_test():
    from scipy.stats import ttest_ind

    _, lit, is_target = character(3)
    scores = np.random.default_rng(0).normal(size=30) + 3 * is_target
    wanted = ttest_ind(scores[is_target], scores[~is_target]).statistic
    assert clarity(lit, scores) == pytest.approx(wanted)


def test_the_guard_stops_what_makes_characters_less_clear():
    guard, rng = DriftGuard(), np.random.default_rng(0)
    found = []
    for _ in range(N_COMPARED):
        _, lit, is_target = character(rng.integers(6))
        static = rng.normal(size=30) + 2 * is_target
        found.append(guard.check(lit, rng.normal(size=30), static))
    assert found[:-1] == [None] * (N_COMPARED - 1)
    assert "less clear" in found[-1]


def test_the_guard_rarely_stops_what_changes_nothing():
    stopped = 0
    for seed in range(100):
        guard, rng = DriftGuard(), np.random.default_rng(seed)
        for _ in range(20):
            _, lit, is_target = character(rng.integers(6))
            both = rng.normal(size=30) + is_target
            scores, static = both + 0.5 * rng.normal(size=(2, 30))
            if guard.check(lit, scores, static) is not None:
                stopped += 1
                break
    assert stopped <= 5  # of 100 sessions, each looked at eleven times


def test_a_detector_is_as_it_was_trained_after_learning_has_stopped(monkeypatch):
    learner = Learner(source_of(), SYMBOLS)
    monkeypatch.setattr(DriftGuard, "check", lambda *_: "of a reason")
    learner.learn(*character(2)[:2], np.zeros(30), np.zeros(30))
    assert learner.stopped == "of a reason"
    assert (learner.change(noise(9, 1)) == 0).all()
    assert not learner.characters


def test_a_new_person_is_read_better_with_learning():
    gains = []
    for seed in range(3):
        people = pool(seed=seed)
        is_target = people.flashes["is_target"].to_numpy(bool)
        learned = people.spell().scores
        gains.append(roc_auc(is_target, learned) - roc_auc(is_target, people.static()))
    assert np.mean(gains) > 0.01
    assert min(gains) > -0.005


def test_what_comes_later_changes_no_earlier_score():
    people = pool()
    late = (people.flashes["session"] == "test") & (people.flashes["character"] > 6)
    late = late.to_numpy()
    epochs = people.epochs.copy()
    epochs[late] = np.random.default_rng(0).normal(size=epochs[late].shape)
    before, after = people.spell().scores, people.spell(epochs=epochs).scores
    assert (before[~late] == after[~late]).all()
    assert (before[late] != after[late]).any()


def test_no_label_is_read():
    people = pool()
    blind = people.flashes.assign(is_target=None).astype({"is_target": "boolean"})
    wrong = people.flashes.assign(is_target=~people.flashes["is_target"])
    expected = people.spell().scores
    for flashes in (blind, wrong):
        assert (people.spell(flashes).scores == expected).all()


def test_codes_in_random_order_leave_the_detector_at_chance():
    people = pool()
    rng = np.random.default_rng(0)
    flashes = people.flashes.copy()
    flashes["code"] = flashes.groupby(["session", "character", "repetition"])["code"].transform(
        lambda codes: rng.permutation(codes.to_numpy())
    )
    flashes["is_target"] = flashes.groupby(["session", "character", "repetition"])[
        "is_target"
    ].transform(lambda labels: rng.permutation(labels.to_numpy()))
    found = people.spell(flashes, mean_flashes=1, covariance_flashes=1).scores
    assert abs(roc_auc(flashes["is_target"].to_numpy(bool), found) - 0.5) < 0.06


def test_flashes_of_no_character_are_scored_and_not_learned_from():
    people = pool()
    flashes = people.flashes.copy()
    outside = (flashes["session"] == "train") & (flashes["character"] == 3)
    flashes.loc[outside, "character"] = None
    found = people.spell(flashes)
    assert len(found.symbols["4"]) == 17
    assert np.isfinite(found.scores).all()
    with pytest.raises(InputError, match="of no character"):
        people.spell(flashes.assign(character=None))


def test_groups_that_change_are_learned_by_what_they_lit():
    people = pool(speller=Speller.changing("ABCDEGIKLNOPRSTW", 8), n_repetitions=12)
    groups = lit_by(people.flashes, people.speller)
    assert len(np.unique(groups, axis=0)) > len(people.speller.symbols)
    is_target = people.flashes["is_target"].to_numpy(bool)
    found = people.spell()
    assert roc_auc(is_target, found.scores) > roc_auc(is_target, people.static())


def test_a_person_whose_p300_is_the_others_upside_down_is_read_after_a_few_characters():
    people = pool(n_repetitions=10)
    is_target = people.flashes["is_target"].to_numpy(bool)
    late = (people.flashes["session"] == "test").to_numpy()
    found = people.spell(epochs=-people.epochs)
    static = people.static(-people.epochs)
    assert roc_auc(is_target[late], static[late]) < 0.3
    assert roc_auc(is_target[late], found.scores[late]) > 0.7
    assert found.doubted["4"][0] <= 6
    never = people.spell(epochs=-people.epochs, doubt=None)
    assert roc_auc(is_target[late], never.scores[late]) < 0.5


def test_a_person_like_the_others_is_not_doubted():
    for seed in range(3):
        assert not pool(n_repetitions=10, seed=seed).spell().doubted
