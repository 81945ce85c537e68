"""What is not p300's own is tried before the training: it works, or fails in one sentence."""

import json
import math
import random
import re

import numpy as np
import pandas as pd
import pytest
import torch

from p300 import Detector, train
from p300.errors import InputError
from p300.experiments import prepare as preparing
from p300.experiments import train as running
from p300.storage.signature import key_path

pytestmark = [  # Lightning's own, as the commands ignore them
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The `srun` command is available"),
]

FOCAL = ["protocol.loss._target_=own_things.Focal", "+protocol.loss.gamma=2.0"]
NETWORK = "model=eegnet"


def own(name, *more):
    return ["model=eegnet", f"model._target_=own_things.{name}", *more]


@pytest.fixture
def began(monkeypatch):
    """Whether the fitting of detectors began."""
    found = []

    def seen(begun, fit_all=running.fit_all):
        found.extend(begun)
        return fit_all(begun)

    monkeypatch.setattr(running, "fit_all", seen)
    return found


WORKING = {
    "an own network": own("Linear"),
    "an own network with a large number": own("Linear", "+model.width=200000"),
    "an own loss": [NETWORK, *FOCAL],
    "a static score": [
        NETWORK,
        "protocol.loss._target_=own_things.Summed",
        "~protocol.loss.balanced",
    ],
    "a loss of PyTorch": [NETWORK, "protocol.loss._target_=torch.nn.CrossEntropyLoss"],
    "a loss of one-hot labels": [NETWORK, "protocol.loss._target_=torch.nn.BCEWithLogitsLoss"],
    "a function as loss": [NETWORK, "protocol.loss._target_=torch.nn.functional.cross_entropy"],
    "an own optimizer": [NETWORK, "protocol.optimizer._target_=own_things.Perceptron"],
    "an optimizer without fused": [NETWORK, "protocol.optimizer._target_=torch.optim.RMSprop"],
    "an ensemble of own networks": own("Linear", *FOCAL, "ensemble=mcnn2"),
    "an own transform": ["experiment=lda", "preprocessing._target_=own_things.Doubled"],
    "an own finish": ["experiment=cnn3", "preprocessing._target_=own_things.Projected"],
    "a whole preprocessing": ["experiment=lda", "preprocessing._target_=own_things.Whole"],
}
WORKING["an estimator"] = [
    "model=svm",
    "model._target_=sklearn.linear_model.LogisticRegression",
    "preprocessing.scaling=center",
]
WORKING["an estimator without base classes"] = [
    "model=eegnet",
    "model._target_=own_things.Nearest",
    "+model.flatten=false",
]
WORKING["a pipeline"] = [
    "model=eegnet",
    "model._target_=sklearn.pipeline.Pipeline",
    "+model.steps=[[scale,{_target_:sklearn.preprocessing.StandardScaler}],"
    "[lda,{_target_:sklearn.discriminant_analysis.LinearDiscriminantAnalysis,solver:lsqr}]]",
]
WORKING["a pipeline of pyRiemann"] = [
    "model=eegnet",
    "model._target_=sklearn.pipeline.Pipeline",
    "+model.steps=[[cov,{_target_:pyriemann.estimation.ERPCovariances,estimator:lwf}],"
    "[mdm,{_target_:pyriemann.classification.MDM}]]",
]


@pytest.mark.parametrize("case", WORKING)
def test_what_is_ones_own_is_trained_saved_and_scores_the_same(case, small, tmp_path):
    results = train(tmp_path / "run", *small, *WORKING[case])
    assert results["n_parameters"] > 0
    detector = Detector.load(tmp_path / "run")
    scores = pd.read_csv(tmp_path / "run" / "scores.csv")["score"].to_numpy()
    from hydra.utils import instantiate

    recording = instantiate(detector.config["data"]["read"])
    np.testing.assert_allclose(detector.score(recording), scores, rtol=1e-4, atol=1e-5)
    assert np.ptp(scores) > 0


