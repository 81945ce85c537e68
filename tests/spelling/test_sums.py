import itertools

import numpy as np
import pandas as pd
import pytest
from simulated import spelled_flashes

from p300.errors import InputError
from p300.metrics import wilson_interval
from p300.recording import flash_table
from p300.speller import WADSWORTH, Speller
from p300.spelling import (
    ScoreLikelihood,
    SymbolPosterior,
    accuracy_by_repetition,
    estimate_likelihood,
    spell,
    text_after,
    timing,
)


def test_a_perfect_detector_spells_the_text_after_one_repetition():
    flashes = spelled_flashes("HELLO_P3")
    spelled = spell(flashes["is_target"].astype(float), flashes, WADSWORTH)
    assert [text_after(spelled, n) for n in (1, 2, 3)] == ["HELLO_P3"] * 3
    assert spelled["is_right"].all()
    assert text_after(spelled, 3, "wanted") == "HELLO_P3"


def test_text_is_read_in_the_order_of_the_flashes_whatever_the_characters_numbers():
    flashes = spelled_flashes("HI", n_repetitions=1)
    flashes["character"] = 3 - flashes["character"]  # 2 comes before 1
    spelled = spell(flashes["is_target"].astype(float), flashes, WADSWORTH)
    assert spelled["character"].tolist() == [2, 1]
    assert text_after(spelled, 1) == "HI"


def test_a_recording_that_names_no_session_is_read_too():
    flashes = spelled_flashes("EEG").assign(session=pd.NA)
    spelled = spell(flashes["is_target"].astype(float), flashes, WADSWORTH)
    assert text_after(spelled, 3) == "EEG"
    assert len(spelled) == 9


@pytest.mark.slow
def test_scores_without_information_spell_at_chance():
    flashes = spelled_flashes("ABCDEFGHIJ" * 100, n_repetitions=2)
    scores = np.random.default_rng(1).normal(size=len(flashes))
    spelled = spell(scores, flashes, WADSWORTH)
    n_right = int(spelled.loc[spelled["n_repetitions"] == 2, "is_right"].sum())
    low, high = wilson_interval(n_right, 1000, confidence=0.999)
    assert low < 1 / 36 < high


def test_the_order_of_the_flashes_does_not_matter():
    flashes = spelled_flashes("EEG")
    scores = np.random.default_rng(0).normal(size=len(flashes))
    order = np.random.default_rng(1).permutation(len(flashes))
    expected = spell(scores, flashes, WADSWORTH)
    shuffled = spell(scores[order], flashes.iloc[order], WADSWORTH)
    for n in (1, 2, 3):
        got = shuffled[shuffled["n_repetitions"] == n].set_index("character")["symbol"]
        want = expected[expected["n_repetitions"] == n].set_index("character")["symbol"]
        assert got.sort_index().equals(want.sort_index())


def test_the_best_symbol_stands_where_the_best_column_and_row_cross():
    flashes = spelled_flashes("A" * 200, n_repetitions=3)
    scores = np.random.default_rng(0).normal(size=len(flashes))
    gathered = flashes.assign(score=scores).pivot_table("score", "character", "code", "sum")
    sums = gathered.to_numpy()
    column, row = sums[:, :6].argmax(1), sums[:, 6:].argmax(1)  # eqs. (17) and (18)
    read = spell(scores, flashes, WADSWORTH).query("n_repetitions == 3")["symbol"]
    assert read.tolist() == [WADSWORTH.symbols[k] for k in 6 * row + column]


def test_scores_are_summed_over_repetitions_and_not_taken_from_the_last():
    keys = Speller.single_keys("AB")
    flashes = spelled_flashes("A", keys, n_repetitions=2)
    is_a, first = flashes["code"] == 1, flashes["repetition"] == 0
    scores = np.where(first, np.where(is_a, 3.0, 0.0), np.where(is_a, 0.0, 2.0))
    assert spell(scores, flashes, keys)["symbol"].tolist() == ["A", "A"]


def test_a_symbol_lit_by_more_codes_gains_nothing_from_being_lit_more():
    lopsided = Speller(("A", "B"), {1: ("A",), 2: ("A",), 3: ("B",)})
    flashes = spelled_flashes("B" * 50, lopsided, n_repetitions=2)
    noise = np.random.default_rng(0).normal(size=len(flashes))
    for constant in (-10, 0, 10):
        scores = noise + 4.0 * flashes["is_target"] + constant
        assert text_after(spell(scores, flashes, lopsided), 2) == "B" * 50


#: Every set of one to three of six codes lights a symbol: symbols are lit 1 to 3 times as often.
SETS = [c for k in (1, 2, 3) for c in itertools.combinations(range(1, 7), k)]
UNEQUAL = Speller(
    [str(c) for c in SETS], {k: [str(c) for c in SETS if k in c] for k in range(1, 7)}, "unequal"
)


