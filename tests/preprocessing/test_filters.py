"""Filters and resampling, asked with pure tones and impulses whose answers are known."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import signal as sps

from p300.errors import InputError
from p300.preprocessing import (
    Preprocessor,
    cut_epochs,
    design_bandpass,
    filter_segment,
    recording_from_arrays,
    resample,
)
from p300.preprocessing._engine.sampling import folds_into_band
from p300.preprocessing.filters import pad_length

RATES = [120, 128, 160, 200, 240, 250, 256, 500, 512, 1000, 2048]
DURATION = 120.0  # in the middle, what a 0.1 Hz filter does at the ends has died away
ONSETS = np.array([60.0, 60.1234567, 62.5])


def tones(sfreq, *frequencies, phase=0.3):
    """One channel a tone of amplitude 1."""
    times = np.arange(int(DURATION * sfreq)) / sfreq
    return np.array([np.sin(2 * np.pi * f * times + phase) for f in frequencies])


def epochs_of(signal, sfreq_in, **params):
    recording = recording_from_arrays(signal, ONSETS, sfreq=sfreq_in)
    return Preprocessor(scaling="none", **params).fit(recording).transform(recording)


def amplitude(epochs):
    """Amplitude of the tone in every channel, from its mean power over 0.6 s."""
    return np.sqrt(2 * np.square(epochs[..., :72]).mean(axis=(0, 2)))


@pytest.mark.parametrize("sfreq", RATES)
@pytest.mark.parametrize("phase", ["zero", "causal"])
def test_a_5_hz_tone_survives_the_band_pass_and_slow_and_fast_ones_do_not(sfreq, phase):
    five, slow, fast, line = amplitude(
        epochs_of(tones(sfreq, 5, 0.02, 45, 50), sfreq, phase=phase)
    )
    assert five == pytest.approx(1, abs=1e-3)
    assert slow < 3e-3  # (0.02 / 0.1) ** 4 and less
    assert fast < (2e-3 if phase == "zero" else 0.04)
    assert line < (1e-3 if phase == "zero" else 0.03)


@pytest.mark.parametrize("sfreq", RATES)
@pytest.mark.parametrize("tmin", [0.0, -0.2])
def test_a_tone_is_where_the_flash_says_at_any_rate_and_between_samples(sfreq, tmin):
    epochs = epochs_of(tones(sfreq, 7, 15), sfreq, tmin=tmin, tmax=0.45)
    instants = ONSETS[:, None] + tmin + np.arange(epochs.shape[2]) / 120
    for channel, frequency in enumerate((7, 15)):
        gain = np.abs(
            sps.sosfreqz(design_bandpass(0.1, 20, sfreq=sfreq), [frequency], fs=sfreq)[1]
        )
        expected = gain**2 * np.sin(2 * np.pi * frequency * instants + 0.3)
        np.testing.assert_allclose(epochs[:, channel], expected, atol=3e-4)


@pytest.mark.parametrize("sfreq", [r for r in RATES if r > 220])
@pytest.mark.parametrize(
    "params",
    [
        {"phase": "causal"},
        {"phase": "zero"},
        {"phase": "causal", "order": 1},
        {"l_freq": None, "h_freq": None},
    ],
)
def test_tones_above_half_the_new_rate_do_not_fold_into_the_band(sfreq, params):
    folding = tones(sfreq, 110)  # would become a 10 Hz tone
    assert amplitude(epochs_of(folding, sfreq, **params)) < 3e-3


@pytest.mark.parametrize("sfreq", [250, 256, 500, 512, 1000, 2048])
def test_subsampling_first_by_a_broken_ratio_does_not_fold(sfreq):
    folding = tones(sfreq, 110)
    assert amplitude(epochs_of(folding, sfreq, resample="subsample_first")) < 3e-3


@settings(max_examples=200, deadline=None)
@given(
    order=st.integers(1, 8),
    h_freq=st.floats(5, 55),
    sfreq_in=st.sampled_from([160, 200, 240, 256, 512, 1000]),
    phase=st.sampled_from(["zero", "causal"]),
)
def test_a_low_pass_that_takes_40_db_from_what_would_fold_is_enough(
    order, h_freq, sfreq_in, phase
):
    lowest = min(120 - h_freq, sfreq_in / 2)  # of the frequencies that fold into the band
    if lowest == sfreq_in / 2:
        decibels = np.inf
    else:  # of a Butterworth low-pass by the bilinear transform
        ratio = np.tan(np.pi * lowest / sfreq_in) / np.tan(np.pi * h_freq / sfreq_in)
        decibels = 10 * np.log10(1 + ratio ** (2 * order)) * (2 if phase == "zero" else 1)
    assume(abs(decibels - 40) > 0.01)
    sos = design_bandpass(None, h_freq, sfreq=sfreq_in, order=order)
    rates = {"sfreq_in": sfreq_in, "sfreq": 120}
    assert folds_into_band(sos, **rates, h_freq=h_freq, phase=phase) == (decibels < 40)


def test_nothing_folds_into_the_band_of_a_rate_that_is_not_lower():
    sos = design_bandpass(0.1, None, sfreq=120)
    for sfreq, folds in ((119, True), (120, False), (240, False)):
        rates = {"sfreq_in": 120, "sfreq": sfreq}
        assert folds_into_band(sos, **rates, h_freq=None, phase="zero") == folds


def test_subsampling_first_as_printed_folds_what_the_amplifier_let_pass():
    folded = epochs_of(tones(240, 110), 240, resample="subsample_first")
    assert amplitude(folded) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("phase", ["zero", "causal"])
@pytest.mark.parametrize(
    ("l_freq", "h_freq", "order"),
    [
        (0.1, 20, 4),
        (0.1, 20, 1),
        (0.5, 12, 8),
        (None, 20, 3),
        (0.1, None, 5),
        (8, 12, 2),
        (1, 20, 14),
    ],
)
def test_every_band_and_order_agrees_with_second_order_sections(l_freq, h_freq, order, phase):
    rng = np.random.default_rng(0)
    signal = np.cumsum(rng.standard_normal((3, 16_000)), axis=1)
    band = {"l_freq": l_freq, "h_freq": h_freq, "order": order}
    fast = epochs_of(signal, 240, phase=phase, sfreq=240, **band)
    plain = filter_segment(signal, design_bandpass(sfreq=240, **band), phase=phase)
    expected = cut_epochs(plain, ONSETS, sfreq=240, tmax=0.65)
    np.testing.assert_allclose(fast, expected, atol=1e-4 * plain.std())


@pytest.mark.parametrize(
    ("l_freq", "h_freq", "words"),
    [
        (None, 0, "got h_freq=0 Hz; expected more than 0 Hz"),
        (None, -0.5, "got h_freq=-0.5 Hz; expected more than 0 Hz"),
        (
            None,
            120,
            "got h_freq=120 Hz at a rate of 240 Hz; expected less than 120 Hz; lower h_freq",
        ),
        (0, 20, "got l_freq=0 Hz; expected between 0 and 20 Hz"),
        (20, 20, "got l_freq=20 Hz; expected between 0 and 20 Hz"),
        (120, None, "got l_freq=120 Hz; expected between 0 and 120 Hz"),
    ],
)
def test_corners_lie_between_zero_and_half_the_rate_and_in_their_order(l_freq, h_freq, words):
    with pytest.raises(InputError, match=words):
        design_bandpass(l_freq, h_freq, sfreq=240)


@pytest.mark.parametrize("phase", ["zero", "causal"])
def test_the_filter_is_scipys(phase):
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((2, 2400)) + 50
    sos = sps.butter(4, [0.1, 20], "band", output="sos", fs=240)
    np.testing.assert_array_equal(sos, design_bandpass(0.1, 20, sfreq=240))
    filtered = filter_segment(signal, sos, phase=phase)
    if phase == "zero":
        expected = sps.sosfiltfilt(sos, signal - signal.mean(axis=1, keepdims=True), axis=1)
    else:
        start = sps.sosfilt_zi(sos)[:, None] * signal[:, :1]  # (n_sections, n_chans, 2)
        expected, _ = sps.sosfilt(sos, signal, axis=1, zi=start)
    np.testing.assert_allclose(filtered, expected, atol=1e-9)


@pytest.mark.parametrize("phase", ["zero", "causal"])
def test_the_scipy_engine_is_scipy_then_every_second_sample_then_z_scores(phase):
    signal = np.cumsum(np.random.default_rng(0).standard_normal((3, 28_800)), axis=1)
    recording = recording_from_arrays(signal, [60.0, 62.5], sfreq=240)
    found = Preprocessor(phase=phase, engine="scipy").fit(recording).transform(recording)
    sos = sps.butter(4, [0.1, 20], "band", output="sos", fs=240)
    if phase == "zero":
        filtered = sps.sosfiltfilt(sos, signal - signal.mean(axis=1, keepdims=True), axis=1)
    else:
        start = sps.sosfilt_zi(sos)[:, None] * signal[:, :1]
        filtered, _ = sps.sosfilt(sos, signal, axis=1, zi=start)
    for epoch, onset in zip(found, (60.0, 62.5), strict=True):
        first = int(onset * 240)
        cut = filtered[:, first : first + 156 : 2]
        cut = (cut - cut.mean(axis=1, keepdims=True)) / cut.std(axis=1, keepdims=True)
        np.testing.assert_allclose(epoch, cut, atol=2e-5)


@pytest.mark.parametrize("phase", ["zero", "causal"])
@pytest.mark.parametrize("sfreq", [240, 250, 256, 512])
@pytest.mark.parametrize("resample", ["filter_first", "subsample_first"])
def test_the_fast_engine_gives_the_z_scores_of_scipys(phase, sfreq, resample):
    rng = np.random.default_rng(1)
    signal = np.cumsum(rng.standard_normal((4, 90 * sfreq)), axis=1) + 1e4
    recording = recording_from_arrays(signal, 50 + rng.uniform(0, 30, 40), sfreq=sfreq)
    found = [
        Preprocessor(phase=phase, resample=resample, engine=engine).fit(recording)
        for engine in ("fast", "scipy")
    ]
    fast, exact = (preprocessor.transform(recording) for preprocessor in found)
    np.testing.assert_allclose(fast, exact, atol=2e-4)
    assert found[0].get_state() != found[1].get_state()


def test_the_zero_phase_chain_agrees_with_mne():
    import mne

    rng = np.random.default_rng(0)
    signal = np.cumsum(rng.standard_normal((2, 28_800)), axis=1)
    raw = mne.io.RawArray(signal * 1e-6, mne.create_info(2, 240.0, "eeg"), verbose="error")
    iir = {"order": 4, "ftype": "butter"}
    raw.filter(0.1, 20, method="iir", iir_params=iir, verbose="error")
    onsets = np.array([60.0, 65.5])
    events = np.column_stack([onsets * 240, [0, 0], [1, 1]]).astype(int)
    theirs = mne.Epochs(
        raw, events, tmin=0, tmax=77 / 120, baseline=None, decim=2, preload=True, verbose="error"
    )
    recording = recording_from_arrays(signal, onsets, sfreq=240)
    ours = Preprocessor(scaling="none").fit(recording).epochs(recording)
    np.testing.assert_allclose(ours.to_mne().get_data(), theirs.get_data(), atol=2e-8)


def test_a_zero_phase_filter_moves_no_peak_and_a_causal_one_moves_it_later():
    signal = np.zeros((1, int(DURATION * 240)))
    peak = int(60.3 * 240)
    signal[0, peak - 12 : peak + 13] = np.hanning(25)
    zero, causal = (
        epochs_of(signal, 240, phase=phase)[0, 0].argmax() / 120 for phase in ("zero", "causal")
    )
    assert zero == pytest.approx(0.3, abs=1 / 120)
    assert 0.31 < causal < 0.36


@pytest.mark.parametrize("phase", ["zero", "causal"])
def test_a_segment_does_not_hear_its_neighbour(phase):
    rng = np.random.default_rng(0)
    quiet = rng.standard_normal((2, 2400))
    loud = [quiet, 1e4 * rng.standard_normal((2, 2400))]
    alone, beside = (recording_from_arrays(s, [0.0, 5.0, 9.0], sfreq=240) for s in ([quiet], loud))
    preprocessor = Preprocessor(phase=phase).fit(alone)
    np.testing.assert_array_equal(preprocessor.transform(alone), preprocessor.transform(beside))


@pytest.mark.parametrize("phase", ["zero", "causal"])
@pytest.mark.parametrize("sfreq", [240, 360, 600, 840])  # every 2nd, 3rd, 5th, 7th is needed
def test_a_segment_longer_than_a_piece_is_filtered_without_seams(phase, sfreq):
    rng = np.random.default_rng(0)
    signal = np.cumsum(rng.standard_normal((2, 40_001)), axis=1)
    onsets = np.arange(0, 40_001 / sfreq - 0.65, 0.3)
    recording = recording_from_arrays(signal, onsets, sfreq=sfreq)
    fast = Preprocessor(phase=phase, scaling="none").fit(recording).transform(recording)
    plain = filter_segment(signal, design_bandpass(0.1, 20, sfreq=sfreq), phase=phase)
    expected = cut_epochs(plain, onsets, sfreq=sfreq, tmax=0.65, sfreq_out=120)
    np.testing.assert_allclose(fast, expected, atol=1e-4 * plain.std())


@pytest.mark.parametrize("phase", ["zero", "causal"])
def test_200_electrodes_are_filtered_like_one(phase):
    rng = np.random.default_rng(0)
    signal = np.cumsum(rng.standard_normal((200, 1200)), axis=1)
    recording = recording_from_arrays(signal, [0.0, 3.0], sfreq=240)
    fast = Preprocessor(phase=phase, scaling="none").fit(recording).transform(recording)
    plain = filter_segment(signal, design_bandpass(0.1, 20, sfreq=240), phase=phase)
    expected = cut_epochs(plain, [0.0, 3.0], sfreq=240, tmax=0.65, sfreq_out=120)
    np.testing.assert_allclose(fast, expected, atol=1e-4 * plain.std())


@settings(max_examples=20, deadline=None)
@given(
    sfreq=st.sampled_from(RATES),
    frequency=st.floats(1.0, 15.0),
    position=st.floats(0.0, 1.0),
)
def test_a_cut_between_samples_evaluates_the_signal_there(sfreq, frequency, position):
    signal = tones(sfreq, frequency)
    onset = 1 + position
    epoch = cut_epochs(signal, [onset], sfreq=sfreq, tmax=0.65, sfreq_out=120)[0, 0]
    instants = onset + np.arange(78) / 120
    np.testing.assert_allclose(epoch, np.sin(2 * np.pi * frequency * instants + 0.3), atol=3e-4)


@pytest.mark.parametrize("onset", [0.0, 0.002, DURATION - 78 / 120 - 0.001, DURATION - 78 / 120])
def test_a_cut_at_the_very_ends_is_interpolated_too(onset):
    epoch = cut_epochs(tones(256, 3), [onset], sfreq=256, tmax=0.65, sfreq_out=120)[0, 0]
    instants = onset + np.arange(78) / 120
    np.testing.assert_allclose(epoch, np.sin(2 * np.pi * 3 * instants + 0.3), atol=2e-3)


def test_240_hz_is_picked_exactly_also_from_odd_samples():
    signal = np.arange(480.0)[None]
    for first in (0, 1, 17):
        epoch = cut_epochs(signal, [first / 240], sfreq=240, tmax=0.65, sfreq_out=120)
        np.testing.assert_array_equal(epoch[0, 0], first + 2 * np.arange(78))


@pytest.mark.parametrize("first", [[5, 5], [100, 50], [100, 50, 0], [3, 3, 3], [7]])
def test_flashes_at_one_instant_or_in_reverse_are_cut_one_by_one(first):
    signal = np.arange(480.0)[None]
    epochs = cut_epochs(signal, np.array(first) / 240, sfreq=240, tmax=0.65, sfreq_out=120)
    expected = np.array(first)[:, None] + 2 * np.arange(78)
    np.testing.assert_array_equal(epochs[:, 0], expected)


def test_rates_without_a_ratio_of_whole_numbers_are_refused():
    for sfreq in (0.001, 0.03612):  # less than a 10,000th, and between the 6644th and 6645th
        with pytest.raises(InputError, match="expected a ratio of whole numbers up to 10,000"):
            resample(np.zeros((1, 240)), sfreq_in=240, sfreq=sfreq)


@pytest.mark.parametrize("sfreq", RATES)
def test_resampling_a_segment_keeps_a_tone_and_its_beginning(sfreq):
    resampled = resample(tones(sfreq, 5), sfreq_in=sfreq, sfreq=120)
    assert resampled.shape == (1, int(DURATION * 120))
    inner = slice(240, -240)
    np.testing.assert_allclose(resampled[:, inner], tones(120, 5)[:, inner], atol=2e-3)


@pytest.mark.parametrize("phase", ["zero", "causal"])
def test_a_long_unfiltered_segment_is_its_own_samples(phase):
    signal = np.random.default_rng(0).standard_normal((2, 20_000)).astype(np.float32)
    onsets = np.array([0.0, 8191 / 120, 8192 / 120, 19_922 / 120])
    recording = recording_from_arrays(signal, onsets, sfreq=120)
    unfiltered = Preprocessor(l_freq=None, h_freq=None, phase=phase, scaling="none")
    epochs = unfiltered.fit(recording).transform(recording)
    for epoch, first in zip(epochs, (0, 8191, 8192, 19_922), strict=True):
        assert np.array_equal(epoch, signal[:, first : first + 78])


@pytest.mark.parametrize(
    ("l_freq", "h_freq", "order", "n_taps"),
    [(None, 20, 1, 2), (0.1, None, 1, 2), (None, 20, 2, 3), (0.1, None, 3, 4), (0.1, 20, 4, 9)],
)
def test_the_zero_phase_filter_adds_three_times_its_taps_at_either_end(
    l_freq, h_freq, order, n_taps
):
    assert pad_length(design_bandpass(l_freq, h_freq, sfreq=240, order=order)) == 3 * n_taps


def test_a_segment_needs_one_sample_more_than_the_zero_phase_filter_adds():
    sos = design_bandpass(0.1, 20, sfreq=240)
    padding = pad_length(sos)
    assert filter_segment(np.ones((1, padding + 1)), sos).shape == (1, padding + 1)
    with pytest.raises(InputError, match=f"segment of {padding} samples is too short"):
        filter_segment(np.ones((1, padding)), sos)
    no_filter = design_bandpass(None, None, sfreq=240)
    assert filter_segment(np.ones((1, 1)), no_filter).tolist() == [[1.0]]
    with pytest.raises(InputError, match="phase 'minimum'"):
        filter_segment(np.ones((1, 99)), sos, phase="minimum")


def test_a_cut_past_the_end_is_refused():
    signal = np.zeros((1, 240))
    message = r"2 of 3 epochs reach past an end of the segment: flashes 1, 2 at 0.5, -0.1 s"
    with pytest.raises(InputError, match=message):
        cut_epochs(signal, [0.1, 0.5, -0.1], sfreq=240, tmax=0.65)
