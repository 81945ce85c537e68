"""When each sample was taken, from stamps that jitter, drift and jump."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p300.preprocessing._engine.clock import SampleClock


def push_all(clock, times, size):
    parts, breaks = [], []
    for begin in range(0, len(times), size):
        smoothed, found = clock.push(times[begin : begin + size])
        parts.append(smoothed)
        breaks += [(begin + k, missing) for k, missing in found]
    return np.concatenate(parts), breaks


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 500), start=st.sampled_from([0.0, 1e5, 1.7e9]))
def test_exact_stamps_stay_as_they_are(size, start):
    times = start + np.arange(3000) / 240
    smoothed, breaks = push_all(SampleClock(240), times, size)
    # a double holds the seconds since 1970 to 2.4e-7 s only
    np.testing.assert_allclose(smoothed, times, rtol=0, atol=max(1e-10, 4e-16 * start))
    assert not breaks


def test_jitter_of_whole_chunks_is_averaged_over_seconds():
    rng = np.random.default_rng(0)
    times = np.arange(240 * 60) / 240
    jitter = np.repeat(rng.normal(0, 0.004, len(times) // 8), 8)
    smoothed, breaks = push_all(SampleClock(240), times + jitter, 8)
    assert not breaks
    late = slice(240 * 10, None)
    assert np.std((smoothed - times)[late]) < 0.25 * np.std(jitter[late])


def test_drift_is_followed_to_a_tenth_of_a_sample():
    times = np.arange(240 * 300) / 240 * (1 + 500e-6)  # 0.15 s in five minutes
    smoothed, breaks = push_all(SampleClock(240), times, 8)
    assert not breaks
    assert np.abs(smoothed - times).max() < 0.6 / 240
    assert np.abs((smoothed - times)[240 * 60 :]).max() < 0.1 / 240


@pytest.mark.parametrize("n_lost", [1, 2, 24])
def test_lost_samples_are_a_break_of_their_length(n_lost):
    times = np.arange(240 * 20) / 240
    kept = np.r_[times[:3000], times[3000 + n_lost :]]
    smoothed, breaks = push_all(SampleClock(240), kept, 8)
    assert breaks == [(3000, pytest.approx(n_lost / 240, abs=1e-5))]
    np.testing.assert_allclose(smoothed, kept, atol=1e-9)


def test_jitter_that_grows_does_not_break_the_stream_for_ever():
    rng = np.random.default_rng(0)
    times = np.arange(240 * 60) / 240
    jitter = np.repeat(rng.uniform(-0.01, 0.01, len(times) // 8), 8)
    jitter[: 240 * 20] = 0
    _, breaks = push_all(SampleClock(240), times + jitter, 8)
    assert len(breaks) < 10
    assert all(240 * 20 <= k < 240 * 25 for k, _ in breaks)


def test_the_true_rate_is_measured_across_pauses():
    clock = SampleClock(240)
    times = np.arange(240 * 20) / 256
    times[2400:] += 30.0
    push_all(clock, times, 8)
    assert clock.measured_sfreq == pytest.approx(256, rel=0.002)
