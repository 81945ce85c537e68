"""What is configured of Lightning's trainer and callbacks is true of the detector that is kept."""

import json

import pandas as pd
import pytest

from p300.errors import InputError
from p300.experiments.train import train
from p300.metrics import roc_auc

pytestmark = [
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*could not find the monitored key:UserWarning"),
    pytest.mark.filterwarnings("ignore:The `srun` command is available"),
]

SEVERAL = ["protocol.max_epochs=3", "trainer.limit_train_batches=null", "protocol.batch_size=16"]


def validation_auc(folder):
    table = pd.read_csv(folder / "scores.csv").query("part == 'validation'")
    return roc_auc(table["is_target"], table["score"])


@pytest.mark.parametrize(
    "overrides",
    [
        ["callbacks=ema", "callbacks.averaging.decay=0.9"],
        ["callbacks=swa", "+callbacks.averaging.annealing_epochs=1"],
        ["callbacks=federated"],
        ["trainer.val_check_interval=0.25"],
        ["callbacks=none"],
        ["trainer.max_steps=2"],
        ["trainer.max_time=00:00:00:00"],
        ["trainer.check_val_every_n_epoch=9"],
        ["trainer.limit_val_batches=0"],
        ["trainer.fast_dev_run=true"],
    ],
    ids=" ".join,
)
def test_the_monitored_value_is_that_of_the_network_that_is_kept(small, tmp_path, overrides):
    results = train(tmp_path / "run", *small, *SEVERAL, *overrides)
    (member,) = results["members"]
    found = validation_auc(tmp_path / "run")
    assert member["validation/auc"] == pytest.approx(found, abs=1e-6)
    assert results["validation"]["detection"]["auc"] == pytest.approx(found, abs=1e-6)


def test_a_loss_that_is_monitored_is_that_of_the_best_epoch(small, tmp_path):
    results = train(tmp_path / "run", *small, *SEVERAL, "protocol.monitor=validation/loss")
    (member,) = results["members"]
    curve = pd.read_csv(tmp_path / "run" / "networks" / "1" / "metrics.csv")
    assert member["validation/loss"] == pytest.approx(curve["validation/loss"].min(), rel=1e-5)


def test_averaged_weights_are_kept(small, tmp_path):
    plain = train(tmp_path / "plain", *small, *SEVERAL, "callbacks=none")
    train(tmp_path / "ema", *small, *SEVERAL, "callbacks=ema", "callbacks.averaging.decay=0.9")
    scores = [pd.read_csv(tmp_path / name / "scores.csv")["score"] for name in ("plain", "ema")]
    assert plain["members"][0]["n_epochs"] == 3
    assert not (scores[0] == scores[1]).any()


def test_an_option_that_lightning_refuses_at_the_start_ends_in_a_sentence(small, tmp_path):
    with pytest.raises(InputError, match="Lightning refuses to train as configured: .*0.5") as e:
        train(tmp_path / "run", *small, "trainer.limit_val_batches=0.5")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("overrides", [["experiment=lda"], ["experiment=cnn3"]])
def test_a_logger_of_lightning_gets_configuration_and_results(
    small, tmp_path, monkeypatch, overrides
):
    own = "+logger.lightning.csv={_target_:pytorch_lightning.loggers.CSVLogger}"
    results = train(tmp_path / "run", *small, *overrides, own)
    (path,) = (tmp_path / "run").rglob("hparams.yaml")
    assert "protocol.batch_size: " in path.read_text()
    (path,) = (path.parent).glob("metrics.csv")
    logged = pd.read_csv(path)["results/test/auc"].dropna().tolist()
    assert logged == pytest.approx([results["test"]["detection"]["auc"]])


def test_a_score_of_the_wrong_sign_is_said(small, tmp_path):
    overrides = ["model=eegnet", "model._target_=own_things.Linear", "protocol.max_epochs=20"]
    loss = ["protocol.loss._target_=own_things.Reversed", "~protocol.loss.balanced"]
    train(tmp_path / "run", *small, *overrides, *loss, "trainer.limit_train_batches=null")
    said = (tmp_path / "run" / "train.log").read_text()
    assert "below chance: a score must be larger for targets than for nontargets" in said


def test_results_are_json(small, tmp_path):
    train(tmp_path / "run", *small, "callbacks=none")
    (member,) = json.loads((tmp_path / "run" / "results.json").read_text())["members"]
    assert set(member) >= {"best_epoch", "n_epochs", "validation/auc", "weight"}