@pytest.mark.parametrize("speller", [WADSWORTH, UNEQUAL], ids=["matrix", "unequal"])
@pytest.mark.parametrize("n_missing", [0, 1, 2], ids="{} of ten flashes missing".format)
@pytest.mark.parametrize(("slope", "constant"), [(1, -3), (0.01, 50), (40, 1e4)])
def test_neither_scale_nor_constant_moves_the_text_and_it_is_read_as_well_as_can_be(
    speller, n_missing, slope, constant
):
    rng = np.random.default_rng(5)
    text = rng.choice(speller.symbols, 150)
    flashes = spelled_flashes(text, speller, n_repetitions=5)
    distance = 1.5
    scores = rng.normal(size=len(flashes)) + distance * flashes["is_target"].to_numpy(float)
    is_kept = rng.random(len(flashes)) >= n_missing / 10
    flashes, scores = flashes[is_kept].reset_index(drop=True), scores[is_kept]
    plain = spell(scores, flashes, speller)
    assert plain["symbol"].equals(spell(slope * scores + constant, flashes, speller)["symbol"])
    # nothing reads better than Bayes' rule with the true likelihood of these scores
    truth = ScoreLikelihood(distance, -(distance**2) / 2)
    posterior, n_right = SymbolPosterior(speller), 0
    for symbol, (_, rows) in zip(text, flashes.groupby("character").groups.items(), strict=True):
        posterior.reset()
        for code, score in zip(flashes["code"][rows], scores[rows], strict=True):
            posterior.update(code, truth.log_ratio(score))
        n_right += posterior.best[0] == symbol
    last = plain.drop_duplicates("character", keep="last")
    assert 50 < n_right < 150
    assert last["is_right"].sum() >= n_right - 5
    given = spell(scores, flashes, speller, truth).drop_duplicates("character", keep="last")
    assert given["is_right"].sum() == n_right


def test_symbols_of_one_character_are_told_apart_by_it_alone():
    flashes = spelled_flashes("Q", n_repetitions=10).drop(index=[3, 4, 17]).reset_index(drop=True)
    noise = np.random.default_rng(2).normal(size=len(flashes))
    for constant in (-5, 0, 5):
        scores = noise + 3 * flashes["is_target"].to_numpy(float) + constant
        assert text_after(spell(scores, flashes, WADSWORTH), 10) == "Q"


def test_scores_that_are_all_equal_or_of_no_flash_give_a_likelihood():
    flashes = spelled_flashes("EEG")
    equal = estimate_likelihood(np.full(len(flashes), 7.0), flashes, WADSWORTH)
    assert np.isfinite([equal.slope, equal.offset]).all() and equal.slope > 0
    none = flashes.iloc[:0]
    assert spell([], none, WADSWORTH).empty
    assert estimate_likelihood([], none, WADSWORTH).slope == 1


def test_a_character_that_was_stopped_early_is_read_and_wanted_is_known_where_one_symbol_fits():
    column, row = WADSWORTH.codes_of("H")
    others = [code for code in WADSWORTH.codes if code not in (column, row)]
    for codes, wanted in (
        ([row, column], "H"),
        ([row, *others], "H"),  # the only column left
        ([row, others[0]], "?"),
        (others[:3], "?"),
    ):
        table = flash_table(
            onset=np.arange(len(codes)) / 5,
            code=codes,
            character=1,
            repetition=0,
            is_target=[code in (column, row) for code in codes],
        )
        spelled = spell(table["is_target"].astype(float), table, WADSWORTH)
        assert text_after(spelled, 1, "wanted") == wanted
        assert spelled["is_right"].isna().tolist() == [wanted == "?"]
        assert len(codes) != 11 or text_after(spelled, 1) == "H"
    contradictory = table.assign(is_target=[True, True, False])  # two columns
    with pytest.raises(InputError, match=r"the target flashes have the codes \[1, 3\]"):
        spell(np.zeros(3), contradictory, WADSWORTH)


def test_unlabelled_flashes_give_text_but_no_accuracy():
    flashes = spelled_flashes("EEG").assign(is_target=pd.NA)
    spelled = spell(np.zeros(len(flashes)), flashes, WADSWORTH)
    table = accuracy_by_repetition(spelled, WADSWORTH, repetition_s=2.1, pause_s=2.5)
    assert table["n_characters"].tolist() == [0, 0, 0]
    assert table["accuracy"].isna().all()
    assert text_after(spelled, 3, "wanted") == "???"


def test_an_unlabelled_character_has_no_known_symbol_and_the_others_keep_theirs():
    flashes = spelled_flashes("EEG")
    scores = flashes["is_target"].astype(float)
    flashes.loc[0, "is_target"] = pd.NA
    spelled = spell(scores, flashes, WADSWORTH)
    assert text_after(spelled, 3) == "EEG"
    assert text_after(spelled, 3, "wanted") == "EEG"  # its code has flashed two more times
    flashes.loc[flashes["character"] == 1, "is_target"] = pd.NA
    assert text_after(spell(scores, flashes, WADSWORTH), 3, "wanted") == "?EG"


