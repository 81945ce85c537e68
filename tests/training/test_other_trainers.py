"""Networks, module and flashes in trainers that are not p300's."""

import copy

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from fits import EPOCHS, IS_TARGET, LIGHTNING, SHAPE, TEST, TRAIN, VALIDATION, make_fit
from sklearn.metrics import roc_auc_score
from torch import nn

from p300 import models

pytestmark = LIGHTNING
NETWORKS = [kind for kind in vars(models).values() if isinstance(kind, type)]
NETWORKS = [kind for kind in NETWORKS if issubclass(kind, nn.Module)]


def test_a_plain_trainer_of_lightning_takes_module_and_flashes(tmp_path):
    fit = make_fit()
    before = copy.deepcopy(fit.module.network.state_dict())
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        max_epochs=6, accelerator="cpu", default_root_dir=tmp_path, gradient_clip_val=1.0, **quiet
    )
    trainer.fit(fit.module, datamodule=fit.data)
    after = fit.module.network.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert trainer.callback_metrics["validation/auc"] > 0.7
    (tested,) = trainer.test(fit.module, datamodule=fit.data, verbose=False)
    scores = torch.cat(trainer.predict(fit.module, datamodule=fit.data)).numpy()
    assert roc_auc_score(IS_TARGET[TEST], scores) == pytest.approx(tested["test/auc"], abs=1e-3)


@pytest.mark.filterwarnings("ignore")  # of skorch, and what it imports
@pytest.mark.parametrize("kind", NETWORKS, ids=lambda kind: kind.__name__)
def test_every_network_trains_in_skorch(kind):
    skorch = pytest.importorskip("skorch")
    torch.manual_seed(0)
    sizes = {f"module__{name}": value for name, value in SHAPE.items()}
    net = skorch.NeuralNetClassifier(
        kind, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=3e-3, batch_size=32,
        max_epochs=8, train_split=None, verbose=0, **sizes,
    )  # fmt: skip
    known = TRAIN | VALIDATION
    net.fit(EPOCHS[known], IS_TARGET[known].astype(int))
    probability = net.predict_proba(EPOCHS[TEST])
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-5)
    assert roc_auc_score(IS_TARGET[TEST], probability[:, 1]) > 0.6


@pytest.mark.filterwarnings("ignore")  # of braindecode, and what it imports
@pytest.mark.parametrize("kind", [models.CecottiCNN, models.EEGNet])
def test_networks_train_in_the_classifier_of_braindecode(kind):
    braindecode = pytest.importorskip("braindecode")
    torch.manual_seed(0)
    classifier = braindecode.EEGClassifier(
        kind, module__sfreq=120.0, optimizer=torch.optim.Adam, lr=3e-3, batch_size=32,
        criterion=nn.CrossEntropyLoss, max_epochs=8, train_split=None, verbose=0, classes=[0, 1],
    )  # fmt: skip
    known = TRAIN | VALIDATION
    classifier.fit(EPOCHS[known], IS_TARGET[known].astype(int))  # it finds the sizes itself
    assert classifier.module_.final_layer.weight.shape[0] == 2
    probability = classifier.predict_proba(EPOCHS[TEST])[:, 1]
    assert roc_auc_score(IS_TARGET[TEST], probability) > 0.6
