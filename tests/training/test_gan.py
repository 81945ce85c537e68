"""A generator of epochs: the penalty of its critic, what it learns, and what it leaves alone."""

import numpy as np
import pytest
import torch

from p300.errors import InputError
from p300.training.augmentation import GeneratedTargets
from p300.training.augmentation.gan import EpochGenerator, gradient_penalty, share_of_copies

IS_TARGET = torch.arange(360) % 6 == 0


def smooth_epochs(n_flashes, seed):
    """Epochs of 4 electrodes with a bump of their own height at 0.3 s in targets; and the bump."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n_flashes, 4, 81))
    noise = sum(noise[..., k : k + 78] for k in range(4)) / 2  # neighbouring samples resemble
    bump = np.exp(-0.5 * ((np.arange(78) / 120 - 0.3) / 0.05) ** 2)
    template = np.outer([0.5, 1.0, 1.5, -0.5], bump)
    is_target = np.arange(n_flashes) % 6 == 0
    epochs = noise + is_target[:, None, None] * template
    return torch.as_tensor(epochs, dtype=torch.float32), torch.as_tensor(is_target), template


def fitted(n_steps=3, probability=1.0):
    torch.manual_seed(0)
    augment = GeneratedTargets(probability, n_steps)
    augment.fit(torch.randn(360, 4, 78), IS_TARGET)
    return augment


def test_the_penalty_of_a_linear_critic_is_how_far_its_weights_are_from_length_one():
    torch.manual_seed(0)
    weights, real, made = torch.randn(4, 78), torch.randn(9, 4, 78), torch.randn(9, 4, 78)
    penalty = gradient_penalty(lambda x, y: (x * weights).sum((1, 2)), real, made, torch.ones(9))
    assert penalty.item() == pytest.approx((weights.norm().item() - 1) ** 2, rel=1e-5)


def test_the_critic_learns_from_its_penalty():
    real, made = torch.ones(5, 2, 3), torch.zeros(5, 2, 3)
    weights = torch.full((2, 3), 2.0, requires_grad=True)
    penalty = gradient_penalty(lambda x, y: (x * weights).sum((1, 2)), real, made, torch.ones(5))
    penalty.backward()
    length = 2 * 6**0.5  # d (|w| - 1)² / dw = 2 (|w| - 1) w / |w|
    np.testing.assert_allclose(weights.grad, 2 * (length - 1) * 2 / length, rtol=1e-5)


def test_nontargets_stay_as_they_are_and_targets_become_new_epochs():
    augment = fitted()
    epochs = torch.randn(360, 4, 78)
    before = epochs.clone()
    after = augment(epochs, IS_TARGET)
    assert torch.equal(epochs, before)
    assert torch.equal(after[~IS_TARGET], before[~IS_TARGET])
    assert (after[IS_TARGET] != before[IS_TARGET]).all()
    assert not after.requires_grad and after.dtype == epochs.dtype
    again = augment(epochs, IS_TARGET)
    assert not torch.equal(after, again)  # new ones each time


def test_about_the_given_share_of_targets_is_replaced():
    augment = fitted(probability=0.25)
    epochs = torch.randn(360, 4, 78)
    drawn = [(augment(epochs, IS_TARGET) != epochs).any(2).any(1)[IS_TARGET] for _ in range(20)]
    assert torch.stack(drawn).float().mean().item() == pytest.approx(0.25, abs=0.04)


def test_epochs_keep_their_layout_in_memory():
    epochs = torch.randn(360, 78, 4).mT
    assert fitted()(epochs, IS_TARGET).stride() == epochs.stride()


def test_before_it_is_fitted_nothing_is_generated():
    epochs = torch.randn(360, 4, 78)
    assert torch.equal(GeneratedTargets(1.0)(epochs, IS_TARGET), epochs)


def test_the_same_seed_fits_the_same_generator():
    first, second = (fitted().generator.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_amplitudes_of_any_unit_are_learned_alike():
    epochs, is_target, _ = smooth_epochs(120, 0)
    made = []
    for factor in (1.0, 64.0):
        torch.manual_seed(0)
        augment = GeneratedTargets(1.0, 3)
        augment.fit(factor * epochs, is_target)
        made.append(augment.generate(is_target) / factor)
    torch.testing.assert_close(made[0], made[1])


def test_a_generator_that_copies_is_counted_as_copying():
    real = torch.randn(60, 4, 78, generator=torch.Generator().manual_seed(0))
    assert share_of_copies(real[:20] + 0.01, real) == 1.0
    assert share_of_copies(real[:20] + 100, real) == 0.0


def test_new_epochs_of_the_same_kind_are_copies_about_half_of_the_time():
    random = torch.Generator().manual_seed(0)
    new, real = torch.randn(2, 600, 1, 3, generator=random)
    assert share_of_copies(new, real) == pytest.approx(0.5, abs=0.07)


def test_a_class_of_one_flash_is_refused():
    with pytest.raises(InputError, match=r"got 1 targets among 5 .* train with augmentation=none"):
        GeneratedTargets().fit(torch.randn(5, 2, 12), torch.arange(5) == 0)


def test_a_few_thousand_weights_are_enough_for_64_electrodes():
    weights = [78 * 78 + 78, 2 * 16 * 78, 16 * 16 + 16, 16 * 64 + 64]
    assert sum(w.numel() for w in EpochGenerator(64, 78).parameters()) == sum(weights) == 10_018


@pytest.mark.slow
def test_the_mean_of_generated_targets_is_the_response_in_the_training_part():
    epochs, is_target, template = smooth_epochs(1000, 0)
    torch.manual_seed(0)
    augment = GeneratedTargets()
    stated = augment.fit(epochs, is_target)
    found = augment.generate(torch.ones(500, dtype=torch.bool)).mean(0)
    without = augment.generate(torch.zeros(500, dtype=torch.bool)).mean(0)
    assert np.corrcoef(found.flatten(), template.flatten())[0, 1] > 0.9
    assert np.corrcoef((found - without).flatten(), template.flatten())[0, 1] > 0.9
    assert 0.05 < stated["generated_copies"] < 0.9
