"""Networks that are trained side by side learn what each learns alone."""

import functools

import pytest
import torch
from fits import (
    LIGHTNING,
    NUMBERS,
    TRAIN,
    Interrupt,
    logged,
    make_fit,
    train_alone,
    train_together,
    weights_of,
)

from p300.errors import InputError
from p300.losses import CrossEntropy, LogisticSquareError
from p300.models import MLP, OCLNN, VGG, CecottiCNN
from p300.training.augmentation import GaussianNoise, TimeShift
from p300.training.batched import ViewsLost
from p300.training.datamodule import is_time_first, time_first
from p300.training.side_by_side import stacked

pytestmark = LIGHTNING


def largest_difference(one, other, start):
    """Of the weights of two networks, as a fraction of what was learned."""
    learned = (weights_of(one) - weights_of(start)).abs().max()
    return (weights_of(one) - weights_of(other)).abs().max() / learned


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, loss, augmentations",
    [
        (CecottiCNN, CrossEntropy, []),
        (CecottiCNN, LogisticSquareError, [TimeShift(), GaussianNoise()]),
        (OCLNN, CrossEntropy, [TimeShift(), GaussianNoise()]),
        (OCLNN, LogisticSquareError, []),
        (MLP, CrossEntropy, [GaussianNoise()]),
        (VGG, CrossEntropy, []),
    ],
)
def test_each_network_learns_what_it_learns_alone(tmp_path, kind, loss, augmentations):
    # the third has fewer flashes: after its last step the other two go on
    shares = [TRAIN, TRAIN, TRAIN & (NUMBERS < 130)]
    options = {"kind": kind, "loss": loss, "augmentations": augmentations}

    def make(k, folder=None):
        return make_fit(folder, k + 1, seed=k, train=shares[k], **options)

    together = [make(k, tmp_path / "all") for k in range(3)]
    found = train_together(tmp_path / "all", together, max_epochs=4)
    for k in range(3):
        fit = make(k, tmp_path / str(k))
        alone = train_alone(tmp_path / str(k), fit, max_epochs=4)
        assert alone["validation/auc"] == pytest.approx(found[k]["validation/auc"], abs=1e-3)
        assert largest_difference(fit, together[k], make(k)) < 1e-3  # rounding, amplified
        one, other = logged(tmp_path / "all", k + 1), logged(tmp_path / str(k), k + 1)
        assert set(one) == set(other)
        assert (one[other.columns] - other).abs().max().max() < 1e-3


def test_a_frozen_layer_stays_frozen_and_the_others_learn_the_same(tmp_path):
    class Frozen(CecottiCNN):
        def __init__(self, **shape):
            super().__init__(**shape)
            self.spatial_weight.requires_grad_(False)

    together = [make_fit(kind=Frozen, seed=k) for k in range(2)]
    start = weights_of(together[0]).clone()
    kept = together[0].module.network.spatial_weight.clone()
    train_together(tmp_path / "all", together, max_epochs=3)
    assert torch.equal(together[0].module.network.spatial_weight, kept)
    alone = make_fit(kind=Frozen, seed=0)
    train_alone(tmp_path / "alone", alone, max_epochs=3)
    torch.testing.assert_close(weights_of(alone), weights_of(together[0]), rtol=1e-3, atol=1e-5)
    assert not torch.equal(weights_of(alone), start)


def test_bounded_weights_are_bounded_after_every_step(tmp_path):
    class Bounded(CecottiCNN):
        n_calls = 0

        def apply_constraints(self):
            self.n_calls += 1
            with torch.no_grad():
                self.final_layer.weight.clamp_(-0.01, 0.01)

    fits = [make_fit(kind=Bounded, seed=k, batch_size=48) for k in range(2)]
    train_together(tmp_path, fits, max_epochs=2)
    alone = make_fit(kind=Bounded, seed=1, batch_size=48)
    train_alone(tmp_path / "alone", alone, max_epochs=2)
    for fit in fits:
        assert fit.module.network.n_calls == 2 * 5
        assert fit.module.network.final_layer.weight.abs().max() <= 0.01
    torch.testing.assert_close(weights_of(alone), weights_of(fits[1]), rtol=1e-3, atol=1e-5)


