"""Euclidean alignment: what it makes equal, and that it looks at no later flash."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from p300.errors import InputError
from p300.preprocessing import EuclideanAlignment
from p300.recording import flash_table


def people(n_flashes=600, n_chans=4, seed=0):
    """Two people whose electrodes are mixed differently; shape (2 * n_flashes, ...)."""
    rng = np.random.default_rng(seed)
    mixtures = rng.normal(size=(2, n_chans, n_chans)) * [[[1.0]], [[30.0]]]
    epochs = rng.normal(size=(2, n_flashes, n_chans, 78))
    epochs = np.einsum("pcd,pfdt->pfct", mixtures, epochs).reshape(-1, n_chans, 78)
    onsets = np.tile(np.arange(n_flashes) * 0.2, 2)
    subject = np.repeat(["1", "2"], n_flashes)
    return epochs, flash_table(onset=onsets, segment=np.repeat([0, 1], n_flashes), subject=subject)


def mean_covariance(epochs):
    return np.einsum("fct,fdt->cd", epochs, epochs) / (len(epochs) * epochs.shape[-1])


def test_people_come_to_have_the_same_mean_covariance():
    epochs, flashes = people()
    found = EuclideanAlignment(n_prior=1).transform(epochs, flashes)
    for rows in (slice(300, 600), slice(900, 1200)):
        assert np.abs(mean_covariance(epochs[rows]) - np.eye(4)).max() > 1
        np.testing.assert_allclose(mean_covariance(found[rows]), np.eye(4), atol=0.1)


def test_it_whitens_by_the_flashes_seen_before_the_block():
    epochs, flashes = people(60)
    found = EuclideanAlignment(n_prior=5, n_hold=20).transform(epochs, flashes)
    seen = epochs[60:100]  # of the second person, before the third block
    unit = np.trace(mean_covariance(seen)) / 4 * np.eye(4)
    mean = (5 * unit + 40 * mean_covariance(seen)) / 45
    wanted = np.linalg.inv(sqrtm(mean)) @ epochs[100:120]
    np.testing.assert_allclose(found[100:120], wanted, rtol=1e-9)


def test_no_flash_knows_of_a_later_one_or_of_another_person():
    epochs, flashes = people(60)
    whole = EuclideanAlignment().transform(epochs, flashes)
    changed = epochs.copy()
    changed[31:60] *= 1000
    found = EuclideanAlignment().transform(changed, flashes)
    assert np.array_equal(found[:31], whole[:31]) and np.array_equal(found[60:], whole[60:])
    assert not np.allclose(found[40:60], 1000 * whole[40:60])


def test_the_unit_of_the_amplifier_does_not_matter():
    epochs, flashes = people(60)
    found = EuclideanAlignment().transform(1e-6 * epochs, flashes)
    np.testing.assert_allclose(found, EuclideanAlignment().transform(epochs, flashes), rtol=1e-6)


def test_a_dead_recording_stays_zero():
    epochs = np.zeros((30, 3, 78), np.float32)
    found = EuclideanAlignment().transform(epochs, flash_table(onset=np.arange(30.0)))
    assert found.dtype == np.float32 and not found.any()


@pytest.mark.parametrize("params", [{"n_prior": 0}, {"n_hold": 0}])
def test_numbers_without_sense_are_refused(params):
    with pytest.raises(InputError, match="got n_prior=.*, n_hold=.*; expected at least 1 each"):
        EuclideanAlignment(**params)


def test_alignments_are_equal_by_their_numbers_and_say_them():
    assert EuclideanAlignment(5, 20) == EuclideanAlignment(n_prior=5, n_hold=20)
    assert repr(EuclideanAlignment(5)) == "EuclideanAlignment(n_prior=5, n_hold=12)"
