"""Cross-validation by one command: split=k_fold."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from p300.detector import Detector
from p300.errors import InputError
from p300.experiments.compare import collect_runs
from p300.experiments.folds import validation_of
from p300.experiments.train import train
from p300.metrics import roc_auc
from p300.report.write import write_report

THREE = ["experiment=lda", "split=k_fold", "split.n_folds=3", "data.read.test_text=WAVE"]


def read_results(folder):
    return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="module")
def folder(always_small, tmp_path_factory):
    """One cross-validation, which the tests only read."""
    folder = tmp_path_factory.mktemp("folds") / "cv"
    train(folder, *always_small, *THREE)
    return folder


def test_every_flash_is_tested_once_by_a_detector_that_did_not_see_it(folder):
    pooled = pd.read_csv(folder / "scores.csv")
    assert pooled["score"].notna().all() and set(pooled["part"]) == {"test"}
    spread = []
    for k in range(3):
        own = pd.read_csv(folder / "folds" / str(k) / "scores.csv")
        tested = own["part"].eq("test")
        assert (pooled["fold"].eq(k) == tested).all()
        assert (pooled["score"][tested].rank() == own["score"][tested].rank()).all()
        spread.append(pooled["score"][tested].agg(["mean", "std"]).to_numpy())
    assert np.allclose(spread, spread[0], rtol=0.02)  # the folds differ in flashes by a few
    assert sorted(pooled["fold"].unique()) == [0, 1, 2]


def test_the_results_are_those_of_the_pooled_scores(folder):
    pooled, results = pd.read_csv(folder / "scores.csv"), read_results(folder)
    auc = roc_auc(pooled["is_target"].astype(bool), pooled["score"])
    assert results["test"]["detection"]["auc"] == pytest.approx(auc)
    n_characters = pooled.groupby(["session", "run", "character"]).ngroups
    assert results["test"]["spelling"][-1]["n_characters"] == n_characters
    assert [fold["folder"] for fold in results["folds"]] == ["folds/0", "folds/1", "folds/2"]
    assert sum(fold["n_characters"] for fold in results["folds"]) == n_characters
    assert results["split"] == "3 folds by character, each tested once"


def test_a_fold_alone_is_the_fold_of_the_whole(folder, small, tmp_path):
    train(tmp_path / "alone", *small, *THREE, "split.fold=1")
    alone, fold = (read_results(p) for p in (tmp_path / "alone", folder / "folds" / "1"))
    assert alone["test"] == fold["test"]


def test_an_interrupted_cross_validation_trains_only_what_is_missing(folder, small, tmp_path):
    folder = shutil.copytree(folder, tmp_path / "cv")
    before = read_results(folder)
    kept = (folder / "folds" / "0" / "results.json").stat().st_mtime_ns
    (folder / "results.json").unlink()
    shutil.rmtree(folder / "folds" / "2")
    train(folder, *small, *THREE)
    assert (folder / "folds" / "0" / "results.json").stat().st_mtime_ns == kept
    assert read_results(folder)["test"] == before["test"]
    (folder / "results.json").unlink()
    with pytest.raises(InputError, match="fold 0: .*folds/0 holds a finished run"):
        train(folder, *small, *THREE, "seed=1")


def test_it_counts_as_one_run_of_a_kind_of_its_own(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "cv")
    shutil.copytree(folder / "folds" / "1", tmp_path / "alone")
    runs = collect_runs([tmp_path])
    assert len(runs) == 2 and runs["kind"].nunique() == 2
    assert len(collect_runs([folder / "folds"])) == 3


@pytest.mark.slow
def test_its_page_shows_the_folds(folder, tmp_path, monkeypatch):
    read, load = [], Detector.load
    monkeypatch.setattr(Detector, "load", lambda path: read.append(path) or load(path))
    page = write_report(folder, tmp_path / "page.html").read_text("utf-8")
    assert "was trained on simulation 3 times (seed 0)" in page
    assert "Each fold was tested by a detector trained on the others" in page
    assert "All of this section is of the first fold" in page
    assert read == [folder / "folds" / "0"]


def test_no_detector_is_taken_from_it_in_silence(folder):
    with pytest.raises(InputError, match="a detector per fold; expected one detector; choose"):
        Detector.load(folder)
    assert Detector.load(folder / "folds" / "0").score_epochs is not None


def test_networks_of_all_folds_train_and_have_a_mean_validation_auc(small, tmp_path):
    how = ["split=k_fold", "split.n_folds=2", "protocol.max_epochs=1", "trainer=default"]
    results = train(tmp_path / "cv", *small, *how)
    aucs = [
        read_results(tmp_path / "cv" / "folds" / str(k))["validation"]["detection"]["auc"]
        for k in range(2)
    ]
    assert results["validation"]["detection"]["auc"] == pytest.approx(np.mean(aucs))


def test_any_split_with_folds_can_be_cross_validated(small, tmp_path):
    given = ["experiment=lda", "split=leave_one_out", "split.by=session", "split.fold=null"]
    results = train(tmp_path / "cv", *small, *given)
    assert len(results["folds"]) == 2  # the simulation's sessions train and test


def test_a_sweep_cross_validates_each_configuration(p300, small, tmp_path):
    given = [*small, *THREE, "split.n_folds=2", "experiment=lda,swlda"]
    status, _, errors = p300("train", "-m", *given, "hydra.sweep.dir=sweep")
    assert status == 0, errors
    assert len(collect_runs([tmp_path / "sweep"])) == 2


def test_a_measure_that_a_fold_leaves_undefined_is_undefined_in_the_mean():
    folds = [
        {"validation": {"n_flashes": 10, "detection": {"auc": 0.5, "precision": None}}},
        {"validation": {"n_flashes": 12, "detection": {"auc": 0.7, "precision": 0.25}}},
    ]
    found = validation_of(folds)["validation"]
    assert found["n_flashes"] == 22 and found["detection"]["auc"] == pytest.approx(0.6)
    assert np.isnan(found["detection"]["precision"])
    assert validation_of([*folds, {"test": {}}]) == {}
