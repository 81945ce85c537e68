import numpy as np
import pytest

from p300.errors import InputError
from p300.recording import CHARACTER_KEY, flash_table
from p300.simulation import simulate_recording
from p300.splits import (
    Split,
    check_monitor,
    count_units,
    hold_out,
    leave_one_out,
    shares_samples,
)

WINDOW = (0.0, 0.65)


def read_samples(flashes, rows, sfreq=240):
    """Name every raw sample that the epochs of some flashes read."""
    part = flashes[rows]
    first = np.round(part["onset"].to_numpy() * sfreq).astype(int)
    last = np.round((part["onset"].to_numpy() + WINDOW[1]) * sfreq).astype(int)
    return {
        (segment, sample)
        for segment, start, stop in zip(part["segment"], first, last, strict=True)
        for sample in range(start, stop)
    }


def every_split(flashes):
    for by in ("character", "run", "session", "subject"):
        yield hold_out(flashes, by=by, seed=1)
        yield leave_one_out(flashes, by=by, fold=0)
    yield hold_out(flashes, test={"session": ["b"]})


def test_no_raw_sample_is_read_on_two_sides_of_any_split(flashes):
    for split in every_split(flashes):
        train, validation, test = (
            read_samples(flashes, rows) for rows in (split.train, split.validation, split.test)
        )
        assert train and validation and test
        assert not train & validation and not train & test and not validation & test


def test_no_character_is_on_two_sides_of_any_split(flashes):
    for split in every_split(flashes):
        side = split.train + 2 * split.validation + 4 * split.test
        sides = flashes.assign(side=side).groupby(CHARACTER_KEY)["side"].nunique()
        assert (sides == 1).all()


def test_flashes_whose_epochs_reach_into_the_test_part_are_left_out():
    # flashes every 0.3 s without a pause between characters: two epochs on each side overlap
    flashes = flash_table(
        onset=0.3 * np.arange(40), character=np.repeat(np.arange(4), 10), code=1, repetition=0
    )
    split = hold_out(flashes, by="character", seed=0, validation_fraction=0)
    assert not read_samples(flashes, split.train) & read_samples(flashes, split.test)
    n_unused = (~split.train & ~split.test).sum()
    assert n_unused in (2, 4)  # an outer character has one neighbour, an inner one two


def test_epochs_that_only_touch_share_nothing():
    flashes = flash_table(onset=[0.0, 0.65, 1.3])
    rows = np.array([False, True, False])
    assert np.array_equal(shares_samples(flashes, rows, WINDOW), rows)


def test_flashes_of_another_segment_share_nothing():
    flashes = flash_table(onset=[0.0, 0.1], segment=[0, 1])
    rows = np.array([True, False])
    assert np.array_equal(shares_samples(flashes, rows, WINDOW), rows)


def test_validation_comes_from_the_training_side(flashes):
    split = hold_out(flashes, test={"subject": ["2"]})
    assert set(flashes[split.validation]["subject"]) == {"1"}
    assert set(flashes[split.test]["subject"]) == {"2"}


def test_a_plain_oddball_is_divided_by_runs():
    flashes = simulate_recording(None, speller=None, n_runs=4, ch_names=["Cz"]).flashes
    split = hold_out(flashes, by="character", test_fraction=0.25)
    runs = [set(flashes[rows]["run"]) for rows in (split.train, split.validation, split.test)]
    assert [len(r) for r in runs] == [2, 1, 1]
    assert len(set.union(*runs)) == 4


def test_the_same_seed_draws_the_same_split_and_another_seed_another(flashes):
    first, again, other = (hold_out(flashes, seed=s).test for s in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_every_unit_is_tested_once_when_each_is_left_out(flashes):
    n_runs = count_units(flashes, "run")
    assert n_runs == 8
    tested = sum(leave_one_out(flashes, by="run", fold=k).test.astype(int) for k in range(n_runs))
    assert (tested == 1).all()


@pytest.mark.parametrize("n_characters", [1, 2, 5])
def test_a_short_calibration_keeps_the_first_characters_of_each_subject(n_characters, flashes):
    whole = hold_out(flashes, test={"session": ["b"]})
    split = hold_out(flashes, test={"session": ["b"]}, n_characters=n_characters)
    assert np.array_equal(split.test, whole.test)
    for subject in ("1", "2"):
        used = (split.train | split.validation) & flashes["subject"].eq(subject).to_numpy()
        assert flashes[used].groupby(CHARACTER_KEY).ngroups == n_characters
        run_1 = flashes[used]["run"] == 1
        assert set(flashes[used][run_1]["character"]) == set(range(1, min(n_characters, 3) + 1))
    assert split.validation.any() == (n_characters > 1)  # one character cannot be divided


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda f: hold_out(f, test={"session": ["c"]}), r"\['c'\] is not in the recording"),
        (lambda f: hold_out(f, test={"day": ["1"]}), "no column 'day'"),
        (lambda f: hold_out(f, test={"session": ["a", "b"]}), "expected some, not all"),
        (lambda f: hold_out(f, by="word"), "split by 'word'"),
        (lambda f: leave_one_out(f, by="run", fold=8), "8 runs"),
        (lambda f: hold_out(f, test={"session": ["b"]}, n_characters=7), "there are 6"),
        (lambda f: hold_out(f[f["subject"] == "1"], by="subject"), "cannot be divided"),
    ],
)
def test_splits_that_cannot_be_made_are_refused(ask, words, flashes):
    with pytest.raises(InputError, match=words):
        ask(flashes)


def test_a_flash_on_two_sides_is_refused():
    both = np.array([True, False])
    with pytest.raises(InputError, match="two sides"):
        Split(both, both, ~both)


def test_nothing_may_be_chosen_by_test_results():
    with pytest.raises(InputError, match="test result"):
        check_monitor("test/auc")
    with pytest.raises(InputError, match="is not computed"):
        check_monitor("val_loss")
