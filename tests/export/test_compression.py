"""Pruned and quantised networks: what is left of the weights, and what it costs in AUC."""

import copy
import json

import numpy as np
import pandas as pd
import pytest
import torch

from p300.baselines import ShrinkageLDA
from p300.detector import Detector, Member
from p300.errors import InputError
from p300.metrics import roc_auc
from p300.models import MLP, OCLNN, CecottiCNN, LeNet, RecurrentNet, TransformerEncoder
from p300.preprocessing import Preprocessor
from p300.simulation import simulate_recording

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra export)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")

from p300.commands.export import read_compressions  # noqa: E402
from p300.export.compression import (  # noqa: E402
    Compression,
    compress,
    count_weights,
    pruned,
    weights_of,
)
from p300.export.graph import to_onnx  # noqa: E402
from p300.export.measured import auc_difference, export_compressed  # noqa: E402
from p300.export.onnx_detector import OnnxDetector, open_graph  # noqa: E402

CH_NAMES = ["Fz", "Cz", "Pz", "P3", "P4", "PO7", "PO8", "Oz"]
SIZES = {"n_chans": 8, "n_outputs": 2, "n_times": 78, "sfreq": 120.0}


@pytest.fixture(scope="module")
def recording():
    return simulate_recording("ABCDEFGH", n_repetitions=3, ch_names=CH_NAMES)


@pytest.fixture(scope="module")
def preprocessor(recording):
    return Preprocessor().fit(recording)


@pytest.fixture(scope="module")
def epochs(recording, preprocessor):
    return preprocessor.transform(recording)


def detector_of(kind, preprocessor, **options):
    torch.manual_seed(0)
    network = kind(**SIZES, **options).eval()
    model = {"_target_": f"p300.models.{kind.__name__}", **SIZES, **options}
    return Detector([Member(network, model, "CrossEntropy", 1.5)], preprocessor)


@pytest.mark.slow
def test_pruning_nothing_leaves_the_export_bit_for_bit(preprocessor):
    detector = detector_of(OCLNN, preprocessor)
    assert compress(detector, Compression(0.0)).model == to_onnx(detector)


@pytest.mark.parametrize("kind", [OCLNN, CecottiCNN, MLP, RecurrentNet, TransformerEncoder])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.8, 0.955])
def test_pruning_leaves_the_largest_weights_and_no_others(kind, share, preprocessor):
    detector = detector_of(kind, preprocessor)
    network = detector.members[0].detector
    before = {name: value.clone() for name, value in network.state_dict().items()}
    smaller = pruned(detector, share)
    layers = [
        [getattr(*place).detach().ravel() for place in weights_of(net)]
        for net in (network, smaller.members[0].detector)
    ]
    n_left = 0
    for old, new in zip(*layers, strict=True):
        kept = max(1, len(old) - round(share * len(old)))
        largest = old.abs().argsort(descending=True)[:kept]
        assert torch.equal(new[largest], old[largest]) and int(new.count_nonzero()) == kept
        n_left += kept
    assert count_weights(smaller) == (sum(map(len, layers[0])), n_left)
    after = smaller.members[0].detector.state_dict()
    assert list(after) == list(before)
    for name in before:  # biases, normalisations and places are kept, and nothing of the original
        if "weight" not in name or before[name].ndim < 2:
            assert torch.equal(after[name], before[name])
        assert torch.equal(network.state_dict()[name], before[name])


@pytest.mark.slow
def test_a_pruned_graph_scores_as_the_pruned_network(preprocessor, epochs):
    one = compress(detector_of(CecottiCNN, preprocessor), Compression(0.8))
    (found,) = open_graph(one.model).run(["score"], {"epochs": epochs})
    assert np.abs(found - one.detector.score_epochs(epochs)).max() < 1e-5


def test_no_layer_vanishes_however_small_its_weights_are(preprocessor):
    detector = detector_of(OCLNN, preprocessor)
    layer = detector.members[0].detector.final_layer
    with torch.no_grad():
        layer.weight.mul_(1e-6)
    (smaller,) = pruned(detector, 0.5).members
    n = layer.weight.numel()
    assert int(smaller.detector.final_layer.weight.count_nonzero()) == n - round(n / 2)


def test_a_share_of_one_is_refused(preprocessor):
    with pytest.raises(InputError, match="got prune=1; expected a share from 0 to below 1"):
        pruned(detector_of(MLP, preprocessor), 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [OCLNN, LeNet])
