"""One network in training: what a user of Lightning expects of it."""

import functools

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from fits import (
    ADAM,
    EPOCHS,
    IS_TARGET,
    LIGHTNING,
    SHAPE,
    TEST,
    TRAIN,
    VALIDATION,
    default_callbacks,
    logged,
    make_fit,
    make_trainer,
    scores_of,
    train_alone,
    weights_of,
)
from torch import nn

from p300.errors import InputError
from p300.losses import CrossEntropy, LogisticSquareError
from p300.metrics import roc_auc
from p300.models import CecottiCNN, EEGNet
from p300.training.module import TrainingModule

pytestmark = LIGHTNING
SGD = functools.partial(torch.optim.SGD, lr=0.05)


def test_the_network_learns_a_p300_and_finds_it_in_new_flashes(tmp_path):
    fit = make_fit()
    record = train_alone(tmp_path, fit, max_epochs=10)
    assert roc_auc(IS_TARGET[TEST], scores_of(fit, TEST)) > 0.9
    assert record["validation/auc"] > 0.9


def test_permuted_labels_leave_the_network_at_chance(tmp_path):
    shuffled = np.random.default_rng(1).permutation(IS_TARGET)
    fit = make_fit(is_target=shuffled)
    train_alone(tmp_path, fit, max_epochs=10)
    auc = roc_auc(shuffled[TEST], scores_of(fit, TEST))
    assert abs(auc - 0.5) < 3 * 0.065  # three standard errors of 20 targets and 100 nontargets


def test_weights_are_held_to_their_bounds_after_every_step(tmp_path):
    class Bounded(CecottiCNN):
        n_calls = 0

        def apply_constraints(self):
            self.n_calls += 1
            with torch.no_grad():
                self.final_layer.weight.clamp_(-0.01, 0.01)

    fit = make_fit(kind=Bounded, batch_size=48)
    train_alone(tmp_path, fit, max_epochs=2)
    assert fit.module.network.n_calls == 2 * 5
    assert fit.module.network.final_layer.weight.abs().max() <= 0.01


def test_a_frozen_layer_stays_as_it_is(tmp_path):
    class Frozen(CecottiCNN):
        def __init__(self, **shape):
            super().__init__(**shape)
            self.spatial_weight.requires_grad_(False)

    fit = make_fit(kind=Frozen)
    before = {name: value.clone() for name, value in fit.module.network.state_dict().items()}
    train_alone(tmp_path, fit, max_epochs=2)
    after = fit.module.network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == set(before) - {"spatial_weight"}


def test_the_papers_rates_reach_the_optimizer_and_no_other_network():
    paper = TrainingModule(
        CecottiCNN(64), LogisticSquareError([0, 1]), torch.optim.SGD, layer_rate=0.2
    )
    rates = [group["lr"] for group in paper.configure_optimizers().param_groups]
    assert np.round(rates, 5).tolist() == [0.00064, 0.01849, 0.01155, 0.02]
    other = TrainingModule(nn.Linear(2, 2), CrossEntropy([0, 1]), layer_rate=0.2)
    with pytest.raises(
        InputError, match="got protocol.layer_rate=0.2 for a Linear.*; use .*protocol=modern"
    ):
        other.configure_optimizers()


@pytest.mark.parametrize("loss", [CrossEntropy, LogisticSquareError])
@pytest.mark.parametrize("batch_size", [24, 100])
def test_both_losses_are_means_over_flashes(tmp_path, loss, batch_size):
    # 240 flashes are no multiple of 100: the last batch is smaller, and its flashes count as much
    optimizer = functools.partial(torch.optim.SGD, lr=0.0)
    fit = make_fit(tmp_path, loss=loss, optimizer=optimizer, batch_size=batch_size)
    train_alone(tmp_path, fit, max_epochs=1)
    (row,) = logged(tmp_path).to_dict("records")
    for part, rows in (("train", TRAIN), ("validation", VALIDATION)):
        pairs = zip(torch.as_tensor(EPOCHS[rows]), torch.as_tensor(IS_TARGET[rows]), strict=True)
        with torch.inference_mode():
            network, own = fit.module.network, fit.module.loss
            each = [own(network(x[None]), y[None]) for x, y in pairs]
        assert row[f"{part}/loss"] == pytest.approx(np.mean(each), rel=1e-4)


