"""What is learned before a training reads its training part alone, and the same each time."""

import numpy as np
import torch
from torch import nn

from p300.losses import CrossEntropy
from p300.training.datamodule import EpochsDataModule
from p300.training.loop import NetworkFit
from p300.training.module import TrainingModule
from p300.training.preparation import prepare_training


class Mean(nn.Module):
    """Keeps what it was shown, and a random number."""

    def __init__(self):
        super().__init__()
        self.final_layer = nn.Linear(6, 2)

    def learn_unlabelled(self, epochs):
        self.shown, self.drawn = epochs.clone(), torch.rand(())
        self.could_learn = all(weight.requires_grad for weight in self.parameters())
        return {"n_shown": len(epochs)}


class Generator:
    """An augmentation that keeps what it was fitted to."""

    def __call__(self, epochs, is_target):
        return epochs

    def fit(self, epochs, is_target):
        self.shown = epochs, is_target
        return {"n_fitted": len(epochs)}


def fit_of(seed=0, augmentations=()):
    epochs, is_target = np.arange(72, dtype="f4").reshape(12, 2, 3), np.arange(12) % 6 == 0
    rows = np.arange(12) < 8
    module = TrainingModule(Mean(), CrossEntropy(is_target))
    data = EpochsDataModule(epochs, is_target, rows, ~rows, seed=seed, augmentations=augmentations)
    return NetworkFit(module, data)


def test_only_the_training_part_is_shown():
    fit = fit_of(augmentations=[(generator := Generator())])
    assert prepare_training(fit) == {"n_fitted": 8, "n_shown": 8}
    assert torch.equal(fit.module.network.shown, fit.data.epochs[:8])
    assert torch.equal(generator.shown[0], fit.data.epochs[:8])
    assert generator.shown[1].tolist() == (np.arange(8) % 6 == 0).tolist()


def test_it_draws_the_same_numbers_again_and_others_with_another_seed():
    drawn = []
    for seed in (0, 0, 1):
        prepare_training(fit := fit_of(seed))
        drawn.append(fit.module.network.drawn.item())
    assert drawn[0] == drawn[1] != drawn[2]


def test_frozen_weights_learn_here_and_stay_in_the_training_with_labels():
    fit = fit_of()
    weights = dict(fit.module.network.named_parameters())
    weights["final_layer.weight"].requires_grad_(False)
    prepare_training(fit)
    assert fit.module.network.could_learn
    assert [weight.requires_grad for weight in weights.values()] == [False, True]


def test_a_network_that_was_trained_before_learns_nothing_here():
    fit = fit_of()
    assert prepare_training(fit, from_start=False) == {}
    assert not hasattr(fit.module.network, "shown")
