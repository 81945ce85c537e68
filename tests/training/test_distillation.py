"""A student learns a teacher's probabilities as it learns hard labels, and better where it can."""

import functools

import numpy as np
import pytest
import torch
from fits import (
    IS_TARGET,
    LIGHTNING,
    TRAIN,
    VALIDATION,
    make_fit,
    train_alone,
    train_together,
    weights_of,
)
from scipy.special import expit
from torch import nn
from torch.nn import functional as F

from p300.errors import InputError
from p300.losses import AdaptedLoss, CrossEntropy, LogisticSquareError
from p300.training.augmentation import AverageFlashes, GaussianNoise, Mixup, TimeShift
from p300.training.datamodule import EpochsDataModule
from p300.training.distillation import Teaching, soft_labels
from p300.training.loop import NetworkFit
from p300.training.module import TrainingModule

pytestmark = LIGHTNING


@pytest.mark.parametrize("options", [{}, {"balanced": False}, {"label_smoothing": 0.1}])
def test_a_soft_label_costs_the_mean_of_what_both_hard_labels_cost(options):
    loss = CrossEntropy(np.arange(12) < 2, **options)
    logits, q = torch.randn(7, 2, generator=torch.Generator().manual_seed(0)), torch.rand(7)
    ones = torch.ones(7, dtype=torch.bool)
    as_target, as_nontarget = (
        torch.stack([loss(x[None], y[None]) for x, y in zip(logits, labels, strict=True)])
        for labels in (ones, ~ones)
    )
    expected = (q * as_target + (1 - q) * as_nontarget).mean()
    torch.testing.assert_close(loss(logits, q), expected)


def test_balanced_weights_make_the_best_answer_to_the_prior_an_undecided_one():
    loss = CrossEntropy(np.arange(12) < 2)  # one flash in six is a target
    logits = torch.zeros(1, 2, requires_grad=True)
    loss(logits, torch.tensor([1 / 6])).backward()
    assert logits.grad.abs().max() < 1e-7


def test_soft_labels_of_0_and_1_cost_and_teach_to_the_bit_what_hard_ones_do():
    loss, found = CrossEntropy(IS_TARGET), []
    hard = torch.as_tensor(IS_TARGET)
    for labels in (hard, hard.float()):
        logits = torch.randn(len(hard), 2, generator=torch.Generator().manual_seed(0))
        value = loss(logits.requires_grad_(), labels)
        value.backward()
        found.append((value, logits.grad))
    assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])


def test_a_label_is_a_probability_among_flashes_as_frequent_as_the_hard_labels():
    is_target = np.arange(60) % 6 == 0
    undecided = soft_labels(np.zeros(60), is_target, Teaching(1.0))
    np.testing.assert_allclose(undecided, 1 / 6, rtol=1e-6)
    sure = soft_labels(np.full(60, 40.0), is_target, Teaching(0.25))
    np.testing.assert_allclose(sure, np.where(is_target, 1, 0.25))
    softer = soft_labels(np.full(60, np.log(5) * 2), is_target, Teaching(1.0, temperature=2))
    np.testing.assert_allclose(softer, 0.5, rtol=1e-6)  # log odds log(5) - log(5)
    assert (soft_labels(np.ones(60), is_target, Teaching(0.0)) == is_target).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((1.5,), "got teacher.weight=1.5; expected 0 to 1"),
        ((0.5, 0.0), "got teacher.temperature=0"),
    ],
)
def test_a_share_above_one_and_a_temperature_of_zero_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        Teaching(*options)


