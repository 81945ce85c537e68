"""Characters and repetitions of a continuous run, in the presence of rests, breaks and losses."""

import numpy as np
import pytest

from p300.errors import InputError
from p300.readers.events.numbering import Division, number_characters, number_repetitions
from p300.speller import WADSWORTH, Speller

KEYS = Speller.single_keys("ABCDEFGH")


def run(text, *, speller=WADSWORTH, n_repetitions=4, soa=0.175, rest=0.0, pause=2.5, seed=0):
    """Onsets, codes, labels, and the true character of each flash."""
    rng = np.random.default_rng(seed)
    now, rows = 1.0, []
    for k, symbol in enumerate(text, start=1):
        for r in range(n_repetitions):
            for code in rng.permutation(speller.codes):
                rows.append((now, code, code in speller.codes_of(symbol), k, r))
                now += soa
            now += rest
        now += pause * rng.uniform(0.95, 1.05)
    return tuple(map(np.array, zip(*rows, strict=True)))


LAYOUTS = {
    "pauses": {},
    "rests": {"rest": 0.8},
    "slow, short pauses": {"soa": 0.4, "pause": 0.7},
    "short pauses": {"soa": 0.25, "pause": 0.5},
    "rests nearly as long as pauses": {"soa": 0.125, "rest": 0.8, "pause": 1.0},
    "keys": {"speller": KEYS, "rest": 0.5, "pause": 2.0},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("is_labelled", [True, False])
def test_characters_are_told_apart_by_their_pauses(layout, is_labelled):
    arguments = LAYOUTS[layout]
    seconds, codes, is_target, character, repetition = run("HEADBEEF", **arguments)
    labels = is_target.tolist() if is_labelled else None
    speller = arguments.get("speller", WADSWORTH)
    numbers, sentence = number_characters(seconds, codes, speller, is_target=labels)
    assert np.array_equal(numbers, character)
    assert "8 characters" in sentence and "pause" in sentence
    assert np.array_equal(number_repetitions(codes, numbers), repetition)


@pytest.mark.parametrize("n_lost", [1, 2, 3, 5])
@pytest.mark.parametrize("at", [5, 29, 53, 130])
@pytest.mark.parametrize("is_labelled", [True, False])
def test_lost_triggers_begin_no_character_and_move_no_repetition(n_lost, at, is_labelled):
    seconds, codes, is_target, character, repetition = run("P3BC", n_repetitions=5, seed=at)
    kept = np.delete(np.arange(len(seconds)), np.arange(at, at + n_lost))
    labels = is_target[kept].tolist() if is_labelled else None
    numbers, _ = number_characters(seconds[kept], codes[kept], WADSWORTH, is_target=labels)
    assert np.array_equal(numbers, character[kept])
    found = number_repetitions(codes[kept], numbers)
    assert (found != repetition[kept]).sum() <= 2  # a first code may be what was lost before
    assert np.array_equal(np.bincount(numbers)[1:], np.bincount(character[kept])[1:])


@pytest.mark.parametrize("is_labelled", [True, False])
def test_a_break_between_words_is_no_other_kind_of_character(is_labelled):
    seconds, codes, is_target, character, _ = run("CATDOGBIRD", n_repetitions=2)
    seconds = seconds + 60.0 * (character > 3)
    labels = is_target.tolist() if is_labelled else None
    numbers, _ = number_characters(seconds, codes, WADSWORTH, is_target=labels)
    assert np.array_equal(numbers, character)


def test_characters_that_ended_early_are_told_apart_by_labels():
    seconds, codes, is_target, character, _ = run("HELLO_WORLD", n_repetitions=3, seed=4)
    rng = np.random.default_rng(0)
    kept = np.concatenate(
        [
            rows[: rng.integers(8, 37)]
            for k in range(1, 12)
            for rows in [np.flatnonzero(character == k)]
        ]
    )
    numbers, _ = number_characters(
        seconds[kept], codes[kept], WADSWORTH, is_target=is_target[kept].tolist()
    )
    assert np.array_equal(numbers, character[kept])


def test_what_is_known_decides_and_is_checked():
    seconds, codes, _, character, _ = run("CATDOG", n_repetitions=2, rest=2.4, pause=0.1)
    guess, _ = number_characters(seconds, codes, WADSWORTH)
    assert guess.max() != 6  # rest and pause can hardly be told apart
    starts = [seconds[character == k][0] - 0.1 for k in range(1, 7)]
    numbers, _ = number_characters(seconds, codes, WADSWORTH, known=Division(starts=starts))
    assert np.array_equal(numbers, character)
    seconds, codes, _, character, _ = run("CATDOG", n_repetitions=2, rest=1.0, pause=1.0)
    for known in (
        Division(characters=6),
        Division(n_repetitions=2),
        Division(pause_s=1.5),
        Division(characters=6, n_repetitions=2),
    ):
        numbers, sentence = number_characters(seconds, codes, WADSWORTH, known=known)
        assert np.array_equal(numbers, character) and "6 characters" in sentence


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (Division(characters=40), "with 11 pauses between them; expected at least 39"),
        (Division(characters=5, n_repetitions=2), "have not 24 flashes"),
        (Division(pause_s=1.5, characters=7), "got 6 characters by gaps .*; expected 7"),
        (Division(starts=[5.0]), "come before the first of 1 starts"),
        (Division(starts=[0.0], characters=2), "got 1 characters by 1 starts; expected 2"),
    ],
)
def test_what_does_not_fit_the_flashes_is_refused(known, words):
    seconds, codes, *_ = run("CATDOG", n_repetitions=2, rest=1.0, pause=1.0)
    with pytest.raises(InputError, match=words):
        number_characters(seconds, codes, WADSWORTH, known=known)


