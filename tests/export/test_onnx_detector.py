"""The reader of an exported detector: no PyTorch, and no file that is not whole."""

import dataclasses
import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from p300.baselines import ShrinkageLDA
from p300.detector import Detector, Member
from p300.errors import InputError
from p300.preprocessing import Preprocessor
from p300.simulation import simulate_recording
from p300.spelling import PosteriorThreshold, ScoreLikelihood

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra export)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")

from p300.export.graph import to_onnx  # noqa: E402
from p300.export.onnx_detector import N_AT_ONCE, OnnxDetector, open_graph  # noqa: E402
from p300.export.write import describe, write_pair  # noqa: E402

LIKELIHOOD = ScoreLikelihood(slope=2.0, offset=-1.0, low=-3.0, high=3.0)
RULE = PosteriorThreshold(threshold=0.9, max_repetitions=5)


@pytest.fixture(scope="module")
def recording():
    return simulate_recording("EEG", n_repetitions=2, ch_names=["Fz", "Cz", "Pz", "Oz"])


@pytest.fixture(scope="module")
def trained(recording):
    preprocessor = Preprocessor(scaling="standardize", reference="average").fit(recording)
    is_target = recording.flashes["is_target"].to_numpy(bool)
    lda = ShrinkageLDA().fit(preprocessor.transform(recording), is_target)
    member = Member(lda, {"_target_": "p300.baselines.ShrinkageLDA"})
    return Detector([member], preprocessor, recording.speller)


@pytest.fixture(scope="module")
def model(trained):
    return to_onnx(trained)


@pytest.fixture
def folder(trained, model, tmp_path):
    evidence = {"likelihood": LIKELIHOOD.to_dict(), "stopping": {"posterior": RULE.to_dict()}}
    write_pair(tmp_path, model, describe(trained) | evidence)
    return tmp_path


def rewrite(folder, change):
    """Change what the JSON file holds."""
    path = folder / "detector.json"
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), "utf-8")


def replace_graph(folder, model):
    """Put another graph in its place, with the checksum that belongs to it."""
    (folder / "detector.onnx").write_bytes(model)
    rewrite(folder, lambda c: c.update(sha256=hashlib.sha256(model).hexdigest()))


def test_all_that_is_needed_to_spell_comes_back(folder, trained, recording):
    for path in (folder, folder / "detector.onnx", str(folder / "detector.json")):
        detector = OnnxDetector.load(path)
        assert np.allclose(detector.score(recording), trained.score(recording), atol=1e-5)
    assert detector.preprocessor.get_state() == trained.preprocessor.get_state()
    assert detector.speller == recording.speller
    assert detector.likelihood == LIKELIHOOD and detector.stopping == {"posterior": RULE}
    assert detector.alignment is None
    assert detector.info["members"] == [{"name": "ShrinkageLDA", "weight": 1.0}]


