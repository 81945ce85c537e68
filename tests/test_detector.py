import pickle

import numpy as np
import pytest
import torch

from p300.baselines import ShrinkageLDA
from p300.detector import AT_ONCE, Detector, Member, build_model
from p300.errors import InputError
from p300.models import CecottiCNN
from p300.preprocessing import Preprocessor
from p300.simulation import simulate_recording

SIZES = {"n_chans": 8, "n_outputs": 2, "n_times": 78, "sfreq": 120.0}


@pytest.fixture(scope="module")
def recording():
    return simulate_recording("EEG", n_repetitions=2)


@pytest.fixture
def detector(recording):
    torch.manual_seed(0)
    model = {"_target_": "p300.models.CecottiCNN", **SIZES}
    members = [Member(CecottiCNN(**SIZES), model, "CrossEntropy", 0.5) for _ in range(2)]
    preprocessor = Preprocessor().fit(recording)
    return Detector(members, preprocessor, recording.speller, config={"seed": 3})


def test_a_detector_comes_back_from_its_file_with_the_same_scores(detector, recording, tmp_path):
    detector.save(tmp_path / "checkpoint.pt")
    loaded = Detector.load(tmp_path / "checkpoint.pt")
    assert np.array_equal(loaded.score(recording), detector.score(recording))
    assert loaded.speller == recording.speller and loaded.config == {"seed": 3}


def test_a_classical_detector_comes_back_too(recording, tmp_path):
    preprocessor = Preprocessor(scaling="center").fit(recording)
    epochs = preprocessor.transform(recording)
    lda = ShrinkageLDA().fit(epochs, recording.flashes["is_target"].to_numpy(bool))
    model = {"_target_": "p300.baselines.ShrinkageLDA", "n_samples_per_bin": 6}
    Detector([Member(lda, model)], preprocessor).save(tmp_path / "checkpoint.pt")
    loaded = Detector.load(tmp_path / "checkpoint.pt")
    assert np.array_equal(loaded.score(recording), lda.decision_function(epochs))
    assert loaded.is_classical


def test_the_score_of_an_ensemble_is_the_mean_of_its_members(detector, recording):
    epochs = detector.preprocessor.transform(recording)
    alone = [member.score(epochs) for member in detector.members]
    assert np.allclose(detector.score_epochs(epochs), np.mean(alone, axis=0))


def test_members_of_several_kinds_are_added_by_their_weights(detector, recording, tmp_path):
    epochs = detector.preprocessor.transform(recording)
    lda = ShrinkageLDA().fit(epochs, recording.flashes["is_target"].to_numpy(bool))
    model = {"_target_": "p300.baselines.ShrinkageLDA"}
    mixed = Detector(
        [detector.members[0], Member(lda, model, weight=3.0)],
        detector.preprocessor,
        calibration=(1.0, -2.0),
    )
    mixed.save(tmp_path / "checkpoint.pt")
    loaded = Detector.load(tmp_path / "checkpoint.pt")
    first = detector.members[0].score(epochs)
    wanted = 0.5 * first + 3 * lda.decision_function(epochs) - 2
    assert np.allclose(loaded.score_epochs(epochs), wanted)
    assert not loaded.is_classical


def test_parameters_of_all_members_count(detector):
    assert detector.n_parameters == 2 * 31_092


def test_the_order_of_the_channels_in_a_recording_does_not_matter(detector, recording):
    import dataclasses

    turned = dataclasses.replace(
        recording,
        segments=[s[::-1] for s in recording.segments],
        ch_names=recording.ch_names[::-1],
    )
    assert np.allclose(detector.score(turned), detector.score(recording), atol=1e-6)


def test_a_planted_pickle_is_refused_and_does_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    path = tmp_path / "checkpoint.pt"
    torch.save({"format": "p300 detector 2", "config": Bomb()}, path)
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        Detector.load(path)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        Detector.load(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("target", ["os.system", "torch.nn.Linear", "p300.models.os.system"])
def test_a_class_from_elsewhere_is_not_built(target):
    with pytest.raises(InputError):
        build_model({"_target_": target, "command": "true"})


def test_files_of_another_kind_are_refused(tmp_path):
    torch.save({"format": "p300 detector 1"}, tmp_path / "old.pt")
    (tmp_path / "cut.pt").write_bytes(b"PK\x03\x04half a file")
    torch.save([1, 2], tmp_path / "list.pt")
    for name, words in [
        ("old.pt", "detector 1"),
        ("cut.pt", "cannot be read"),
        ("list.pt", "'list'"),
        ("none.pt", "no such"),
    ]:
        with pytest.raises(InputError, match=words):
            Detector.load(tmp_path / name)


def test_weights_that_do_not_fit_are_refused(detector, tmp_path):
    detector.members[0].model = {**detector.members[0].model, "n_chans": 7}
    detector.save(tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match="do not fit"):
        Detector.load(tmp_path / "checkpoint.pt")


def test_an_interrupted_write_leaves_no_checkpoint(detector, tmp_path, monkeypatch):
    def full_disk(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError):
        detector.save(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "checkpoint.pt").exists()


def test_scores_in_parts_are_those_of_the_same_flashes_in_their_order(detector, recording):
    epochs = np.tile(detector.preprocessor.transform(recording), (71, 1, 1))
    assert len(epochs) > 2 * AT_ONCE
    numbers = np.arange(len(epochs))
    lda = ShrinkageLDA().fit(epochs, numbers % 6 == 0)
    classical = Member(lda, {}, weight=2.0)
    one_by_one = [lda.decision_function(epochs[k : k + 1])[0] for k in numbers[::50]]
    np.testing.assert_allclose(classical.score(epochs)[::50], one_by_one, rtol=1e-6)
    for member in (classical, detector.members[0]):
        found = member.score(epochs)
        rows = numbers % 3 > 0
        np.testing.assert_allclose(member.score(epochs, rows), found[rows], rtol=1e-5, atol=1e-6)
    both = Detector([classical, detector.members[0]], detector.preprocessor, calibration=(3, 1))
    wanted = 3 * (2 * classical.score(epochs) + 0.5 * detector.members[0].score(epochs)) + 1
    np.testing.assert_array_equal(both.score_epochs(epochs), wanted)
