import functools

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from p300.datamodule import EpochsDataModule
from p300.detector import Detector, train_network
from p300.errors import InputError
from p300.losses import CrossEntropy, LogisticSquareError
from p300.metrics import roc_auc
from p300.models import CecottiCNN

pytestmark = pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec:FutureWarning")

N_FLASHES = 480


def p300_epochs(size=1.0, seed=0):
    """Noise with a bump 0.3 s after every sixth flash: (n_flashes, 4, 78) and labels."""
    rng = np.random.default_rng(seed)
    is_target = np.arange(N_FLASHES) % 6 == 0
    bump = np.exp(-(((np.arange(78) / 120 - 0.3) / 0.06) ** 2) / 2)
    epochs = rng.normal(size=(N_FLASHES, 4, 78))
    epochs += size * is_target[:, None, None] * bump
    return epochs.astype(np.float32), is_target


def train_cecotti(folder, epochs, is_target, loss=None, lr=3e-3, max_epochs=10, **arguments):
    torch.manual_seed(0)
    train = np.arange(N_FLASHES) < 240
    validation = (np.arange(N_FLASHES) >= 240) & (np.arange(N_FLASHES) < 360)
    detector = Detector(
        CecottiCNN(4, 2, 78),
        loss or CrossEntropy(is_target[train]),
        functools.partial(torch.optim.Adam, lr=lr),
    )
    data = EpochsDataModule(epochs, is_target, train, validation, batch_size=32)
    trainer = functools.partial(
        pl.Trainer,
        max_epochs=max_epochs,
        accelerator="cpu",
        num_sanity_val_steps=0,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    found = train_network(detector, data, folder=folder, trainer=trainer, **arguments)
    with torch.inference_mode():
        scores = detector(torch.as_tensor(epochs[360:])).numpy()
    return detector, found, roc_auc(is_target[360:], scores)


def test_the_network_learns_a_p300_and_finds_it_in_new_flashes(tmp_path):
    _, found, auc = train_cecotti(tmp_path, *p300_epochs())
    assert auc > 0.9
    assert found["validation/auc"] > 0.9


def test_permuted_labels_leave_the_network_at_chance(tmp_path):
    epochs, is_target = p300_epochs()
    shuffled = np.random.default_rng(1).permutation(is_target)
    _, _, auc = train_cecotti(tmp_path, epochs, shuffled)
    assert abs(auc - 0.5) < 3 * 0.065  # three standard errors of 20 targets and 100 nontargets


def test_the_kept_weights_are_those_of_the_best_pass(tmp_path):
    epochs, is_target = p300_epochs(size=0.7)
    detector, found, _ = train_cecotti(tmp_path, epochs, is_target, lr=1e-2)
    with torch.inference_mode():
        scores = detector(torch.as_tensor(epochs[240:360])).numpy()
    assert roc_auc(is_target[240:360], scores) == pytest.approx(found["validation/auc"])
    assert found["best_pass"] < found["n_passes"]
    assert not list(tmp_path.glob("*.ckpt"))


def test_weights_are_held_to_their_bounds_after_every_step(tmp_path):
    class Bounded(CecottiCNN):
        n_calls = 0

        def apply_constraints(self):
            self.n_calls += 1
            with torch.no_grad():
                self.final_layer.weight.clamp_(-0.01, 0.01)

    epochs, is_target = p300_epochs()
    train = np.arange(N_FLASHES) < 240
    detector = Detector(
        Bounded(4, 2, 78), CrossEntropy(is_target[train]), functools.partial(torch.optim.Adam)
    )
    data = EpochsDataModule(epochs, is_target, train, ~train, batch_size=48)
    trainer = functools.partial(pl.Trainer, max_epochs=2, enable_model_summary=False)
    train_network(detector, data, folder=tmp_path, trainer=trainer)
    assert detector.network.n_calls == 2 * 5
    assert detector.network.final_layer.weight.abs().max() <= 0.01


def test_the_papers_rates_reach_the_optimizer_and_no_other_network():
    loss = LogisticSquareError([True, False])
    detector = Detector(CecottiCNN(64), loss, torch.optim.SGD, layer_rate=0.2)
    rates = [group["lr"] for group in detector.configure_optimizers().param_groups]
    assert np.round(rates, 5).tolist() == [0.00064, 0.01849, 0.01155, 0.02]
    with pytest.raises(InputError, match="protocol=modern"):
        Detector(nn.Linear(2, 2), loss, torch.optim.SGD, layer_rate=0.2).configure_optimizers()


def test_training_on_one_class_only_is_refused(tmp_path):
    epochs, is_target = p300_epochs()
    with pytest.raises(InputError, match="0 targets among 240 flashes"):
        train_cecotti(tmp_path, epochs, np.zeros_like(is_target), loss=CrossEntropy([True, False]))


def test_a_training_that_diverges_says_so(tmp_path):
    epochs, is_target = p300_epochs()
    epochs[0] = np.inf
    with pytest.raises(InputError, match="training diverged"):
        train_cecotti(tmp_path, epochs, is_target)


def test_choosing_the_best_pass_by_test_results_is_refused(tmp_path):
    with pytest.raises(InputError, match="test result"):
        train_cecotti(tmp_path, *p300_epochs(), monitor="test/auc")


@pytest.mark.parametrize("loss", [CrossEntropy, LogisticSquareError])
def test_both_losses_are_logged_per_flash(tmp_path, loss):
    epochs, is_target = p300_epochs()
    logger = pl.loggers.CSVLogger(tmp_path, name="", version="")
    made = loss(is_target[:240])
    detector, _, _ = train_cecotti(
        tmp_path, epochs, is_target, loss=made, lr=1e-5, max_epochs=1, loggers=[logger]
    )
    logged = pd.read_csv(tmp_path / "metrics.csv").max()  # of a pass, on lines of their own
    part = torch.as_tensor(epochs[240:360]), torch.as_tensor(is_target[240:360])
    with torch.inference_mode():
        each = [made(detector.network(x[None]), y[None]) for x, y in zip(*part, strict=True)]
    assert logged["validation/loss"] == pytest.approx(np.mean(each), rel=1e-4)
    assert logged["train/loss"] == pytest.approx(logged["validation/loss"], rel=0.2)
