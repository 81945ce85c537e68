"""A detector in C scores as the checkpoint does, up to the rounding of 16 bits."""

import ctypes
import re
import shutil
import subprocess

import numpy as np
import pytest
import torch

from p300.baselines import ShrinkageLDA, XdawnTangentSpace
from p300.detector import Detector, Member
from p300.errors import InputError
from p300.export.c99 import export_c99, n_bytes, to_c99
from p300.export.fixed_point import LinearForm, Rounded, form_of, round_epochs
from p300.models import OCLNN, EEGNet
from p300.preprocessing import EuclideanAlignment, Preprocessor
from p300.preprocessing.scaling import BY_EPOCH, scale_channels
from p300.simulation import simulate_recording

CH_NAMES = ["Fz", "Cz", "Pz", "P3", "P4", "PO7", "PO8", "Oz"]
STRICT = "-std=c99 -Wall -Wextra -Werror -pedantic -O2 -fPIC".split()
needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


@pytest.fixture(scope="module")
def recording():
    return simulate_recording("ABCD", n_repetitions=3, ch_names=CH_NAMES)


def prepared(recording, scaling="zscore_epoch"):
    preprocessor = Preprocessor(scaling=scaling).fit(recording)
    return preprocessor, preprocessor.transform(recording)


def linear(recording, scaling="zscore_epoch"):
    """A stack of two linear detectors with a calibration."""
    preprocessor, epochs = prepared(recording, scaling)
    is_target = recording.flashes["is_target"].to_numpy(bool)
    one, other = (ShrinkageLDA(n).fit(epochs, is_target) for n in (6, 13))
    model = {"_target_": "p300.baselines.ShrinkageLDA"}
    members = [Member(one, model, weight=0.7), Member(other, model, weight=1.6)]
    return Detector(members, preprocessor, calibration=(1.5, -0.3)), epochs


def oclnn(recording):
    preprocessor, epochs = prepared(recording)
    torch.manual_seed(0)
    network = OCLNN(8, 2, 78, 120.0).eval()
    model = {"_target_": "p300.models.OCLNN", "n_chans": 8, "n_outputs": 2, "n_times": 78}
    member = Member(network, model | {"sfreq": 120.0}, "CrossEntropy", 2.5)
    return Detector([member], preprocessor, calibration=(0.8, 0.1)), epochs


def compiled(detector, folder, form=None):
    """The C of a detector as a shared library."""
    for name, text in zip("hc", to_c99(detector, form or form_of(detector)), strict=True):
        (folder / f"detector.{name}").write_text(text)
    command = ["gcc", *STRICT, "-shared", "detector.c", "-o", "detector.so", "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "detector.so"))
    library.p300_score.restype = ctypes.c_double
    return library


def scores_in_c(library, epochs):
    pointer = ctypes.POINTER(ctypes.c_int16)
    return np.array(
        [library.p300_score(np.ascontiguousarray(e).ctypes.data_as(pointer)) for e in epochs]
    )


@needs_compiler
@pytest.mark.parametrize("make", [linear, oclnn])
def test_c_scores_as_the_checkpoint_within_the_rounding(make, recording, tmp_path):
    detector, epochs = make(recording)
    form, rounded = form_of(detector), round_epochs(epochs, "sd")
    found = scores_in_c(compiled(detector, tmp_path), rounded)
    assert np.array_equal(found, form.score(rounded))
    wanted, limit = detector.score_epochs(epochs), form.largest_error(rounded)
    assert (np.abs(found - wanted) <= limit + 1e-6).all()
    assert limit.max() < 0.1 * wanted.std()  # if all errors had the same sign
    assert 1e-7 < np.abs(found - wanted).max() < 0.005 * wanted.std()


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("make", [linear, oclnn])
def test_c_scores_as_the_exported_graph_within_the_rounding(make, recording, tmp_path):
    pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra export)")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")
    from p300.export.graph import to_onnx
    from p300.export.onnx_detector import open_graph

    detector, epochs = make(recording)
    (wanted,) = open_graph(to_onnx(detector)).run(["score"], {"epochs": epochs})
    rounded = round_epochs(epochs, "sd")
    found = scores_in_c(compiled(detector, tmp_path), rounded)
    limit = form_of(detector).largest_error(rounded)
    assert (np.abs(found - wanted) <= limit + 1e-5 * np.maximum(1, np.abs(wanted))).all()


@needs_compiler
def test_weights_that_are_powers_of_two_give_exact_scores(recording, tmp_path):
    detector, _ = linear(recording)
    rng = np.random.default_rng(0)
    weights = rng.choice([-1.0, 1.0], (8, 78)) * 2.0 ** rng.integers(-12, 2, (8, 78))
    form = LinearForm(weights, 0.375, 1 / 1024)
    epochs = rng.integers(-32768, 32768, (20, 8, 78)).astype(np.int16)
    exact = [float(np.sum(weights * (e / 1024))) + 0.375 for e in epochs]  # no float64 rounds here
    assert scores_in_c(compiled(detector, tmp_path, form), epochs).tolist() == exact


@needs_compiler
def test_an_oclnn_of_powers_of_two_is_exact(recording, tmp_path):
    detector, _ = oclnn(recording)
    detector.calibration, detector.members[0].weight = (1.0, 0.0), 1.0
    network = detector.members[0].detector
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in network.parameters():
            powers = torch.randint(-3, 3, value.shape, generator=generator)
            value.copy_(2.0**powers * (torch.rand(value.shape, generator=generator) - 0.5).sign())
    whole = np.random.default_rng(1).integers(-4, 5, (20, 8, 78))
    wanted = detector.score_epochs(whole.astype(np.float32))  # small whole numbers: exact
    found = scores_in_c(compiled(detector, tmp_path), round_epochs(whole, "sd"))
    assert found.tolist() == wanted.tolist()


