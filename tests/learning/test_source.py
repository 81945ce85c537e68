"""Sources on disk, and sources of networks."""

import numpy as np
import pytest
from learners import SYMBOLS, noise, source_of

from p300.errors import InputError
from p300.learning import Learner, read_source, write_source
from p300.learning.files import MOST_PEOPLE


def test_a_source_is_read_as_it_was_written(tmp_path):
    source = source_of(people=("1", "2"))
    write_source(tmp_path / "learning.npz", source)
    found = read_source(tmp_path / "learning.npz")
    assert list(found.people) == ["1", "2"]
    assert (found.penalty, found.weight, found.power) == (0.1, 1.0, source.power)
    learners = [Learner(one, SYMBOLS, person="2") for one in (source, found)]
    changes = [learner.change(noise(50, 1)) for learner in learners]
    np.testing.assert_allclose(changes[1], changes[0], atol=1e-5)


def test_the_sums_of_many_people_are_added_up(tmp_path):
    source = source_of(people=[str(k) for k in range(MOST_PEOPLE + 1)])
    write_source(tmp_path / "learning.npz", source)
    found = read_source(tmp_path / "learning.npz")
    assert list(found.people) == [""]
    np.testing.assert_allclose(found.whole().products, source.whole().products, rtol=1e-5)


def test_a_damaged_source_is_refused(tmp_path):
    path = tmp_path / "learning.npz"
    data = write_source(path, source_of())
    for damaged in (b"", data[: len(data) // 2], data[:1000] + b"\xff" * 500 + data[1500:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="damaged"):
            read_source(path)
    with pytest.raises(InputError, match="no such file"):
        read_source(tmp_path / "other.npz")


@pytest.mark.parametrize("part", ["products_0", "lags_0", "n_0", "epochs_0"])
def test_sums_that_do_not_fit_together_are_refused(tmp_path, part):
    path = tmp_path / "learning.npz"
    write_source(path, source_of())
    arrays = dict(np.load(path))
    for wrong in (arrays[part][:-1], np.full_like(arrays[part], np.nan)):
        np.savez(path, **{**arrays, part: wrong})
        with pytest.raises(InputError, match="damaged"):
            read_source(path)
