"""Several networks computed as one are the networks they were."""

import pytest
import torch
from torch import nn

from p300.losses import CrossEntropy, LogisticSquareError
from p300.models import (
    BN3,
    MLP,
    OCLNN,
    TCN,
    VGG,
    CecottiCNN,
    DeepBeliefNet,
    EEGNet,
    GraphEEGNet,
    LeNet,
    RecurrentNet,
    ResNet,
    StackedAutoencoder,
)
from p300.training.batched import BatchedNetworks, why_alone

SHAPE = {"n_chans": 4, "n_outputs": 2, "n_times": 78, "sfreq": 120.0}


def make_networks(kind, numbers=(1, 4, 6)):
    """Networks with weights of their own, under the numbers they have in a training."""
    networks = {}
    for k in numbers:
        torch.manual_seed(k)
        networks[k] = kind(**SHAPE)
    return networks


def make_batch(n_networks=3, n_flashes=12):
    torch.manual_seed(9)
    epochs = torch.randn(n_networks, n_flashes, 4, 78)
    return epochs, torch.arange(n_flashes).expand(n_networks, -1) % 6 == 0


def gradients(network):
    return [parameter.grad.clone() for parameter in network.parameters()]


@pytest.mark.parametrize("loss_kind", [CrossEntropy, LogisticSquareError])
def test_losses_and_gradients_are_those_of_each_network_alone(loss_kind):
    epochs, is_target = make_batch()
    # every network has its own share of targets, and so its own class weights
    losses = {k: loss_kind([True] + k * [False], balanced=True) for k in (1, 4, 6)}
    alone, wanted = make_networks(CecottiCNN), []
    for part, (k, network) in enumerate(alone.items()):
        loss = losses[k](network(epochs[part]), is_target[part])
        loss.backward()
        wanted.append(loss.item())
    together = make_networks(CecottiCNN)
    batched = BatchedNetworks({k: (together[k], losses[k]) for k in together})
    found = batched.losses(epochs, is_target)
    assert found.tolist() == pytest.approx(wanted, rel=1e-5)
    found.sum().backward()
    for k in alone:
        for one, other in zip(gradients(alone[k]), gradients(together[k]), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_batching_changes_no_weight():
    before, networks = make_networks(CecottiCNN), make_networks(CecottiCNN)
    BatchedNetworks({k: (network, CrossEntropy([True, False])) for k, network in networks.items()})
    for k, network in networks.items():
        for name, weight in network.state_dict().items():
            assert torch.equal(weight, before[k].state_dict()[name])


def test_what_one_network_learns_reaches_its_own_loss_and_no_other():
    epochs, is_target = make_batch()
    networks = make_networks(CecottiCNN)
    loss = CrossEntropy([True, False])
    batched = BatchedNetworks({k: (network, loss) for k, network in networks.items()})
    before = batched.losses(epochs, is_target).tolist()
    batched.zero_grad()
    batched.losses(epochs, is_target).sum().backward()
    torch.optim.SGD(networks[4].parameters(), lr=0.1).step()
    after = batched.losses(epochs, is_target).tolist()
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True]
    with torch.no_grad():
        own = loss(networks[4](epochs[1]), is_target[1]).item()
    assert after[1] == pytest.approx(own, rel=1e-5)


def test_gradients_are_forgotten_between_steps():
    epochs, is_target = make_batch()
    networks = make_networks(CecottiCNN)
    batched = BatchedNetworks({k: (n, CrossEntropy([True, False])) for k, n in networks.items()})
    batched.losses(epochs, is_target).sum().backward()
    once = gradients(networks[1])
    batched.zero_grad()
    batched.losses(epochs, is_target).sum().backward()
    for one, again in zip(once, gradients(networks[1]), strict=True):
        assert torch.equal(one, again) and one.abs().sum() > 0


def test_a_step_is_taken_together_only_with_equally_many_flashes_for_every_network():
    loss = CrossEntropy([True, False])
    batched = BatchedNetworks({k: (n, loss) for k, n in make_networks(CecottiCNN).items()})
    six, five = torch.arange(6), torch.arange(5)
    assert batched.takes({1: six, 4: six, 6: six})
    assert not batched.takes({1: six, 4: six, 6: five})
    assert not batched.takes({1: six, 6: six})


@pytest.mark.parametrize(
    "kind",
    [
        *(CecottiCNN, MLP, OCLNN, LeNet, BN3, TCN, EEGNet),
        *(VGG, ResNet, GraphEEGNet, StackedAutoencoder, DeepBeliefNet),
    ],
)
def test_dropout_and_statistics_are_those_of_each_network_alone(kind):
    epochs, is_target = make_batch()
    loss, alone, wanted = CrossEntropy([True, False, False]), make_networks(kind), []
    for part, (k, network) in enumerate(alone.items()):
        torch.manual_seed(100 + k)
        found = loss(network(epochs[part]), is_target[part])
        found.backward()
        wanted.append(found.item())
    together = make_networks(kind)
    batched = BatchedNetworks({k: (network, loss) for k, network in together.items()})
    generators = [torch.Generator().manual_seed(100 + k) for k in together]
    found = batched.losses(epochs, is_target, generators)
    assert found.tolist() == pytest.approx(wanted, rel=1e-5)
    found.sum().backward()
    for k in alone:
        largest = max(gradient.abs().max() for gradient in gradients(alone[k]))
        for one, other in zip(gradients(alone[k]), gradients(together[k]), strict=True):
            assert (one - other).abs().max() < 1e-5 * largest
        for one, other in zip(alone[k].buffers(), together[k].buffers(), strict=True):
            torch.testing.assert_close(one, other)
    assert kind is not EEGNet or (alone[1].temporal_norm.running_var != 1).all()


class Own(nn.Linear):
    """A network that does not say whether it can be computed beside others."""


class Frozen(MLP):
    def __init__(self, is_frozen, **shape):
        super().__init__(**shape)
        self.final_layer.requires_grad_(not is_frozen)


@pytest.mark.parametrize(
    "networks, reason",
    [
        ([Own(2, 2), Own(2, 2)], "Own does not state trains_side_by_side"),
        ([CecottiCNN(**SHAPE), MLP(**SHAPE)], "the networks are of several kinds"),
        ([Frozen(True, **SHAPE), Frozen(False, **SHAPE)], "not all Frozen have the same frozen"),
        ([RecurrentNet(**SHAPE), RecurrentNet(**SHAPE)], "RecurrentNet does not state"),
    ],
)
def test_networks_that_could_learn_something_else_are_trained_one_by_one(networks, reason):
    assert why_alone(networks).startswith(reason)


def test_networks_of_one_kind_that_opted_in_are_trained_as_one():
    assert why_alone([CecottiCNN(**SHAPE), CecottiCNN(**SHAPE)]) == ""
