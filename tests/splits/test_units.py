import numpy as np
import pytest

from p300.errors import InputError
from p300.recording import CHARACTER_KEY
from p300.simulation import simulate_recording
from p300.splits import inner_folds, member_rows, unit_of


def test_mcnn1_gives_each_member_all_targets_and_a_fifth_of_the_nontargets(flashes):
    train = flashes["subject"].eq("1").to_numpy()
    is_target = flashes["is_target"].to_numpy(bool)
    members = member_rows(flashes, train, n_members=5, share="nontarget_fifths")
    n_targets = (train & is_target).sum()
    for member in members:
        assert (member & is_target).sum() == n_targets
        assert abs((member & ~is_target).sum() - n_targets) <= 1
    nontargets = sum((m & ~is_target).astype(int) for m in members)
    assert np.array_equal(nontargets, (train & ~is_target).astype(int))


def test_mcnn2_gives_each_member_consecutive_whole_characters(flashes):
    train = np.ones(len(flashes), bool)
    members = member_rows(flashes, train, n_members=4, share="consecutive")
    assert np.array_equal(sum(m.astype(int) for m in members), np.ones(len(flashes), int))
    for member in members:
        rows = np.flatnonzero(member)
        assert np.array_equal(rows, np.arange(rows[0], rows[-1] + 1))
        assert len(flashes[member].groupby(CHARACTER_KEY)) == 6


def test_inner_folds_are_blocks_of_whole_consecutive_characters(flashes):
    rows = flashes["subject"].eq("1").to_numpy()  # two sessions of six characters
    folds = inner_folds(flashes, rows)
    assert (folds[~rows] == -1).all() and set(folds[rows]) == {0, 1, 2, 3, 4}
    assert (np.diff(folds[rows]) >= 0).all()
    by_character = flashes[rows].assign(fold=folds[rows]).groupby(CHARACTER_KEY)["fold"]
    assert (by_character.nunique() == 1).all()
    assert set(by_character.first().value_counts()) == {2, 3}


def test_inner_folds_leave_whole_subjects_out_where_there_are_several(flashes):
    folds = inner_folds(flashes, np.ones(len(flashes), bool))
    assert np.array_equal(folds, (flashes["subject"] == "2").to_numpy().astype(int))


def test_there_are_no_more_inner_folds_than_characters_and_never_fewer_than_two():
    flashes = simulate_recording("ABC", n_repetitions=2, ch_names=["Cz"]).flashes
    character = flashes["character"].to_numpy()
    assert set(inner_folds(flashes, np.ones(len(flashes), bool))) == {0, 1, 2}
    first = character == character[0]
    assert inner_folds(flashes, first)[first].tolist() == [0] * 12 + [1] * 12
    with pytest.raises(InputError, match="of 0 flashes"):
        inner_folds(flashes, np.zeros(len(flashes), bool))


def test_inner_folds_of_an_oddball_are_its_runs():
    flashes = simulate_recording(None, speller=None, n_runs=4, ch_names=["Cz"]).flashes
    rows = flashes["run"].ne(flashes["run"].iloc[0]).to_numpy()
    folds = inner_folds(flashes, rows)
    assert flashes[rows].assign(fold=folds[rows]).groupby("run")["fold"].nunique().eq(1).all()
    assert set(folds[rows]) == {0, 1, 2}


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda f, some: member_rows(f, some, n_members=3, share="consecutive"), "1 training ch"),
        (lambda f, some: member_rows(f, some, n_members=2, share="half"), "'half'"),
        (lambda f, some: unit_of(f, "word"), "split by 'word'"),
    ],
)
def test_divisions_that_cannot_be_made_are_refused(ask, words):
    flashes = simulate_recording("AB", n_repetitions=2, ch_names=["Cz"]).flashes
    with pytest.raises(InputError, match=words):
        ask(flashes, np.arange(len(flashes)) < 24)