def test_chance_in_training_follows_from_the_seed_alone(tmp_path):
    def learned(folder, seed):
        fit = make_fit(seed=seed, first_weights=0, kind=EEGNet)  # which has dropout
        torch.manual_seed(np.random.default_rng().integers(1000))
        train_alone(folder, fit, max_epochs=2)
        return weights_of(fit)

    first = learned(tmp_path / "a", 1)
    assert torch.equal(first, learned(tmp_path / "b", 1))
    assert not torch.equal(first, learned(tmp_path / "c", 2))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_every_precision_learns_a_p300_and_leaves_ordinary_weights(tmp_path, precision):
    fit = make_fit()
    record = train_alone(tmp_path, fit, max_epochs=8, precision=precision)
    assert record["validation/auc"] > 0.9
    assert {p.dtype for p in fit.module.network.parameters()} == {torch.float32}


@pytest.mark.parametrize("loss", [CrossEntropy, LogisticSquareError])
def test_two_accumulated_batches_are_one_batch_of_twice_the_size(tmp_path, loss):
    def learned(name, **options):
        fit = make_fit(loss=loss, optimizer=SGD, batch_size=options.pop("batch_size"))
        train_alone(tmp_path / name, fit, max_epochs=2, **options)
        return weights_of(fit)

    def equally_weighted(is_target):  # a mean of two means is the mean if both weigh the same
        return loss(is_target, balanced=False)

    whole = learned("whole", batch_size=40)
    halves = learned("halves", batch_size=20, accumulate_grad_batches=2)
    if loss is LogisticSquareError:
        torch.testing.assert_close(halves, whole, rtol=1e-4, atol=1e-6)
    else:  # of the class-weighted mean both halves are divided by their number of flashes
        torch.testing.assert_close(halves, whole, rtol=1e-3, atol=1e-5)
    assert not torch.equal(learned("quarter", batch_size=20), whole)


def test_gradients_are_clipped(tmp_path):
    class Norms(pl.Callback):
        largest = 0.0

        def on_before_optimizer_step(self, trainer, module, optimizer):
            norms = [p.grad.norm() for p in module.network.parameters()]
            self.largest = max(self.largest, torch.stack(norms).norm().item())

    class After(Norms):
        def on_before_zero_grad(self, trainer, module, optimizer):
            norms = [p.grad.norm() for p in module.network.parameters() if p.grad is not None]
            self.after = torch.stack(norms).norm().item() if norms else 0.0

    free, clipped = Norms(), After()
    train_alone(tmp_path / "free", make_fit(), max_epochs=1, callbacks=[free])
    options = {"gradient_clip_val": 0.01, "callbacks": [clipped]}
    train_alone(tmp_path / "clipped", make_fit(), max_epochs=1, **options)
    assert free.largest > 0.1 and clipped.after <= 0.01 + 1e-6


@pytest.mark.parametrize(
    "build, scheduling, wanted",
    [
        (lambda o: torch.optim.lr_scheduler.StepLR(o, 1, 0.5), {"interval": "epoch"}, 3e-3 / 8),
        (
            lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, "min", 0.1, 0),
            {"interval": "epoch", "monitor": "train/loss"},
            3e-3,  # the loss falls in each epoch
        ),
        (lambda o: torch.optim.lr_scheduler.StepLR(o, 8, 0.1), {"interval": "step"}, 3e-6),
    ],
    ids=["each epoch", "plateau", "each step"],
)
def test_a_scheduler_changes_the_learning_rate(tmp_path, build, scheduling, wanted):
    class Rate(pl.Callback):
        def on_fit_end(self, trainer, module):
            self.last = trainer.optimizers[0].param_groups[0]["lr"]

    rate = Rate()
    fit = make_fit(scheduler=build, scheduling=scheduling)
    train_alone(tmp_path, fit, max_epochs=3, callbacks=[rate])
    assert rate.last == pytest.approx(wanted)


@pytest.mark.filterwarnings("ignore:.*could not find the monitored key")
def test_limits_count_true_batches_and_steps(tmp_path):
    class Steps(pl.Callback):
        n = 0

        def on_train_batch_end(self, *_):
            self.n += 1

    cases = [
        ({"limit_train_batches": 3}, 2 * 3),
        ({"limit_train_batches": 0.5}, 2 * 4),
        ({"max_steps": 5}, 5),
        ({"overfit_batches": 2}, 2 * 2),
        ({"fast_dev_run": True}, 1),
        ({}, 2 * 8),
    ]
    for number, (options, wanted) in enumerate(cases):
        steps = Steps()
        train_alone(tmp_path / str(number), make_fit(), max_epochs=2, callbacks=[steps], **options)
        assert steps.n == wanted, options


def test_not_every_training_epoch_has_to_be_validated(tmp_path):
    record = train_alone(tmp_path, make_fit(tmp_path), max_epochs=4, check_val_every_n_epoch=2)
    table = logged(tmp_path)
    assert table["validation/auc"].notna().tolist() == [False, True, False, True]
    assert table["train/loss"].notna().all()
    assert record["best_epoch"] in (2, 4)
    best = table["validation/auc"].iloc[record["best_epoch"] - 1]
    assert record["validation/auc"] == pytest.approx(best) == table["validation/auc"].max()


