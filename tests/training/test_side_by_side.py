"""Several networks computed as one are the networks they were."""

import pytest
import torch
from torch import nn

from p300.losses import CrossEntropy, LogisticSquareError
from p300.models import MLP, OCLNN, CecottiCNN, EEGNet
from p300.training.side_by_side import BatchedNetworks, can_be_batched

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


@pytest.mark.parametrize("kind", [EEGNet, OCLNN, nn.LSTM], ids=lambda kind: kind.__name__)
def test_networks_with_chance_or_memory_are_trained_one_by_one(kind):
    arguments = {"input_size": 4, "hidden_size": 2} if kind is nn.LSTM else SHAPE
    assert not can_be_batched([kind(**arguments) for _ in range(2)])


def test_networks_of_two_kinds_are_trained_one_by_one():
    assert can_be_batched([CecottiCNN(**SHAPE), CecottiCNN(**SHAPE)])
    assert not can_be_batched([CecottiCNN(**SHAPE), MLP(**SHAPE)])