def test_a_student_of_a_linear_teacher_copies_its_weights_and_one_of_hard_labels_less_well():
    rng = np.random.default_rng(0)
    epochs = rng.normal(size=(400, 1, 4)).astype("f4")
    taught = np.array([1.0, -1.0, 0.5, 0.0])
    probability = expit(epochs[:, 0] @ taught)
    is_target = rng.random(400) < probability
    rows = np.ones(400, bool)
    data = EpochsDataModule(epochs, is_target, rows, soft_labels=probability)
    found = {}
    for name, labels in (
        ("soft", data.training_labels(data.train)),
        ("hard", torch.as_tensor(is_target)),
    ):
        torch.manual_seed(0)
        layer = nn.Linear(4, 2)
        loss = CrossEntropy(is_target, balanced=False)
        optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=100)

        def closure(layer=layer, loss=loss, labels=labels, optimizer=optimizer):
            optimizer.zero_grad()
            value = loss(layer(data.epochs[:, 0]), labels)
            value.backward()
            return value

        optimizer.step(closure)
        weight = layer.weight.detach().numpy()
        found[name] = np.abs(weight[1] - weight[0] - taught).max()
    assert found["soft"] < 0.01 < 0.05 < found["hard"]


def test_training_batches_are_soft_and_validation_flashes_keep_their_hard_labels(tmp_path):
    soft = np.where(TRAIN, 0.25, np.nan)
    fit, seen = make_fit(tmp_path, soft_labels=soft), []

    class Spy(CrossEntropy):
        def forward(self, logits, is_target):
            seen.append(is_target)
            return super().forward(logits, is_target)

    fit.module.loss = Spy(IS_TARGET)
    train_alone(tmp_path, fit, max_epochs=1)
    trained = torch.cat([labels for labels in seen if labels.is_floating_point()])
    assert (trained == 0.25).all() and len(trained) == TRAIN.sum()
    validated = [labels for labels in seen if labels.dtype == torch.bool]
    assert validated and all((v.numpy() == IS_TARGET[VALIDATION]).all() for v in validated)


@pytest.mark.slow
@pytest.mark.parametrize("augmentations", [[], [TimeShift(), GaussianNoise()]])
def test_students_of_several_teachers_learn_side_by_side_what_each_learns_alone(
    tmp_path, augmentations
):
    rng = np.random.default_rng(0)
    own = [np.clip(IS_TARGET + rng.normal(0, 0.3, len(IS_TARGET)), 0, 1) for _ in range(2)]

    def make(k, folder):
        options = {"soft_labels": own[k], "augmentations": augmentations}
        return make_fit(folder, k + 1, seed=k, **options)

    together = [make(k, tmp_path / "all") for k in range(2)]
    train_together(tmp_path / "all", together, max_epochs=3)
    for k in range(2):
        train_alone(tmp_path / str(k), fit := make(k, tmp_path / str(k)), max_epochs=3)
        difference = (weights_of(fit) - weights_of(together[k])).abs().max()
        assert difference < 1e-3 * weights_of(fit).abs().max()


@pytest.mark.parametrize("augmentation", [Mixup(), AverageFlashes()])
def test_augmentations_that_mix_flashes_of_a_class_are_refused(augmentation):
    words = f"soft labels and {type(augmentation).__name__}, which may mix flashes"
    with pytest.raises(InputError, match=words):
        make_fit(soft_labels=IS_TARGET, augmentations=[augmentation])


def test_repeated_targets_and_labels_that_are_no_probability_are_refused():
    epochs, rows = np.zeros((4, 2, 3), "f4"), np.ones(4, bool)
    with pytest.raises(InputError, match="repeat_targets, which needs hard ones"):
        EpochsDataModule(epochs, rows, rows, soft_labels=[0, 1, 0, 1], repeat_targets=True)
    for wrong in ([0, 1, 0, 1.5], [0, 1, 0, np.nan]):
        with pytest.raises(InputError, match="of the 4 training flashes; expected 0 to 1"):
            EpochsDataModule(epochs, rows, rows, soft_labels=wrong)


@pytest.mark.parametrize("loss", [LogisticSquareError(IS_TARGET), AdaptedLoss(F.cross_entropy)])
def test_a_loss_that_rounds_soft_labels_is_refused(loss):
    data = make_fit(soft_labels=IS_TARGET).data
    with pytest.raises(InputError, match=r"needs hard ones; expected a loss that states takes_so"):
        NetworkFit(TrainingModule(nn.Linear(2, 2), loss, functools.partial(torch.optim.SGD)), data)
