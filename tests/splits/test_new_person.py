"""A split for somebody new."""

import numpy as np
import pytest

from p300.errors import InputError
from p300.simulation import simulate_data_set
from p300.splits import new_person

FLASHES = simulate_data_set(
    "ABCD", "EFGH", subjects=3, ch_names=["Pz"], n_repetitions=2, n_runs=1
).flashes


def characters(rows, subject=None):
    own = FLASHES[rows]
    own = own if subject is None else own[own["subject"] == subject]
    return len(own.groupby(["subject", "session", "character"]))


def test_the_test_part_is_the_same_however_many_own_characters_train():
    splits = [new_person(FLASHES, fold=1, n_own=n) for n in (0, 1, 3, 5)]
    for split in splits[1:]:
        assert (split.test == splits[0].test).all()
    assert characters(splits[0].test) == characters(splits[0].test, "2") == 3
    trained = [characters(split.train | split.validation, "2") for split in splits]
    assert trained == [0, 1, 3, 5]
    assert all(characters(s.train | s.validation, "1") == 8 for s in splits)


def test_own_characters_without_labels_are_read_before_and_train_nothing():
    split = new_person(FLASHES, fold=0, n_own=3, is_labelled=False)
    assert characters(split.before) == characters(split.before, "1") == 3
    assert not (split.before & (split.train | split.validation | split.test)).any()
    assert characters(split.train | split.validation, "1") == 0
    assert FLASHES.index[split.before].max() < FLASHES.index[split.test].min()
    assert new_person(FLASHES, fold=0, n_own=0, is_labelled=False).before is None


def test_a_smaller_pool_is_part_of_a_larger_one():
    pools = [new_person(FLASHES, fold=0, n_people=n) for n in (1, 2)]
    people = [set(FLASHES["subject"][p.train | p.validation]) for p in pools]
    assert len(people[0]) == 1
    assert people[0] < people[1] == {"2", "3"}


def test_without_other_people_the_own_characters_alone_train():
    alone, with_others = (new_person(FLASHES, fold=1, n_own=3, n_people=n) for n in (0, None))
    assert np.array_equal(alone.test, with_others.test)
    trained = alone.train | alone.validation
    assert characters(trained) == 3
    assert set(FLASHES["subject"][trained]) == {"2"}
    for options in ({"n_own": 0}, {"n_own": 3, "is_labelled": False}):
        with pytest.raises(InputError, match="n_people=0; expected 1 to 2"):
            new_person(FLASHES, fold=1, n_people=0, **options)


def test_every_person_is_tested_by_one_fold():
    tested = np.sum([new_person(FLASHES, fold=k).test for k in range(3)], axis=0)
    assert tested.max() == 1
    assert tested.sum() == len(FLASHES) * 3 / 8


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fold": 3}, "fold=3 of 3 people"),
        ({"fold": None}, "fold=None of 3 people"),
        ({"fold": 0, "n_own": 6}, "n_own=6; expected 0 to n_reserved=5"),
        ({"fold": 0, "n_reserved": 8}, "all characters of a person"),
        ({"fold": 0, "n_people": 3}, "n_people=3; expected 1 to 2"),
        ({"fold": 0, "by": "run"}, "expected by=subject"),
    ],
)
def test_what_cannot_be_split_is_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        new_person(FLASHES, **wrong)


def test_validation_is_drawn_from_what_trains():
    for fold in range(3):
        for options in ({"n_people": 1}, {"n_own": 2, "is_labelled": False}):
            split = new_person(FLASHES, fold=fold, validation_fraction=0.25, **options)
            n_used = characters(split.train | split.validation)
            assert characters(split.validation) == round(0.25 * n_used)