def test_accuracy_counts_characters_and_rates_follow_the_papers_time():
    flashes = spelled_flashes("ABCDE")
    scores = flashes["is_target"].to_numpy(float).copy()
    scores[flashes["character"] == 2] *= -1
    table = accuracy_by_repetition(
        spell(scores, flashes, WADSWORTH), WADSWORTH, repetition_s=2.1, pause_s=2.5
    )
    assert table["n_repetitions"].tolist() == [1, 2, 3]
    assert table["n_right"].tolist() == [4, 4, 4]
    assert table["accuracy"].tolist() == [0.8] * 3
    assert table["bits_per_minute"].is_monotonic_decreasing
    assert [text[0] + text[2:] for text in table["text"]] == ["ACDE"] * 3
    low, high = wilson_interval(4, 5)
    assert table["low"].tolist() == [low] * 3 and table["high"].tolist() == [high] * 3


def test_a_repetition_of_twelve_flashes_of_175_ms_takes_2_1_s():
    assert timing(spelled_flashes("AB"), 12).repetition_s == pytest.approx(2.1)


@pytest.mark.parametrize("rest_s", [0.0, 0.8])
@pytest.mark.parametrize("pause_s", [0.7, 4.0])
def test_rest_and_pause_are_measured(rest_s, pause_s):
    onsets, rows = [], []
    begin = 1.0
    for character in (1, 2, 3):
        for repetition in range(4):
            onsets += [begin + 0.1 * k for k in range(12)]
            rows += [(character, repetition)] * 12
            begin += 12 * 0.1 + rest_s
        begin += pause_s - rest_s
    character, repetition = np.transpose(rows)
    flashes = flash_table(
        onset=onsets, character=character, repetition=repetition, code=[*range(1, 13)] * 12
    )
    assert timing(flashes, 12) == pytest.approx((1.2 + rest_s, pause_s))
    some = flashes[flashes["character"] != 2]
    assert timing(some, 12) == pytest.approx((1.2 + rest_s, 2.5))
    shuffled = flashes.drop(index=[1, 40, 77]).sample(frac=1, random_state=0)
    assert timing(shuffled, 12) == pytest.approx((1.2 + rest_s, pause_s))
    apart = flashes.assign(segment=character)  # scrambled: what was between them is not known
    assert timing(apart, 12).pause_s == 2.5


def test_the_pace_of_a_plain_oddball_is_measured_within_its_segments():
    onset = [0.0, 0.2, 0.4, 9.0, 9.2, 9.4]
    flashes = flash_table(onset=onset, segment=[0, 0, 0, 1, 1, 1])
    assert timing(flashes, 2)[0] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.assign(code=13), r"flash codes \[13\]"),
        (lambda f: f.assign(character=pd.array([pd.NA] * len(f), "Int64")), "72 of 72 flashes"),
        (lambda f: f.assign(repetition=f["repetition"] + 1), "all 2 characters begin at 1"),
        (
            lambda f: f.assign(repetition=3 * f["repetition"]),
            "2 of 2 .* the first has 3 of 0 to 6",
        ),
        (lambda f: f.assign(repetition=f["repetition"] % 2 * 2 - 1), "not 0, 1, 2"),
        (lambda f: f.iloc[:-1], "72 scores for 71 flashes; expected one score per flash"),
        (
            lambda f: f.assign(is_target=f["code"] == 1),
            r"subject 1, session 1, run 1, character 1: .* \[1\]; expected the codes of one sy",
        ),
    ],
)
def test_flashes_that_cannot_be_read_are_refused(change, words):
    flashes = spelled_flashes("AB")
    with pytest.raises(InputError, match=words):
        spell(np.zeros(len(flashes)), change(flashes), WADSWORTH)


def test_scores_of_two_classes_and_a_missing_screen_are_said():
    flashes = spelled_flashes("AB")
    with pytest.raises(InputError, match=r"shape \(72, 2\); expected \(72,\), one per flash"):
        spell(np.zeros((72, 2)), flashes, WADSWORTH)
    with pytest.raises(InputError, match="scores that are no numbers"):
        spell(["target"] * 72, flashes, WADSWORTH)
    for screen in (None, "wadsworth"):
        with pytest.raises(InputError, match="expected a Speller, such as p300.WADSWORTH"):
            spell(np.zeros(72), flashes, screen)


def test_a_repetition_that_was_left_out_whole_leaves_the_others_to_be_read():
    flashes = spelled_flashes("ABC")
    in_second, in_first = (flashes["character"].eq(k) for k in (2, 1))
    is_lost = (in_second & flashes["repetition"].eq(1)) | (in_first & flashes["repetition"].eq(0))
    left = flashes[~is_lost].reset_index(drop=True)
    spelled = spell(left["is_target"].astype(float), left, WADSWORTH)
    read = spelled.pivot(index="character", columns="n_repetitions", values="symbol")
    assert read.loc[1].isna().tolist() == [True, False, False]
    assert (read.loc[1, 2:] == "A").all() and (read.loc[2] == "B").all()
    assert text_after(spelled, 1) == "?BC" and text_after(spelled, 3) == "ABC"
    seconds = {"repetition_s": 2.1, "pause_s": 2.5}
    table = accuracy_by_repetition(spelled, WADSWORTH, **seconds)
    assert table["n_right"].tolist() == [2, 3, 3] and set(table["n_characters"]) == {3}
