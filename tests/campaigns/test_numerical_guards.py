"""Signals at the edge of what numbers hold: flat, tiny, huge, dependent, one class, hours long."""

import math

import numpy as np
import pytest

from p300 import baselines
from p300.errors import InputError
from p300.metrics import bits_per_selection, roc_auc
from p300.preprocessing import (
    EuclideanAlignment,
    Preprocessor,
    StreamingPreprocessor,
    recording_from_arrays,
)
from p300.recording import flash_table
from p300.simulation import simulate_recording
from p300.speller import WADSWORTH
from p300.spelling import ScoreLikelihood, SymbolPosterior, fit_platt

SCALINGS = [
    "zscore_epoch", "rms_epoch", "median_epoch", "center", "standardize", "robust", "none",
]  # fmt: skip


def made_recording(signal, n_flashes=20):
    onsets = 0.5 + 0.3 * np.arange(n_flashes)
    return recording_from_arrays(signal, onsets, sfreq=240)


def noise(n_chans=4, n_samples=2000, seed=0):
    return np.random.default_rng(seed).normal(0, 10, (n_chans, n_samples))


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("value", [0.0, 1.0, -3e5, 1e-12])
def test_a_constant_signal_becomes_finite_epochs(scaling, value):
    recording = made_recording(np.full((4, 2000), value))
    epochs = Preprocessor(scaling=scaling, l_freq=None).fit(recording).transform(recording)
    assert np.isfinite(epochs).all()


@pytest.mark.parametrize("scaling", SCALINGS)
def test_one_flat_channel_leaves_the_others_as_they_are(scaling):
    signal = noise()
    flat = signal.copy()
    flat[2] = 7.0
    alone = [0, 1, 3]
    whole, broken = (
        Preprocessor(scaling=scaling).fit(r).transform(r)
        for r in (made_recording(signal), made_recording(flat))
    )
    assert np.isfinite(broken).all()
    if scaling not in ("rms_epoch", "median_epoch"):  # which divide by what all channels have
        np.testing.assert_allclose(broken[:, alone], whole[:, alone], atol=1e-4)


@pytest.mark.parametrize("factor", [1e-12, 1e-6, 1e6, 1e12])
@pytest.mark.parametrize("scaling", [s for s in SCALINGS if s not in ("center", "none")])
def test_scaled_epochs_do_not_depend_on_the_size_of_the_signal(scaling, factor):
    signal = noise()
    plain, other = (
        Preprocessor(scaling=scaling).fit(r).transform(r)
        for r in (made_recording(signal), made_recording(factor * signal))
    )
    np.testing.assert_allclose(other, plain, atol=2e-3)


#: Those that are built without an estimator of somebody else.
DETECTORS = sorted(set(baselines.__all__) - {"SklearnDetector"})


@pytest.fixture(scope="module")
def two_classes():
    recording = simulate_recording("P3EEG", n_repetitions=5, ch_names=["Fz", "Cz", "Pz", "Oz"])
    epochs = Preprocessor(scaling="none").fit(recording).transform(recording)
    return epochs, recording.flashes["is_target"].to_numpy(bool)


def fitted(name, epochs, is_target):
    try:
        return getattr(baselines, name)().fit(epochs, is_target)
    except (ImportError, InputError) as error:
        if "pip install" in str(error):
            pytest.skip(str(error))
        raise


@pytest.mark.parametrize("name", DETECTORS)
def test_channels_that_depend_on_one_another_still_tell_targets(name, two_classes):
    """An average reference makes every covariance singular."""
    epochs, is_target = two_classes
    dependent = epochs - epochs.mean(axis=1, keepdims=True)
    assert np.linalg.matrix_rank(dependent[0].astype(float) @ dependent[0].T, tol=1e-3) < 4
    scores = fitted(name, dependent, is_target).decision_function(dependent)
    assert np.isfinite(scores).all() and roc_auc(is_target, scores) > 0.7


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_volts_and_picovolts_tell_targets_as_microvolts_do(name, factor, two_classes):
    epochs, is_target = two_classes
    usual = fitted(name, epochs, is_target).decision_function(epochs)
    other = fitted(name, (factor * epochs).astype(np.float32), is_target)
    scores = other.decision_function((factor * epochs).astype(np.float32))
    assert np.isfinite(scores).all()
    assert abs(roc_auc(is_target, scores) - roc_auc(is_target, usual)) < 0.05


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("label", [True, False])
def test_one_class_alone_is_refused(name, label, two_classes):
    epochs, _ = two_classes
    with pytest.raises(InputError):
        fitted(name, epochs, np.full(len(epochs), label))


