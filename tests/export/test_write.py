"""What is exported scores as the checkpoint does, whatever it is made of."""

import functools
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import p300
from p300.baselines import ShrinkageLDA
from p300.baselines.base import ClassicalDetector
from p300.detector import Detector, Member, build_model, import_class
from p300.errors import InputError
from p300.experiments.configuration import conf_dir
from p300.models import CecottiCNN
from p300.preprocessing import EuclideanAlignment, Preprocessor
from p300.simulation import simulate_recording

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra export)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")

from p300.export.graph import largest_difference, to_onnx  # noqa: E402
from p300.export.onnx_detector import OnnxDetector, open_graph  # noqa: E402
from p300.export.write import export, write_pair  # noqa: E402

NO_GRAPH = {"untrained", "sparse_coding"}
MODELS = sorted({path.stem for path in (conf_dir() / "model").glob("*.yaml")} - NO_GRAPH)
CH_NAMES = ["Fz", "Cz", "Pz", "P3", "P4", "PO7", "PO8", "Oz"]
SIZES = {"n_chans": 8, "n_outputs": 2, "n_times": 78, "sfreq": 120.0}


@pytest.fixture(scope="module")
def recording():
    return simulate_recording("ABCDEFGH", n_repetitions=3, ch_names=CH_NAMES)


@pytest.fixture(scope="module")
def preprocessor(recording):
    return Preprocessor(scaling="rms_epoch").fit(recording)


@pytest.fixture(scope="module")
def epochs(recording, preprocessor):
    return preprocessor.transform(recording)


@pytest.fixture(scope="module")
def is_target(recording):
    return recording.flashes["is_target"].to_numpy(bool)


@pytest.fixture(scope="module")
def lda(epochs, is_target):
    return Member(
        ShrinkageLDA().fit(epochs, is_target), {"_target_": "p300.baselines.ShrinkageLDA"}
    )