def test_log_odds_that_fail_cost_the_measures_of_probability_alone(small, tmp_path):
    named = train(tmp_path / "a", *small, NETWORK)
    assert set(named["test"]["probability"]) == {"calibration_error", "brier"}
    own = "protocol.loss._target_=own_things.Doubtful"
    results = train(tmp_path / "b", *small, NETWORK, own)
    assert "probability" not in results["test"] and results["test"]["detection"]["auc"] > 0
    said = (tmp_path / "b" / "train.log").read_text()
    assert "no calibration error and no Brier score: ZeroDivisionError" in said


def test_what_is_left_out_and_chosen_is_said(small, tmp_path):
    overrides = [*WORKING["an optimizer without fused"], *WORKING["a loss of PyTorch"]]
    train(tmp_path / "a", *small, *overrides)
    said = (tmp_path / "a" / "train.log").read_text()
    assert "torch.optim.RMSprop does not know fused, which is left out" in said
    assert "CrossEntropyLoss does not know balanced, which is left out" in said
    assert "CrossEntropyLoss has no score: flashes are scored by log odds" in said
    train(tmp_path / "b", *small, *WORKING["an estimator"])
    said = (tmp_path / "b" / "train.log").read_text()
    assert "LogisticRegression gets epochs as rows of n_chans * n_times (model.flatten)" in said