def test_a_weight_of_16_bits_is_wrong_by_at_most_half_a_step():
    weights = np.random.default_rng(0).normal(size=10_000)
    rounded = Rounded.of(weights)
    assert np.abs(rounded.real - weights).max() <= rounded.step / 2
    assert 2**14 <= np.abs(rounded.whole).max() < 2**15
    assert np.log2(rounded.step) % 1 == 0
    for largest in (32767.0, 32767.6, 1.0, 0.0):
        assert np.abs(Rounded.of(np.array([largest, 0])).whole).max() <= 32767


def test_the_largest_samples_and_weights_do_not_overflow():
    form = LinearForm(np.ones((64, 156)), 0.0, 1.0)
    epochs = np.full((1, 64, 156), -32768, np.int16)
    assert form.score(epochs)[0] == -32768 * 64 * 156


@needs_compiler
@pytest.mark.parametrize("scaling", [*BY_EPOCH, "standardize", "robust"])
def test_epochs_are_scaled_in_c_as_in_the_preprocessing(scaling, recording, tmp_path):
    detector, _ = linear(recording, scaling)
    steps = detector.preprocessor
    filtered = Preprocessor(scaling="none").fit(recording).transform(recording)[:12]
    filtered[0, 3] = 5.0  # a constant electrode
    whole = round_epochs(filtered, "uV")
    exact = whole / 32
    if scaling in BY_EPOCH:
        exact = BY_EPOCH[scaling](exact)
    else:
        exact = scale_channels(exact, steps.center_, steps.spread_)
    wanted = round_epochs(exact, steps.unit_out)
    library, found = compiled(detector, tmp_path), whole.copy()
    for epoch in found:
        pointer = epoch.ctypes.data_as(ctypes.POINTER(ctypes.c_int16))
        library.p300_scale(pointer, pointer)
    assert np.abs(found.astype(int) - wanted).max() <= 1  # halves are rounded differently


@needs_compiler
@pytest.mark.skipif(shutil.which("nm") is None, reason="nm is not installed")
@pytest.mark.parametrize("make", [linear, oclnn])
def test_nothing_is_allocated_and_the_arrays_have_the_stated_size(make, recording, tmp_path):
    detector, _ = make(recording)
    header, source = to_c99(detector, form_of(detector))
    (tmp_path / "detector.h").write_text(header)
    (tmp_path / "detector.c").write_text(source)
    subprocess.run(["gcc", *STRICT, "-c", "detector.c"], cwd=tmp_path, check=True)
    told = subprocess.run(
        ["nm", "-S", "detector.o"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    needed = {line.split()[-1] for line in told if " U " in line}
    assert needed <= {"sqrtf", "_GLOBAL_OFFSET_TABLE_"}  # no malloc, no library but libm
    assert not [line for line in told if re.search(r" [bBdD] ", line)]  # nothing that changes
    arrays = [line.split() for line in told if line.endswith((" weights", "kernels", "biases"))]
    arrays += [line.split() for line in told if line.endswith(" last")]
    stated = int(re.search(r"([\d,]+) bytes of constants", header)[1].replace(",", ""))
    assert sum(int(size, 16) for _, size, *_ in arrays) == stated == n_bytes(form_of(detector))


def test_operations_are_counted(recording):
    assert form_of(linear(recording)[0]).n_multiply_adds == 8 * 78
    # 16 filters see each of 8 x 78 samples once; the last layer sees 16 filters in 10 pieces
    assert form_of(oclnn(recording)[0]).n_multiply_adds == 16 * 8 * 78 + 160


def test_the_header_says_what_runs_before(recording):
    header, _ = to_c99(*(lambda d: (d, form_of(d)))(linear(recording)[0]))
    for told in ("- electrodes: Fz, Cz", "0.1 to 20.0 Hz, zero phase", "1/32 uV", "zscore_epoch"):
        assert told in header
    assert all(len(line) < 100 for line in header.splitlines())


def test_a_causal_filter_is_in_the_header_by_its_numbers(recording):
    detector, _ = linear(recording)
    detector.preprocessor = Preprocessor(phase="causal").fit(recording)
    header, _ = to_c99(detector, form_of(detector))
    section = detector.preprocessor.resolve(CH_NAMES).sos[0]
    assert all(repr(float(number)) in header for number in section)


def test_files_are_written_and_their_costs_said(recording, tmp_path):
    linear(recording)[0].save(tmp_path / "checkpoint.pt")
    told = export_c99(tmp_path / "checkpoint.pt", tmp_path / "c")
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == ["detector.c", "detector.h"]
    text = "\n".join(told)
    assert "1,248 bytes" in text and "624 multiply-adds" in text and "phase=causal" in text


def test_other_detectors_are_refused_in_a_sentence(recording, tmp_path):
    detector, epochs = oclnn(recording)
    member = Member(EEGNet(8, 2, 78, 120.0).eval(), {}, "CrossEntropy")
    tangent = XdawnTangentSpace().fit(epochs, recording.flashes["is_target"].to_numpy(bool))
    lda = linear(recording)[0].members[0]
    wrong_loss = Member(detector.members[0].detector, {}, "LogisticSquareError")
    for members in ([member], [Member(tangent, {})], detector.members * 2, [wrong_loss]):
        with pytest.raises(InputError, match="expected linear detectors"):
            form_of(Detector(members, detector.preprocessor))
    aligned = Detector([lda], detector.preprocessor, alignment=EuclideanAlignment())
    aligned.save(tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match="alignment=none"):
        export_c99(tmp_path / "checkpoint.pt")
