import dataclasses

import numpy as np
import pytest

from p300.baselines import ShrinkageLDA
from p300.errors import InputError
from p300.experiments.audit.checks import (
    check_characters,
    check_copies,
    check_samples,
    check_selection,
    check_validation,
)
from p300.experiments.audit.training import (
    check_chance,
    check_statistics,
    check_test_labels,
    check_test_signal,
    check_transient,
)
from p300.preprocessing import Preprocessor
from p300.recording import Recording, flash_table
from p300.simulation import simulate_data_set
from p300.splits import Split, hold_out
from p300.splits.leaks import samples_read

WINDOW = (0.0, 0.65)


class LeakingPreprocessor(Preprocessor):
    """Learns its statistics from all flashes, whatever rows it is told."""

    def fit(self, recording, y=None, *, rows=None):
        return super().fit(recording)


@pytest.fixture(scope="module")
def recording():
    channels = ["Cz", "Pz", "PO7", "PO8"]
    return simulate_data_set("ABCDEF", "P3X", ch_names=channels, n_repetitions=3, subjects=2)


@pytest.fixture
def split(recording):
    return hold_out(recording.flashes, test={"session": ["test"]})


def lda(recording, split, *, trained_on="train", labels=None, redrawn=0):
    """Train honestly, unless told other rows or labels."""
    preprocessor = Preprocessor(scaling="center").fit(recording, rows=split.train)
    epochs = preprocessor.transform(recording)
    is_target = recording.flashes["is_target"] if labels is None else labels
    rows = split.train if trained_on == "train" else np.ones(len(epochs), bool)
    detector = ShrinkageLDA().fit(epochs[rows], is_target.to_numpy(bool)[rows])
    return detector.decision_function(epochs)


def moved(split, rows, to):
    """Move flashes from whatever part they are in to another."""
    parts = {p: getattr(split, p) & ~rows for p in ("train", "validation", "test")}
    return Split(**(parts | {to: parts[to] | rows}))


def test_a_character_on_two_sides_is_found(recording, split):
    assert check_characters(recording.flashes, split, 0.65).passed
    first = np.flatnonzero(split.test)[:12]  # one repetition of a test character
    leaking = moved(split, np.isin(np.arange(len(split.test)), first), to="train")
    check = check_characters(recording.flashes, leaking, 0.65)
    assert check.passed is False and "1 of them on two sides" in check.detail


def test_runs_stand_in_for_characters_in_an_oddball():
    flashes = flash_table(onset=[0, 1, 0, 1], run=[1, 1, 2, 2], segment=[0, 0, 1, 1])
    parts = np.array([True, False, True, False])
    assert check_characters(flashes, Split(parts, 0 > parts, ~parts), 0.65).passed is False


def one_channel(onset, segment=0, n_samples=1000):
    signal = np.random.default_rng(0).normal(size=(1, n_samples))
    flashes = flash_table(onset=onset, segment=segment, is_target=False)
    return Recording([signal, signal.copy()], flashes, ["Cz"], 100.0)


def test_epochs_read_the_samples_from_their_first_to_before_their_end():
    (mask, _) = samples_read(one_channel([1.0, 1.1]), [True, True], *WINDOW)
    assert np.array_equal(np.flatnonzero(mask), np.arange(100, 175))


@pytest.mark.parametrize(("pause", "n_shared"), [(0.64, 1), (0.65, 0), (0.6, 5)])
def test_shared_samples_are_counted(pause, n_shared):
    train = np.array([True, False])
    check = check_samples(
        one_channel([1.0, 1.0 + pause]), Split(train, 0 > train, ~train), *WINDOW
    )
    assert check.passed == (n_shared == 0) and f"{n_shared} samples on two sides" in check.detail


def test_a_copy_of_a_training_epoch_is_found_in_another_segment():
    train = np.array([True, False])
    for onset, n_copies in ((1.0, 1), (2.0, 0)):
        recording = one_channel([1.0, onset], segment=[0, 1])
        check = check_copies(recording, Split(train, 0 > train, ~train), *WINDOW)
        assert check.passed == (n_copies == 0) and f"{n_copies} copies" in check.detail


def test_validation_from_the_test_persons_other_session_is_found(recording):
    split = hold_out(recording.flashes, test={"subject": ["2"]})
    assert check_validation(recording.flashes, split).passed
    other = recording.flashes["session"].eq("test").to_numpy() & split.test
    check = check_validation(recording.flashes, moved(split, other, to="validation"))
    assert check.passed is False and "share no subject" in check.detail


def test_statistics_of_all_flashes_are_found(recording, split):
    for preprocessor, passed in ((Preprocessor, True), (LeakingPreprocessor, False)):
        check = check_statistics(
            lambda r, rows, made=preprocessor: made(scaling="standardize").fit(r, rows=rows),
            recording,
            split,
        )
        assert check.passed is passed
    assert "differs in center, spread" in check.detail