def test_a_time_limit_ends_the_training_and_leaves_a_network(tmp_path):
    fit = make_fit(tmp_path)
    record = train_alone(
        tmp_path, fit, max_epochs=100_000, max_time={"seconds": 1}, patience=10**6
    )
    assert 1 <= record["n_epochs"] < 100_000 and np.isfinite(scores_of(fit, TEST)).all()


def test_without_a_callback_that_keeps_the_best_the_last_weights_stay(tmp_path):
    optimizer = functools.partial(torch.optim.Adam, lr=2e-2)
    best, last, plain = (make_fit(optimizer=optimizer) for _ in range(3))
    record = train_alone(tmp_path / "best", best, max_epochs=8)
    train_alone(tmp_path / "last", last, max_epochs=8, defaults=False)
    trainer = make_trainer(8, logger=False, enable_checkpointing=False)()
    trainer.fit(plain.module, datamodule=plain.data)  # as anybody trains with Lightning
    assert record["best_epoch"] < 8 and not torch.equal(weights_of(best), weights_of(last))
    assert torch.equal(weights_of(plain), weights_of(last))


@pytest.mark.slow
def test_averaged_weights_are_those_that_are_kept(tmp_path):
    decay = functools.partial(pl.callbacks.EMAWeightAveraging, decay=0.9)
    plain, averaged = make_fit(), make_fit()
    train_alone(tmp_path / "plain", plain, max_epochs=2)
    record = train_alone(tmp_path / "ema", averaged, max_epochs=2, callbacks=[decay()])
    assert record["validation/auc"] > 0.6 and np.isfinite(scores_of(averaged, TEST)).all()
    assert not torch.allclose(weights_of(plain), weights_of(averaged))

    swa = make_fit()
    options = {"swa_lrs": 1e-3, "swa_epoch_start": 1, "annealing_epochs": 1}
    callback = pl.callbacks.StochasticWeightAveraging(**options)
    train_alone(tmp_path / "swa", swa, max_epochs=4, callbacks=[callback], defaults=False)
    assert not torch.allclose(weights_of(plain), weights_of(swa))


def test_a_checkpoint_of_lightning_is_loaded_and_tested(tmp_path):
    fit = make_fit()
    train_alone(tmp_path, fit, max_epochs=4)
    parts = {"network": CecottiCNN(**SHAPE), "loss": CrossEntropy(IS_TARGET[TRAIN])}
    path = tmp_path / "networks" / "1" / "best.ckpt"
    module = TrainingModule.load_from_checkpoint(path, weights_only=True, optimizer=ADAM, **parts)
    trainer = make_trainer(logger=False, enable_checkpointing=False)()
    (found,) = trainer.test(module, datamodule=fit.data, verbose=False)
    auc = roc_auc(IS_TARGET[TEST], scores_of(fit, TEST))
    assert found["test/auc"] == pytest.approx(auc)
    predicted = torch.cat(trainer.predict(module, datamodule=fit.data)).numpy()
    np.testing.assert_allclose(predicted, scores_of(fit, TEST), rtol=1e-5, atol=1e-5)


def test_loggers_get_every_value_of_every_training_epoch(tmp_path):
    class Memory(pl.loggers.CSVLogger):
        def __init__(self, folder):
            super().__init__(folder)
            self.seen = {}

        def log_metrics(self, metrics, step=None):
            for name, value in metrics.items():
                self.seen.setdefault(name, []).append(value)

    memory = Memory(tmp_path / "logger")
    train_alone(tmp_path, make_fit(tmp_path, loggers=[memory]), max_epochs=3)
    table = logged(tmp_path)
    for name in ("train/loss", "validation/loss", "validation/auc"):
        assert memory.seen[name] == pytest.approx(table[name].tolist(), rel=1e-5)


def test_early_stopping_and_best_weights_are_those_of_lightning(tmp_path):
    optimizer = functools.partial(torch.optim.SGD, lr=0.0)  # never better than after epoch 1
    callbacks = default_callbacks(tmp_path / "own", "validation/loss", patience=3)
    fit = make_fit(optimizer=optimizer)
    options = {"max_epochs": 8, "defaults": False, "monitor": "validation/loss"}
    record = train_alone(tmp_path, fit, callbacks=callbacks, **options)
    assert record["n_epochs"] == 4 and record["best_epoch"] == 1
    assert (tmp_path / "own" / "best.ckpt").exists()
