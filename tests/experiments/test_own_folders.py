"""Own networks, data sets and splits in a folder of the user's, by --config-dir or P300_CONF."""

import json
import sys

import numpy as np
import pandas as pd
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


@pytest.mark.parametrize("name", ["seed=1", "it's, mine [2]"])
def test_a_folder_of_any_name_may_stand_between_overrides(p300, own, name):
    renamed = own.rename(own.with_name(name))
    typed = ["model=linear", "--config-dir", str(renamed), "seed=3", "--cfg", "job"]
    status, printed, errors = p300("train", *typed)
    assert status == 0, errors
    assert "own_nets.Linear" in printed and "\nseed: 3\n" in printed


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


PARTS = """
from p300.preprocessing import Preprocessor
from p300.simulation import simulate_data_set
from p300.splits import Split

def hinge(logits, is_target):
    sign = 2.0 * is_target - 1
    return (1 - sign * (logits[:, 1] - logits[:, 0])).clamp(min=0).mean()

class CommonAverage(Preprocessor):
    def finish(self, epochs, *, scaling=None):
        epochs -= epochs.mean(axis=1, keepdims=True)
        return super().finish(epochs, scaling=scaling)

def read(**arguments):
    return simulate_data_set(**arguments)

def split(flashes):
    test = (flashes["session"] == "test").to_numpy()
    validation = ~test & (flashes["character"] % 3 == 1).to_numpy()
    return Split(~test & ~validation, validation, test)
"""
FILES = {
    "protocol/hinge": "{defaults: [modern], loss: {_target_: own_parts.hinge}}",
    "preprocessing/average": "{defaults: [paper], _target_: own_parts.CommonAverage}",
    "data/own": "{defaults: [simulation], read: {_target_: own_parts.read}}",
    "split/mine": "{_target_: own_parts.split}",
    "model/piped": "{_target_: sklearn.pipeline.Pipeline, steps: [[scale, {_target_: "
    "sklearn.preprocessing.StandardScaler}], [lr, {_target_: "
    "sklearn.linear_model.LogisticRegression, C: 0.01}]]}",
    "experiment/all_own": "# @package _global_\ndefaults: [override /model: linear, "
    "override /protocol: hinge, override /preprocessing: average]",
    "experiment/piped": "# @package _global_\ndefaults: [override /model: piped]",
}


@pytest.fixture
def everything(own):
    """A folder in which every part of a run is the user's own."""
    (own / "own_parts.py").write_text(PARTS)
    for name, text in FILES.items():
        path = own / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    yield own
    sys.modules.pop("own_parts", None)


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["all_own", "piped"])
def test_a_run_whose_parts_are_all_own_is_trained_evaluated_and_reported(
    p300, small, everything, tmp_path, monkeypatch, experiment
):
    monkeypatch.setenv("P300_CONF", str(everything))
    choices = [f"experiment={experiment}", "data=own", "split=mine", "hydra.run.dir=run"]
    status, _, errors = p300("train", *choices, *small)
    assert status == 0, errors
    status, _, errors = p300("evaluate", "run=run", "stopping=none", "hydra.run.dir=evaluated")
    assert status == 0, errors
    ours, again = (
        json.loads((tmp_path / f / "results.json").read_text()) for f in ("run", "evaluated")
    )
    assert again["detection"]["auc"] == pytest.approx(ours["test"]["detection"]["auc"], abs=1e-6)
    status, _, errors = p300("report", "run")
    assert status == 0, errors
    assert "could not be read again" not in (tmp_path / "run" / "report.html").read_text("utf-8")
    status, _, errors = p300("export", "run")
    words = {"all_own": "own_parts.CommonAverage, whose code", "piped": "a member is a Pipeline"}
    assert status == 1 and words[experiment] in errors


@pytest.mark.slow
def test_a_report_reads_no_recording_with_the_reader_of_another_person(
    p300, small, everything, tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", str(everything))
    train = ["train", "experiment=lda", "data=own", *small, "hydra.run.dir=run"]
    assert p300(*train, "--config-dir", str(everything))[0] == 0
    monkeypatch.setenv("P300_CONF", "")
    assert p300("report", "run")[0] == 0
    page = tmp_path / "run" / "report.html"
    assert "could not be read again" not in page.read_text("utf-8")
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    torch.save(torch.load(checkpoint, weights_only=True), checkpoint)  # as from elsewhere
    assert p300("report", "run")[0] == 0
    assert "names own_parts.read, which a file that may come" in page.read_text("utf-8")


@pytest.mark.slow
def test_a_benchmark_knows_experiments_and_parts_of_ones_own(
    p300, small, everything, tmp_path, monkeypatch
):
    monkeypatch.setenv("P300_TRUST", "")
    overrides = ",".join(f"'{o}'" for o in small if "ch_names" not in o)
    arguments = ["experiments=[all_own,piped,lda]", "reference=lda", "seeds=[0]", "only=[own]"]
    arguments += [f"overrides=[{overrides}]", "folder=cells"]
    status, printed, errors = p300("benchmark", *arguments, "--config-dir", str(everything))
    assert status == 0, errors
    table = pd.read_csv(tmp_path / "cells" / "summary.csv")
    assert set(table["experiment"]) == {"all_own", "piped", "lda"}
    assert table["auc"].between(0, 1).all() and table["n_parameters"].gt(0).all()
