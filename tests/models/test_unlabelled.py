"""What networks learn from epochs without labels, against answers that are known otherwise."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from p300.models import DeepBeliefNet, MaskedTransformer, StackedAutoencoder, TransformerEncoder
from p300.models.autoencoder import learn_to_reconstruct

LEARNERS = [StackedAutoencoder, DeepBeliefNet, MaskedTransformer]


def mixed_sources(n_sources, n_flashes=600, n_inputs=20):
    """Inputs of mean 0 that are mixtures of a few independent sources of unequal strength."""
    rng = np.random.default_rng(0)
    sources = rng.normal(size=(n_flashes, n_sources)) * np.linspace(2, 1, n_sources)
    mixing = np.linalg.qr(rng.normal(size=(n_inputs, n_sources)))[0]
    inputs = sources @ mixing.T
    return torch.as_tensor(inputs - inputs.mean(0), dtype=torch.float32)


def oscillations(n_flashes=512, n_chans=2, n_times=40, sfreq=60.0):
    """Epochs with an oscillation of 3 Hz, its phase random in each epoch, and noise alone."""
    rng = np.random.default_rng(0)
    phase = 2 * np.pi * rng.random((n_flashes, 1, 1)) + np.arange(n_chans)[:, None]
    tone = np.sqrt(2) * np.sin(2 * np.pi * 3 * np.arange(n_times) / sfreq + phase)
    noise = rng.normal(size=tone.shape)
    return torch.as_tensor(tone).float(), torch.as_tensor(noise).float()


@pytest.mark.parametrize("n_units", [1, 2, 3])
def test_linear_units_keep_as_much_as_that_many_principal_components(n_units):
    inputs = mixed_sources(3)
    power = np.linalg.svd(inputs.numpy(), compute_uv=False) ** 2
    torch.manual_seed(0)
    left = learn_to_reconstruct(nn.Linear(20, n_units), inputs, n_epochs=60, lr=1e-2)
    assert left == pytest.approx(power[n_units:].sum() / power.sum(), abs=0.01)


def test_each_sigmoid_unit_is_on_as_often_as_the_sparsity_asks_for():
    inputs = mixed_sources(6)
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(20, 10), nn.Sigmoid())
    assert (encoder(inputs).mean(0) > 0.4).all()
    learn_to_reconstruct(encoder, inputs, n_epochs=60, lr=1e-2, sparsity=0.1, sparsity_weight=20)
    assert (encoder(inputs).mean(0) - 0.1).abs().max() < 0.03


def test_a_unit_learns_to_rely_on_all_electrodes_alike_if_some_are_set_to_zero():
    torch.manual_seed(0)
    inputs = torch.randn(500, 1).repeat(1, 10)  # ten electrodes that record the same
    spread = {}
    for zeroed in (0.0, 0.5):
        unit = nn.Linear(10, 1)
        learn_to_reconstruct(unit, inputs, n_epochs=60, zeroed=zeroed, lr=1e-2)
        spread[zeroed] = (unit.weight.std() / unit.weight.mean().abs()).item()
    assert spread[0.5] < 0.15 < spread[0.0]


@pytest.mark.slow
def test_hidden_parts_of_an_oscillation_are_predicted_and_those_of_noise_are_not():
    tone, noise = oscillations()
    torch.manual_seed(0)
    network = MaskedTransformer(2, 2, 40, 60.0, n_unlabelled_epochs=40)
    assert network.learn_unlabelled(tone)["unlabelled/error"] < 0.2
    network = MaskedTransformer(2, 2, 40, 60.0, n_unlabelled_epochs=10)
    assert 0.95 < network.learn_unlabelled(noise)["unlabelled/error"] < 1.1


def test_a_hidden_patch_is_not_seen_by_its_own_prediction():
    torch.manual_seed(0)
    network = MaskedTransformer(2, 2, 40, 60.0, masked=1.0).eval()
    epochs, predicted = torch.randn(2, 4, 2, 40), []
    decoder = nn.Linear(16, 6)
    decoder.register_forward_hook(lambda layer, tokens, samples: predicted.append(samples))
    for part in epochs:
        assert network.errors(part, decoder).shape == (4 * 13, 6)
    assert torch.equal(*predicted)


def test_patches_hold_the_samples_that_their_tokens_are_made_from():
    network = MaskedTransformer(2, 2, 40, 60.0)
    epochs = torch.arange(80.0).reshape(1, 2, 40)
    patches = network.patch_samples(epochs)
    assert patches.shape == (1, 13, 6)
    assert patches[0, 1].tolist() == [3, 4, 5, 43, 44, 45]


@pytest.mark.parametrize("network", LEARNERS)
def test_without_labels_all_layers_learn_but_the_last_and_the_affine_part_of_normalised_inputs(
    network,
):
    tone, _ = oscillations(n_flashes=64)
    torch.manual_seed(0)
    model = network(2, 2, 40, 60.0, n_unlabelled_epochs=1)
    before, shown = copy.deepcopy(model), tone.clone()
    stated = model.learn_unlabelled(tone)
    assert stated and all(isinstance(value, float) for value in stated.values())
    assert torch.equal(tone, shown) and model.training
    same = [
        name
        for (name, one), other in zip(before.named_parameters(), model.parameters(), strict=True)
        if torch.equal(one, other)
    ]
    inputs = ["bins.1.weight", "bins.1.bias"] if hasattr(model, "bins") else []
    assert same == [*inputs, "final_layer.weight", "final_layer.bias"]
    assert all(parameter.grad is None for parameter in model.parameters())


def test_twins_differ_in_what_is_learned_without_labels_alone():
    tone, _ = oscillations(n_flashes=8)
    for one, other in (
        (StackedAutoencoder, DeepBeliefNet),
        (MaskedTransformer, TransformerEncoder),
    ):
        torch.manual_seed(0)
        twin = other(2, 2, 40, 60.0)
        torch.manual_seed(0)
        model = one(2, 2, 40, 60.0, n_unlabelled_epochs=0)
        assert model.learn_unlabelled(tone) == {}
        assert torch.equal(model.eval()(tone), twin.eval()(tone))
