"""Rates as amplifiers have them: a few millionths from nominal, another one each day."""

import numpy as np
import pytest

from p300.errors import InputError
from p300.preprocessing import Preprocessor, recording_from_arrays
from p300.preprocessing.resampling import resample, resample_recording
from p300.recording import Recording, concatenate_recordings


@pytest.mark.parametrize("sfreq_in", [1000.01, 255.9987, 499.9871, 512.03125, 250.00001])
def test_a_tone_keeps_its_phase_over_ten_minutes_at_any_rate(sfreq_in):
    # with steps or onsets of the nominal rate, it would be off by up to 0.04 s: 100 degrees
    n = int(600 * sfreq_in)
    tone = 30 * np.sin(2 * np.pi * 7.0 * np.arange(n) / sfreq_in)[None]
    onsets = np.array([3.0, 300.0017, 599.0])
    recording = recording_from_arrays(tone, onsets, sfreq=sfreq_in)
    steps = Preprocessor(l_freq=None, h_freq=None, scaling="none")
    epochs = steps.fit(recording).transform(recording)[:, 0]
    exact = 30 * np.sin(2 * np.pi * 7.0 * (onsets[:, None] + np.arange(78) / 120))
    assert np.abs(epochs - exact).max() < 0.02


@pytest.mark.parametrize("phase", ["zero", "causal"])
@pytest.mark.parametrize("engine", ["fast", "scipy"])
def test_without_a_filter_the_eeg_stays_as_it_is(phase, engine):
    signal = np.cumsum(np.random.default_rng(0).normal(size=(3, 2400)), axis=1) + 25
    recording = recording_from_arrays(signal, [0.0, 2.0, 7.3], sfreq=240)
    steps = Preprocessor(
        l_freq=None, h_freq=None, sfreq=240, scaling="none", phase=phase, engine=engine
    )
    epochs = steps.fit(recording).transform(recording)
    for epoch, start in zip(epochs, (0, 480, 1752), strict=True):
        assert np.array_equal(epoch, signal[:, start : start + 156].astype(np.float32))


def test_segments_of_two_days_are_each_cut_at_their_own_rate():
    rng = np.random.default_rng(0)
    rates = (499.9871, 500.0312)
    times = [np.arange(int(60 * rate)) / rate for rate in rates]
    tones = [30 * np.sin(2 * np.pi * 5.0 * t)[None] for t in times]
    onsets = rng.uniform(20, 40, 20)  # far from the ends, at which the filter settles
    days = [
        recording_from_arrays(tone, onsets, sfreq=rate, session=str(k))
        for k, (tone, rate) in enumerate(zip(tones, rates, strict=True))
    ]
    both = concatenate_recordings(days)
    assert both.rates == rates and both.sfreq == rates[0]
    assert both.duration_s == pytest.approx(sum(day.duration_s for day in days))
    steps = Preprocessor(scaling="none").fit(both)
    first, second = np.split(steps.transform(both), 2)
    assert np.abs(first - second).max() < 0.02  # the same instants of the same tone
    assert np.array_equal(second, Preprocessor(scaling="none").fit(days[1]).transform(days[1]))
    assert np.array_equal(both.select(np.arange(40) >= 20).rates, rates[1:])
    with pytest.raises(InputError, match="has sfreq 501.0"):
        concatenate_recordings([days[0], recording_from_arrays(tones[0], onsets, sfreq=501)])


def test_a_whole_segment_is_resampled_by_whole_numbers_only():
    signal = np.zeros((1, 1000))
    with pytest.raises(InputError, match="expected a ratio of whole numbers up to 10,000"):
        resample(signal, sfreq_in=255.9987, sfreq=120)
    recording = recording_from_arrays(signal, [1.0], sfreq=255.9987)
    with pytest.raises(InputError, match='set resample="filter_first"'):
        Preprocessor(resample="subsample_first").fit(recording)


def tones(*frequencies, sfreq=2048.0, seconds=4):
    t = np.arange(round(seconds * sfreq)) / sfreq
    return np.stack([np.sin(2 * np.pi * f * t) for f in frequencies])


def test_a_resampled_recording_keeps_a_tone_of_5_hz_and_loses_one_of_100_hz():
    recording = recording_from_arrays(tones(5.0, 100.0), onsets=[1.25], sfreq=2048)
    slow = resample_recording(recording, 128)
    (signal,) = slow.segments
    assert slow.sfreq == 128 and signal.shape == (2, 512)
    inside = slice(64, -64)  # the filter has nothing before the first and after the last sample
    assert np.abs(signal - tones(5.0, 100.0, sfreq=128.0))[0, inside].max() < 2e-3
    assert np.abs(signal[1, inside]).max() < 1e-2
    assert recording.segments[0].shape == (2, 8192)


def test_a_resampled_recording_keeps_all_but_its_samples():
    recording = Recording(
        [tones(5.0, 6.0)],
        recording_from_arrays(tones(5.0), onsets=[1.25, 3.0], sfreq=2048).flashes,
        ["Cz", "Pz"],
        2048,
        positions={"Cz": (0, 0, 0.1)},
        bad_channels=["Pz"],
        notes=["The first note."],
    )
    slow = resample_recording(recording, 256)
    assert slow.flashes.equals(recording.flashes) and slow.duration_s == recording.duration_s
    assert slow.bad_channels == ("Pz",) and slow.positions == {"Cz": (0, 0, 0.1)}
    assert slow.notes == ("The first note.", "Resampled from 2048 to 256 Hz.")


def test_segments_of_two_clocks_stay_as_long_as_they_were():
    recording = recording_from_arrays(tones(5.0, sfreq=256.0), onsets=[1.25], sfreq=256)
    other = recording_from_arrays(
        tones(5.0, sfreq=256.0), onsets=[1.25], sfreq=256.0064, session="2"
    )
    both = resample_recording(concatenate_recordings([recording, other]), 120)
    assert both.rates == pytest.approx((120.0, 120.003), rel=1e-9)
    lengths = [s.shape[1] / rate for s, rate in zip(both.segments, both.rates, strict=True)]
    assert lengths == pytest.approx([4.0, 4.0 * 256 / 256.0064], abs=1e-9)


@pytest.mark.parametrize("sfreq", [0, -1, float("nan"), np.pi])
def test_a_rate_that_no_recording_can_have_is_refused(sfreq):
    recording = recording_from_arrays(tones(5.0), onsets=[1.0], sfreq=2048)
    with pytest.raises(InputError, match="expected (more than 0|a ratio of whole numbers)"):
        resample_recording(recording, sfreq)