def test_rests_without_pauses_are_refused_where_labels_show_them():
    seconds, codes, is_target, *_ = run("CATDOG", n_repetitions=3, rest=2.0, pause=0.0)
    with pytest.raises(InputError, match="rests between repetitions"):
        number_characters(seconds, codes, WADSWORTH, is_target=is_target.tolist())


def test_labels_that_fit_no_division_are_refused():
    seconds, codes, is_target, *_ = run("CATDOG", n_repetitions=3)
    with pytest.raises(InputError, match="labels fit no division into characters by pauses"):
        number_characters(seconds, codes, WADSWORTH, is_target=np.roll(is_target, 1).tolist())


def test_without_a_pause_there_is_one_character():
    seconds, codes, *_ = run("A")
    numbers, sentence = number_characters(seconds, codes, WADSWORTH)
    assert set(numbers) == {1} and "One character" in sentence
    numbers, _ = number_characters(seconds[:1], codes[:1], WADSWORTH)
    assert numbers.tolist() == [1]


def test_flashes_drawn_at_random_are_counted_by_their_number():
    codes = np.random.default_rng(0).integers(1, 9, 80)
    assert number_repetitions(codes, np.ones(80)).tolist() == np.repeat(range(10), 8).tolist()


def test_repetitions_are_in_order_of_time():
    rng = np.random.default_rng(0)
    codes = np.concatenate([rng.permutation(np.arange(1, 13)) for _ in range(6)])
    codes = np.delete(codes, [4, 30, 31])
    found = number_repetitions(codes, np.ones(len(codes)))
    assert (np.diff(found) >= 0).all() and found.max() == 5
    assert np.bincount(found).min() >= 9 and np.bincount(found).max() <= 12


@pytest.mark.parametrize("n_named", [5, 7])
def test_a_text_that_is_shorter_or_longer_than_what_was_spelled_is_refused(n_named):
    seconds, codes, *_ = run("CATDOG", n_repetitions=3)
    known = Division(characters=n_named)
    with pytest.raises(InputError, match="are there more characters|for 7 characters"):
        number_characters(seconds, codes, WADSWORTH, known=known)
