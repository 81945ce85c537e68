"""What every network must do, one list of checks over all."""

import inspect

import numpy as np
import pytest
import torch
from simulated import p300_epochs
from torch import nn

import p300.models
from p300.models import (
    BN3,
    MLP,
    OCLNN,
    TCN,
    VGG,
    Conformer,
    DeepBeliefNet,
    DeepConvNet,
    EEGInception,
    EEGNet,
    GraphEEGNet,
    LeNet,
    MaskedTransformer,
    RecurrentNet,
    ResNet,
    ShallowConvNet,
    StackedAutoencoder,
    TransformerEncoder,
)
from p300.preprocessing import zscore_epochs

NETWORKS = [(getattr(p300.models, name), {}) for name in p300.models.__all__]
NETWORKS += [(RecurrentNet, {"cell": "gru"}), (RecurrentNet, {"bidirectional": True})]
NETWORKS += [(RecurrentNet, {"cell": "rnn"}), (VGG, {"batch_norm": False, "drop_prob": 0.0})]
NETWORKS += [(ResNet, {"shortcuts": False}), (GraphEEGNet, {"adjacency": "random"})]
PRIMERS = (VGG, ResNet, GraphEEGNet, StackedAutoencoder, DeepBeliefNet, MaskedTransformer)
every_network = pytest.mark.parametrize(
    ("network", "options"),
    NETWORKS,
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)


def count(model):
    return sum(p.numel() for p in model.parameters())


def simulate_epochs(rng, n_flashes, n_chans=8):
    """Epochs with a P300, z-scored per flash and electrode, and their labels."""
    epochs, is_target = p300_epochs(rng, n_flashes, n_chans)
    return torch.as_tensor(zscore_epochs(epochs)), torch.as_tensor(is_target).long()


def train(model, epochs, labels, n_epochs):
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    constrain = getattr(model, "apply_constraints", lambda: None)
    weight = torch.tensor([1.0, 5.0])
    for _ in range(n_epochs):
        model.train()
        for rows in torch.randperm(len(epochs)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(epochs[rows]), labels[rows], weight).backward()
            optimizer.step()
            constrain()
    return model.eval()


@torch.no_grad()
def auc(model, epochs, labels):
    logits = model(epochs)
    scores = logits[:, 1] - logits[:, 0]
    pairs = scores[labels == 1][:, None] - scores[labels == 0]
    return ((pairs > 0).float() + 0.5 * (pairs == 0)).mean().item()


@every_network
@pytest.mark.parametrize("n_chans", [4, 8, 16, 64])
def test_epochs_of_any_headset_give_two_logits(network, options, n_chans):
    model = network(n_chans, 2, 78, 120.0, **options)
    logits = model(torch.randn(3, n_chans, 78))
    assert logits.shape == (3, 2) and logits.isfinite().all()
    assert list(model.named_children())[-1] == ("final_layer", model.final_layer)
    assert model.final_layer.out_features == 2


@every_network
@pytest.mark.parametrize(
    ("n_times", "sfreq"), [(40, 60.0), (96, 120.0), (128, 128.0), (160, 200.0), (240, 240.0)]
)
def test_other_epochs_and_rates_give_logits_too(network, options, n_times, sfreq):
    model = network(8, 3, n_times, sfreq, **options)
    assert model(torch.randn(2, 8, n_times)).shape == (2, 3)


@every_network
def test_every_weight_learns_and_no_flash_hears_of_its_neighbours(network, options):
    torch.manual_seed(0)
    model = network(8, 2, 78, 120.0, **options)
    epochs = torch.randn(6, 8, 78)
    before = epochs.clone()
    model(epochs).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert torch.equal(epochs, before)
    model.eval()
    torch.testing.assert_close(model(epochs)[2:3], model(epochs[2:3]))


@every_network
def test_all_networks_share_one_signature(network, options):
    names = list(inspect.signature(network).parameters.values())
    assert [p.name for p in names[:4]] == ["n_chans", "n_outputs", "n_times", "sfreq"]
    assert all(p.kind is p.KEYWORD_ONLY for p in names[4:])


