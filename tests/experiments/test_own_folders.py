"""Own networks, data sets and splits in a folder of the user's, by --config-dir or P300_CONF."""

import sys

import numpy as np
import pytest
import torch

from p300.errors import InputError
from p300.experiments.audit.checks import Check
from p300.experiments.build import build_split
from p300.splits import member_rows
from p300.training.datamodule import EpochsDataModule

NETWORK = """
from torch import nn

class Linear(nn.Sequential):
    def __init__(self, n_chans, n_outputs, n_times, sfreq):
        super().__init__(nn.Flatten(), nn.Linear(n_chans * n_times, n_outputs))
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with a network; paths and variables are as before afterwards."""
    folder = tmp_path / "own"
    (folder / "model").mkdir(parents=True)
    (folder / "own_nets.py").write_text(NETWORK)
    (folder / "model" / "linear.yaml").write_text("_target_: own_nets.Linear\n")
    monkeypatch.setattr(sys, "path", sys.path[:])
    for name in ("P300_CONF", "PYTHONPATH"):
        monkeypatch.setenv(name, "")
    yield folder
    sys.modules.pop("own_nets", None)


def test_an_own_network_is_trained_evaluated_and_trusted(p300, small, own, tmp_path, monkeypatch):
    train = ["train", "model=linear", *small, "hydra.run.dir=run"]
    status, _, errors = p300(*train, "--config-dir", str(own))
    assert status == 0, errors
    monkeypatch.setenv("P300_CONF", str(own))
    status, printed, errors = p300("evaluate", "run=run", "stopping=none")
    assert status == 0, errors
    monkeypatch.setenv("P300_CONF", "")
    monkeypatch.setenv("PYTHONPATH", str(own))  # this user wrote it: the module must be found
    assert p300("evaluate", "run=run", "stopping=none")[0] == 0
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    torch.save(torch.load(checkpoint, weights_only=True), checkpoint)  # as from elsewhere
    status, _, errors = p300("evaluate", "run=run", "stopping=none")
    assert status == 1 and "set P300_CONF to the folder of its module" in errors


def test_both_ways_to_name_a_folder_hold_together(p300, own, tmp_path, monkeypatch):
    (tmp_path / "more" / "split").mkdir(parents=True)
    (tmp_path / "more" / "split" / "quarters.yaml").write_text("defaults: [by_run]\n")
    monkeypatch.setenv("P300_CONF", str(tmp_path / "more"))
    choices = ["model=linear", "split=quarters", "--config-dir", str(own), "--cfg", "job"]
    status, printed, errors = p300("train", *choices)
    assert status == 0, errors
    assert "own_nets.Linear" in printed and "by: run" in printed


@pytest.mark.parametrize(
    "typed", [["model=linear", "--cfg", "job"], ["--cfg", "job", "model=linear", "seed=1"]]
)
def test_options_may_stand_before_and_behind_overrides(p300, own, monkeypatch, typed):
    monkeypatch.setenv("P300_CONF", str(own))
    status, printed, errors = p300("train", *typed)
    assert status == 0, errors
    assert "own_nets.Linear" in printed


def test_a_file_with_the_name_of_one_of_p300_is_refused(p300, own):
    (own / "model" / "mlp.yaml").write_text("_target_: own_nets.Linear\n")
    status, _, errors = p300("train", "model=mlp", "--config-dir", str(own))
    assert status == 1 and "mlp.yaml has the name of a file of p300; rename it" in errors


def test_a_folder_that_is_not_there_is_refused(p300, own, monkeypatch):
    monkeypatch.setenv("P300_CONF", "nowhere")
    status, _, errors = p300("train")
    assert status == 1 and "expected a folder that exists" in errors


def test_a_split_that_is_no_split_is_refused(flashes):
    from omegaconf import OmegaConf

    model = {"_target_": "p300.baselines.ShrinkageLDA"}
    split = {"_target_": "builtins.tuple"}
    cfg = OmegaConf.create({"split": split, "model": model, "calibration": "none"})
    with pytest.raises(InputError, match=r"got tuple; expected p300.splits.Split\(train"):
        build_split(cfg, [1, 2])


def test_ensembles_without_members_and_steps_without_flashes_are_refused(flashes):
    with pytest.raises(InputError, match="n_members=0"):
        member_rows(flashes, np.ones(len(flashes), bool), n_members=0)
    rows = np.ones(4, bool)
    with pytest.raises(InputError, match="batch_size=0"):
        EpochsDataModule(np.zeros((4, 1, 2), "f4"), rows, [rows], [rows], batch_size=0)


def test_a_check_that_failed_by_a_numpy_bool_has_failed():
    assert Check("no leak", np.bool_(False), "3 of 4").passed is False
    assert str(Check("no leak", np.bool_(True), "")).startswith("PASS")
    assert Check("a note", None, "").passed is None
