"""Run folders, checkpoints and experiment files of earlier versions name classes by old paths."""

import pytest
import torch
from omegaconf import OmegaConf

from p300 import Detector, Preprocessor, simulate_recording
from p300.detector import Member, import_class
from p300.experiments.build import build
from p300.models import CecottiCNN
from p300.storage.renamed import MOVED
from p300.storage.tensors import write_tensors
from p300.training.augmentation import Mixup
from p300.training.stacking import Stack


def test_every_old_place_leads_to_a_class_that_is_there():
    names = {
        "p300.alignment.": "EuclideanAlignment",
        "p300.augmentation.": "TimeShift",
        "p300.stacking.": "Stack",
    }
    assert set(names) == set(MOVED)
    for old, name in names.items():
        assert import_class(old + name).__name__ == name


@pytest.mark.parametrize("make", [dict, OmegaConf.create])
def test_an_experiment_file_with_an_old_name_builds_the_class(make):
    assert isinstance(build(make({"_target_": "p300.augmentation.Mixup"})), Mixup)
    members = {"a": {"_target_": "p300.models.OCLNN"}}
    stack = build(
        make({"_target_": "p300.stacking.Stack", "members": members, "_recursive_": False})
    )
    assert isinstance(stack, Stack)


def test_a_checkpoint_of_an_earlier_version_scores_as_it_did(tmp_path):
    recording = simulate_recording("AB", n_repetitions=2, seed=3)
    torch.manual_seed(0)
    network = CecottiCNN(8)
    arguments = {"_target_": "p300.models.CecottiCNN", "n_chans": 8}
    preprocessor = Preprocessor(scaling="rms_epoch").fit(recording)
    detector = Detector([Member(network.eval(), arguments, "CrossEntropy")], preprocessor)
    detector.save(tmp_path / "now.pt")
    content = torch.load(tmp_path / "now.pt", weights_only=True)
    params = content["preprocessing"]["params"]
    params["scaling"] = "rms"
    del params["engine"]
    write_tensors(tmp_path / "then.pt", content)
    then = Detector.load(tmp_path / "then.pt")
    assert then.preprocessor.scaling == "rms_epoch"
    assert (then.score(recording) == detector.score(recording)).all()
