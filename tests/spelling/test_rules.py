import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t
from simulated import spelled_flashes

from p300.errors import InputError
from p300.metrics import bits_per_selection, wilson_interval
from p300.speller import WADSWORTH, Speller
from p300.spelling import CharacterModel, ScoreLikelihood, SymbolPosterior, spell
from p300.spelling.comparison import best_fixed, compare_readings, read_fixed, read_with_rules
from p300.spelling.rules import (
    NO_SYMBOL,
    RULES,
    ExpectedRate,
    FixedRepetitions,
    PosteriorMargin,
    PosteriorThreshold,
    rule_from_dict,
)
from p300.spelling.thresholds import choose_rules, fit_likelihood, read_held_out
from p300.spelling.traces import characters_of, idle_twins, resampled, trace

#: Scores are drawn from Gaussians of variance 1 and means 0 and D: log ratio D (score - D / 2).
D = 1.2
TRUE = ScoreLikelihood(D, -D * D / 2)
PAPER = {"repetition_s": 2.1, "pause_s": 2.5}
RATE = ExpectedRate(threshold=0.3, gain=1.5, n_symbols=36, n_codes=12, max_repetitions=8, **PAPER)
EVERY_RULE = [
    FixedRepetitions(max_repetitions=3),
    PosteriorThreshold(threshold=0.9, max_repetitions=8),
    PosteriorMargin(threshold=2.0, max_repetitions=8),
    RATE,
]


def spelled_table(text, n_repetitions=8, d=D, seed=0):
    """Flashes of a text with scores drawn from the two Gaussians."""
    return spelled_flashes(text, WADSWORTH, n_repetitions, d=d, seed=seed, character_s=60.0)


def taken_apart(table, likelihood=TRUE):
    return characters_of(table["score"], table, WADSWORTH, likelihood)