def configured(name):
    """The members that a file of conf/model names, as plain containers."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("train", [f"model={name}"])
    model = OmegaConf.to_container(cfg, resolve=False)["model"]
    model = OmegaConf.to_container(
        OmegaConf.create({"model": model, "preprocessing": {"sfreq": 120.0}}), resolve=True
    )["model"]
    return list(model["members"].values()) if "members" in model else [model]


def fitted(model, epochs, is_target, weight):
    """A member that has seen the epochs: a classical one is fitted, a network normalises."""
    if model["_target_"].startswith("braindecode"):
        pytest.importorskip("braindecode", reason="braindecode is not installed")
    if not issubclass(import_class(model["_target_"]), torch.nn.Module):
        return Member(build_model(model).fit(epochs, is_target), model, weight=weight)
    torch.manual_seed(0)
    network = build_model(model | SIZES).train()
    network(torch.as_tensor(epochs))
    return Member(network.eval(), model, "CrossEntropy", weight)


def assert_same(found, wanted):
    """Scores of one kind of epochs, to 1e-5 of the largest where that is above 1."""
    assert found.shape == wanted.shape and found.dtype == np.float64
    assert np.isfinite(wanted).all()
    assert np.abs(found - wanted).max() <= 1e-5 * max(1, np.abs(wanted).max())


@pytest.fixture(scope="module")
def exported(preprocessor, epochs, is_target):
    """Make a detector of conf/model and its graph, once."""

    @functools.cache
    def make(name):
        weights = (0.7, 1.9, 0.4)
        models = configured(name)
        members = [fitted(m, epochs, is_target, w) for m, w in zip(models, weights, strict=False)]
        detector = Detector(members, preprocessor, calibration=(1.5, -0.3))
        return detector, to_onnx(detector)

    return make


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_detector_scores_as_before_it_was_exported(name, exported, epochs):
    detector, model = exported(name)
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    graph = open_graph(model)
    is_flat = np.arange(8)[:, None] == 3
    for some in (epochs, epochs[:1], 30 * epochs, epochs + 5, np.where(is_flat, 0, epochs)):
        some = some.astype(np.float32)
        (found,) = graph.run(["score"], {"epochs": some})
        assert_same(found, detector.score_epochs(some))
    stored = sum(len(tensor.raw_data) for tensor in onnx.load_from_string(model).graph.initializer)
    learned = [(4 if m.is_network else 8) * m.n_parameters for m in detector.members]
    assert stored < 1.1 * sum(learned) + 8 * 8 * 78  # at most one float64 an electrode and sample
    assert len(model) < stored + 50_000


@pytest.mark.slow
def test_covariances_keep_float64_on_their_way_through_onnxruntime(exported, epochs):
    detector, model = exported("mdm")
    (found,) = open_graph(model).run(None, {"epochs": epochs})
    assert np.abs(found - detector.score_epochs(epochs.astype(np.float64))).max() < 1e-8


def test_linear_detectors_become_one_matrix_however_many_there_are(preprocessor, lda):
    one = to_onnx(Detector([lda], preprocessor))
    five = to_onnx(Detector([lda] * 5, preprocessor, calibration=(3.0, 1.0)))
    assert abs(len(five) - len(one)) < 100


@pytest.mark.slow
def test_outputs_far_below_zero_keep_their_ratio(preprocessor):
    """onnxruntime's logistic is flat below -18; the paper's score is a quotient of two."""
    network = CecottiCNN(**SIZES)
    with torch.no_grad():
        network.final_layer.weight.zero_()
        network.final_layer.bias.copy_(torch.tensor([-30.0, -32.0]))
    member = Member(network, {}, "LogisticSquareError")
    graph = open_graph(to_onnx(Detector([member], preprocessor)))
    (scores,) = graph.run(None, {"epochs": np.zeros((1, 8, 78), np.float32)})
    assert scores[0] == pytest.approx(1 / (1 + np.exp(2)) - 0.5, abs=1e-9)


def test_the_graph_says_what_it_reads(preprocessor, lda):
    model = to_onnx(Detector([lda], preprocessor))
    graph = onnx.load_from_string(model)
    told = {prop.key: prop.value for prop in graph.metadata_props}
    assert json.loads(told["ch_names"]) == CH_NAMES
    assert (float(told["sfreq"]), float(told["tmin"]), told["unit"]) == (120.0, 0.0, "sd")
    assert "(n_flashes, 8 electrodes, 78 samples)" in graph.doc_string
    assert [(d.domain, d.version) for d in graph.opset_import] == [("", 18)]
    for shape in (v.type.tensor_type.shape.dim for v in (*graph.graph.input, *graph.graph.output)):
        assert shape[0].dim_param == "n_flashes"


def test_nothing_of_this_computer_is_in_the_graph(preprocessor):
    member = Member(CecottiCNN(**SIZES), {}, "CrossEntropy")
    model = to_onnx(Detector([member], preprocessor))
    assert b".py" not in model and str(Path(p300.__file__).parent).encode() not in model


def test_a_detector_without_a_form_in_onnx_is_named(preprocessor):
    class Nearest(ClassicalDetector):
        pass

    with pytest.raises(InputError, match="Nearest, which has no form in ONNX"):
        to_onnx(Detector([Member(Nearest(), {})], preprocessor))


def test_a_network_that_branches_on_what_it_reads_cannot_be_exported(preprocessor):
    class Branching(CecottiCNN):
        def forward(self, x):
            return super().forward(x if x.mean() > 0 else -x)

    member = Member(Branching(**SIZES), {}, "CrossEntropy")
    with pytest.raises(InputError, match="cannot trace the detector"):
        to_onnx(Detector([member], preprocessor))


def test_a_graph_with_other_scores_is_refused(preprocessor, lda):
    model = to_onnx(Detector([lda], preprocessor))
    with pytest.raises(InputError, match="scores differ from the checkpoint's"):
        largest_difference(Detector([lda], preprocessor, calibration=(1.0, 1e-4)), model)


def test_an_interrupted_export_never_leaves_a_pair_that_loads(
    preprocessor, lda, recording, tmp_path, monkeypatch
):
    first = Detector([lda], preprocessor)
    first.save(tmp_path / "checkpoint.pt")
    export(tmp_path / "checkpoint.pt")
    assert not list(tmp_path.glob("*.partial"))
    content = json.loads((tmp_path / "detector.json").read_text("utf-8"))
    other = to_onnx(Detector([lda], preprocessor, calibration=(2.0, 0.0)))

    class Interrupted(Exception):
        pass

    def interrupt(_):
        raise Interrupted

    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        patched.setattr(os, "fsync", interrupt)  # both are written, and neither has its name
        write_pair(tmp_path, other, content)
    old = OnnxDetector.load(tmp_path)
    assert_same(old.score(recording), first.score(recording))
    (tmp_path / "detector.onnx").write_bytes(other)  # as if stopped between the two
    with pytest.raises(InputError, match="another export"):
        OnnxDetector.load(tmp_path)


def test_alignment_travels_beside_the_graph(preprocessor, lda, recording, tmp_path):
    alignment = EuclideanAlignment(n_prior=10, n_hold=5)
    detector = Detector([lda], preprocessor, recording.speller, {}, (1, 0), alignment)
    detector.save(tmp_path / "checkpoint.pt")
    export(tmp_path / "checkpoint.pt", tmp_path / "model")
    exported = OnnxDetector.load(tmp_path / "model")
    assert exported.alignment.to_dict() == {"n_prior": 10, "n_hold": 5}
    assert_same(exported.score(recording), detector.score(recording))
    unaligned = exported.score_epochs(preprocessor.transform(recording))
    assert np.abs(unaligned - detector.score(recording)).max() > 0.1


def test_likelihood_and_rules_come_from_the_held_out_flashes(
    preprocessor, lda, recording, epochs, tmp_path
):
    Detector([lda], preprocessor, recording.speller).save(tmp_path / "checkpoint.pt")
    rng = np.random.default_rng(0)
    is_target = recording.flashes["is_target"].to_numpy(bool)
    scores = rng.normal(size=len(is_target)) + 2 * is_target  # log ratio: 2 score - 2
    recording.flashes.assign(score=scores).to_csv(tmp_path / "held_out.csv", index=False)
    told = export(tmp_path / "checkpoint.pt")
    exported = OnnxDetector.load(tmp_path)
    assert not any("without" in line for line in told)
    middle = -exported.likelihood.offset / exported.likelihood.slope
    assert middle == pytest.approx(1, abs=0.2)
    assert {rule.max_repetitions for rule in exported.stopping.values()} <= {1, 2, 3}
    assert exported.speller == recording.speller


@pytest.mark.slow
def test_what_cannot_be_fitted_is_null_and_said(preprocessor, lda, recording, tmp_path):
    Detector([lda], preprocessor).save(tmp_path / "checkpoint.pt")
    assert "without likelihood and stopping" in export(tmp_path / "checkpoint.pt")[-1]
    scores = np.arange(len(recording.flashes)) % 7.0
    recording.flashes.assign(score=scores).to_csv(tmp_path / "held_out.csv", index=False)
    assert "without stopping: without a screen" in export(tmp_path / "checkpoint.pt")[-1]
    content = json.loads((tmp_path / "detector.json").read_text("utf-8"))
    assert content["likelihood"]["slope"] >= 0
    assert content["stopping"] is None and content["speller"] is None


def test_a_finished_run_is_exported_by_its_folder(p300, small, tmp_path):
    arguments = ["experiment=lda", "hydra.run.dir=run", *small]
    assert p300("train", *arguments)[0] == 0
    status, printed, errors = p300("export", "run", "out=model")
    assert (status, errors.strip()) == (0, "")
    assert "model/detector.onnx: " in printed and "model/detector.json: " in printed
    assert "largest difference to the checkpoint's scores: " in printed
    exported = OnnxDetector.load(tmp_path / "model")
    assert exported.info["choices"]["experiment"] == "lda"
    trained = Detector.load(tmp_path / "run")
    test = simulate_recording("P3", n_repetitions=2, ch_names=CH_NAMES)
    assert_same(exported.score(test), trained.score(test))
    assert str(tmp_path) not in (tmp_path / "model/detector.json").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "got no folder; expected"),
        (["one", "two"], "got one two; expected"),
        (["one", "out="], "expected `p300 export RUN"),
        (["nowhere"], "no such run folder"),
        (["."], "not a finished run"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_a_sentence(p300, arguments, reason):
    status, printed, errors = p300("export", *arguments)
    assert status == 1 and not printed
    assert errors.startswith("p300 export: ") and reason in errors and "Traceback" not in errors


@pytest.mark.real_data
@pytest.mark.slow
def test_real_flashes_score_as_before(data_root):
    """A stack of all kinds on the second half of a session that it was not fitted on."""
    from p300.readers import bci2_iib

    folder = data_root / "bci2_iib"
    if not folder.is_dir():
        pytest.skip("BCI Competition II data set IIb is not there")
    recording = bci2_iib.read(folder)
    preprocessor = Preprocessor(scaling="rms_epoch").fit(recording)
    epochs = preprocessor.transform(recording)
    truth = recording.flashes["is_target"].to_numpy(bool, na_value=False)
    fit, rest = slice(0, 1200), slice(1200, 2400)
    sizes = SIZES | {"n_chans": epochs.shape[1]}
    torch.manual_seed(0)
    members = []
    for name in ("GaussianProcessRidge", "XdawnTangentSpace", "XdawnLDA"):
        model = {"_target_": f"p300.baselines.{name}"}
        members.append(Member(build_model(model).fit(epochs[fit], truth[fit]), model))
    network = build_model({"_target_": "p300.models.OCLNN"} | sizes).eval()
    members.append(Member(network, {}, "CrossEntropy", 3.0))
    detector = Detector(members, preprocessor, calibration=(0.8, 0.1))
    (found,) = open_graph(to_onnx(detector)).run(None, {"epochs": epochs[rest]})
    assert_same(found, detector.score_epochs(epochs[rest]))