def test_a_network_that_replaces_its_weights_has_to_be_trained_alone(tmp_path):
    class Replaced(CecottiCNN):
        def apply_constraints(self):
            self.final_layer.weight.data = self.final_layer.weight.data.clamp(-0.01, 0.01)

    with pytest.raises(ViewsLost, match="final_layer.weight was replaced"):
        train_together(tmp_path, [make_fit(kind=Replaced, seed=k) for k in range(2)])


def test_each_network_stops_by_its_own_validation_part(tmp_path):
    hopeless = functools.partial(torch.optim.SGD, lr=0.0)  # never better than after epoch 1
    one, other = make_fit(seed=1), make_fit(seed=2, optimizer=hopeless)
    kept = weights_of(other).clone()
    options = {"max_epochs": 8, "patience": 3, "monitor": "validation/loss"}
    found = train_together(tmp_path, [one, other], **options)
    assert found[1]["n_epochs"] == 4 and found[1]["best_epoch"] == 1
    assert found[0]["n_epochs"] == 8 and found[0]["best_epoch"] > 4
    assert torch.equal(weights_of(other), kept)


def test_a_network_that_diverges_says_so_and_the_one_beside_it_goes_on(tmp_path):
    infinite = functools.partial(torch.optim.SGD, lr=float("inf"))
    fits = [make_fit(seed=0, optimizer=infinite), make_fit(seed=1)]
    diverged, found = train_together(tmp_path, fits, max_epochs=8)
    assert isinstance(diverged, InputError)
    assert "the network's output is not finite after training epoch 1; lower" in str(diverged)
    other = make_fit(seed=1)
    alone = train_alone(tmp_path / "alone", other, max_epochs=8)
    assert found["n_epochs"] == alone["n_epochs"] == 8
    assert (weights_of(fits[1]) - weights_of(other)).abs().max() < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("kind", [CecottiCNN, OCLNN])
def test_an_interrupted_training_ends_as_an_undisturbed_one(tmp_path, kind):
    def make(name):
        return [make_fit(tmp_path / name, k + 1, seed=k, kind=kind) for k in range(2)]

    undisturbed, resumed, passes = make("whole"), make("parts"), Interrupt()
    wanted = train_together(tmp_path / "whole", undisturbed)
    with pytest.raises(ConnectionError):
        train_together(tmp_path / "parts", make("parts"), callbacks=[Interrupt(at=3)])
    found = train_together(tmp_path / "parts", resumed, callbacks=[passes])
    assert passes.n == 3 and found == wanted
    for k in range(2):
        assert torch.equal(weights_of(resumed[k]), weights_of(undisturbed[k]))
        path = f"networks/{k + 1}/metrics.csv"
        assert (tmp_path / "whole" / path).read_text() == (tmp_path / "parts" / path).read_text()


@pytest.mark.slow
def test_a_network_that_had_stopped_before_an_interruption_stays_stopped(tmp_path):
    def make(name):
        hopeless = functools.partial(torch.optim.SGD, lr=0.0)
        folder = tmp_path / name
        return [make_fit(folder, 1), make_fit(folder, 2, seed=1, optimizer=hopeless)]

    options = {"patience": 2, "monitor": "validation/loss"}  # which falls for long
    wanted = train_together(tmp_path / "whole", make("whole"), **options)
    with pytest.raises(ConnectionError):
        callbacks = [Interrupt(at=4)]
        train_together(tmp_path / "parts", make("parts"), callbacks=callbacks, **options)
    assert train_together(tmp_path / "parts", make("parts"), **options) == wanted
    assert wanted[1]["n_epochs"] == 3
    assert logged(tmp_path / "parts", 2)["epoch"].tolist() == [0, 1, 2]


def test_a_training_that_has_ended_is_not_run_again(tmp_path):
    def make():
        return [make_fit(tmp_path, k + 1, seed=k) for k in range(2)]

    wanted, passes, again = train_together(tmp_path, make()), Interrupt(), make()
    assert train_together(tmp_path, again, callbacks=[passes]) == wanted and passes.n == 0


def test_stacked_batches_keep_their_order_in_memory():
    batches = [torch.arange(24.0).reshape(2, 3, 4) + k for k in (0, 100)]
    expected = torch.stack(batches)
    for layout in (lambda x: x, time_first):
        found = stacked([layout(x) for x in batches])
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
        assert is_time_first(found[0]) == (layout is time_first)
    assert not is_time_first(stacked([batches[0], time_first(batches[1])])[0])  # of both orders
