"""A restricted Boltzmann machine against its enumerated distribution, and scikit-learn's."""

import itertools

import numpy as np
import pytest
import torch
from sklearn.neural_network import BernoulliRBM
from torch import nn

from p300.models.rbm import RestrictedBoltzmannMachine


def make_machine(n_visible, n_hidden, *, gaussian, scale=1.0, seed=0):
    """A machine with random weights and biases, and these as arrays."""
    torch.manual_seed(seed)
    machine = RestrictedBoltzmannMachine(nn.Linear(n_visible, n_hidden), gaussian=gaussian)
    parts = machine.weight, machine.hidden_bias, machine.visible_bias
    for part in parts:
        part.normal_(0, scale)
    return machine, *(part.double().numpy() for part in parts)


def states(n_units):
    return np.array(list(itertools.product((0.0, 1.0), repeat=n_units)))


def visible_probabilities(weight, hidden_bias, visible_bias):
    """Probabilities of all visible states, from the energies of all joint states."""
    visible, hidden = states(len(visible_bias)), states(len(hidden_bias))
    joint = hidden @ weight @ visible.T + (hidden @ hidden_bias)[:, None] + visible @ visible_bias
    weights = np.exp(joint).sum(0)
    return weights / weights.sum()


def stripes(n_flashes=512, n_visible=12):
    """Two patterns of twelve units and their opposites, one unit in ten flipped."""
    rng = np.random.default_rng(0)
    patterns = np.stack([np.arange(n_visible) % 2, np.arange(n_visible) < n_visible / 2])
    chosen = np.concatenate([patterns, 1 - patterns])[rng.integers(4, size=n_flashes)]
    return np.abs(chosen - (rng.random(chosen.shape) < 0.1)).astype("f4")


def as_sklearn(machine, **options):
    """A ``BernoulliRBM`` with the weights of a machine."""
    theirs = BernoulliRBM(len(machine.weight), **options)
    theirs.components_ = machine.weight.double().numpy()
    theirs.intercept_hidden_ = machine.hidden_bias.double().numpy()
    theirs.intercept_visible_ = machine.visible_bias.double().numpy()
    return theirs


def test_gibbs_samples_are_as_frequent_as_the_enumerated_distribution_says():
    machine, *parts = make_machine(4, 3, gaussian=False)
    drawn = machine.sample(torch.zeros(40_000, 4), n_steps=50).numpy()
    found = np.bincount((drawn @ [8, 4, 2, 1]).astype(int), minlength=16) / len(drawn)
    assert np.abs(found - visible_probabilities(*parts)).max() < 0.01


def test_the_free_energy_is_the_enumerated_one_up_to_a_constant():
    machine, *parts = make_machine(4, 3, gaussian=False)
    probability = np.exp(-machine.free_energy(torch.as_tensor(states(4)).float()).numpy())
    wanted = visible_probabilities(*parts)
    assert probability / probability.sum() == pytest.approx(wanted, rel=1e-4)


def test_gaussian_samples_have_mean_and_covariance_of_the_enumerated_mixture():
    machine, weight, hidden_bias, visible_bias = make_machine(3, 2, gaussian=True, scale=0.7)
    hidden = states(2)
    centres = hidden @ weight + visible_bias  # one Gaussian of variance 1 for each hidden state
    share = np.exp(hidden @ hidden_bias + 0.5 * (centres**2).sum(1))
    share /= share.sum()
    mean = share @ centres
    covariance = (centres - mean).T @ ((centres - mean) * share[:, None]) + np.eye(3)
    drawn = machine.sample(torch.zeros(40_000, 3), n_steps=50).numpy()
    assert drawn.mean(0) == pytest.approx(mean, abs=0.05)
    assert np.abs(np.cov(drawn.T) - covariance).max() < 0.1
    points = np.random.default_rng(0).normal(size=(5, 3))
    density = np.exp(-0.5 * ((points[:, None] - centres) ** 2).sum(2)) @ share
    found = machine.free_energy(torch.as_tensor(points).float()).numpy()
    wanted = -np.log(density)
    assert found - found[0] == pytest.approx(wanted - wanted[0], abs=1e-4)


def test_hidden_probabilities_and_pseudo_likelihood_are_those_of_scikit_learn():
    machine, *_ = make_machine(12, 5, gaussian=False)
    inputs = stripes(50)
    theirs, x = as_sklearn(machine, random_state=0), torch.as_tensor(inputs)
    assert machine.hidden_probability(x).numpy() == pytest.approx(theirs.transform(inputs))
    flipped = x.clone()
    rows, units = np.arange(50), np.random.RandomState(0).randint(0, 12, 50)
    flipped[rows, units] = 1 - flipped[rows, units]
    odds = machine.free_energy(flipped) - machine.free_energy(x)
    ours = 12 * nn.functional.logsigmoid(odds).numpy()
    assert ours == pytest.approx(theirs.score_samples(inputs), rel=1e-4)


def test_it_learns_as_well_as_scikit_learn_s():
    inputs = stripes()
    machine, *_ = make_machine(12, 8, gaussian=False, scale=0.01)
    random = as_sklearn(machine, random_state=0).score_samples(inputs).mean()
    left = machine.learn(torch.as_tensor(inputs), n_epochs=60, lr=0.05)
    ours = as_sklearn(machine, random_state=0).score_samples(inputs).mean()
    theirs = BernoulliRBM(8, learning_rate=0.1, batch_size=64, n_iter=60, random_state=0)
    theirs = theirs.fit(inputs).score_samples(inputs).mean()
    assert random == pytest.approx(12 * np.log(0.5), abs=0.1)
    assert ours > 0.6 * random and ours == pytest.approx(theirs, rel=0.1)
    assert left < 0.6


def test_gaussian_units_learn_two_sources_from_unit_variance_inputs():
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 1.0], size=(1000, 2))
    inputs = 0.9 * np.repeat(signs, 5, axis=1) + np.sqrt(1 - 0.81) * rng.normal(size=(1000, 10))
    torch.manual_seed(0)
    machine = RestrictedBoltzmannMachine(nn.Linear(10, 4), gaussian=True)
    left = machine.learn(torch.as_tensor(inputs).float(), n_epochs=40, lr=0.01)
    assert left < 0.4  # 0.19 of the variance is noise of single inputs