@pytest.mark.parametrize("rule", EVERY_RULE, ids=lambda rule: rule.name)
@pytest.mark.parametrize("idle_prior", [0.0, 0.5])
def test_a_replayed_character_ends_at_the_flash_at_which_it_ended_live(rule, idle_prior):
    characters = taken_apart(spelled_table("P3WAVE"))
    characters += idle_twins(characters, np.random.default_rng(0))
    n_flashes, symbols = trace(characters, WADSWORTH, idle_prior=idle_prior).stop(rule)
    for character, n, symbol in zip(characters, n_flashes, symbols, strict=True):
        posterior = SymbolPosterior(WADSWORTH, idle_prior=idle_prior)
        for k, log_ratio in enumerate(character.log_ratio, start=1):
            lit = WADSWORTH.membership.T == character.lit[k - 1]
            posterior.update(WADSWORTH.codes[lit.all(axis=1).argmax()], log_ratio)
            decided = rule.decide(posterior, k // 12, k % 12 == 0)
            if decided is not None:
                break
        assert k == n
        assert decided == (WADSWORTH.symbols[symbol] if symbol >= 0 else NO_SYMBOL)


def test_a_fixed_number_reads_what_the_sum_of_scores_reads():
    table = spelled_table("ABCDEFGHIJ" * 3, d=0.8)
    spelled = spell(table["score"], table, WADSWORTH)
    expected = spelled.loc[spelled["n_repetitions"] == 3, "symbol"].tolist()
    _, symbols = trace(taken_apart(table), WADSWORTH).stop(FixedRepetitions(max_repetitions=3))
    assert [WADSWORTH.symbols[k] for k in symbols] == expected
    fixed = read_fixed(spelled, 12, {"three": 3})
    assert fixed["symbol"].tolist() == expected and set(fixed["n_flashes"]) == {36}


def test_rules_read_a_recording_that_names_no_session_too():
    table = spelled_table("EEG").assign(session=pd.NA)
    assert len(taken_apart(table)) == 3
    assert len(read_fixed(spell(table["score"], table, WADSWORTH), 12, {"three": 3})) == 3


@pytest.mark.slow
def test_a_symbol_that_was_nine_tenths_sure_is_right_nine_times_of_ten():
    table = spelled_table("ABCDEFGHIJKLMNOPQRSTUVWXYZ123456789_" * 20, n_repetitions=15)
    rule = PosteriorThreshold(threshold=0.9, max_repetitions=15)
    characters = taken_apart(table)
    n_flashes, symbols = trace(characters, WADSWORTH).stop(rule)
    early = n_flashes < 180
    right = symbols == [character.wanted for character in characters]
    assert early.mean() > 0.9
    # 720 characters; evidence jumps over the threshold, so a little more than 0.9 are right
    assert 0.88 < right[early].mean() < 0.97


def test_scores_without_information_are_never_sure():
    table = spelled_table("ABCDEFGH" * 5, d=0.0)
    n_flashes, _ = trace(taken_apart(table, ScoreLikelihood(0.0, 0.0)), WADSWORTH).stop(
        PosteriorThreshold(threshold=0.5, max_repetitions=5)
    )
    assert set(n_flashes) == {60}


@pytest.mark.parametrize(
    "rule",
    [
        FixedRepetitions(max_repetitions=4),
        PosteriorThreshold(threshold=0.98, max_repetitions=8),
        PosteriorMargin(threshold=4.0, max_repetitions=8),
        dataclasses.replace(RATE, threshold=0.98),
    ],
    ids=lambda rule: rule.name,
)
def test_an_idle_user_writes_nothing_and_a_wanted_symbol_is_written(rule):
    characters = taken_apart(spelled_table("P3_IN_EEG" * 5, d=2.5), ScoreLikelihood(2.5, -3.125))
    idle = idle_twins(characters, np.random.default_rng(0))
    _, read = trace(characters, WADSWORTH, idle_prior=0.5).stop(rule)
    _, read_idle = trace(idle, WADSWORTH, idle_prior=0.5).stop(rule)
    assert (read == [character.wanted for character in characters]).mean() > 0.9
    assert (read_idle == -1).mean() > 0.9


def test_without_the_idle_hypothesis_an_idle_user_writes_something():
    idle = idle_twins(taken_apart(spelled_table("P3WAVE")), np.random.default_rng(0))
    _, read = trace(idle, WADSWORTH).stop(PosteriorThreshold(threshold=0.9, max_repetitions=8))
    assert (read >= 0).all()


def test_the_expected_rate_goes_on_while_another_repetition_pays():
    # of two keys A is 90 % sure after one repetition of 1 s; another one brings 99.9 %, and
    # bits/min go from 60 * 0.531 / 3.5 = 9.1 to 60 * 0.989 / 4.5 = 13.2; the third from 13.2
    # to at most 60 / 5.5 = 10.9
    keys = Speller.single_keys("AB")
    rule = ExpectedRate(
        threshold=0.5,
        gain=np.log(999 / 9),
        repetition_s=1.0,
        pause_s=2.5,
        n_symbols=2,
        n_codes=2,
        max_repetitions=9,
    )
    posterior = SymbolPosterior(keys)
    posterior.update(1, np.log(3.0))
    posterior.update(2, -np.log(3.0))
    assert posterior.best == ("A", pytest.approx(0.9))
    assert rule.decide(posterior, 1, True) is None
    posterior.update(1, np.log(111.0))
    posterior.update(2, 0.0)
    assert rule.decide(posterior, 2, True) == "A"


def test_a_likely_idle_user_is_not_given_up_at_the_first_flash():
    # half the characters are idle; a symbol needs its flashes before it can be likelier
    for rule in EVERY_RULE:
        posterior = SymbolPosterior(WADSWORTH, idle_prior=0.5)
        posterior.update(1, -1.0)
        assert rule.decide(posterior, 0, False) is None


def test_a_symbol_as_likely_as_a_loose_threshold_is_not_read_while_idling_is_likelier():
    # A 0.375, B 0.125, nobody 0.5
    posterior = SymbolPosterior(Speller.single_keys("AB"), idle_prior=0.5)
    posterior.update(1, np.log(1.5))
    posterior.update(2, np.log(0.5))
    assert posterior.probabilities == pytest.approx([0.375, 0.125])
    rule = PosteriorThreshold(threshold=0.3, max_repetitions=5)
    assert rule.decide(posterior, 1, True) is None
    posterior.update(1, np.log(3.0))
    assert rule.decide(posterior, 1, False) == "A"


@pytest.mark.parametrize("rule", EVERY_RULE, ids=lambda rule: rule.name)
def test_a_rule_survives_json(rule):
    assert rule_from_dict(json.loads(json.dumps(rule.to_dict()))) == rule


def test_an_unknown_rule_is_refused():
    with pytest.raises(InputError, match="expected one of fixed, posterior, margin, expected"):
        rule_from_dict({"rule": "luck"})


def test_resampled_characters_consist_of_whole_repetitions_of_one_character():
    characters = taken_apart(spelled_table("AB", n_repetitions=4))
    for k, made in enumerate(resampled(characters, 10, np.random.default_rng(0))):
        source = characters[k % 2]
        assert made.wanted == source.wanted
        whole = {tuple(source.log_ratio[12 * r : 12 * r + 12]) for r in range(4)}
        drawn = made.log_ratio.reshape(4, 12)
        assert {tuple(repetition) for repetition in drawn} <= whole
        assert made.repetition.tolist() == np.repeat(range(4), 12).tolist()


def test_flashes_that_repeat_one_another_are_believed_less():
    once = spelled_table("ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 4, n_repetitions=4, d=0.8)
    copies = [once.assign(repetition=4 * once["repetition"] + k) for k in range(4)]
    echoed = pd.concat(copies).sort_values(["character", "repetition"], kind="stable")
    slope = ScoreLikelihood.fit(echoed["score"], echoed["is_target"].astype(bool)).slope
    assert fit_likelihood(once, WADSWORTH).slope == pytest.approx(slope, rel=0.1)
    # four copies are worth one: a quarter of the belief from the fourth on, more before
    assert 0.25 * slope < fit_likelihood(echoed, WADSWORTH).slope < 0.6 * slope


def test_one_character_at_which_the_user_looked_elsewhere_does_not_teach_distrust():
    table = spelled_table("ABCDEFGHIJKL", n_repetitions=15)
    lapsed = (table["character"] == 5).to_numpy()
    elsewhere = np.isin(table["code"], WADSWORTH.codes_of("Z"))
    scores = np.random.default_rng(1).normal(size=len(table)) + D * elsewhere
    with_lapse = table.assign(score=np.where(lapsed, scores, table["score"]))
    untempered = ScoreLikelihood.fit(with_lapse["score"], table["is_target"].astype(bool))
    assert fit_likelihood(with_lapse, WADSWORTH).slope > 0.9 * untempered.slope


@pytest.mark.slow
def test_thresholds_for_accuracy_lose_none_and_both_goals_gain_speed_on_new_characters():
    held_out = spelled_table("ABCDEFGHIJKLMNOPQRST", n_repetitions=12, seed=1)
    new = spelled_table("THE_QUICK_BROWN_FOX_JUMPS_OVER_1_LAZY_DOG" * 5, 12, seed=2)
    likelihood = fit_likelihood(held_out, WADSWORTH)
    spelled = spell(new["score"], new, WADSWORTH)
    numbers = {"all": 12, "best": best_fixed(spelled, WADSWORTH, **PAPER)}
    rules = {}
    for goal in ("accuracy", "rate"):
        chosen = choose_rules(held_out, WADSWORTH, likelihood, goal=goal, **PAPER)
        assert set(chosen) == set(RULES)
        rules |= {f"{name}, {goal}": chosen[name] for name in ("posterior", "margin", "expected")}
    readings = pd.concat(
        [
            read_fixed(spelled, 12, numbers),
            read_with_rules(taken_apart(new, likelihood), WADSWORTH, rules),
        ]
    )
    rows = compare_readings(readings, WADSWORTH, rivals=["all", "best"], **PAPER)
    found = {row["rule"]: row for row in rows}
    for name in rules:
        assert found[name]["over"]["all"]["low"] > 1.3
        if name.endswith("accuracy"):
            assert found[name]["accuracy"] > found["all"]["accuracy"] - 0.02
    # evidence per character differs, so a rule that looks at it beats the best fixed number
    assert found["expected, rate"]["over"]["best"]["low"] > 1


def test_where_no_threshold_reads_as_many_as_all_repetitions_the_most_accurate_is_taken():
    # where a character may be idle some are given up, whatever the threshold
    held_out = spelled_table("ABCDEFGHIJKL", n_repetitions=6, d=1.0)
    likelihood = fit_likelihood(held_out, WADSWORTH)
    chosen = choose_rules(held_out, WADSWORTH, likelihood, idle_prior=0.5, **PAPER)
    drawn = resampled(taken_apart(held_out, likelihood), 600, np.random.default_rng(5))
    wanted = np.array([character.wanted for character in drawn])
    traces = trace(drawn, WADSWORTH, idle_prior=0.5)

    def accuracy(rule):
        return np.mean(traces.stop(rule)[1] == wanted)

    loose = PosteriorThreshold(threshold=0.3, max_repetitions=6)
    strict = PosteriorThreshold(threshold=0.9999, max_repetitions=6)
    assert accuracy(loose) < accuracy(strict) - 0.05
    assert accuracy(chosen["posterior"]) > accuracy(strict) - 0.02


def test_bits_per_minute_follow_from_accuracy_and_mean_time():
    times = {"slow": [60] * 6, "fast": [12, 36] * 3}
    rows = [
        (rule, "1", "1", 1, k, n, "A", "A", True)
        for rule, flashes in times.items()
        for k, n in enumerate(flashes)
    ]
    columns = "rule subject session run character n_flashes symbol wanted is_right".split()
    readings = pd.DataFrame(rows, columns=columns).astype({"is_right": "boolean"})
    slow, fast = compare_readings(readings, WADSWORTH, rivals=["slow"], **PAPER)
    assert slow["seconds"] == pytest.approx(2.5 + 5 * 2.1)
    assert fast["n_repetitions"] == 2 and fast["seconds"] == pytest.approx(2.5 + 2 * 2.1)
    assert fast["bits_per_minute"] == pytest.approx(60 * np.log2(36) / 6.7)
    assert fast["over"]["slow"]["ratio"] == pytest.approx(13 / 6.7)
    # all right under both: the ratio differs in time only, 4.6 or 8.8 s
    seconds = np.tile([4.6, 8.8], 3)
    half = t.ppf(0.975, 5) * seconds.std(ddof=1) / np.sqrt(6) / 6.7
    assert fast["over"]["slow"]["low"] == pytest.approx(13 / 6.7 * np.exp(-half), rel=0.02)
    assert fast["over"]["slow"]["high"] == pytest.approx(13 / 6.7 * np.exp(half), rel=0.02)
    # the rate itself is uncertain although all are right, as the accuracy is
    low, high = slow["bits_low"], slow["bits_high"]
    assert (
        high == pytest.approx(slow["bits_per_minute"]) and slow["low"] == wilson_interval(6, 6).low
    )
    assert low == pytest.approx(60 * bits_per_selection(slow["low"], 36) / 13)


def test_unlabelled_characters_are_read_but_not_counted():
    table = spelled_table("AB").assign(is_target=pd.NA).astype({"is_target": "boolean"})
    readings = read_with_rules(taken_apart(table), WADSWORTH, {"three": EVERY_RULE[0]})
    (row,) = compare_readings(readings, WADSWORTH, **PAPER)
    assert row["n_characters"] == 0 and len(row["text"]) == 2
    assert row["n_repetitions"] == 3 and np.isnan(row["bits_per_minute"])
    assert best_fixed(spell(table["score"], table, WADSWORTH), WADSWORTH, **PAPER) is None


def test_a_language_reads_the_same_words_sooner():
    words = "THE_BRAIN_SAYS_HELLO"
    characters = taken_apart(spelled_table(words, d=1.0))
    model = CharacterModel("the brain says hello. " * 5, WADSWORTH.symbols)
    rules = {"rule": PosteriorThreshold(threshold=0.95, max_repetitions=8)}
    plain = read_with_rules(characters, WADSWORTH, rules)
    told = read_with_rules(characters, WADSWORTH, rules, model=model)
    assert told["is_right"].sum() >= plain["is_right"].sum()
    assert told["n_flashes"].mean() < 0.7 * plain["n_flashes"].mean()


def test_a_run_without_held_out_flashes_is_told_so(tmp_path):
    with pytest.raises(InputError, match="held_out.csv is not there"):
        read_held_out(tmp_path)


def test_an_unknown_goal_and_no_characters_are_refused():
    table = spelled_table("A")
    with pytest.raises(InputError, match="goal=speed; expected accuracy or rate"):
        choose_rules(table, WADSWORTH, TRUE, goal="speed")
    with pytest.raises(InputError, match="no held-out character"):
        choose_rules(table.iloc[:0], WADSWORTH, TRUE)
