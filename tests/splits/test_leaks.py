import dataclasses

import numpy as np
import pytest

from p300.errors import InputError
from p300.recording import Recording, flash_table
from p300.simulation import simulate_data_set
from p300.splits import Split, check_split, hold_out, leave_one_out, shares_samples
from p300.splits.leaks import (
    copied_epochs,
    find_leaks,
    samples_read,
    shared_samples,
    shared_units,
    without_test,
)

WINDOW = (0.0, 0.65)


def recorded(onset, n_samples=100_000, **columns):
    """One channel at 100 Hz, and flashes at some seconds."""
    flashes = flash_table(onset=onset, is_target=False, **{"segment": 0, "run": 1} | columns)
    n_segments = int(flashes["segment"].max()) + 1
    segments = [np.zeros((1, n_samples), np.float32) for _ in range(n_segments)]
    return Recording(segments, flashes, ["Cz"], 100.0)


def halves(test, validation=None):
    test = np.asarray(test, bool)
    validation = np.zeros_like(test) if validation is None else np.asarray(validation, bool)
    return Split(~test & ~validation, validation, test, "halves")


def every_other(n):
    return np.arange(n) % 2 == 1


@pytest.fixture(scope="module")
def speller():
    ch_names = ["Cz", "Pz"]
    return simulate_data_set("ABCDEFGH", "P3X", ch_names=ch_names, n_repetitions=2, subjects=3)


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (hold_out, {"test": {"session": ["test"]}}),
        (hold_out, {"by": "character"}),
        (hold_out, {"by": "run"}),
        (hold_out, {"by": "session", "test_fraction": 0.5}),
        (hold_out, {"by": "subject", "validation_by": "subject"}),
        (hold_out, {"test": {"session": ["test"]}, "n_characters": 3}),
        (leave_one_out, {"fold": 1, "by": "run"}),
        (leave_one_out, {"fold": 2, "by": "subject"}),
    ],
)
def test_the_projects_own_splits_pass(speller, make, arguments):
    split = make(speller.flashes, **arguments)
    check_split(speller, split, *WINDOW)
    check_split(speller, split.without_validation(), *WINDOW)


def test_characters_that_follow_without_a_pause_are_separated_by_the_own_splits():
    recording = simulate_data_set("ABCDEFGH", "P3X", ch_names=["Cz"], n_repetitions=2, pause_s=0.0)
    split = hold_out(recording.flashes, by="character")
    check_split(recording, split, *WINDOW)
    character = recording.flashes["character"].to_numpy(int)
    own = halves(character % 2 == 0)  # whole characters, whose epochs overlap
    with pytest.raises(InputError, match=r"halves: [\d,]+ raw samples read on two sides; expect"):
        check_split(recording, own, *WINDOW)


@pytest.mark.parametrize("n", [4, 7])
def test_neighbouring_flashes_on_two_sides_are_refused_with_the_number_of_samples(n):
    recording = recorded(np.arange(n) * 0.5, character=1, repetition=0, code=1)
    with pytest.raises(InputError) as refused:
        check_split(recording, halves(every_other(n)), *WINDOW)
    shared = 15 * (n - 1)  # each epoch of 65 samples reaches 15 into the next
    assert f"1 character on two sides; {shared} raw samples read" in str(refused.value)
    assert "shares_samples" in str(refused.value)


def test_leaving_out_the_flashes_between_makes_a_split_that_passes():
    character = np.repeat(np.arange(20), 12)
    recording = recorded(np.arange(240) * 0.2, character=character + 1)
    test = character >= 10
    with pytest.raises(InputError, match="[0-9]+ raw samples read on two"):
        check_split(recording, halves(test), *WINDOW)
    rest = ~test & ~shares_samples(recording.flashes, test, WINDOW)
    check_split(recording, Split(rest, np.zeros_like(test), test), *WINDOW)


def test_one_sample_on_two_sides_is_one_too_many():
    character = [1, 2]
    for gap, n_shared in ((0.65, 0), (0.64, 1), (0.6, 5)):
        recording = recorded([1.0, 1.0 + gap], character=character)
        found = find_leaks(recording, halves([False, True]), *WINDOW)
        assert bool(found) is (n_shared > 0)
        assert shared_samples(recording, halves([False, True]), *WINDOW) == n_shared


def test_epochs_of_two_segments_share_nothing():
    recording = recorded([1.0, 1.0], segment=[0, 1], run=[1, 2], n_samples=300)
    assert shared_samples(recording, halves([False, True]), *WINDOW) == 0
    first, second = samples_read(recording, [True, False], *WINDOW)
    assert np.flatnonzero(first).tolist() == list(range(100, 165)) and not second.any()


