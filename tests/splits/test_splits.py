import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from p300.errors import InputError
from p300.recording import CHARACTER_KEY, flash_table
from p300.simulation import simulate_recording
from p300.splits import Split, check_monitor, hold_out, k_fold, leave_one_out, shares_samples
from p300.splits.units import count_units, member_rows, unit_of

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
    yield k_fold(flashes, by="character", fold=1, n_folds=3)
    yield k_fold(flashes, by="run", fold=0, n_folds=2)
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


@settings(max_examples=60, deadline=None)
@given(
    flashes=st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 1), st.booleans()), min_size=1, max_size=12
    ),
    tmin=st.sampled_from([-0.2, 0.0, 0.1]),
)
@example([(0, 0, True), (40, 0, True), (46, 0, False), (80, 0, True)], 0.0)  # only the one before
@example([(0, 0, True), (34, 0, False), (40, 0, True), (80, 0, True)], 0.0)  # only the one after
def test_epochs_share_samples_where_their_onsets_are_nearer_than_an_epoch(flashes, tmin):
    # onsets are multiples of 50 ms and an epoch lasts 13 of them
    shares = [
        is_row or any(r and k == segment and abs(t - onset) < 13 for t, k, r in flashes)
        for onset, segment, is_row in flashes
    ]
    onset, segment, rows = (np.array(column) for column in zip(*flashes, strict=True))
    table = flash_table(onset=0.05 * onset, segment=segment)
    assert shares_samples(table, rows, (tmin, tmin + 0.65)).tolist() == shares


def test_the_default_epoch_is_650_ms_from_the_flash_on():
    # flashes every 0.3 s without a pause between runs: two epochs on each side overlap
    flashes = flash_table(
        onset=0.3 * np.arange(40), run=np.repeat(np.arange(4), 10), character=1, code=1
    )
    split = leave_one_out(flashes, fold=1, validation_fraction=0)
    unused = np.flatnonzero(~split.train & ~split.test)
    assert unused.tolist() == [8, 9, 20, 21]


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


@pytest.mark.parametrize("seed", range(20))
def test_a_quarter_of_the_characters_test_and_15_percent_of_the_rest_validate(seed, flashes):
    def count(rows):
        return flashes[rows].groupby(CHARACTER_KEY).ngroups

    split = hold_out(flashes, seed=seed)
    assert [count(rows) for rows in (split.test, split.validation, split.train)] == [6, 3, 15]
    split = leave_one_out(flashes, fold=0, seed=seed)
    assert [count(rows) for rows in (split.test, split.validation, split.train)] == [3, 3, 18]


@pytest.mark.parametrize(("fraction", "n_drawn"), [(0.01, 1), (0.5, 4), (0.99, 7)])
def test_of_eight_runs_at_least_one_is_drawn_and_one_is_left(fraction, n_drawn, flashes):
    split = hold_out(flashes, by="run", test_fraction=fraction, validation_fraction=0)
    assert flashes[split.test].groupby(CHARACTER_KEY[:3]).ngroups == n_drawn


def test_seed_0_is_drawn_where_none_is_given(flashes):
    for split in (hold_out, lambda flashes, **seed: leave_one_out(flashes, fold=3, **seed)):
        default, zero, one = split(flashes), split(flashes, seed=0), split(flashes, seed=1)
        assert np.array_equal(default.validation, zero.validation)
        assert not np.array_equal(default.validation, one.validation)


def test_a_split_says_what_tests():
    flashes = flash_table(
        onset=np.arange(6.0), subject=list("112233"), session=list("ababab"), character=[1] * 6
    )
    test = {"subject": ["2"], "session": ["a", "b"]}
    split = hold_out(flashes, test=test, validation_fraction=0)
    assert str(split) == ("test subject 2, session a+b: train 4, validation 0, test 2 flashes")
    short = hold_out(flashes, test=test, n_characters=1)
    assert short.name == "test subject 2, session a+b, first 1 training characters"
    assert leave_one_out(flashes, fold=1, by="session").name == "test subject 1 session b"
    assert hold_out(flashes).name == "0.25 of the characters held out, seed 0"


