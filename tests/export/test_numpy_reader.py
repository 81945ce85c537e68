"""What another program needs to compute the same scores: detector.json, read with numpy alone."""

import json

import numpy as np
import pytest

from p300.baselines import ShrinkageLDA
from p300.detector import Detector, Member
from p300.preprocessing import Preprocessor
from p300.simulation import simulate_recording

pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra export)")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from p300.export.write import export  # noqa: E402


@pytest.fixture(scope="module")
def recording():
    """EEG with the offset of an amplifier that is coupled to direct current."""
    recording = simulate_recording("EEG", n_repetitions=2, ch_names=["Fz", "Cz", "Pz", "Oz"])
    for segment, level in zip(recording.segments, (4000, -9000), strict=False):
        segment += level
    return recording


@pytest.fixture(scope="module")
def model(recording, tmp_path_factory):
    preprocessor = Preprocessor(phase="causal", l_freq=0.5, scaling="center").fit(recording)
    is_target = recording.flashes["is_target"].to_numpy(bool)
    lda = ShrinkageLDA().fit(preprocessor.transform(recording), is_target)
    folder = tmp_path_factory.mktemp("model")
    detector = Detector([Member(lda, {"_target_": "p300.baselines.ShrinkageLDA"})], preprocessor)
    detector.save(folder / "checkpoint.pt")
    export(folder / "checkpoint.pt")
    return folder, detector.score(recording)


def filtered(signal, sections, state):
    """Run second-order sections over each row, sample by sample (transposed direct form II)."""
    output = np.array(signal, np.float64)
    for (b0, b1, b2, _, a1, a2), (first, second) in zip(sections, state, strict=True):
        z1, z2 = np.full((2, len(output)), [[first], [second]])
        for k in range(output.shape[1]):
            x = output[:, k].copy()
            y = b0 * x + z1
            z1, z2 = b1 * x - a1 * y + z2, b2 * x - a2 * y
            output[:, k] = y
    return output


def scores_of(folder, recording, state=None):
    about = json.loads((folder / "detector.json").read_text("utf-8"))
    steps, causal = about["preprocessing"]["params"], about["causal_filter"]
    assert causal["subtract"] == "first sample" and causal["sfreq"] == recording.sfreq
    assert steps["scaling"] == "center" and about["preprocessing"]["unit"] == recording.unit
    order = [recording.ch_names.index(name) for name in about["preprocessing"]["ch_names_in"]]
    n_times = round((steps["tmax"] - steps["tmin"]) * steps["sfreq"])
    every = round(causal["sfreq"] / steps["sfreq"])
    epochs = []
    for k, segment in enumerate(recording.segments):
        signal = np.asarray(segment, np.float64)[order]
        if state is None:
            signal = signal - signal[:, :1]
        clean = filtered(signal, causal["sos"], causal["state"] if state is None else state)
        shown = recording.flashes[recording.flashes["segment"] == k]["onset"]
        for onset in shown:
            begin = round((onset + steps["tmin"]) * causal["sfreq"])
            epoch = clean[:, begin : begin + every * n_times : every]
            epochs.append(epoch - epoch.mean(axis=1, keepdims=True))
    graph = onnxruntime.InferenceSession(
        str(folder / "detector.onnx"), providers=["CPUExecutionProvider"]
    )
    return graph.run(["score"], {"epochs": np.array(epochs, np.float32)})[0]


def test_detector_json_holds_all_that_numpy_needs_to_score_alike(model, recording):
    folder, expected = model
    np.testing.assert_allclose(scores_of(folder, recording), expected, atol=2e-3 * expected.std())


def test_a_filter_that_starts_from_zero_volts_scores_otherwise(model, recording):
    folder, expected = model
    n_sections = len(
        json.loads((folder / "detector.json").read_text("utf-8"))["causal_filter"]["sos"]
    )
    wrong = scores_of(folder, recording, state=np.zeros((n_sections, 2)))
    assert np.abs(wrong - expected).max() > 0.1 * expected.std()


def test_a_zero_phase_filter_has_no_start(recording):
    from p300.export.write import describe_filter

    assert describe_filter(Preprocessor(phase="zero").fit(recording)) is None