def test_training_that_looks_at_test_labels_is_found(recording, split):
    def peeking(recording, split):
        scores = lda(recording, split)
        truth = recording.flashes["is_target"].to_numpy(bool)
        is_right = scores[split.test & truth].mean() > scores[split.test & ~truth].mean()
        return scores if is_right else -scores

    assert check_test_labels(lda, recording, split, lda(recording, split)).passed
    check = check_test_labels(peeking, recording, split, peeking(recording, split))
    assert check.passed is False and "scores changed" in check.detail


def test_unlabelled_test_data_prove_nothing(recording, split):
    labels = recording.flashes["is_target"].where(~split.test)
    unlabelled = dataclasses.replace(recording, flashes=recording.flashes.assign(is_target=labels))
    assert check_test_labels(lda, unlabelled, split, None).passed is None
    assert check_chance(lda, unlabelled, split).passed is None


def test_training_that_cannot_be_repeated_proves_nothing(recording, split):
    rng = np.random.default_rng(0)

    def random(recording, split):
        return rng.normal(size=len(recording.flashes))

    check = check_test_labels(random, recording, split, random(recording, split))
    assert check.passed is False and "cannot be shown" in check.detail


def test_training_on_test_signal_is_found(recording, split):
    truth = recording.flashes["is_target"]

    def greedy(recording, split):
        return lda(recording, split, trained_on="all", labels=truth)

    assert check_test_signal(lda, recording, split, lda(recording, split)).passed
    check = check_test_signal(greedy, recording, split, greedy(recording, split))
    assert check.passed is False and "2 of 2 test segments" in check.detail


def test_training_on_true_test_labels_scores_above_chance_when_training_labels_are_permuted(
    recording, split
):
    def greedy(recording, split, redrawn=0):
        return lda(recording, split, trained_on="all")

    assert check_chance(lda, recording, split, 5).passed
    check = check_chance(greedy, recording, split, 5)
    assert check.passed is False and "expected 0.5 ±" in check.detail


def test_segments_shared_by_training_and_test_are_a_note_with_the_pause_between():
    recording = one_channel([1.0, 4.0], n_samples=600)
    train = np.array([True, False])
    split = Split(train, 0 > train, ~train)
    fit = Preprocessor(scaling="none", sfreq=100, h_freq=20).fit(recording)
    shared, carried = check_transient(fit.epochs, recording, split, *WINDOW)
    assert shared.passed is None and "train and test 1 (epochs at least 2.35 s" in shared.detail
    assert carried.passed is None
    unfiltered = Preprocessor(scaling="none", sfreq=100, l_freq=None, h_freq=None).fit(recording)
    (_, carried) = check_transient(unfiltered.epochs, recording, split, *WINDOW)
    assert "change by 0 %" in carried.detail  # nothing is carried without a filter
    assert check_test_signal(lda, recording, split, None).passed is None


def test_separate_segments_share_no_filter(recording, split):
    whole = split.without_validation()
    (note,) = check_transient(None, recording, whole, *WINDOW)
    assert note.passed is None and "no filter reaches" in note.detail


def test_an_interval_that_holds_nearly_everything_is_a_note_and_no_pass(recording, split):
    is_target = recording.flashes["is_target"].to_numpy(bool)
    few = np.flatnonzero(split.test & is_target)[:2].tolist()
    few += np.flatnonzero(split.test & ~is_target)[:2].tolist()
    small = Split(split.train, 0 > split.train, np.isin(np.arange(len(is_target)), few))
    check = check_chance(lda, recording, small, 5)
    assert check.passed is None and "shows little" in check.detail


def test_what_first_weights_score_before_they_learn_is_no_leak(recording, split):
    is_target = recording.flashes["is_target"].to_numpy(float)

    def unlearned(recording, split, redrawn=0):
        noise = np.random.default_rng(redrawn).normal(size=len(is_target))
        return noise + (-1) ** redrawn * is_target  # good weights and bad ones by turns

    assert check_chance(unlearned, recording, split, 10).passed is not False


def test_a_leaking_reader_fails_by_chance_with_the_fewest_permutations(recording, split):
    def knows(recording, split, redrawn=0):
        return recording.flashes["is_target"].to_numpy(float)

    assert check_chance(knows, recording, split, 5).passed is False
    with pytest.raises(InputError, match="expected at least 5, or 0"):
        check_chance(knows, recording, split, 4)


def test_choosing_by_the_validation_part_is_allowed():
    assert check_selection("validation/loss").passed
    assert check_selection("test/auc").passed is False