def test_the_alignment_of_flat_or_dependent_channels_is_finite():
    epochs = np.random.default_rng(0).normal(size=(60, 4, 78)).astype(np.float32)
    flashes = flash_table(onset=np.arange(60.0))
    for hostile in (0 * epochs, epochs - epochs.mean(axis=1, keepdims=True), 1e12 * epochs):
        assert np.isfinite(EuclideanAlignment().transform(hostile, flashes)).all()


def test_bits_are_defined_at_every_accuracy():
    assert bits_per_selection(1.0, 36) == pytest.approx(math.log2(36))
    assert bits_per_selection(0.0, 36) == 0
    assert bits_per_selection(1 / 36, 36) == pytest.approx(0, abs=1e-12)
    for accuracy in (1e-300, 1 - 1e-16, np.nextafter(1, 0), np.nextafter(0, 1)):
        assert 0 <= bits_per_selection(accuracy, 36) <= math.log2(36) + 1e-9


def test_scores_that_part_the_classes_perfectly_have_a_finite_calibration():
    slope, offset = fit_platt(np.r_[np.zeros(50), np.ones(10)], np.arange(60) >= 50)
    assert math.isfinite(slope) and math.isfinite(offset) and slope > 0
    fit = ScoreLikelihood.fit(1e12 * np.r_[np.zeros(50), np.ones(10)], np.arange(60) >= 50)
    assert np.isfinite(fit.log_ratio([-1e300, 0.0, 1e300])).all()


def test_thousands_of_repetitions_leave_probabilities_that_add_up_to_one():
    posterior = SymbolPosterior(WADSWORTH, idle_prior=0.1)
    for k in range(12 * 5000):
        code = 1 + k % 12
        posterior.update(code, 40.0 if code in WADSWORTH.codes_of("Q") else -40.0)
    total = posterior.probabilities.sum() + posterior.idle_probability
    assert total == pytest.approx(1) and posterior.best == ("Q", pytest.approx(1))
    assert np.isfinite(posterior.log_probabilities).all()


def test_an_electrode_offset_of_100_millivolts_over_an_hour_leaves_the_stream_exact():
    """Amplifiers without a high-pass have it; single precision holds it to 8 nV only once."""
    sfreq, n_s = 240, 3600
    rng = np.random.default_rng(0)
    signal = rng.normal(0, 10, (2, 20 * sfreq))
    drift = np.array([[1e5], [-1e5]])
    calm = recording_from_arrays(signal, [1.0], sfreq=sfreq)
    fitted = Preprocessor(phase="causal", l_freq=0.1, scaling="none").fit(calm)
    stream = StreamingPreprocessor(fitted)
    last = None
    for k in range(n_s // 20):
        times = 20.0 * k + np.arange(20 * sfreq) / sfreq
        epochs = stream.push(drift + signal, times, flashes=[20.0 * k + 10])
        last = epochs.data if len(epochs.data) else last
    plain = StreamingPreprocessor(fitted)
    expected = None
    for k in range(3):  # the same 20 s again and again, long after the offset has died away
        times = 20.0 * k + np.arange(20 * sfreq) / sfreq
        epochs = plain.push(signal, times, flashes=[20.0 * k + 10])
        expected = epochs.data if len(epochs.data) else expected
    assert np.abs(last - expected).max() < 0.05  # µV, of an EEG of 10
