"""Statistics of epochs that are never in memory at once: those of NumPy, in any order."""

import numpy as np
import pytest

from p300.errors import InputError
from p300.preprocessing import Preprocessor, channel_statistics, recording_from_arrays
from p300.preprocessing._engine import cut as engine
from p300.preprocessing.statistics import ChannelMoments, ChannelQuartiles


def streamed(statistics, epochs, *, is_rejected=False, sizes=7, order=None):
    """Put epochs in batches, in an order of the batches; end each pass."""
    batches = np.split(np.arange(len(epochs)), range(sizes, len(epochs), sizes))
    while not statistics.is_complete:
        for k in range(len(batches)) if order is None else order:
            rejected = is_rejected if is_rejected is False else is_rejected[batches[k]]
            statistics.put(batches[k], epochs[batches[k]], rejected)
        statistics.end_pass()
    return statistics


def awkward(kind, rng, n=23):
    """Epochs (n, 3, 11) of float32 whose quartiles are easily got wrong."""
    values = rng.normal(size=(n, 3, 11))
    return {
        "noise": lambda: values + [[[0.0], [900.0], [-3.0]]],
        "ties": lambda: values.round(),
        "constant": lambda: np.zeros_like(values) + [[[0.0], [0.1], [-7.5]]],
        "sizes": lambda: values * 10.0 ** rng.integers(-40, 38, values.shape),
        "two values": lambda: np.where(values > 0, 1.0, -1.0),
        "negative zeros": lambda: np.where(values > 0.5, values, -0.0),
    }[kind]().astype(np.float32)


KINDS = ["noise", "ties", "constant", "sizes", "two values", "negative zeros"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 23, 60])
def test_streamed_quartiles_are_those_of_the_sorted_samples(kind, n):
    epochs = awkward(kind, np.random.default_rng(n), n)
    found = streamed(ChannelQuartiles(3), epochs)
    for channel, center, spread in zip(
        epochs.swapaxes(0, 1), found.center, found.spread, strict=True
    ):
        ordered = np.sort(channel.ravel()).astype(np.float64)
        q1, median, q3 = np.interp(
            np.array([0.25, 0.5, 0.75]) * (ordered.size - 1), range(ordered.size), ordered
        )
        assert center == pytest.approx(median, rel=1e-12, abs=0)
        assert spread == pytest.approx(q3 - q1, rel=1e-12, abs=1e-12 * abs(ordered).max())


@pytest.mark.parametrize("kind", ["noise", "ties", "constant", "two values"])
@pytest.mark.parametrize("n", [1, 23, 60])
def test_streamed_moments_are_those_of_all_samples_together(kind, n):
    epochs = awkward(kind, np.random.default_rng(n), n)
    found = streamed(ChannelMoments(), epochs)
    samples = epochs.swapaxes(0, 1).reshape(3, -1).astype(np.float64)
    np.testing.assert_allclose(found.center, samples.mean(axis=1), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.spread, samples.std(axis=1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("make", [ChannelMoments, lambda: ChannelQuartiles(3)])
def test_neither_the_order_of_batches_nor_rejected_flashes_change_a_bit(make):
    rng = np.random.default_rng(0)
    epochs, is_rejected = awkward("noise", rng, 60), rng.random(60) < 0.3
    first = streamed(make(), epochs, is_rejected=is_rejected)
    epochs[is_rejected] = 1e6
    again = streamed(make(), epochs, is_rejected=is_rejected, order=rng.permutation(9))
    np.testing.assert_array_equal(first.center, again.center)
    np.testing.assert_array_equal(first.spread, again.spread)
    assert abs(first.center).max() < 1000


@pytest.mark.parametrize("make", [ChannelMoments, lambda: ChannelQuartiles(3)])
def test_statistics_of_rejected_flashes_alone_are_of_none(make):
    epochs = awkward("noise", np.random.default_rng(0))
    assert streamed(make(), epochs, is_rejected=np.ones(23, bool)).n == 0


@pytest.mark.parametrize("scaling", ["standardize", "robust"])
def test_a_fitted_scaling_is_that_of_the_training_epochs_and_the_same_on_any_number_of_cores(
    scaling, monkeypatch
):
    rng = np.random.default_rng(1)
    segments = [30 * rng.standard_normal((3, 4800)).cumsum(axis=1) for _ in range(5)]
    onsets = np.tile(np.sort(rng.uniform(0.2, 19.0, 230)), 5)
    recording = recording_from_arrays(
        segments, onsets, sfreq=240, segment=np.repeat(range(5), 230)
    )
    rows = rng.permutation(1150)[:900]
    plain = Preprocessor(scaling="none", reject_uv=900.0)
    epochs = plain.fit(recording).epochs(recording)
    assert 10 < epochs.is_rejected[rows].sum() < 800
    kept = rows[~epochs.is_rejected[rows]]
    center, spread = channel_statistics(epochs.data[kept], scaling)
    found = []
    for n_workers in (1, 4):
        monkeypatch.setattr(engine, "_n_workers", lambda n=n_workers: n)
        fitted = Preprocessor(scaling=scaling, reject_uv=900.0).fit(recording, rows=rows)
        np.testing.assert_allclose(fitted.center_, center, rtol=1e-9)
        np.testing.assert_allclose(fitted.spread_, spread, rtol=1e-9)
        found.append([*fitted.center_, *fitted.spread_])
    assert found[0] == found[1]


@pytest.mark.parametrize("scaling", ["standardize", "robust"])
def test_a_scaling_without_a_flash_to_learn_from_is_refused(scaling):
    signal = np.random.default_rng(0).standard_normal((2, 600))
    recording = recording_from_arrays(signal, [0.5, 1.0], sfreq=240)
    with pytest.raises(InputError, match=f"got no training epoch for scaling '{scaling}'"):
        Preprocessor(scaling=scaling, reject_uv=1e-9).fit(recording)
