"""Teachers in configured runs: what they see, what they cost, and that a run is resumed."""

import json
import time

import numpy as np
import pandas as pd
import pytest

from p300.errors import InputError
from p300.experiments.fitting import fit as fitting
from p300.experiments.train import train
from p300.training.callbacks.watching import WatchedTraining

OPTIONS = ["experiment=distilled", "teacher=light"]


def scores_of(folder):
    return (folder / "scores.csv").read_bytes()


@pytest.mark.slow
def test_a_teacher_of_no_weight_changes_no_bit(small, tmp_path):
    train(tmp_path / "twin", *small, "experiment=oclnn")
    found = train(tmp_path / "taught", *small, *OPTIONS, "teacher.weight=0")
    assert scores_of(tmp_path / "twin") == scores_of(tmp_path / "taught")
    assert 0.5 < found["members"][0]["teacher_auc"] < 1


@pytest.mark.slow
def test_a_teacher_is_fitted_to_training_flashes_alone_and_its_time_counts(
    small, tmp_path, monkeypatch
):
    seen, fit_classical = [], fitting.fit_classical

    def slow(model, epochs, rows, n_folds=5):
        seen.append(rows)
        time.sleep(0.05)
        return fit_classical(model, epochs, rows, n_folds)

    monkeypatch.setattr(fitting, "fit_classical", slow)
    found = train(tmp_path / "run", *small, *OPTIONS, "teacher.weight=1")
    part = pd.read_csv(tmp_path / "run" / "scores.csv")["part"].to_numpy()
    assert len(seen) >= 6 and found["fit_s"] > 0.05 * len(seen)
    assert set(part[np.any(seen, axis=0)]) == {"train"}
    train(tmp_path / "twin", *small, "experiment=oclnn")
    assert scores_of(tmp_path / "run") != scores_of(tmp_path / "twin")


def test_one_classical_detector_teaches_as_a_stack_of_itself(small, tmp_path):
    model = "{_target_: p300.baselines.ShrinkageLDA}"
    options = ["experiment=cnn3", f"+teacher={{weight: 1, model: {model}}}"]
    assert train(tmp_path / "run", *small, *options)["members"][0]["teacher_auc"] > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("teacher", ["teacher=light", "teacher=best"])
def test_an_interrupted_run_ends_as_an_undisturbed_one(small, tmp_path, monkeypatch, teacher):
    options = [*small, "experiment=distilled", teacher, "save_every_s=0", "protocol.max_epochs=4"]
    options.append("data.read.train_text=ABCDEFGH")
    if teacher == "teacher=best":
        options.append("teacher.model.network_targets=0")
    train(tmp_path / "whole", *options)

    def interrupt(callback, trainer, module):
        is_student = len(callback.curves) == 1
        if is_student and trainer.current_epoch == 2:
            raise ConnectionError

    with monkeypatch.context() as patched, pytest.raises(ConnectionError):
        patched.setattr(WatchedTraining, "on_train_epoch_start", interrupt)
        train(tmp_path / "parts", *options)
    train(tmp_path / "parts", *options)
    assert scores_of(tmp_path / "parts") == scores_of(tmp_path / "whole")
    members = [
        json.loads((tmp_path / name / "results.json").read_text())["members"]
        for name in ("whole", "parts")
    ]
    assert members[0] == members[1]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("augmentation=mixup", "soft labels and Mixup, which may mix flashes"),
        ("protocol=paper", "soft labels and LogisticSquareError, which needs hard ones"),
        ("protocol.repeat_targets=true", "soft labels and repeat_targets"),
        ("teacher.weight=2", "got teacher.weight=2; expected 0 to 1"),
    ],
)
def test_what_needs_hard_labels_is_refused_before_the_training(small, tmp_path, override, words):
    with pytest.raises(InputError, match=words):
        train(tmp_path / "run", *small, *OPTIONS, override)
    assert not (tmp_path / "run" / "networks").exists()


def test_a_teacher_of_what_learns_from_labels_alone_is_refused(small, tmp_path):
    message = "got a teacher for p300.baselines.ShrinkageLDA, which learns from labels alone"
    with pytest.raises(InputError, match=message):
        train(tmp_path, *small, "experiment=lda", "teacher=light")
