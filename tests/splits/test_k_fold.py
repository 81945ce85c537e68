import numpy as np
import pandas as pd
import pytest

from p300.errors import InputError
from p300.flashes import flash_table
from p300.splits import k_fold


def spelled(n_characters, subject="1", n_flashes=12):
    """Characters of 12 flashes, 0.2 s apart, each followed by a pause."""
    character = np.repeat(np.arange(n_characters), n_flashes)
    onset = 0.2 * np.arange(len(character)) + 3.0 * character
    return flash_table(
        onset=onset,
        character=character,
        code=1,
        subject=subject,
        repetition=0,
        segment=ord(subject),
    )


def folds_of(flashes, **how):
    tests = [k_fold(flashes, fold=k, **how).test for k in range(how["n_folds"])]
    assert (np.sum(tests, axis=0) == 1).all()  # every flash is tested once
    return np.argmax(tests, axis=0)


def test_folds_are_consecutive_characters_of_nearly_equal_number():
    flashes = spelled(7)
    fold = folds_of(flashes, n_folds=3)
    by_character = pd.Series(fold).groupby(flashes["character"]).unique().map(list).tolist()
    assert by_character == [[0], [0], [0], [1], [1], [2], [2]]


def test_every_fold_tests_characters_of_everybody():
    flashes = pd.concat([spelled(4, "A"), spelled(6, "B")], ignore_index=True)
    fold = folds_of(flashes, n_folds=2)
    table = pd.crosstab(flashes["subject"], fold)
    assert (table.to_numpy() == [[24, 24], [36, 36]]).all()


def test_people_can_be_the_folds():
    flashes = pd.concat([spelled(4, name) for name in "ABCDE"], ignore_index=True)
    fold = folds_of(flashes, n_folds=2, by="subject")
    assert pd.Series(fold).groupby(flashes["subject"]).nunique().eq(1).all()
    assert np.bincount(fold).tolist() == [144, 96]


@pytest.mark.parametrize("n_runs, unit", [(1, "block"), (2, "block"), (4, "run")])
def test_an_oddball_is_divided_by_runs_or_else_by_blocks_of_time(n_runs, unit):
    flashes = flash_table(onset=np.arange(120.0), code=1, run=np.arange(120) * n_runs // 120)
    fold = folds_of(flashes, n_folds=4)
    assert k_fold(flashes, fold=0, n_folds=4).name == f"fold 0 of 4, by {unit}"
    if unit == "run":
        assert (fold == flashes["run"]).all()
    split = k_fold(flashes, fold=1, n_folds=4)
    assert split.validation.any() and split.train.any()


@pytest.mark.parametrize(
    "how", [{"fold": None}, {"fold": 3, "n_folds": 3}, {"fold": 0, "n_folds": 1}]
)
def test_a_fold_that_is_none_is_refused(how):
    with pytest.raises(InputError, match="got fold=.*; expected at least two folds, and one of 0"):
        k_fold(spelled(6), **how)


def test_more_folds_than_characters_are_refused_with_the_number_that_fits():
    with pytest.raises(InputError, match="got 3 characters of a subject.*set n_folds=3"):
        k_fold(spelled(3), fold=0, n_folds=5)