def test_a_weight_of_8_bits_is_wrong_by_at_most_half_a_step(kind, preprocessor, epochs):
    detector = detector_of(kind, preprocessor)
    one = compress(detector, Compression(int8=True), epochs)
    graph = onnx.load_from_string(one.model)
    assert {node.domain for node in graph.graph.node} == {""}
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in graph.graph.initializer}
    whole = {name: v for name, v in stored.items() if v.dtype == np.int8 and v.ndim > 1}
    exact = {}
    for place in weights_of(detector.members[0].detector):
        value = getattr(*place).detach().numpy()
        exact[tuple(sorted(value.squeeze().shape))] = value.squeeze()
    assert len(whole) == len(exact)
    for name, value in whole.items():
        step = stored[name.replace("_quantized", "_scale")]
        (axis,) = [
            attribute.i
            for node in graph.graph.node
            if node.op_type == "DequantizeLinear" and node.input[0] == name
            for attribute in node.attribute
            if attribute.name == "axis"
        ]
        step = step.reshape([-1 if k == axis % value.ndim else 1 for k in range(value.ndim)])
        real = (value * step).squeeze()
        wanted = exact[tuple(sorted(real.shape))]
        wanted = wanted if wanted.shape == real.shape else wanted.T
        half = np.broadcast_to(step / 2, value.shape).squeeze()
        assert (np.abs(real - wanted) <= half * (1 + 1e-5) + 1e-9).all()
        assert (np.abs(real - wanted) > half / 2).any()


@pytest.mark.slow
def test_a_quantised_score_does_not_depend_on_the_flashes_beside_it(preprocessor, epochs):
    one = compress(detector_of(OCLNN, preprocessor), Compression(int8=True), epochs)
    graph = open_graph(one.model)
    louder = np.concatenate([epochs[:5], 100 * epochs[5:]])
    alone = graph.run(["score"], {"epochs": epochs[:5]})[0]
    assert np.array_equal(graph.run(["score"], {"epochs": louder})[0][:5], alone)
    wanted = one.detector.score_epochs(epochs[:5])
    assert np.abs(alone - wanted).max() < 0.1 * one.detector.score_epochs(epochs).std()
    assert one.operators == "quantised to 8 bits: 1 Conv, 1 Gemm"


@pytest.mark.slow
def test_recurrent_layers_are_said_to_stay_in_float32(preprocessor, epochs):
    one = compress(detector_of(RecurrentNet, preprocessor), Compression(int8=True), epochs)
    assert one.operators.endswith("left in float32: 1 LSTM")


def test_a_detector_without_networks_is_refused(recording, preprocessor, epochs):
    is_target = recording.flashes["is_target"].to_numpy(bool)
    detector = Detector([Member(ShrinkageLDA().fit(epochs, is_target), {})], preprocessor)
    with pytest.raises(InputError, match="has no network.*format=c99"):
        compress(detector, Compression(0.5))


def test_the_auc_of_both_is_compared_over_the_same_characters(recording):
    flashes = recording.flashes
    is_target = flashes["is_target"].to_numpy(bool)
    scores = is_target + np.random.default_rng(0).normal(size=len(flashes))
    auc, difference, interval = auc_difference(flashes, scores, scores)
    assert auc == pytest.approx(roc_auc(is_target, scores)) and difference == 0
    worse = scores + np.random.default_rng(1).normal(scale=2, size=len(flashes))
    auc, difference, interval = auc_difference(flashes, worse, scores)
    assert difference == pytest.approx(roc_auc(is_target, worse) - roc_auc(is_target, scores))
    assert interval.low < difference < interval.high < 0 and interval.n == 8
    two = pd.concat([flashes, flashes.assign(subject="2")], ignore_index=True)
    both = auc_difference(two, np.tile(worse, 2), np.tile(scores, 2))
    assert both[:2] == pytest.approx((auc, difference)) and both[2].n == 16


@pytest.fixture(scope="module")
def exports(recording, preprocessor, tmp_path_factory):
    """One export of each kind: its folder and what was printed."""
    detector = detector_of(OCLNN, preprocessor)
    part = np.where(recording.flashes["character"] < 3, "train", "test")
    all_epochs = detector.epochs(recording)
    found = {}
    for compressions in ([Compression(0.8)], [Compression(0.5, True), Compression(0.95, True)]):
        out = tmp_path_factory.mktemp("out")
        lines = export_compressed(detector, out, out, compressions, all_epochs, part)
        found[len(compressions)] = (out, lines)
    return found


@pytest.mark.slow
def test_one_compression_is_the_export(exports, recording, preprocessor):
    out, lines = exports[1]
    assert sorted(p.name for p in out.iterdir()) == [
        "compression.csv", "detector.json", "detector.onnx",
    ]  # fmt: skip
    assert "detector.onnx is prune80" in lines
    exported = OnnxDetector.load(out)
    assert exported.info["compression"] == {"prune": 0.8, "quantise": None}
    wanted = pruned(detector_of(OCLNN, preprocessor), 0.8).score(recording)
    assert np.abs(exported.score(recording) - wanted).max() < 1e-5