def test_training_without_validation_takes_its_flashes_and_leaves_the_test_alone(flashes):
    split = hold_out(flashes)
    merged = split.without_validation()
    assert not merged.validation.any()
    assert merged.train.sum() == split.train.sum() + split.validation.sum()
    assert np.array_equal(merged.test, split.test)
    assert merged.name == split.name


def test_every_unit_is_tested_once_when_each_is_left_out(flashes):
    n_runs = count_units(flashes, "run")
    assert n_runs == 8
    tested = sum(leave_one_out(flashes, by="run", fold=k).test.astype(int) for k in range(n_runs))
    assert (tested == 1).all()


@pytest.mark.parametrize("n_characters", [1, 2, 5, 6])
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


def test_a_short_calibration_of_the_other_subjects_keeps_theirs(flashes):
    split = hold_out(flashes, test={"subject": ["1"]}, n_characters=2)
    used = flashes[split.train | split.validation]
    assert set(used["subject"]) == {"2"}
    assert used.groupby(CHARACTER_KEY).ngroups == 2


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda f: hold_out(f, test={"session": ["c"]}), r"\['c'\] is not in the recording"),
        (lambda f: hold_out(f, test={"day": ["1"]}), "no column 'day'"),
        (lambda f: hold_out(f, test={"session": ["a", "b"]}), "expected some, not all"),
        (lambda f: hold_out(f, by="word"), "split by 'word'"),
        (
            lambda f: hold_out(f, test={"session": ["b"]}, test_fraction=0.5),
            "and test_fraction=0.5, which draws it",
        ),
        (lambda f: hold_out(f, test={"session": ["b"]}, by="run"), "and by=run, which draws it"),
        (lambda f: leave_one_out(f, by="run", fold=8), "8 runs"),
        (
            lambda f: leave_one_out(f, by="run", fold=-1),
            "got fold=-1 of 8 runs; expected one of 0 to 7",
        ),
        (lambda f: leave_one_out(f[:48], by="run", fold=0), "got 1 run; .* set by='character'"),
        (lambda f: leave_one_out(f, by="run", fold=None), "got fold=None of 8 runs"),
        (lambda f: hold_out(f, test_fraction=25), "got test_fraction=25; expected"),
        (lambda f: hold_out(f, test_fraction=1), "got test_fraction=1; expected"),
        (lambda f: hold_out(f, validation_fraction=-0.1), "got validation_fraction=-0.1"),
        (lambda f: hold_out(f, test={"session": ["b"]}, n_characters=0), "expected 1 to 6"),
        (
            lambda f: hold_out(f, test={"session": ["b"]}, n_characters=7),
            "got n_characters=7 and 6 training",
        ),
        (
            lambda f: hold_out(f[f["subject"] == "1"], by="subject"),
            "test: 1 subject to .* divided; .* set by='session' or test_fraction=0",
        ),
        (
            lambda f: hold_out(f[f["subject"] == "1"], validation_by="subject"),
            "validation: .* set validation_by='session' or validation_fraction=0",
        ),
        (lambda f: hold_out(f, by="block"), "24 of 24 characters .* divide by character"),
    ],
)
def test_splits_that_cannot_be_made_are_refused(ask, words, flashes):
    with pytest.raises(InputError, match=words):
        ask(flashes)


def test_on_the_command_line_advice_is_an_override(flashes):
    one = flashes[(flashes["subject"] == "1") & (flashes["session"] == "a")]
    for ask, typed in (
        (lambda: hold_out(one, by="session"), "split.by=run or split.test_fraction=0"),
        (
            lambda: hold_out(one, validation_by="session"),
            "split.validation_by=run or protocol.validation_fraction=0",
        ),
        (lambda: k_fold(one, fold=0, by="run"), "split.n_folds=2 or split.by=character"),
        (lambda: leave_one_out(one, fold=0, by="subject"), "split.by=run"),
        (
            lambda: member_rows(one, np.ones(len(one), bool), n_members=99, share="consecutive"),
            "ensemble.n_members=6",
        ),
    ):
        with pytest.raises(InputError) as refused:
            ask()
        assert refused.value.typed.endswith(f"set {typed}")


