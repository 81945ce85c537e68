"""The Preprocessor: its shapes, its promises to scikit-learn and checkpoints, its refusals."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p300.errors import InputError
from p300.preprocessing import (
    Epochs,
    Preprocessor,
    as_recording,
    cut_epochs,
    design_bandpass,
    epochs_from_mne,
    filter_segment,
    recording_from_arrays,
    resample,
    zscore_epochs,
)
from p300.preprocessing._engine import cut as engine

CHANNELS = ["Fz", "Cz", "Pz", "Oz", "P3", "P4", "PO7", "PO8"]
PARAMS = {
    "paper": {},
    "paper's order": {"resample": "subsample_first"},
    "causal": {"phase": "causal"},
    "rms": {"scaling": "rms_epoch"},
    "median": {"scaling": "median_epoch"},
    "train": {"scaling": "standardize"},
    "robust": {"scaling": "robust", "baseline": (0.0, 0.1)},
    "average reference": {"reference": "average", "channels": ["Cz", "Pz"], "scaling": "center"},
    "linked": {"reference": ["P3", "P4"], "clip_uv": 30, "reject_uv": 60, "scaling": "none"},
    "interpolated": {"bad_channels": ["Cz"], "scaling": "none"},
}


def eeg(rng, n_chans=8, n_samples=2400, sfreq=240):
    """Noise with the slow drifts and the offsets of real electrodes, in µV."""
    drift = np.cumsum(rng.standard_normal((n_chans, n_samples)), axis=1) * np.sqrt(240 / sfreq)
    return drift + 300 * rng.standard_normal((n_chans, 1))


@pytest.fixture
def recording():
    """Two segments of ten seconds, four flashes each."""
    rng = np.random.default_rng(0)
    onsets = [0.0, 1.0, 1.175, 9.35]
    return recording_from_arrays(
        [eeg(rng).astype(np.float32), eeg(rng).astype(np.float32)],
        onsets + onsets,
        sfreq=240,
        ch_names=CHANNELS,
        segment=[0] * 4 + [1] * 4,
        code=[1, 7, 2, 8] * 2,
        is_target=[True, False, None, False] * 2,
    )


def by_scipy(recording, *, phase="zero", subsample_first=False):
    """The paper's chain in plain float64 SciPy, one step after another."""
    epochs = []
    for k, segment in enumerate(recording.segments):
        rate, onsets = recording.sfreq, recording.flashes["onset"][recording.flashes.segment == k]
        signal = segment.astype(float)
        if subsample_first:
            signal, rate = resample(signal, sfreq_in=rate, sfreq=120, plain=True), 120
        signal = filter_segment(signal, design_bandpass(0.1, 20, sfreq=rate), phase=phase)
        epochs.append(cut_epochs(signal, onsets, sfreq=rate, tmax=0.65, sfreq_out=120))
    return zscore_epochs(np.concatenate(epochs))


@pytest.mark.parametrize("phase", ["zero", "causal"])
@pytest.mark.parametrize("resample", ["filter_first", "subsample_first"])
def test_the_fast_chain_is_the_plain_one(recording, phase, resample):
    fast = Preprocessor(phase=phase, resample=resample).fit(recording).transform(recording)
    plain = by_scipy(recording, phase=phase, subsample_first=resample == "subsample_first")
    assert fast.dtype == np.float32
    np.testing.assert_allclose(fast, plain, atol=1e-4)


def test_650_ms_at_120_hz_are_78_samples_from_the_flash_on(recording):
    preprocessor = Preprocessor()
    assert preprocessor.n_times == 78
    epochs = preprocessor.fit(recording).epochs(recording)
    assert epochs.data.shape == (8, 8, 78)
    assert epochs.times[0] == 0
    assert epochs.times[-1] == pytest.approx(77 / 120)