def test_scores_are_read_without_pytorch(folder, trained, recording, tmp_path):
    np.save(tmp_path / "epochs.npy", trained.preprocessor.transform(recording))
    code = """if True:
        import sys
        import numpy as np
        from p300.export.onnx_detector import OnnxDetector
        folder = sys.argv[1]
        scores = OnnxDetector.load(folder).score_epochs(np.load(folder + "/epochs.npy"))
        np.save(folder + "/scores.npy", scores)
        heavy = {"torch", "pytorch_lightning", "lightning", "hydra", "omegaconf", "sklearn",
                 "mne", "wandb", "matplotlib", "onnx", "onnxscript"}
        print(sorted(heavy & set(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
    assert np.allclose(np.load(tmp_path / "scores.npy"), trained.score(recording), atol=1e-5)


def test_a_pair_may_be_renamed_together(folder, recording):
    for kind in ("onnx", "json"):
        (folder / f"detector.{kind}").rename(folder / f"subject.7.{kind}")
    assert len(OnnxDetector.load(folder / "subject.7.onnx").score(recording)) == 72
    with pytest.raises(InputError, match="detector.onnx: no such file"):
        OnnxDetector.load(folder)


def test_many_flashes_score_as_each_alone(folder):
    detector = OnnxDetector.load(folder)
    epochs = np.random.default_rng(0).normal(size=(N_AT_ONCE + 3, 4, 78)).astype(np.float32)
    scores = detector.score_epochs(epochs)
    assert scores.shape == (N_AT_ONCE + 3,) and scores.dtype == np.float64
    for k in (0, N_AT_ONCE - 1, N_AT_ONCE, N_AT_ONCE + 2):
        assert scores[k] == pytest.approx(detector.score_epochs(epochs[[k]])[0], abs=1e-9)
    assert detector.score_epochs(epochs[:0]).shape == (0,)


def test_epochs_as_a_stream_or_a_table_has_them_score_alike(folder):
    detector = OnnxDetector.load(folder)
    epochs = np.random.default_rng(0).normal(size=(5, 78, 4))
    turned = np.ascontiguousarray(epochs.transpose(0, 2, 1), np.float32)
    found = detector.score_epochs(epochs.transpose(0, 2, 1))  # float64, not contiguous
    assert np.array_equal(found, detector.score_epochs(turned))


@pytest.mark.parametrize("shape", [(4, 78), (2, 4, 77), (2, 5, 78), (2, 78, 4)])
def test_epochs_of_another_shape_are_refused(folder, shape):
    detector = OnnxDetector.load(folder)
    with pytest.raises(InputError, match=r"expected \(n_flashes, 4, 78\)"):
        detector.score_epochs(np.zeros(shape, np.float32))


def test_a_recording_without_an_electrode_is_refused(folder, recording):
    fewer = dataclasses.replace(
        recording,
        segments=tuple(segment[:3] for segment in recording.segments),
        ch_names=recording.ch_names[:3],
    )
    with pytest.raises(InputError, match="Oz"):
        OnnxDetector.load(folder).score(fewer)


def test_scoring_takes_one_thread(folder):
    options = OnnxDetector.load(folder).session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize("position", [0.1, 0.5, 0.99])
def test_a_damaged_graph_is_refused(folder, position):
    path = folder / "detector.onnx"
    model = bytearray(path.read_bytes())
    model[int(position * len(model))] ^= 1
    path.write_bytes(model)
    with pytest.raises(InputError, match="one of the two is damaged or from another export"):
        OnnxDetector.load(folder)


def test_no_graph_at_all_is_refused(folder):
    replace_graph(folder, b"not a graph")
    with pytest.raises(InputError, match="onnxruntime cannot read it"):
        OnnxDetector.load(folder)


@pytest.mark.parametrize("name", ["detector.onnx", "detector.json"])
def test_half_a_pair_is_refused(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name}: no such file"):
        OnnxDetector.load(folder)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": "p300 detector 3"}', "\xff", "[" * 9999]
)
def test_a_json_file_of_another_kind_is_refused(folder, text):
    (folder / "detector.json").write_text(text, "latin-1")
    with pytest.raises(InputError, match="its format is|cannot be read as JSON"):
        OnnxDetector.load(folder)


def _lengthen(content):
    content["preprocessing"]["params"]["tmax"] = 0.7


def _reverse_channels(content):
    content["preprocessing"]["ch_names"].reverse()


def _drop_channel(content):
    content["preprocessing"]["ch_names"].pop()
    content["preprocessing"]["center"].pop()
    content["preprocessing"]["spread"].pop()
    content["preprocessing"]["spatial"].pop()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_reverse_channels, "is for the electrodes"),
        (_drop_channel, r"expected float32 with \[3, 78\]"),
        (
            lambda c: c["preprocessing"]["params"].update(tmax=0.7),
            r"expected float32 with \[4, 84\]",
        ),
        (lambda c: c["preprocessing"]["params"].update(tmax="soon"), "tmax is 'soon'"),
        (lambda c: c["preprocessing"]["params"].update(command="rm"), "damaged"),
        (lambda c: c["preprocessing"].update(version=99), "version 99"),
        (lambda c: c["preprocessing"]["center"].pop(), r"center of shape \(3,\); expected \(4,\)"),
        (lambda c: c["preprocessing"]["spatial"].pop(), r"spatial of shape \(3, 4\)"),
        (lambda c: c["preprocessing"].update(spread=["a"] * 4), "damaged"),
        (lambda c: c["speller"]["symbols"].append("A"), "got duplicate symbols"),
        (lambda c: c["likelihood"].update(slope="steep"), "damaged"),
        (lambda c: c["stopping"]["posterior"].update(rule="never"), "stopping rule 'never'"),
        (lambda c: c.update(alignment={"n_prior": 0}), "got n_prior=0"),
        (lambda c: c.pop("speller"), "damaged"),
        (lambda c: c.update(info=3), "damaged"),
    ],
)
def test_a_json_file_that_does_not_fit_is_refused(folder, change, reason):
    rewrite(folder, change)
    with pytest.raises(InputError, match=reason) as refused:
        OnnxDetector.load(folder)
    assert "detector" in str(refused.value) and "\n" not in str(refused.value)


def test_weights_outside_the_file_are_refused(folder, model, tmp_path):
    """Were they read, a graph from elsewhere could show any file of this computer as a score."""
    secret = tmp_path.parent / "secret"
    secret.write_bytes(bytes(8 * 4 * 78))
    graph = onnx.load_from_string(model)
    weights = max(graph.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", "../secret"
    replace_graph(folder, graph.SerializeToString())
    with pytest.raises(InputError, match="weights in another file"):
        OnnxDetector.load(folder)


def test_operators_that_are_not_onnxs_are_refused(folder, model):
    graph = onnx.load_from_string(model)
    graph.opset_import.add(domain="elsewhere", version=1)
    graph.graph.node[0].domain = "elsewhere"
    replace_graph(folder, graph.SerializeToString())
    with pytest.raises(InputError, match="onnxruntime cannot read it"):
        OnnxDetector.load(folder)


def test_a_graph_with_another_output_is_refused(folder, model):
    graph = onnx.load_from_string(model)
    graph.graph.output[0].name = graph.graph.input[0].name
    replace_graph(folder, graph.SerializeToString())
    with pytest.raises(InputError, match="onnxruntime cannot read it|inputs or outputs are"):
        OnnxDetector.load(folder)


def test_a_graph_of_fixed_size_is_refused(folder, model):
    graph = onnx.load_from_string(model)
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 3
    replace_graph(folder, graph.SerializeToString())
    with pytest.raises(InputError, match="any number of flashes"):
        OnnxDetector.load(folder)


def test_another_file_is_not_taken_for_a_detector(folder, model):
    (folder / "checkpoint.pt").write_bytes(b"")
    with pytest.raises(InputError, match="expected a folder, an .onnx or a .json file"):
        OnnxDetector.load(folder / "checkpoint.pt")
    assert open_graph(model).get_inputs()[0].name == "epochs"
