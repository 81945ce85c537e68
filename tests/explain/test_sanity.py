"""A map that ignores the weights is told from one that shows them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from simulated import p300_epochs
from torch import nn

from p300.baselines import ShrinkageLDA
from p300.detector import Detector, Member
from p300.errors import InputError
from p300.explain.sanity import Sanity, check_attribution, check_sanity
from p300.figures.attribution import draw_sanity
from p300.models import CecottiCNN, EEGNet
from p300.preprocessing import Epochs
from p300.recording import flash_table

needs_captum = pytest.mark.skipif(
    not pytest.importorskip("importlib.util").find_spec("captum"),
    reason="captum is not installed (extra explain)",
)


def linear_network(n_chans=16, n_times=40, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(n_chans * n_times, 2))


def gradient(network, n_chans=16, n_times=40):
    """The gradient of the score of a target: of a linear network, its weights."""
    x = torch.zeros(1, n_chans, n_times, requires_grad=True)
    logits = network(x)
    (logits[:, 1] - logits[:, 0]).sum().backward()
    return x.grad[0].numpy()


def test_a_map_that_is_the_epoch_itself_keeps_its_correlation_of_1_and_is_flagged():
    epoch = np.random.default_rng(0).normal(size=(16, 40))
    found = check_sanity(EEGNet(16, 2, 40, 60.0), lambda network: epoch)
    assert found.signed.tolist() == pytest.approx([1.0] * len(found.layers))
    assert found.absolute.tolist() == pytest.approx([1.0] * len(found.layers))
    assert not found.shows_the_network and found.verdict == "does not show the network"


def test_the_gradient_of_a_linear_network_is_lost_with_its_weights():
    # 640 independent weights, 5 draws: a correlation of 0 with a deviation of 0.02
    found = check_sanity(linear_network(), gradient)
    assert found.layers == ("1",)
    assert abs(found.signed[0]) < 0.1 and abs(found.absolute[0]) < 0.1
    assert found.shows_the_network


def test_layers_become_random_from_the_last_to_the_first():
    found = check_sanity(CecottiCNN(8, 2, 78), lambda network: np.arange(4.0))
    assert found.layers == ("final_layer", "hidden", "temporal", "spatial")


def test_each_layer_is_random_beside_those_before_it_and_the_trained_network_stays():
    network, seen = CecottiCNN(8, 2, 78), []
    before = {name: weight.clone() for name, weight in network.state_dict().items()}

    def explain(changed):
        differ = [n for n, w in changed.named_parameters() if not torch.equal(w, before[n])]
        seen.append({name.split(".")[0].split("_weight")[0].split("_bias")[0] for name in differ})
        return np.arange(4.0)

    check_sanity(network, explain, n_draws=1)
    every = ["final_layer", "hidden", "temporal", "spatial"]
    assert seen == [set(every[:k]) for k in range(5)]
    assert all(torch.equal(network.state_dict()[name], before[name]) for name in before)


def test_a_map_that_becomes_the_same_everywhere_is_no_longer_the_same():
    network = linear_network()
    maps = iter([np.arange(6.0), *[np.zeros(6)] * 5])
    found = check_sanity(network, lambda changed: next(maps))
    assert found.signed.tolist() == [0.0] and found.shows_the_network


def made_up_epochs():
    data, is_target = p300_epochs(np.random.default_rng(0), 60, 8)
    flashes = flash_table(onset=np.arange(60.0), is_target=is_target)
    return Epochs(data, flashes, ("Fz", "Cz", "Pz", "Oz", "P3", "P4", "PO7", "PO8"), 120.0)


@needs_captum
def test_the_integrated_gradients_of_a_network_follow_its_weights():
    torch.manual_seed(0)
    member = Member(CecottiCNN(8, 2, 78).eval(), {}, "CrossEntropy")
    detector = Detector([member], None, None, {}, (1.0, 0.0))
    found = check_attribution(detector, made_up_epochs(), n_draws=2)
    assert found.layers[0] == "final_layer" and np.isfinite(found.signed).all()
    assert abs(found.signed[-1]) < 0.5


def test_a_classical_detector_has_no_layers_to_lose():
    epochs = made_up_epochs()
    is_target = epochs.flashes["is_target"].to_numpy(bool)
    lda = Member(ShrinkageLDA().fit(epochs.data, is_target), {})
    with pytest.raises(InputError, match="got ShrinkageLDA, without layers; expected a network"):
        check_attribution(Detector([lda], None, None, {}, (1.0, 0.0)), epochs)


def test_the_figure_says_what_was_found():
    found = Sanity(("final_layer", "hidden"), np.array([0.4, 0.05]), np.array([0.6, 0.2]))
    figure = draw_sanity(found)
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_xticklabels()] == [
        "trained",
        "final_layer",
        "hidden",
    ]
    assert axis.lines[0].get_ydata().tolist() == [1.0, 0.4, 0.05]
    assert "falls to 0.05" in figure.get_label() and "shows the network" in figure.get_label()
    stays = draw_sanity(replace(found, absolute=np.array([0.9, 0.8])))
    assert "shows the network by its signs alone" in stays.get_label()
    stays = draw_sanity(replace(found, signed=np.array([0.9, 0.8])))
    assert "does not show the network" in stays.get_label()