def test_every_flash_and_electrode_has_mean_zero_and_deviation_one(recording):
    data = Preprocessor().fit(recording).transform(recording)
    np.testing.assert_allclose(data.mean(axis=-1), 0, atol=1e-5)
    np.testing.assert_allclose(data.std(axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize("name", PARAMS)
def test_a_recording_is_left_as_it_was(recording, name):
    before = [s.copy() for s in recording.segments], recording.flashes.copy()
    for segment in recording.segments:
        segment.flags.writeable = False
    epochs = Preprocessor(**PARAMS[name]).fit(recording).epochs(recording)
    for segment, copy in zip(recording.segments, before[0], strict=True):
        np.testing.assert_array_equal(segment, copy)
    assert recording.flashes.equals(before[1])
    assert epochs.flashes.equals(before[1])


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("layout", ["C", "F", "view"])
def test_memory_layout_and_number_type_do_not_matter(dtype, layout):
    signal = np.round(eeg(np.random.default_rng(1)))
    stored = np.array(signal, dtype, order="C" if layout == "view" else layout)
    if layout == "view":
        stored = np.repeat(stored, 2, axis=1)[:, ::2]
    plain, other = (
        recording_from_arrays(s, [0.5, 3.0], sfreq=240, ch_names=CHANNELS)
        for s in (signal, stored)
    )
    for phase in ("zero", "causal"):
        preprocessor = Preprocessor(phase=phase).fit(plain)
        np.testing.assert_allclose(
            preprocessor.transform(other), preprocessor.transform(plain), atol=1e-4
        )


def test_offsets_of_a_dc_amplifier_do_not_cost_precision(recording):
    offset = np.linspace(-2e5, 2e5, 8)[:, None]
    segments = [s.astype(float) for s in recording.segments]
    low, high = (
        recording_from_arrays(
            [s + o for s in segments],
            recording.flashes["onset"],
            sfreq=240,
            segment=recording.flashes["segment"],
        )
        for o in (0, offset)
    )
    for phase in ("zero", "causal"):
        preprocessor = Preprocessor(phase=phase).fit(low)
        np.testing.assert_allclose(
            preprocessor.transform(high), preprocessor.transform(low), atol=2e-5
        )


def test_rows_stay_in_the_order_of_the_flash_table(recording):
    shuffled = np.random.default_rng(0).permutation(8)
    flashes = recording.flashes.iloc[shuffled].reset_index(drop=True)
    other = recording_from_arrays(
        recording.segments,
        flashes["onset"],
        sfreq=240,
        ch_names=CHANNELS,
        segment=flashes["segment"],
    )
    preprocessor = Preprocessor().fit(recording)
    np.testing.assert_array_equal(
        preprocessor.transform(other), preprocessor.transform(recording)[shuffled]
    )


def test_channels_are_found_by_name_whatever_their_order(recording):
    order = [5, 2, 0, 1, 7, 6, 3, 4]
    other = recording_from_arrays(
        [s[order] for s in recording.segments],
        recording.flashes["onset"],
        sfreq=240,
        ch_names=[CHANNELS[k] for k in order],
        segment=recording.flashes["segment"],
    )
    for params in ({}, {"channels": ["Pz", "fz"]}, {"reference": "average"}):
        preprocessor = Preprocessor(**params).fit(recording)
        np.testing.assert_allclose(
            preprocessor.transform(other), preprocessor.transform(recording), atol=1e-5
        )


def test_a_constant_channel_becomes_zero_and_leaves_the_others_alone(recording):
    for segment in recording.segments:
        segment[3] = 1234.567
    data = Preprocessor().fit(recording).transform(recording)
    assert (data[:, 3] == 0).all()
    assert np.isfinite(data).all()
    np.testing.assert_allclose(data, by_scipy(recording), atol=1e-4)


def test_volts_and_microvolts_give_the_same_epochs(recording):
    volts = recording_from_arrays(
        [s.astype(float) * 1e-6 for s in recording.segments],
        recording.flashes["onset"],
        sfreq=240,
        unit="V",
        segment=recording.flashes["segment"],
    )
    a = Preprocessor(scaling="none").fit(recording).epochs(recording)
    b = Preprocessor(scaling="none").fit(volts).epochs(volts)
    assert a.unit == b.unit == "uV"
    np.testing.assert_allclose(a.data, b.data, atol=1e-3)


@pytest.mark.parametrize("scaling", ["standardize", "robust"])
def test_only_training_flashes_teach_the_scaling(recording, scaling):
    rows = np.array([True] * 4 + [False] * 4)
    loud = recording_from_arrays(
        [recording.segments[0], 1000 * recording.segments[1]],
        recording.flashes["onset"],
        sfreq=240,
        ch_names=CHANNELS,
        segment=recording.flashes["segment"],
    )
    a = Preprocessor(scaling=scaling).fit(recording, rows=rows)
    b = Preprocessor(scaling=scaling).fit(loud, rows=np.flatnonzero(rows))
    np.testing.assert_array_equal(a.spread_, b.spread_)
    np.testing.assert_array_equal(a.center_, b.center_)
    train = a.transform(recording)[rows]
    if scaling == "standardize":
        np.testing.assert_allclose(train.mean(axis=(0, 2)), 0, atol=1e-4)
        np.testing.assert_allclose(train.std(axis=(0, 2)), 1, atol=1e-4)
    else:
        q1, median, q3 = np.percentile(train, [25, 50, 75], axis=(0, 2))
        np.testing.assert_allclose(median, 0, atol=1e-4)
        np.testing.assert_allclose(q3 - q1, 1, atol=1e-4)


def test_amplitudes_beyond_the_clip_are_limited_and_those_within_are_left_alone(recording):
    free, clipped = (
        Preprocessor(scaling="none", clip_uv=limit, reject_uv=25).fit(recording).epochs(recording)
        for limit in (None, 10)
    )
    assert np.abs(free.data).max() > 11
    np.testing.assert_array_equal(clipped.data, np.clip(free.data, -10, 10))
    # 10 µV up and 10 µV down are not more than 25 µV: what was there before the clip counts
    assert free.is_rejected.any()
    np.testing.assert_array_equal(clipped.is_rejected, free.is_rejected)


@pytest.mark.parametrize(
    ("scaling", "unit"),
    [
        ("zscore_epoch", "sd"),
        ("rms_epoch", "sd"),
        ("median_epoch", "sd"),
        ("center", "uV"),
        ("standardize", "sd"),
        ("robust", "sd"),
        ("none", "uV"),
    ],
)
def test_scaled_epochs_have_no_unit_and_others_are_in_microvolts(recording, scaling, unit):
    assert Preprocessor(scaling=scaling).fit(recording).epochs(recording).unit == unit


def test_every_flash_is_counted_once_while_epochs_are_cut(recording):
    counts = []
    Preprocessor().fit(recording).epochs(recording, on_cut=counts.append)
    assert sum(counts) == 8


def test_a_blink_is_marked_kept_and_not_learned_from(recording):
    segments = [s.copy() for s in recording.segments]
    segments[0][2, 300:350] += 500  # at 1.25 s: in the epochs of flashes 1 and 2
    other = recording_from_arrays(
        segments, recording.flashes["onset"], sfreq=240, segment=recording.flashes["segment"]
    )
    preprocessor = Preprocessor(scaling="standardize", reject_uv=200, l_freq=1.0).fit(other)
    epochs = preprocessor.epochs(other)
    assert np.flatnonzero(epochs.is_rejected).tolist() == [1, 2]
    assert len(epochs.data) == 8
    kept = recording_from_arrays(
        segments,
        other.flashes["onset"][~epochs.is_rejected],
        sfreq=240,
        segment=other.flashes["segment"][~epochs.is_rejected],
    )
    np.testing.assert_allclose(
        preprocessor.spread_, Preprocessor(scaling="standardize", l_freq=1.0).fit(kept).spread_
    )


@settings(max_examples=25, deadline=None)
@given(
    sfreq=st.sampled_from([120, 128, 240, 250, 256, 500, 512, 1000]),
    n_chans=st.integers(1, 70),
    phase=st.sampled_from(["zero", "causal"]),
    positions=st.lists(st.floats(0, 1), max_size=6),
    seed=st.integers(0, 99),
)
def test_any_rate_channel_count_and_onset_agrees_with_scipy(
    sfreq, n_chans, phase, positions, seed
):
    n_samples = int(2.1 * sfreq)
    signal = eeg(np.random.default_rng(seed), n_chans, n_samples, sfreq)
    last = (n_samples - 1) / sfreq - 77 / 120  # the latest onset whose epoch fits
    onsets = np.array([0.0, last, *(p * last for p in positions)])
    recording = recording_from_arrays(signal, onsets, sfreq=sfreq)
    fast = Preprocessor(phase=phase, scaling="none").fit(recording).transform(recording)
    filtered = filter_segment(signal, design_bandpass(0.1, 20, sfreq=sfreq), phase=phase)
    plain = cut_epochs(filtered, onsets, sfreq=sfreq, tmax=0.65, sfreq_out=120)
    np.testing.assert_allclose(fast, plain, atol=2e-4 * np.std(filtered))


@settings(max_examples=25, deadline=None)
@given(
    n_chans=st.integers(1, 12),
    n_samples=st.integers(400, 9000),
    phase=st.sampled_from(["zero", "causal"]),
    data=st.data(),
)
def test_constant_channels_are_zero_and_no_nan_slips_through(n_chans, n_samples, phase, data):
    signal = eeg(np.random.default_rng(0), n_chans, n_samples)
    is_constant = np.array(data.draw(st.lists(st.booleans(), min_size=n_chans, max_size=n_chans)))
    signal[is_constant] = signal[is_constant, :1]
    recording = recording_from_arrays(signal, [0.0, 0.5], sfreq=240)
    preprocessor = Preprocessor(phase=phase).fit(recording)
    epochs = preprocessor.transform(recording)
    np.testing.assert_array_equal(np.ptp(epochs, axis=(0, 2)) == 0, is_constant)
    channel = data.draw(st.integers(0, n_chans - 1))
    sample = data.draw(st.integers(0, n_samples - 1))
    signal[channel, sample] = np.nan
    with pytest.raises(InputError, match=rf"1 non-finite samples, in channels {channel} \(1\)"):
        preprocessor.transform(recording)


def test_as_many_threads_work_as_the_environment_says_or_as_there_are_cores(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert engine._n_workers() == 3
    for unusable in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", unusable)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 5}, raising=False)
        assert engine._n_workers() == 3
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert engine._n_workers() == 5


# -- scikit-learn, checkpoints, MNE ----------------------------------------------------------


def test_it_is_cloned_and_set_like_any_scikit_learn_estimator(recording):
    from sklearn.base import clone
    from sklearn.utils.validation import check_is_fitted

    channels = ["Cz", "Pz"]
    preprocessor = Preprocessor(channels=channels, order=2).fit(recording)
    copy = clone(preprocessor)
    assert copy.get_params() == preprocessor.get_params()
    assert preprocessor.channels is channels
    assert not hasattr(copy, "ch_names_")
    check_is_fitted(preprocessor)
    assert copy.set_params(order=4).order == 4
    assert preprocessor.set_output(transform="default") is preprocessor
    assert repr(copy) == "Preprocessor(channels=['Cz', 'Pz'])"
    assert repr(Preprocessor(order=2, phase="causal")) == "Preprocessor(order=2, phase='causal')"
    assert not copy.__sklearn_tags__().target_tags.required  # it learns nothing from labels
    with pytest.raises(InputError, match="unknown parameters"):
        copy.set_params(lowcut=1)
    with pytest.raises(InputError, match="three axes"):
        copy.set_output(transform="pandas")


def test_it_stands_in_a_pipeline_before_a_classifier(recording):
    from mne.decoding import Vectorizer
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(Preprocessor(), Vectorizer(), LinearDiscriminantAnalysis())
    y = np.array([1, 0, 0, 0] * 2)
    assert pipeline.fit(recording, y).predict(recording).shape == (8,)
    assert "Preprocessor" in pipeline._repr_html_()


@pytest.mark.parametrize("name", PARAMS)
def test_the_fitted_state_survives_json_and_a_checkpoint(recording, name):
    import torch

    preprocessor = Preprocessor(**PARAMS[name]).fit(recording)
    state = preprocessor.get_state()
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    for copy in (json.loads(json.dumps(state)), torch.load(file, weights_only=True)):
        np.testing.assert_array_equal(
            Preprocessor.from_state(copy).transform(recording), preprocessor.transform(recording)
        )
        assert Preprocessor.from_state(copy).get_state() == state


def test_a_state_of_another_version_is_refused(recording):
    state = Preprocessor().fit(recording).get_state()
    with pytest.raises(InputError, match="version 99; expected 1"):
        Preprocessor.from_state(state | {"version": 99})
    with pytest.raises(InputError, match="version None"):
        Preprocessor.from_state({})
    del state["sfreq_in"]
    with pytest.raises(InputError, match="damaged preprocessing state"):
        Preprocessor.from_state(state)


def test_epochs_go_to_mne_in_volts_with_table_and_places_and_come_back(recording):
    epochs = Preprocessor(scaling="none").fit(recording).epochs(recording)
    there = epochs.to_mne()
    np.testing.assert_allclose(there.get_data(), epochs.data * 1e-6)
    assert there.tmin == 0 and there.info["sfreq"] == 120
    assert (there.metadata["code"].to_numpy() == recording.flashes["code"].to_numpy()).all()
    assert len(there["target"]) == 2 and len(there["nontarget"]) == 4
    assert there.get_montage().get_positions()["ch_pos"].keys() == set(CHANNELS)
    back = epochs_from_mne(there)
    np.testing.assert_allclose(back.data, epochs.data, rtol=1e-6)
    assert back.flashes["is_target"].equals(epochs.flashes["is_target"])
    with pytest.raises(InputError, match="expected one of known size in volts"):
        Preprocessor().fit(recording).epochs(recording).to_mne()


def test_mne_epochs_are_cut_and_scaled_but_never_filtered(recording):
    epochs = Preprocessor(scaling="none").fit(recording).epochs(recording).to_mne()
    with pytest.raises(InputError, match="MNE epochs of 0.64 s cannot be filtered"):
        Preprocessor().fit(epochs)
    unfiltered = Preprocessor(l_freq=None, h_freq=None, tmin=0.1, tmax=0.5)
    assert unfiltered.fit(epochs).transform(epochs).shape == (8, 8, 48)


def test_mne_epochs_that_begin_before_the_flash_are_cut_from_the_flash_on(recording):
    late = recording.select(recording.flashes["onset"] > 0.5)
    plain = {"l_freq": None, "h_freq": None, "scaling": "none"}
    early = Preprocessor(scaling="none", tmin=-0.1, tmax=0.6).fit(late).epochs(late)
    there = early.to_mne()
    cut = Preprocessor(**plain, tmax=0.5).fit(there).transform(there)
    expected = early.data[:, :, 12:72]
    for epochs in (cut, expected):  # a segment's level is no signal, and each is a segment
        epochs -= epochs.mean(axis=-1, keepdims=True)
    np.testing.assert_allclose(cut, expected, atol=1e-4)


def test_an_mne_raw_with_annotations_is_a_recording(recording):
    import mne

    info = mne.create_info(CHANNELS, 240, "eeg")
    raw = mne.io.RawArray(recording.segments[0] * 1e-6, info, verbose="error")
    raw.set_annotations(mne.Annotations([0, 1, 1.175, 9.35], 0, ["target/1", "nontarget/7"] * 2))
    plain = recording.select(recording.flashes["segment"] == 0)
    data = Preprocessor().fit(plain).transform(plain)
    np.testing.assert_allclose(Preprocessor().fit(raw).transform(raw), data, atol=1e-3)


def test_epochs_say_what_they_are(recording):
    epochs = Preprocessor().fit(recording).epochs(recording)
    assert isinstance(epochs, Epochs)
    assert repr(epochs) == (
        "<Epochs of arrays: 8 flashes, 8 channels, 78 samples from 0 s at 120 Hz, sd>"
    )
    plain = Epochs(epochs.data, recording.flashes, epochs.ch_names, sfreq=120.0)
    assert (plain.times[0], plain.unit, plain.name) == (0.0, "uV", "epochs")


# -- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"channels": ["Cz", "XX"]}, r"channels \['XX'\] are not among the 8 recorded"),
        ({"reference": "M1"}, r"channels \['M1'\] are not among"),
        (
            {"h_freq": 130},
            "got h_freq=130 Hz at a rate of 240 Hz; expected less than 120 Hz; lower",
        ),
        ({"h_freq": 70}, "got h_freq=70 Hz at a rate of 120 Hz; expected less than 60 Hz"),
        ({"l_freq": 30}, "got l_freq=30 Hz; expected between 0 and 20 Hz"),
        ({"order": 0}, "filter order 0"),
        ({"sfreq": 0}, "got h_freq=20 Hz at a rate of 0 Hz"),
        ({"engine": "mne"}, "got engine 'mne'; expected one of"),
        ({"scaling": "flash"}, "it is now called 'zscore_epoch'"),
        ({"scaling": "rms"}, "it is now called 'rms_epoch'"),
        ({"scaling": "train"}, "it is now called 'standardize'"),
        ({"scaling": "zscore"}, "scaling 'zscore'; expected one of"),
        ({"phase": "minimum"}, "phase 'minimum'; expected one of"),
        ({"resample": "never"}, "got resample 'never'; expected one of"),
        ({"baseline": (-0.2, 0)}, "baseline .* leaves the epoch"),
        ({"baseline": (None, 0)}, r"baseline is \(None, 0\); expected \(start, end\), two finite"),
        ({"baseline": "ab"}, "baseline is 'ab'; expected"),
        ({"baseline": (0, 0.1, 0.2)}, r"baseline is \(0, 0.1, 0.2\); expected"),
        ({"tmin": 0.5, "tmax": 0.2, "baseline": (0.5, 0.6)}, "holds no sample"),
        ({"bad_channels": CHANNELS[:5]}, "expected at least 4"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(recording, params, message):
    with pytest.raises(InputError, match=message):
        Preprocessor(**params).fit(recording)


def test_epochs_past_the_end_are_left_out_by_count_and_place(recording):
    preprocessor = Preprocessor(tmin=-0.1).fit(recording)
    words = r"2 of 8 epochs \[-0.1, 0.65\) s .* flashes 0 \(at 0.000.*; they are left out"
    with pytest.warns(UserWarning, match=words):
        epochs = preprocessor.epochs(recording)
    is_inside = recording.flashes["onset"] > 0
    assert epochs.flashes["code"].tolist() == recording.flashes["code"][is_inside].tolist()
    assert epochs.flashes["onset"].tolist() == recording.flashes["onset"][is_inside].tolist()
    some = preprocessor.transform(recording.select(is_inside))
    assert np.array_equal(epochs.data, some)
    words = "4 of 8 epochs .* 3 .at 9.350 s of segment 0, which lasts 10.000 s., .*, …; they are"
    with pytest.warns(UserWarning, match=words):
        Preprocessor(tmin=-0.1, tmax=0.66).fit(recording).transform(recording)
    with pytest.raises(InputError, match="of 8 epochs .*; expected at least 50% to fit; set a"):
        Preprocessor(tmax=12).fit(recording).transform(recording)


@pytest.mark.parametrize("scaling", ["standardize", "robust"])
def test_flashes_that_do_not_fit_take_no_part_in_statistics(recording, scaling):
    all_flashes = Preprocessor(tmin=-0.1, scaling=scaling).fit(recording)
    inside = recording.select(recording.flashes["onset"] > 0)
    fitting = Preprocessor(tmin=-0.1, scaling=scaling).fit(inside)
    assert np.array_equal(all_flashes.center_, fitting.center_)


@pytest.mark.parametrize("params", [{}, {"resample": "subsample_first"}, {"tmin": -0.1}])
def test_an_epoch_may_begin_and_end_with_its_segment_and_not_a_sample_further(params):
    signal = eeg(np.random.default_rng(0), 2, 2401)  # ten seconds and the sample after them
    tmin = params.get("tmin", 0.0)
    ends = np.array([-tmin, 10 - 77 / 120 - tmin])
    preprocessor = Preprocessor(**params, tmax=0.65 + tmin)
    inside = recording_from_arrays(signal, ends, sfreq=240)
    assert np.isfinite(preprocessor.fit(inside).transform(inside)).all()
    for outside in (ends[0] - 1 / 240, ends[1] + 1 / 240):
        other = recording_from_arrays(signal, [*ends, outside], sfreq=240)
        with pytest.warns(UserWarning, match="1 of 3 epochs .* flashes 2 "):
            assert len(preprocessor.transform(other)) == 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("sample", [0, 1000, 2399])
@pytest.mark.parametrize("params", [{}, {"phase": "causal"}, {"l_freq": None, "h_freq": None}])
def test_non_finite_samples_are_refused_by_channel_segment_and_count(
    recording, value, sample, params
):
    recording.segments[1][2, sample] = value
    with pytest.raises(InputError, match=r"segment 1 has 1 non-finite samples, in channels Pz"):
        Preprocessor(**params).fit(recording).transform(recording)
    assert np.isfinite(
        Preprocessor(channels=["Cz"], **params).fit(recording).transform(recording)
    ).all()


@pytest.mark.parametrize(("n", "end"), [(5, r"P3 \(3\); expected"), (6, r"P3 \(3\), …; expected")])
def test_of_many_channels_with_non_finite_samples_five_are_named(recording, n, end):
    recording.segments[0][:n, 100:103] = np.nan
    words = rf"{3 * n} non-finite samples, in channels Fz \(3\), Cz \(3\), .*{end} none"
    with pytest.raises(InputError, match=words):
        Preprocessor().fit(recording).transform(recording)


def test_another_recording_than_the_fitted_one_is_refused(recording):
    preprocessor = Preprocessor().fit(recording)
    signal = recording.segments[0]
    for change, message in (
        ({"sfreq": 256}, "rate 256.0; expected 240.0"),
        ({"unit": "V"}, "unit V; expected uV"),
        ({"ch_names": [*CHANNELS[:7], "F8"]}, r"channels \['PO8'\] are not among"),
    ):
        kwargs = {"sfreq": 240, "ch_names": CHANNELS} | change
        with pytest.raises(InputError, match=message):
            preprocessor.transform(recording_from_arrays(signal, [1.0], **kwargs))


def test_amplifier_steps_have_no_microvolts_to_clip(recording):
    steps = recording_from_arrays(recording.segments[0], [1.0], sfreq=240, unit="AD")
    epochs = Preprocessor(scaling="none").fit(steps).epochs(steps)
    assert epochs.unit == "AD"
    unscaled = Preprocessor(scaling="none").fit(recording).transform(recording)[1]
    np.testing.assert_array_equal(epochs.data[0], unscaled)  # the same numbers, another unit
    with pytest.raises(InputError, match="amplifier steps of unknown size"):
        Preprocessor(clip_uv=50).fit(steps)


def test_an_unfitted_preprocessor_says_so(recording):
    with pytest.raises(InputError, match="not fitted"):
        Preprocessor().transform(recording)
    with pytest.raises(InputError, match="not fitted"):
        Preprocessor().get_state()
    fitted = Preprocessor().fit(recording).set_params(scaling="standardize")
    with pytest.raises(InputError, match="'standardize' was not fitted; call fit"):
        fitted.transform(recording)


def test_a_segment_too_short_for_the_filter_is_refused():
    recording = recording_from_arrays(np.zeros((2, 20)), [0.0], sfreq=240)
    with pytest.raises(InputError, match="segment 0 has 20 samples, too few"):
        Preprocessor(tmax=0.05).fit(recording).transform(recording)


def test_what_is_no_recording_is_refused():
    with pytest.raises(InputError, match="cannot preprocess ndarray"):
        as_recording(np.zeros((8, 100)))
    for samples in (np.zeros(100), np.array(1.0)):
        with pytest.raises(
            InputError, match=r"segment 0 has shape .*; expected \(n_chans, n_samp"
        ):
            recording_from_arrays(samples, [0.0], sfreq=240)


# -- lightness -------------------------------------------------------------------------------


def test_importing_it_loads_nothing_heavy():
    heavy = "torch pytorch_lightning hydra wandb sklearn matplotlib mne pandas".split()
    code = f"import sys, p300.preprocessing; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