# a bump that linear methods find with an AUC near 1; ShallowConvNet squares its sign away.
# tests/experiments/test_primers.py trains the others
@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "options"),
    [pair for pair in NETWORKS if pair[0] not in PRIMERS],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
def test_a_simulated_p300_is_found_in_new_flashes(network, options):
    rng = np.random.default_rng(0)
    epochs, labels = simulate_epochs(rng, 900)
    torch.manual_seed(0)
    model = network(8, 2, 78, 120.0, **options)
    train(model, epochs[:600], labels[:600], n_epochs=20 if network is not EEGInception else 8)
    assert auc(model, epochs[600:], labels[600:]) > (0.7 if network is ShallowConvNet else 0.85)


@pytest.mark.slow
@every_network
def test_permuted_labels_score_at_chance(network, options):
    rng = np.random.default_rng(1)
    epochs, labels = simulate_epochs(rng, 1200, n_chans=4)
    permuted = labels[rng.permutation(1200)]
    torch.manual_seed(0)
    model = train(network(4, 2, 78, 120.0, **options), epochs[:300], permuted[:300], n_epochs=3)
    assert 0.4 < auc(model, epochs[300:], permuted[300:]) < 0.6


@pytest.mark.parametrize("network", [EEGNet, ShallowConvNet, DeepConvNet, EEGInception])
def test_no_weight_is_above_its_bound_after_a_step(network):
    torch.manual_seed(0)
    model = network(8, 2, 78, 120.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=100.0)
    model(torch.randn(16, 8, 78)).square().sum().backward()
    optimizer.step()
    bounded = [m for m in model.modules() if isinstance(m, nn.Conv1d | nn.Conv2d)]
    bound, bound_of_last = 2.0, 0.5
    if network in (EEGNet, EEGInception):  # of the convolutions only those over electrodes
        bounded = [m for m in bounded if m.weight.dim() == 4 and m.weight.shape[2] == 8]
        bound, bound_of_last = 1.0, {EEGNet: 0.25}.get(network)
    bounds = [(layer, bound) for layer in bounded]
    if bound_of_last:
        bounds.append((model.final_layer, bound_of_last))
    norms = [layer.weight.flatten(1).norm(dim=1) for layer, _ in bounds]
    assert any((norm > bound).any() for norm, (_, bound) in zip(norms, bounds, strict=True))
    weights = [layer.weight for layer, _ in bounds]
    model.apply_constraints()
    for before, weight, (layer, bound) in zip(norms, weights, bounds, strict=True):
        assert layer.weight is weight and weight.requires_grad and weight.is_leaf
        after = weight.flatten(1).norm(dim=1)
        torch.testing.assert_close(after, before.clamp(max=bound), rtol=1e-4, atol=1e-5)


def test_parameters_are_as_many_as_published():
    assert count(EEGNet(64, 2, 128, 128.0)) == 2258  # Lawhern 2018, table 3, P300
    assert count(DeepConvNet(64, 2, 128, 128.0)) == 174127  # same
    assert count(ShallowConvNet(64, 2, 128, 128.0)) == 104002  # same
    assert count(EEGInception(8, 2, 128, 128.0)) == 14926  # the authors' code, trainable
    assert count(OCLNN(64, 2, 240, 240.0)) == 16 * (16 * 64 + 1) + 2 * (16 * 15 + 1)  # Shan 2018
    assert count(LeNet(32, 10, 32, 120.0)) == 61706  # LeNet-5, all maps connected


