"""What a network learns, pass by pass."""

import functools
import logging

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from simulated import p300_epochs
from torch import nn

from p300.errors import InputError
from p300.losses import CrossEntropy, LogisticSquareError
from p300.metrics import roc_auc
from p300.models import CecottiCNN, EEGNet
from p300.training.augmentation import GaussianNoise
from p300.training.curves import network_loggers
from p300.training.datamodule import EpochsDataModule
from p300.training.loop import SavedTraining, train_networks
from p300.training.module import NetworkFit

pytestmark = [  # Lightning's own, as the commands ignore them
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The `srun` command is available"),
]
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)

N_FLASHES = 480
TRAIN = np.arange(N_FLASHES) < 240
VALIDATION = (np.arange(N_FLASHES) >= 240) & (np.arange(N_FLASHES) < 360)
ADAM = functools.partial(torch.optim.Adam, lr=3e-3)


def make_network_fit(
    is_target, *, seed=0, kind=CecottiCNN, train=TRAIN, loss=CrossEntropy, **more
):
    torch.manual_seed(seed)
    network = kind(n_chans=4, n_outputs=2, n_times=78, sfreq=120.0)
    more = {"optimizer": ADAM, "validation": VALIDATION, **more}
    return NetworkFit(network, loss(is_target[train]), train=train, seed=seed, **more)


def train(folder, fits, epochs, is_target, *, max_epochs=10, batch_size=32, options=(), **more):
    data = EpochsDataModule(
        epochs,
        is_target,
        [t.train for t in fits],
        [t.validation for t in fits],
        batch_size=batch_size,
        seeds=[t.seed for t in fits],
        time_first=getattr(fits[0].network, "reads_time_first", False),
    )
    trainer = functools.partial(
        pl.Trainer,
        max_epochs=max_epochs,
        accelerator="cpu",
        num_sanity_val_steps=0,
        enable_model_summary=False,
        **dict(options),
    )
    folder.mkdir(exist_ok=True)
    saved = SavedTraining(folder / "networks" / "1.ckpt", "key")
    return train_networks(fits, data, saved=saved, trainer=trainer, **more)


def scores_of(fit, epochs):
    with torch.inference_mode():
        return fit.loss.score(fit.network(torch.as_tensor(epochs))).numpy()


def weights_of(fit):
    return torch.cat([value.flatten() for value in fit.network.state_dict().values()])


def test_the_network_learns_a_p300_and_finds_it_in_new_flashes(tmp_path):
    epochs, is_target = p300_epochs(np.random.default_rng(0), N_FLASHES, 4)
    fit = make_network_fit(is_target)
    (found,) = train(tmp_path, [fit], epochs, is_target)
    assert roc_auc(is_target[360:], scores_of(fit, epochs[360:])) > 0.9
    assert found["validation/auc"] > 0.9


def test_permuted_labels_leave_the_network_at_chance(tmp_path):
    epochs, is_target = p300_epochs(np.random.default_rng(0), N_FLASHES, 4)
    shuffled = np.random.default_rng(1).permutation(is_target)
    fit = make_network_fit(shuffled)
    train(tmp_path, [fit], epochs, shuffled)
    auc = roc_auc(shuffled[360:], scores_of(fit, epochs[360:]))
    assert abs(auc - 0.5) < 3 * 0.065  # three standard errors of 20 targets and 100 nontargets


@pytest.mark.slow
@pytest.mark.parametrize("loss", [CrossEntropy, LogisticSquareError])
@pytest.mark.parametrize("augmentations", [[], [GaussianNoise()]], ids=["as is", "noise"])
def test_networks_side_by_side_learn_what_each_learns_alone(tmp_path, loss, augmentations):
    # the third has fewer flashes: after its pass the other two take their steps one by one
    epochs, is_target = p300_epochs(np.random.default_rng(0), N_FLASHES, 4)
    shares = [TRAIN, TRAIN, TRAIN & (np.arange(N_FLASHES) < 130)]
    options = {"loss": loss, "augmentations": augmentations}

    def make():
        return [
            make_network_fit(is_target, seed=k, train=s, **options) for k, s in enumerate(shares)
        ]

    together = make()
    found = train(tmp_path / "all", together, epochs, is_target, max_epochs=6)
    for k, fit in enumerate(make()):
        (alone,) = train(tmp_path / str(k), [fit], epochs, is_target, max_epochs=6)
        assert alone["validation/auc"] == pytest.approx(found[k]["validation/auc"], abs=1e-3)
        difference = (weights_of(fit) - weights_of(together[k])).abs().max()
        start = make()[k]
        learned = (weights_of(fit) - weights_of(start)).abs().max()
        assert difference < 1e-3 * learned  # rounding, which training amplifies


