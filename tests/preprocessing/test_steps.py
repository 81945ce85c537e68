"""The steps that are plain functions: channels, cutting, scaling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from p300.errors import InputError
from p300.preprocessing import (
    Preprocessor,
    center_epochs,
    channel_statistics,
    clip_amplitude,
    cut_epochs,
    find_bad_channels,
    find_rejected,
    interpolate_channels,
    median_epochs,
    pick_channels,
    recording_from_arrays,
    rereference,
    rms_epochs,
    scale_channels,
    subtract_baseline,
    zscore_epochs,
)
from p300.recording import flash_table

TEN = ["Fz", "Cz", "Pz", "Oz", "P3", "P4", "C3", "C4", "F3", "F4"]
STEPS = st.integers(-640_000, 640_000).map(lambda k: k / 64)  # up to 10 mV
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 3), st.just(78))
EPOCHS = arrays(np.float32, SHAPES, elements=STEPS)


def over_the_head(rng, n_samples=4800):
    """Smooth over the head: two sources far away, as EEG is."""
    import mne

    montage = mne.channels.make_standard_montage("biosemi32").get_positions()["ch_pos"]
    place = np.array([montage[c] for c in TEN]) / 0.1  # (10, 3), about 1 long
    sources = np.cumsum(rng.standard_normal((3, n_samples)), axis=1)
    return place @ sources + 100


def test_channels_are_picked_in_the_order_wanted_whatever_their_case():
    signal = np.arange(10.0)[:, None]
    assert pick_channels(signal, TEN, ["oz", "FZ."]).tolist() == [[3.0], [0.0]]
    with pytest.raises(InputError, match=r"\['EOG'\] are not among the 10"):
        pick_channels(signal, TEN, ["EOG"])


def test_a_reference_is_zero_against_itself():
    signal = np.random.default_rng(0).standard_normal((10, 50))
    np.testing.assert_allclose(rereference(signal, TEN, "average").mean(axis=0), 0, atol=1e-12)
    linked = rereference(signal, TEN, ["P3", "P4"])
    np.testing.assert_allclose(linked[4] + linked[5], 0, atol=1e-12)
    np.testing.assert_array_equal(rereference(signal, TEN, "Cz")[1], 0)
    np.testing.assert_array_equal(rereference(signal, TEN, None), signal)


def test_a_lost_electrode_is_rebuilt_from_its_neighbours():
    signal = over_the_head(np.random.default_rng(0))
    broken = signal.copy()
    broken[1] = 1e3 * np.random.default_rng(1).standard_normal(signal.shape[1])
    repaired = interpolate_channels(broken, TEN, ["Cz"])
    error = repaired - signal
    np.testing.assert_allclose(error[[0, *range(2, 10)]], 0, atol=1e-9)
    assert error[1].std() < 0.2 * signal[1].std()


def test_interpolation_is_that_of_mne():
    import mne

    from p300.electrodes import make_info

    signal = over_the_head(np.random.default_rng(0))
    raw = mne.io.RawArray(signal, make_info(TEN, 240.0), verbose="error")
    raw.info["bads"] = ["Cz", "P4"]
    theirs = raw.interpolate_bads(verbose="error").get_data()
    np.testing.assert_allclose(interpolate_channels(signal, TEN, ["Cz", "P4"]), theirs, rtol=1e-6)


def test_an_electrode_without_a_place_cannot_be_interpolated_but_does_not_harm():
    signal = over_the_head(np.random.default_rng(0))
    names = [*TEN[:9], "finger"]
    repaired = interpolate_channels(signal, names, ["Cz"])
    np.testing.assert_array_equal(repaired[9], signal[9])
    with pytest.raises(InputError, match=r"\['finger'\] have no known position"):
        interpolate_channels(signal, names, ["finger"])


def test_flat_and_noisy_electrodes_are_found_and_drifting_ones_are_not():
    rng = np.random.default_rng(0)
    signal = 10 * rng.standard_normal((10, 4800))
    signal[2] = 7.0
    signal[5] *= 50
    signal[8] += 1e-3 * np.arange(4800) ** 1.5  # by 300 µV in 20 s
    assert np.flatnonzero(find_bad_channels([signal], sfreq=240)).tolist() == [2, 5]
    assert not find_bad_channels([signal[[0, 1, 3, 4]]], sfreq=240).any()


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(("distance", "is_bad"), [(3.70, False), (3.72, True)])
def test_an_electrode_is_noisy_beyond_five_robust_deviations_of_its_log_amplitude(
    sign, distance, is_bad
):
    # of these 21 logarithms the quartiles are -0.5, 0 and 0.5: five deviations are 5 * 0.7413
    logs = np.array([*np.linspace(-0.9, 0.9, 19), distance * sign, -2.0 * sign])
    noise = np.random.default_rng(0).standard_normal(4800)
    found = find_bad_channels([np.exp(logs)[:, None] * noise], sfreq=240)
    assert np.flatnonzero(found).tolist() == [19] * is_bad


@pytest.mark.parametrize(("factor", "is_bad"), [(2.69, False), (2.75, True)])
def test_among_equal_electrodes_a_deviation_of_the_log_amplitude_counts_as_20_percent(
    factor, is_bad
):
    signal = np.tile(np.random.default_rng(0).standard_normal(4800), (10, 1))
    signal[4] *= factor  # five times 0.2 is the logarithm of 2.718
    assert np.flatnonzero(find_bad_channels([signal], sfreq=240)).tolist() == [4] * is_bad


def test_where_every_electrode_is_flat_every_one_is_bad():
    assert find_bad_channels([np.zeros((3, 2400))], sfreq=240).all()


def test_detected_channels_are_interpolated_in_new_recordings_too():
    signal = over_the_head(np.random.default_rng(0)) + np.random.default_rng(1).standard_normal(
        (10, 4800)
    )
    broken = signal.copy()
    broken[1] += 1e3 * np.random.default_rng(2).standard_normal(4800)
    whole, damaged = (
        recording_from_arrays(s, [2.0, 5.0], sfreq=240, ch_names=TEN) for s in (signal, broken)
    )
    preprocessor = Preprocessor(bad_channels="detect", scaling="none").fit(damaged)
    assert preprocessor.bad_channels_ == ("Cz",)
    assert "Cz" not in preprocessor.ch_names_in_
    np.testing.assert_allclose(
        preprocessor.transform(whole), preprocessor.transform(damaged), atol=1e-3
    )


@settings(max_examples=50, deadline=None)
@given(EPOCHS)
def test_scaled_flashes_have_mean_zero_and_deviation_one_or_are_zero(epochs):
    before = epochs.copy()
    scaled = zscore_epochs(epochs)
    np.testing.assert_array_equal(epochs, before)
    wide = epochs.astype(float)
    # what float32 cannot tell from constant, or cannot square
    is_flat = wide.std(axis=-1) <= np.maximum(1e-5 * np.abs(wide).max(axis=-1), 1e-15)
    np.testing.assert_allclose(scaled.mean(axis=-1)[~is_flat], 0, atol=1e-2)
    np.testing.assert_allclose(scaled.std(axis=-1)[~is_flat], 1, atol=1e-2)
    assert np.isfinite(scaled).all()
    is_constant = np.ptp(wide, axis=-1) == 0
    assert (scaled[is_constant] == 0).all()


@settings(max_examples=50, deadline=None)
@given(EPOCHS)
def test_a_flash_scaled_by_one_number_has_unit_power_and_channels_keep_their_ratio(epochs):
    before = epochs.copy()
    scaled = rms_epochs(epochs)
    np.testing.assert_array_equal(epochs, before)
    assert np.isfinite(scaled).all()
    centered = epochs - epochs.astype(float).mean(axis=-1, keepdims=True)
    rms = np.sqrt(np.square(centered).mean(axis=(1, 2)))
    # what float32 cannot tell from constant, or cannot square
    is_flat = rms <= np.maximum(1e-5 * np.abs(epochs).max(axis=(1, 2)), 1e-15)
    expected = centered[~is_flat] / rms[~is_flat, None, None]
    np.testing.assert_allclose(scaled[~is_flat], expected, atol=2e-2)
    assert (scaled[(np.ptp(epochs, axis=-1) == 0).all(axis=-1)] == 0).all()


@settings(max_examples=30, deadline=None)
@given(EPOCHS)
def test_writing_in_place_gives_the_same_as_a_copy(epochs):
    center, spread = np.arange(3.0)[: epochs.shape[1]], np.arange(1.0, 4.0)[: epochs.shape[1]]
    for step in (
        zscore_epochs,
        rms_epochs,
        median_epochs,
        center_epochs,
        lambda e, out=None: scale_channels(e, center, spread, out=out),
        lambda e, out=None: subtract_baseline(e, (0, 0.1), sfreq=120, tmin=0, out=out),
        lambda e, out=None: clip_amplitude(e, 50, out=out),
    ):
        copy = epochs.copy()
        returned = step(copy, out=copy)
        assert returned is copy
        np.testing.assert_array_equal(copy, step(epochs))


def test_scaling_a_whole_flash_keeps_the_electrodes_proportions():
    epochs = np.random.default_rng(0).standard_normal((5, 3, 78)) * [[[1], [5], [9]]] + 100
    scaled = rms_epochs(epochs)
    np.testing.assert_allclose(np.square(scaled).mean(axis=(1, 2)), 1)
    np.testing.assert_allclose(scaled.mean(axis=-1), 0, atol=1e-12)
    proportions = epochs.std(axis=-1) / epochs.std(axis=-1)[:, :1]
    np.testing.assert_allclose(scaled.std(axis=-1) / scaled.std(axis=-1)[:, :1], proportions)
    assert (rms_epochs(np.full((1, 2, 78), 0.1)) == 0).all()


@pytest.mark.parametrize("n_chans", [3, 4, 8])
def test_an_electrode_that_drifts_does_not_decide_the_size_of_a_flash(n_chans):
    epochs = np.random.default_rng(0).standard_normal((5, n_chans, 78)) + 100
    drifts = epochs.copy()
    drifts[:, 1] += np.linspace(0, 70_000, 78)  # µV
    scaled = median_epochs(drifts)
    assert (np.abs(scaled[:, 0].std(axis=-1) - 1) < 0.3).all()
    assert rms_epochs(drifts)[:, 0].std() < 1e-3
    middle = np.median(np.square(scaled).mean(axis=-1), axis=1)
    np.testing.assert_allclose(middle, 1)


def test_constant_electrodes_do_not_count_for_the_size_of_a_flash():
    epochs = np.random.default_rng(0).standard_normal((5, 4, 78))
    flat = np.concatenate([epochs, np.full((5, 6, 78), 0.1)], axis=1)
    np.testing.assert_allclose(median_epochs(flat)[:, :4], median_epochs(epochs))
    assert (median_epochs(flat[:, 4:]) == 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [zscore_epochs, rms_epochs, median_epochs])
def test_a_faint_flash_is_scaled_and_a_constant_one_is_zero_though_means_are_rounded(scale, dtype):
    faint = (1e-3 * np.random.default_rng(0).standard_normal((4, 1, 78))).astype(dtype)
    np.testing.assert_allclose(scale(faint).std(axis=-1), 1, atol=1e-3)
    constant = np.full((1, 2, 78), [[[0.1], [1 / 3]]], dtype)  # no power of two
    assert (scale(constant) == 0).all()


@pytest.mark.parametrize("scaling", ["standardize", "robust"])
def test_a_channel_that_is_constant_over_training_is_centred_and_not_divided(scaling):
    epochs = np.random.default_rng(0).standard_normal((20, 2, 78))
    epochs[:, 1] = 5.0
    center, spread = channel_statistics(epochs, scaling)
    assert (center[1], spread[1]) == (5.0, 1.0)
    assert (scale_channels(epochs, center, spread)[:, 1] == 0).all()


def test_robust_scaling_is_that_of_scikit_learn():
    from sklearn.preprocessing import RobustScaler, StandardScaler

    epochs = np.random.default_rng(0).standard_normal((20, 3, 78)) * [[[1], [5], [9]]] + 4
    samples = epochs.swapaxes(1, 2).reshape(-1, 3)
    for scaling, scaler in (("robust", RobustScaler()), ("standardize", StandardScaler())):
        center, spread = channel_statistics(epochs, scaling)
        theirs = scaler.fit_transform(samples).reshape(20, 78, 3).swapaxes(1, 2)
        np.testing.assert_allclose(scale_channels(epochs, center, spread), theirs, atol=1e-9)
    with pytest.raises(InputError, match="got no training epoch for scaling 'standardize'"):
        channel_statistics(epochs[:0], "standardize")


@pytest.mark.parametrize(("tmin", "tmax"), [(0.0, 0.65), (-0.2, 0.45), (0.1, 0.75)])
def test_an_epoch_is_cut_if_its_first_and_last_samples_are_there_and_not_a_sample_further(
    tmin, tmax
):
    signal = np.arange(1201.0)[None]  # five seconds at 240 Hz and the sample after them
    first, last = -tmin, 5 - 77 / 120 - tmin
    epochs = cut_epochs(signal, [first, last], sfreq=240, tmin=tmin, tmax=tmax, sfreq_out=120)
    np.testing.assert_array_equal(epochs[0, 0], 2 * np.arange(78))
    np.testing.assert_array_equal(epochs[1, 0], 1200 - 2 * np.arange(78)[::-1])
    for outside in (first - 1 / 240, last + 1 / 240):
        with pytest.raises(InputError, match="1 of 2 epochs reach past .* flashes 1 at"):
            cut_epochs(signal, [first, outside], sfreq=240, tmin=tmin, tmax=tmax, sfreq_out=120)


def test_of_many_epochs_past_the_end_five_are_named():
    for n, named in ((5, "flashes 0, 1, 2, 3, 4 at"), (6, "flashes 0, 1, 2, 3, 4, … at")):
        with pytest.raises(InputError, match=named):
            cut_epochs(np.zeros((1, 240)), [5.0] * n, sfreq=240)


def test_the_baseline_is_half_open_and_ends_before_the_flash():
    epochs = np.zeros((1, 1, 12))
    epochs[..., 2:] = 5.0  # from 0 s on
    unchanged = subtract_baseline(epochs, (-0.2, 0.0), sfreq=10, tmin=-0.2)
    np.testing.assert_array_equal(unchanged, epochs)
    np.testing.assert_array_equal(
        subtract_baseline(epochs, (0, 0.1), sfreq=10, tmin=-0.2)[..., 2:], 0
    )


def test_rejection_looks_at_peak_to_peak_in_any_channel():
    epochs = np.zeros((3, 2, 10))
    epochs[1, 0, 3], epochs[1, 0, 4] = 60, -60
    epochs[2] = 1000  # an offset is no artefact
    epochs[0, 1, 5] = 100  # as much as is accepted
    assert find_rejected(epochs, 100).tolist() == [False, True, False]


def test_a_flash_table_without_flashes_gives_no_epochs():
    recording = recording_from_arrays(np.zeros((2, 500)), [], sfreq=240)
    assert Preprocessor().fit(recording).transform(recording).shape == (0, 2, 78)
    assert len(flash_table(onset=[])) == 0