@pytest.mark.parametrize(
    ("network", "options", "n_64", "n_8"),
    [
        (EEGNet, {}, 2146, 1250),
        (ShallowConvNet, {}, 103482, 13882),
        (DeepConvNet, {}, 172927, 137927),
        (BN3, {}, 37058, 36050),
        (OCLNN, {}, 8530, 1362),
        (EEGInception, {}, 16382, 13694),
        (TCN, {}, 12226, 6850),
        (RecurrentNet, {}, 14178, 8802),
        (RecurrentNet, {"cell": "gru"}, 12578, 7202),
        (RecurrentNet, {"bidirectional": True}, 22178, 16802),
        (TransformerEncoder, {}, 9058, 3682),
        (Conformer, {}, 23826, 9490),
        (MLP, {}, 26914, 3506),
        (LeNet, {}, 412386, 42306),
        (RecurrentNet, {"cell": "rnn"}, 9378, 4002),
        (GraphEEGNet, {}, 1429, 1429),
        (StackedAutoencoder, {}, 55586, 8882),
        (DeepBeliefNet, {}, 55586, 8882),
        (MaskedTransformer, {}, 9058, 3682),
    ],
)
def test_parameters_for_64_and_8_electrodes_and_78_samples(network, options, n_64, n_8):
    assert count(network(64, 2, 78, 120.0, **options)) == n_64
    assert count(network(8, 2, 78, 120.0, **options)) == n_8


TWINS = [
    network
    for name in p300.models.__all__
    if hasattr(network := getattr(p300.models, name), "engine")
]


@pytest.mark.parametrize("network", TWINS)
@pytest.mark.parametrize(("n_chans", "n_times", "sfreq"), [(8, 78, 120.0), (4, 96, 128.0)])
def test_the_fast_layers_compute_and_learn_what_the_textbook_layers_do(
    network, n_chans, n_times, sfreq
):
    torch.manual_seed(0)
    fast = network(n_chans, 2, n_times, sfreq).double()
    textbook = network(n_chans, 2, n_times, sfreq).double()
    textbook.load_state_dict(fast.state_dict())
    assert fast.engine == "fast"
    textbook.engine = "textbook"
    for model in (fast, textbook):
        for layer in model.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0  # which activations are dropped follows their order in memory
    x = torch.randn(20, n_chans, n_times, dtype=torch.float64) + 0.5
    for _ in range(3):  # running statistics are followed too
        outputs = []
        for model in (fast, textbook):
            torch.manual_seed(1)  # of the dropout within attention
            outputs.append(model(x))
        torch.testing.assert_close(*outputs)
        for output in outputs:
            output.square().sum().backward()
    for (name, ours), theirs in zip(fast.named_parameters(), textbook.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name)
    for ours, theirs in zip(fast.buffers(), textbook.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(fast.eval()(x), textbook.eval()(x))


def test_the_paper_s_network_and_eegnet_are_among_those_with_a_fast_twin():
    assert {p300.models.CecottiCNN, EEGNet, OCLNN} <= set(TWINS)


@pytest.mark.parametrize(("n_times", "sfreq"), [(40, 120.0), (78, 120.0), (240, 120.0)])
def test_the_last_step_of_the_tcn_has_seen_the_first_and_the_future_is_never_read(n_times, sfreq):
    torch.manual_seed(0)
    model = TCN(4, 2, n_times, sfreq).eval()
    steps = model.steps(torch.randn(1, 4, n_times)).detach().requires_grad_()
    for step in (0, steps.shape[-1] - 1):
        steps.grad = None
        model.blocks(steps)[0, :, step].sum().backward()
        seen = steps.grad[0].abs().sum(0) > 0
        assert not seen[step + 1 :].any()
        assert seen[0] and seen[step]


@every_network
def test_a_last_batch_of_one_flash_still_trains(network, options):
    model = network(8, 2, 78, 120.0, **options).train()
    model(torch.randn(1, 8, 78)).sum().backward()


@pytest.mark.parametrize("network", [EEGNet, EEGInception])
def test_an_epoch_shorter_than_the_pools_is_refused(network):
    with pytest.raises(ValueError, match="30 samples are fewer than the 32"):
        network(8, 2, 30, 120.0)


def test_an_unknown_cell_is_refused():
    with pytest.raises(ValueError, match="'elman'; expected one of"):
        RecurrentNet(8, 2, 78, 120.0, cell="elman")
