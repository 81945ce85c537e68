import numpy as np
import pandas as pd
import pytest
from simulated import spelled_flashes

from p300.errors import InputError
from p300.metrics import wilson_interval
from p300.recording import flash_table
from p300.speller import WADSWORTH, Speller
from p300.spelling import accuracy_by_repetition, spell, symbol_scores, text_after, timing


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
    gathered = np.random.default_rng(0).normal(size=(200, 12))
    best = symbol_scores(gathered, WADSWORTH).argmax(-1)
    column, row = gathered[:, :6].argmax(1), gathered[:, 6:].argmax(1)  # eqs. (17) and (18)
    assert np.array_equal(best, 6 * row + column)


def test_scores_are_summed_over_repetitions_and_not_taken_from_the_last():
    keys = Speller.single_keys("AB")
    flashes = spelled_flashes("A", keys, n_repetitions=2)
    is_a, first = flashes["code"] == 1, flashes["repetition"] == 0
    scores = np.where(first, np.where(is_a, 3.0, 0.0), np.where(is_a, 0.0, 2.0))
    assert spell(scores, flashes, keys)["symbol"].tolist() == ["A", "A"]


def test_a_symbol_lit_by_more_codes_gains_nothing_from_being_lit_more():
    lopsided = Speller(("A", "B"), {1: ("A",), 2: ("A",), 3: ("B",)})
    assert np.allclose(symbol_scores(np.ones(3), lopsided), 0)


def test_unlabelled_flashes_give_text_but_no_accuracy():
    flashes = spelled_flashes("EEG").assign(is_target=pd.NA)
    spelled = spell(np.zeros(len(flashes)), flashes, WADSWORTH)
    table = accuracy_by_repetition(spelled, WADSWORTH, repetition_s=2.1, pause_s=2.5)
    assert table["n_characters"].tolist() == [0, 0, 0]
    assert table["accuracy"].isna().all()
    assert text_after(spelled, 3, "wanted") == "???"


def test_one_unlabelled_flash_leaves_only_its_own_character_without_a_known_symbol():
    flashes = spelled_flashes("EEG")
    scores = flashes["is_target"].astype(float)
    flashes.loc[0, "is_target"] = pd.NA
    spelled = spell(scores, flashes, WADSWORTH)
    assert text_after(spelled, 3) == "EEG"
    assert text_after(spelled, 3, "wanted") == "?EG"


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
    assert timing(spelled_flashes("AB"), 12) == pytest.approx((2.1, 2.5))


def test_the_pace_of_a_plain_oddball_is_measured_within_its_segments():
    onset = [0.0, 0.2, 0.4, 9.0, 9.2, 9.4]
    flashes = flash_table(onset=onset, segment=[0, 0, 0, 1, 1, 1])
    assert timing(flashes, 2)[0] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.assign(code=13), r"flash codes \[13\]"),
        (lambda f: f.assign(character=pd.array([pd.NA] * len(f), "Int64")), "72 of 72 flashes"),
        (lambda f: f.assign(repetition=f["repetition"] + 1), "not 0, 1, 2"),
        (lambda f: f.assign(repetition=2 * f["repetition"]), "2 characters have .* not 0, 1, 2"),
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