def test_each_network_stops_by_its_own_validation_part(tmp_path):
    epochs, is_target = p300_epochs(np.random.default_rng(0), N_FLASHES, 4)
    hopeless = functools.partial(torch.optim.SGD, lr=0.0)  # never better than after pass 1
    one, other = (make_network_fit(is_target, seed=k) for k in (1, 2))
    other.optimizer = hopeless
    kept = weights_of(other).clone()
    options = {"max_epochs": 8, "patience": 3, "monitor": "validation/loss"}
    found = train(tmp_path, [one, other], epochs, is_target, **options)
    assert found[1]["n_epochs"] == 4 and found[1]["best_epoch"] == 1
    assert found[0]["n_epochs"] == 8 and found[0]["best_epoch"] > 4
    assert torch.equal(weights_of(other), kept)


def test_weights_are_held_to_their_bounds_after_every_step(tmp_path):
    class Bounded(CecottiCNN):
        n_calls = 0

        def apply_constraints(self):
            self.n_calls += 1
            with torch.no_grad():
                self.final_layer.weight.clamp_(-0.01, 0.01)

    epochs, is_target = p300_epochs(np.random.default_rng(0), N_FLASHES, 4)
    fits = [make_network_fit(is_target, seed=k, kind=Bounded) for k in range(2)]
    train(tmp_path, fits, epochs, is_target, max_epochs=2, batch_size=48)
    for fit in fits:
        assert fit.network.n_calls == 2 * 5
        assert fit.network.final_layer.weight.abs().max() <= 0.01


def test_the_papers_rates_reach_the_optimizer_and_no_other_network():
    loss, rows = LogisticSquareError([True, False]), np.ones(2, bool)
    optimizer = torch.optim.SGD
    fit = NetworkFit(CecottiCNN(64), loss, optimizer, rows, rows, layer_rate=0.2)
    rates = [group["lr"] for group in fit.make_optimizer().param_groups]
    assert np.round(rates, 5).tolist() == [0.00064, 0.01849, 0.01155, 0.02]
    fit = NetworkFit(nn.Linear(2, 2), loss, optimizer, rows, rows, layer_rate=0.2)
    with pytest.raises(
        InputError, match="got protocol.layer_rate=0.2 for a Linear.*; use .*protocol=modern"
    ):
        fit.make_optimizer()


@pytest.mark.parametrize("loss", [CrossEntropy, LogisticSquareError])
@pytest.mark.parametrize("n_networks", [1, 2])
def test_both_losses_are_logged_per_flash(tmp_path, loss, n_networks):
    epochs, is_target = p300_epochs(np.random.default_rng(0), N_FLASHES, 4)
    fits = [make_network_fit(is_target, seed=k, loss=loss) for k in range(n_networks)]
    for k, fit in enumerate(fits):
        fit.optimizer = functools.partial(torch.optim.SGD, lr=0.0)
        fit.loggers = network_loggers(tmp_path, k + 1, None)
    train(tmp_path, fits, epochs, is_target, max_epochs=1, batch_size=24)
    for k, fit in enumerate(fits):
        (logged,) = pd.read_csv(tmp_path / "networks" / str(k + 1) / "metrics.csv").to_dict(
            "records"
        )
        for part, rows in (("train", TRAIN), ("validation", VALIDATION)):
            pairs = zip(
                torch.as_tensor(epochs[rows]), torch.as_tensor(is_target[rows]), strict=True
            )
            with torch.inference_mode():
                each = [fit.loss(fit.network(x[None]), y[None]) for x, y in pairs]
            assert logged[f"{part}/loss"] == pytest.approx(np.mean(each), rel=1e-4)


def test_chance_in_training_follows_from_the_seed_alone(tmp_path):
    epochs, is_target = p300_epochs(np.random.default_rng(0), N_FLASHES, 4)

    def learned(folder, seed, network_seed=0):
        fit = make_network_fit(is_target, seed=network_seed, kind=EEGNet)  # which has dropout
        fit.seed = seed
        torch.manual_seed(np.random.default_rng().integers(1000))
        train(folder, [fit], epochs, is_target, max_epochs=2)
        return weights_of(fit)

    first = learned(tmp_path / "a", 1)
    assert torch.equal(first, learned(tmp_path / "b", 1))
    assert not torch.equal(first, learned(tmp_path / "c", 2))


def test_a_precision_that_scales_the_loss_is_refused(tmp_path):
    class Scaled(pl.plugins.MixedPrecision):
        def __init__(self):
            super().__init__("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu"))

    epochs, is_target = p300_epochs(np.random.default_rng(0), N_FLASHES, 4)
    with pytest.raises(
        InputError, match="got trainer.precision=16-mixed; expected 32-true or bf16-mixed"
    ):
        options = {"plugins": [Scaled()]}
        train(tmp_path, [make_network_fit(is_target)], epochs, is_target, options=options)


def test_half_precision_of_the_wide_range_learns_a_p300(tmp_path):
    epochs, is_target = p300_epochs(np.random.default_rng(0), N_FLASHES, 4)
    fit = make_network_fit(is_target)
    (found,) = train(tmp_path, [fit], epochs, is_target, options={"precision": "bf16-mixed"})
    assert found["validation/auc"] > 0.9
