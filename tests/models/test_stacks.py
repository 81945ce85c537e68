"""Networks made of many small convolutions, with and without what made them trainable."""

import pytest
import torch
from torch import nn

from p300.models import MLP, VGG, ResNet
from p300.models.resnet import ResidualBlock


def count(model):
    return sum(p.numel() for p in model.parameters())


def convolutions(n_chans, sizes, *, more):
    """Weights of convolutions of 3 samples in a row, and ``more`` for each map."""
    inputs = [n_chans, *sizes]
    return sum(3 * a * b + more * b for a, b in zip(inputs, sizes, strict=False))


@pytest.mark.parametrize(("batch_norm", "more"), [(True, 2), (False, 1)])
def test_a_vgg_has_the_weights_of_six_convolutions_and_two_layers(batch_norm, more):
    expected = convolutions(64, [16, 16, 32, 32, 64, 64], more=more)
    expected += (64 * 9 + 1) * 64 + (64 + 1) * 2  # 78 samples, halved three times, are 9
    assert count(VGG(64, 2, 78, 120.0, batch_norm=batch_norm)) == expected


def test_a_resnet_has_the_weights_of_thirteen_convolutions_and_two_projections():
    sizes = 5 * [16] + 4 * [32] + 4 * [64]
    plain = convolutions(64, sizes, more=2) + (64 * 20 + 1) * 2  # 78 samples, 39, 20
    projections = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert count(ResNet(64, 2, 78, 120.0, shortcuts=False)) == plain
    assert count(ResNet(64, 2, 78, 120.0)) == plain + projections


@pytest.mark.parametrize("shortcut", [True, False])
def test_a_residual_block_that_adds_nothing_is_the_identity(shortcut):
    block = ResidualBlock(4, 4, shortcut=shortcut)
    nn.init.zeros_(block.residual[-1].weight)  # of the last norm, the last weights of the block
    x = torch.rand(3, 4, 20, generator=torch.Generator().manual_seed(0))  # rectified: 0 or more
    assert torch.equal(block(x), x if shortcut else torch.zeros_like(x))


def test_the_first_layers_of_a_resnet_hear_of_its_output_through_dead_blocks():
    gradients = []
    for shortcuts in (True, False):
        torch.manual_seed(0)
        model = ResNet(4, 2, 78, 120.0, shortcuts=shortcuts)
        for block in model.blocks:
            nn.init.zeros_(block.residual[-1].weight)
        model(torch.randn(6, 4, 78)).square().sum().backward()
        gradients.append(model.stem[0].weight.grad.abs().max().item())
    assert gradients[0] > 0 and gradients[1] == 0


def test_rows_of_the_table_have_what_their_names_say():
    layers = [type(m) for m in VGG(8, 2, 78, 120.0, batch_norm=False).modules()]
    assert nn.BatchNorm1d not in layers and layers.count(nn.MaxPool1d) == 3
    model = VGG(8, 2, 78, 120.0, drop_prob=0.0).train()
    epochs = torch.randn(6, 8, 78, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model(epochs), model(epochs))  # nothing is dropped


def test_epochs_too_short_for_three_pools_are_refused():
    with pytest.raises(ValueError, match="7 samples; expected at least 8"):
        VGG(8, 2, 7, 120.0)


@pytest.mark.parametrize(
    ("activation", "at_one"),
    [
        ("relu", 1.0),
        ("tanh", 0.7615942),
        ("elu", 1.0),
        ("gelu", 0.8413447),
        ("sigmoid", 0.7310586),
    ],
)
def test_a_hidden_unit_applies_the_function_that_is_named(activation, at_one):
    model = MLP(4, 2, 78, 120.0, activation=activation)
    assert model.hidden[2](torch.tensor(1.0)).item() == pytest.approx(at_one)
    default = MLP(4, 2, 78, 120.0)
    assert isinstance(default.hidden[2], nn.ReLU)


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="'swish'; expected one of"):
        MLP(8, 2, 78, 120.0, activation="swish")