@pytest.mark.slow
def test_several_compressions_lie_beside_the_float32_export(exports, recording, preprocessor):
    out, lines = exports[2]
    assert "detector.onnx is float32" in lines
    exported = OnnxDetector.load(out)
    wanted = detector_of(OCLNN, preprocessor).score(recording)
    assert np.abs(exported.score(recording) - wanted).max() < 1e-5
    assert "compression" not in json.loads((out / "detector.json").read_text("utf-8"))["info"]
    for name in ("prune50_int8", "prune95_int8"):
        assert OnnxDetector.load(out / f"detector_{name}.onnx").info["compression"]["prune"]


@pytest.mark.slow
def test_the_table_holds_sizes_weights_and_aucs(exports, recording):
    out, lines = exports[2]
    table = pd.read_csv(out / "compression.csv").set_index("kind")
    assert list(table.index) == ["float32", "prune50_int8", "prune95_int8"]
    for name, stem in (("float32", "detector"), ("prune95_int8", "detector_prune95_int8")):
        assert table.loc[name, "kb"] == (out / f"{stem}.onnx").stat().st_size / 1e3
    n = 16 * 8 * 8 + 2 * 160
    assert table["n_weights"].tolist() == [n, n, n]
    assert table["n_nonzero"].tolist() == [n, n - round(0.5 * n), n - round(0.95 * n)]
    assert table["kb"].iloc[1] < table["kb"].iloc[0]
    assert table["gzip_kb"].is_monotonic_decreasing
    is_tested = (recording.flashes["character"] >= 3).to_numpy()
    scores = OnnxDetector.load(out).score(recording)[is_tested]
    is_target = recording.flashes["is_target"].to_numpy(bool)[is_tested]
    assert table.loc["float32", "auc"] == pytest.approx(roc_auc(is_target, scores))
    assert (table["n_units"] == 6).all() and (table["us_per_flash"] > 0).all()


def test_only_training_epochs_fix_the_steps(recording, preprocessor, tmp_path, monkeypatch):
    from p300.export import measured

    detector, seen = detector_of(OCLNN, preprocessor), []

    def note(_, compression, training):
        seen.append(training)
        raise InputError("enough")

    monkeypatch.setattr(measured, "compress", note)
    monkeypatch.setattr(measured, "to_onnx", lambda _: b"")
    part = np.where(recording.flashes["character"] < 3, "train", "test")
    epochs = detector.epochs(recording)
    with pytest.raises(InputError, match="enough"):
        export_compressed(
            detector, tmp_path, tmp_path, [Compression(int8=True)], copy.copy(epochs), part
        )
    assert np.array_equal(seen[0], epochs.data[part == "train"])


def test_a_run_without_a_test_part_or_one_that_learns_is_refused(
    recording, preprocessor, tmp_path
):
    detector, part = detector_of(OCLNN, preprocessor), np.full(len(recording.flashes), "train")
    arguments = tmp_path, tmp_path, [Compression(0.5)], detector.epochs(recording), part
    with pytest.raises(InputError, match="no labelled test flashes"):
        export_compressed(detector, *arguments)
    (tmp_path / "learning.npz").touch()
    with pytest.raises(InputError, match="learning=none"):
        export_compressed(detector, *arguments)


@pytest.mark.slow
def test_a_run_is_compressed_by_its_folder(p300, small, tmp_path):
    assert p300("train", "experiment=oclnn", "hydra.run.dir=run", *small)[0] == 0
    status, printed, errors = p300("export", "run", "out=model", "quantise=int8", "prune=0.5")
    assert (status, errors.strip()) == (0, "")
    assert "| prune50_int8 |" in printed and "quantised to 8 bits: 1 Conv, 1 Gemm" in printed
    assert OnnxDetector.load(tmp_path / "model").info["compression"]["quantise"] == "int8"
    status, printed, _ = p300("export", "run", "out=c", "format=c99")
    assert status == 0 and "multiply-adds" in printed and (tmp_path / "c/detector.c").is_file()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["run", "quantise=int4"], "got quantise=int4; expected"),
        (["run", "prune=1"], "got prune=1; expected different shares from 0 to below 1"),
        (["run", "prune=[0.5,0.5]"], "expected different shares"),
        (["run", "prune=much"], "got prune=much; expected"),
        (["run", "prune="], "expected `p300 export RUN"),
        (["run", "format=c99", "prune=0.5"], "got format=c99 prune=0.5; expected"),
        (["run", "format=wav"], "got format=wav; expected"),
        (["run", "quantise=int8", "quantise=int8"], "expected `p300 export RUN"),
    ],
)
def test_options_that_do_not_exist_are_refused(p300, arguments, reason):
    status, printed, errors = p300("export", *arguments)
    assert status == 1 and not printed and reason in errors


def test_several_shares_are_several_compressions():
    assert read_compressions(None, "[0.5,0.955]") == [Compression(0.5), Compression(0.955)]
    assert read_compressions(None, None) == []
    assert Compression(0.955, int8=True).name == "prune95.5_int8"