REFUSED = {
    "one logit": (own("OneLogit"), r"model=own_things.OneLogit: .*\(8, 1\).*one logit is not"),
    "other names of sizes": (own("OtherNames"), "model=own_things.OtherNames: .*n_channels"),
    "no such network": (own("Nothing"), "module 'own_things' has no attribute 'Nothing'"),
    "no such module": (
        ["model._target_=nowhere.Net"],
        "'nowhere.Net' cannot be imported.*P300_CONF",
    ),
    "no gradient": (own("Constant"), "no weight gets a gradient"),
    "a network that forgets": (own("Remembering"), "Remembering: after it was saved.*differ"),
    "an error inside": (own("Failing"), "Failing: RuntimeError: mat1 and mat2 shapes"),
    "an argument of before": (
        ["model._target_=own_things.Linear"],
        r"unexpected keyword argument 'n_filters'.*; leave it out by ~model.n_filters",
    ),
    "a loss of many numbers": (
        [*WORKING["a loss of PyTorch"], "+protocol.loss.reduction=none"],
        "protocol.loss=torch.nn.CrossEntropyLoss: .*no single number",
    ),
    "a broken loss": ([NETWORK, "protocol.loss._target_=own_things.broken"], "forgot a bracket"),
    "a loss that wants more": (
        [NETWORK, "protocol.loss._target_=own_things.Focal"],
        "protocol.loss=own_things.Focal: .*gamma",
    ),
    "a score by chance": (
        [NETWORK, *FOCAL, "protocol.loss._target_=own_things.RandomScore"],
        "protocol.loss=own_things.RandomScore: .*scores differ",
    ),
    "an optimizer whose step takes no function": (
        [NETWORK, "protocol.optimizer._target_=own_things.NoClosure"],
        "protocol.optimizer=own_things.NoClosure: .*takes 1 positional argument",
    ),
    "an optimizer that fails": (
        [NETWORK, "protocol.optimizer._target_=own_things.Stuck"],
        "protocol.optimizer=own_things.Stuck: KeyError: 'momentum'",
    ),
    "an optimizer at once": (
        [NETWORK, "~protocol.optimizer._partial_"],
        "protocol.optimizer=torch.optim.Adam: .*params",
    ),
    "a word as rate": (["protocol.optimizer.lr=fast"], "protocol.optimizer=torch.optim.Adam: "),
    "an augmentation of another shape": (
        ["+augmentation.steps.mine={_target_:own_things.Squeeze}"],
        "augmentation.steps.mine=own_things.Squeeze: .*expected torch.float32 of shape",
    ),
    "an estimator without scores": (own("Silent"), "Silent could not be fitted.*neither"),
    "an estimator that cannot be saved": (own("Unpicklable"), "Unpicklable cannot be pickled"),
    "no estimator": (
        ["model=eegnet", "model._target_=fractions.Fraction"],
        "model=fractions.Fraction: .*fit",
    ),
    "a preprocessing that forgets": (
        ["preprocessing._target_=own_things.Forgetful"],
        "preprocessing=own_things.Forgetful: after it was saved and loaded, its epochs differ",
    ),
    "a preprocessing that cannot be saved": (
        ["preprocessing._target_=own_things.Unsavable"],
        "preprocessing=own_things.Unsavable: Unsavable.rule is a function",
    ),
    "no preprocessing": (
        ["preprocessing._target_=own_things.Nothing"],
        "'own_things.Nothing' cannot be imported",
    ),
    "a preprocessing that fails": (
        ["preprocessing._target_=own_things.Unfitting"],
        "preprocessing=own_things.Unfitting: ZeroDivisionError: no channel",
    ),
    "an object that does not preprocess": (
        ["preprocessing={_target_:builtins.dict}"],
        "preprocessing=builtins.dict: the preprocessing dict has no fit, epochs",
    ),
    "no argument of the reader": (
        ["+data.read.colour=red"],
        "p300.simulation.simulate_data_set: .*got an unexpected keyword argument 'colour'",
    ),
    "no argument of the split": (["+split.colour=red"], "p300.splits.hold_out: .*'colour'"),
    "a fraction of a named test part": (["+split.test_fraction=0.5"], "which draws it; expected"),
    "no argument of the model": (
        ["+model.colour=red"],
        "model=p300.models.CecottiCNN: .*'colour'.*~model.colour",
    ),
    "no argument of a detector": (
        ["experiment=lda", "+model.flatten=true"],
        "model=p300.baselines.ShrinkageLDA: .*'flatten'",
    ),
    "an alignment of one's own": (
        ["alignment=euclidean", "alignment.method._target_=own_things.Aligned"],
        "alignment.method is a Aligned, which a checkpoint cannot keep",
    ),
    "a negative seed": (["seed=-1"], "got seed=-1; expected a whole number, 0 or more"),
    "a word as seed": (["seed=lucky"], "got seed=lucky; expected a whole number"),
    "no batches": (["trainer.limit_train_batches=0"], "which trains nothing"),
    "no passes": (["protocol.max_epochs=0"], "got protocol.max_epochs=0; expected a whole number"),
    "fewer than no passes": (["protocol.max_epochs=-1"], "got protocol.max_epochs=-1; expected"),
    "a half pass": (["protocol.max_epochs=1.5"], "got protocol.max_epochs=1.5; expected"),
    "no patience": (["protocol.patience=0"], "got protocol.patience=0; expected"),
    "no flashes a step": (["protocol.batch_size=0"], "got protocol.batch_size=0; expected"),
    "no threads": (["threads=0"], "got threads=0; expected"),
    "no members": (["ensemble.n_members=0"], "got ensemble.n_members=0; expected"),
    "no GPU": (["trainer.accelerator=gpu"], "trainer=pytorch_lightning.Trainer: .*gpu"),
    "epochs changed in place": (own("InPlace"), "InPlace: it changed the epochs that it scored"),
    "noise in evaluation": (own("Noisy"), "Noisy: after it was scored once.*random numbers"),
    "a score by the batch": (own("OfTheBatch"), "OfTheBatch: after it was scored with other"),
    "an estimator's score by the batch": (
        own("Centred"),
        "Centred: after it was scored with other",
    ),
    "one logit when evaluated": (own("OneWhenEvaluated"), r"OneWhenEvaluated: .*\(8, 1\)"),
    "logits that are not finite": (own("NotFinite"), "NotFinite: 16 of its 16 logits are not fin"),
    "logits without gradients": (own("Detached"), "Detached: .*gradient"),
    "a network without constructor": (
        own("WithoutConstructor"),
        "WithoutConstructor: .*(parameter|weight|gradient)",
    ),
    "a loss without its number": (
        [NETWORK, "protocol.loss._target_=own_things.Tempered"],
        "Tempered: .*missing.*temperature",
    ),
    "two scores per flash": (
        [NETWORK, "protocol.loss._target_=own_things.TwoScores", "~protocol.loss.balanced"],
        r"own_things.TwoScores: its scores of 8 flashes are \(8, 2\)",
    ),
    "holes in epochs": (
        ["preprocessing._target_=own_things.Holey"],
        "preprocessing=own_things.Holey: .*are not finite",
    ),
    "a scheduler at once": (
        ["scheduler.build={_target_:torch.optim.lr_scheduler.StepLR,step_size:2}"],
        "scheduler.build=torch.optim.lr_scheduler.StepLR: .*expected _partial_: true",
    ),
    "no callback": (
        ["+callbacks.mine._target_=own_things.Rule"],
        "callbacks.mine=own_things.Rule: got a Rule; expected a subclass",
    ),
    "no argument of a callback": (
        ["callbacks=ema", "+callbacks.averaging.colour=red"],
        "callbacks.averaging=.*'colour'",
    ),
    "a callback that needs a logger": (
        ["+callbacks.rate._target_=pytorch_lightning.callbacks.LearningRateMonitor"],
        "callbacks.rate=.*LearningRateMonitor: .*no logger",
    ),
    "a callback that fails": (
        ["+callbacks.mine._target_=own_things.FailingAtTheEnd"],
        "callbacks.mine=own_things.FailingAtTheEnd: ZeroDivisionError: no flash",
    ),
    "no such precision": (["trainer.precision=nonsense"], "Precision 'nonsense' is invalid"),
    "no such argument of the trainer": (["+trainer.colour=red"], "'colour'.*~trainer.colour"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_fail_later_fails_before_the_training(case, small, tmp_path, began):
    if case == "no GPU" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    overrides, words = REFUSED[case]
    with pytest.raises(InputError, match=words) as refused:
        train(tmp_path / "run", *small, *overrides)
    assert "\n" not in str(refused.value)
    assert not began and not (tmp_path / "run" / "results.json").exists()


def test_an_own_callback_counts_the_steps_of_the_training_alone(small, tmp_path):
    import own_things

    own_things.Counting.counted.clear()
    small += ["protocol.batch_size=32", "+callbacks.mine._target_=own_things.Counting"]
    split = train(tmp_path / "run", *small)["split"]
    n_train = int(re.search(r"train (\d+)", split)[1])
    assert own_things.Counting.counted == [1, math.ceil(n_train / 32)]


def test_epochs_that_depend_on_other_flashes_are_named(small, tmp_path):
    overrides = ["experiment=lda", "preprocessing._target_=own_things.OverFlashes"]
    train(tmp_path / "run", *small, *overrides)
    said = (tmp_path / "run" / "train.log").read_text()
    assert "own_things.OverFlashes: after it was cut with others, its epochs differ" in said


def test_an_own_network_without_a_key_is_refused_before_the_training(
    small, tmp_path, monkeypatch, began
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match="its checkpoint cannot be loaded.*could not be written"):
        train(tmp_path / "run", *small, *own("Linear"))
    assert not began and not key_path().exists()
    monkeypatch.setenv("P300_TRUST", "own_things")
    assert train(tmp_path / "again", *small, *own("Linear"))["n_parameters"] > 0


def test_few_flashes_that_do_not_suffice_are_no_reason_to_refuse(small, tmp_path):
    neighbours = ["model=eegnet", "model._target_=sklearn.neighbors.KNeighborsClassifier"]
    results = train(tmp_path / "run", *small, *neighbours, "+model.n_neighbors=100")
    assert results["test"]["wanted"] == "P3"


@pytest.mark.parametrize("overrides", [["experiment=cnn3"], own("Linear", *FOCAL), []])
def test_a_rehearsal_changes_no_random_number(small, tmp_path, monkeypatch, overrides):
    def states():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    found = []

    def seen(run, rehearse=preparing.rehearse):
        before = states()
        rehearse(run)
        found.append(before == states())

    monkeypatch.setattr(preparing, "rehearse", seen)
    train(tmp_path / "run", *small, *overrides)
    assert found == [True]
    with_it = (tmp_path / "run" / "scores.csv").read_bytes()
    monkeypatch.setattr(preparing, "rehearse", lambda run: None)
    train(tmp_path / "without", *small, *overrides)
    assert (tmp_path / "without" / "scores.csv").read_bytes() == with_it


def test_a_checkpoint_holds_plain_containers_only(small, tmp_path):
    train(tmp_path / "run", *small, *own("Linear", *FOCAL))
    content = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    loss = content["members"][0]["loss"]
    assert loss.pop("is_target").dtype == torch.bool
    assert loss == {"_target_": "own_things.Focal", "gamma": 2.0}
    assert json.dumps(content["members"][0]["model"])