def test_an_epoch_before_the_flash_is_followed_too():
    recording = recorded([1.0, 2.0], character=[1, 2])
    assert find_leaks(recording, halves([False, True]), -0.2, 0.8) == []
    assert "raw sample" in find_leaks(recording, halves([False, True]), -0.3, 0.8)[0]


@pytest.mark.parametrize(
    ("soa_s", "is_test", "refused"),
    [
        (1.0, every_other(120), True),  # no sample is shared, but neighbours are nearly the same
        (1.0, np.random.default_rng(0).random(120) < 0.3, True),
        (1.0, np.arange(120) >= 60, False),
        (1.0, (np.arange(120) >= 40) & (np.arange(120) < 80), False),
        (1.0, np.arange(120) // 20 % 2 == 1, False),
        (1.0, np.where(np.arange(120) < 100, False, every_other(120)), True),
        (0.5, np.arange(120) >= 60, True),  # the two epochs at the border overlap
    ],
)
def test_an_oddballs_run_may_be_cut_into_blocks_of_time_and_not_into_flashes(
    soa_s, is_test, refused
):
    found = find_leaks(recorded(soa_s * np.arange(120)), halves(is_test), *WINDOW)
    assert bool(found) is refused


def test_runs_of_an_oddball_are_whole(speller):
    runs = np.repeat([1, 2, 3], 50)
    recording = recorded(np.tile(np.arange(50) * 0.3, 3), run=runs, segment=runs - 1)
    check_split(recording, halves(runs == 3, runs == 2), *WINDOW)
    assert shared_units(recording.flashes, halves(runs == 3), 0.65) == {"run": 0}


def test_flashes_with_and_without_characters_are_both_followed():
    onset, character = np.arange(40) * 2.0, [1] * 10 + [2] * 10 + [None] * 20
    recording = recorded(onset, character=character)
    test = np.arange(40) % 10 >= 5  # cuts each character, and blocks of 10 s of the rest
    assert shared_units(recording.flashes, halves(test), 0.65)["character"] == 2
    assert shared_units(recording.flashes, halves(every_other(40)), 0.65) == {
        "character": 2,
        "run": 1,
    }


def test_validation_from_the_test_person_is_refused(speller):
    subject = speller.flashes["subject"].to_numpy()
    session = speller.flashes["session"].to_numpy()
    test = (subject == "2") & (session == "test")
    validation = (subject == "2") & (session == "train")
    with pytest.raises(InputError, match="share no subject; validation and test part share 1 of"):
        check_split(speller, halves(test, validation), *WINDOW)


def test_a_split_of_another_table_is_refused(speller):
    with pytest.raises(InputError, match=r"got arrays of 3, 3, 3 rows; expected \d+, one row per"):
        check_split(speller, halves([True, False, False]), *WINDOW)


def copied(*, pause=False):
    """Ten flashes in one segment, and the same EEG and flashes again in a second one."""
    onset = np.arange(10.0)
    recording = recorded(np.r_[onset, onset], 1500, segment=np.repeat([0, 1], 10), run=1)
    noise = np.random.default_rng(0).normal(size=(1, 1500)).astype(np.float32)
    if pause:
        noise[:] = 7.0
    return dataclasses.replace(recording, segments=[noise, noise.copy()])


def test_a_reader_that_copies_the_training_part_is_refused():
    split = halves(np.repeat([False, True], 10))
    assert copied_epochs(copied(), split, *WINDOW) == 10
    with pytest.raises(InputError, match="10 epochs of one side copied on another"):
        check_split(copied(), split, *WINDOW)
    one = copied().segments[1].copy()
    one[:, :900] += 1e-3  # nine are no exact copies any more
    changed = dataclasses.replace(copied(), segments=[copied().segments[0], one])
    assert copied_epochs(changed, split, *WINDOW) == 1
    unused = halves(np.repeat([False, True], 10), np.repeat([True, False], 10))
    assert copied_epochs(copied(), unused, *WINDOW) == 10


def test_epochs_of_a_pause_that_never_change_are_no_copies():
    assert copied_epochs(copied(pause=True), halves(np.repeat([False, True], 10)), *WINDOW) == 0


def test_without_the_test_part_neither_its_flashes_nor_its_eeg_are_left():
    recording = copied()
    for test, changed in ((np.repeat([False, True], 10), True), (every_other(20), False)):
        found, rest = without_test(recording, halves(test))
        assert len(found.flashes) == 10 and np.array_equal(rest, ~test)
        np.testing.assert_array_equal(found.segments[0], recording.segments[0])
        assert (found.segments[1] != recording.segments[1]).all() == changed
    assert len(recording.flashes) == 20  # the recording itself is as it was