@pytest.mark.parametrize(
    "sides", [("train", "validation"), ("train", "test"), ("validation", "test")]
)
def test_a_flash_on_two_sides_is_refused(sides):
    none, one = np.zeros(3, bool), np.array([True, False, False])
    parts = dict.fromkeys(("train", "validation", "test"), none) | dict.fromkeys(sides, one)
    with pytest.raises(InputError, match="^split: 1 flashes are in two parts"):
        Split(**parts)


def test_nothing_may_be_chosen_by_test_results():
    with pytest.raises(InputError, match="test result"):
        check_monitor("test/auc")
    with pytest.raises(InputError, match="is not computed"):
        check_monitor("val_loss")
    for monitor in ("validation/auc", "validation/loss"):
        check_monitor(monitor)


def oddball(n_flashes=200, n_runs=1):
    return simulate_recording(None, speller=None, n_flashes=n_flashes, n_runs=n_runs).flashes


@pytest.mark.parametrize("by", [None, "character", "block"])
def test_an_oddball_of_one_run_is_divided_into_blocks_of_time(by):
    flashes = oddball()
    split = hold_out(flashes, by=by, test_fraction=0.3, validation_fraction=0.2, seed=1)
    assert "of the blocks held out" in split.name
    assert split.test.sum() == 60 and 20 <= split.validation.sum() <= 40
    block = np.arange(200) // 20
    for k in range(10):  # no block on two sides
        sides = [rows[block == k].any() for rows in (split.train, split.validation, split.test)]
        assert sum(sides) == 1
    onset = flashes["onset"].to_numpy()
    for rows in (split.train, split.validation):
        apart = np.abs(onset[rows][:, None] - onset[split.test][None])
        assert apart.min() >= 0.65 - 1e-9


def test_blocks_are_parts_of_every_run_in_the_order_of_time():
    flashes = oddball(n_flashes=95, n_runs=2)
    shuffled = flashes.sample(frac=1, random_state=0)
    order = shuffled.sort_values(["run", "onset"])
    units = dict(zip(shuffled.index, unit_of(shuffled, "block"), strict=True))
    in_time = np.array([units[k] for k in order.index])
    assert len(np.unique(in_time)) == 20
    for run in (in_time[:95], in_time[95:]):
        assert (np.diff(run) >= 0).all()
        assert set(np.bincount(run - run.min())) == {9, 10}


def test_blocks_of_whole_characters_are_no_reason_to_refuse():
    flashes = simulate_recording("ABCDEFGHIJ", ch_names=["Cz"], n_repetitions=1).flashes
    split = hold_out(flashes, by="block")
    assert flashes[split.test].groupby("character").size().eq(12).all()


def test_leaving_out_characters_of_an_oddball_leaves_out_runs():
    split = leave_one_out(oddball(n_runs=3), fold=1, by="character")
    assert split.name == "test subject 1 session 1 run 2" and split.test.sum() == 200


def test_two_runs_leave_blocks_for_validation():
    split = hold_out(oddball(n_runs=2), by="run")
    assert split.test.sum() == 200 and split.validation.sum() >= 20
    person = pd.concat([oddball().assign(subject=s) for s in "AB"], ignore_index=True)
    person["segment"] = person["subject"].eq("B").astype(int)
    one_out = leave_one_out(person, fold=0, by="subject")
    assert one_out.test.sum() == 200 and one_out.validation.any()


@pytest.mark.parametrize(
    "test",
    [{"run": 1}, {"run": np.int64(1)}, {"run": 1.0}, {"run": ["1"]}, {"run": np.array([1])}],
)
def test_a_single_value_names_the_test_part_as_a_list_of_one_does(test):
    split = hold_out(oddball(n_runs=2), test=test)
    assert split.name == "test run 1" and split.test.sum() == 200


def test_a_test_part_of_one_class_is_refused():
    with pytest.raises(InputError, match="got the labels"):
        hold_out(oddball(n_runs=2), test={"is_target": [True]})
