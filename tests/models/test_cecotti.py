import numpy as np
import pytest
import torch
from torch import nn

from p300.models import CecottiCNN


@pytest.mark.parametrize(
    ("n_chans", "n_filters", "n_parameters"),
    [(64, 10, 31_652), (8, 10, 31_092), (64, 1, 3_437)],  # CNN-1, CNN-2, CNN-3
)
def test_parameters_number_as_in_the_paper(n_chans, n_filters, n_parameters):
    network = CecottiCNN(n_chans, 2, 78, n_filters=n_filters)
    assert sum(p.numel() for p in network.parameters()) == n_parameters


def test_the_convolutions_are_those_of_the_papers_equations():
    """Equations (5) and (6), neuron by neuron."""
    torch.manual_seed(0)
    network = CecottiCNN(4, 2, 78, n_filters=3).double()
    x = torch.randn(2, 4, 78, dtype=torch.float64)

    def f(v):
        return 1.7159 * torch.tanh(2 * v / 3)

    found = network.maps(x).unflatten(1, (3, 5, 6))
    for epoch, m, k, step in [(0, 0, 0, 0), (1, 2, 4, 5), (1, 1, 3, 2)]:
        space = network.spatial_weight[m] @ x[epoch] + network.spatial_bias[m]  # (78,)
        piece = f(space)[13 * step : 13 * (step + 1)]
        expected = f(network.temporal_weight[m, k] @ piece + network.temporal_bias[m, k, 0])
        torch.testing.assert_close(found[epoch, m, k, step], expected)


def test_a_temporal_map_reads_one_spatial_map_only():
    torch.manual_seed(0)
    network = CecottiCNN(4, 2, 78, n_filters=3)
    x = torch.randn(1, 4, 78)
    with torch.no_grad():
        network.hidden.weight[:, : 2 * 5 * 6] = 0  # only the third map's neurons are read
        before = network(x)
        network.spatial_weight[:2] += 1.0
        assert torch.equal(network(x), before)
        network.spatial_weight[2] += 1.0
        assert not torch.equal(network(x), before)


def test_layers_learn_at_the_papers_rates():
    rates = [group["lr"] for group in CecottiCNN(64, 2, 78).learning_rates(0.2)]
    assert np.round(rates, 6).tolist() == [0.000641, 0.01849, 0.011547, 0.02]


def test_first_weights_spread_by_one_over_the_number_of_inputs():
    torch.manual_seed(0)
    for weight, _ in CecottiCNN(64, 2, 78, n_hidden=400).layers()[:3]:
        n_inputs = weight.shape[-1]
        error = 4 / np.sqrt(2 * weight.numel())  # four standard errors of a standard deviation
        assert weight.std().item() * n_inputs == pytest.approx(1, rel=error)


def test_every_parameter_has_one_learning_rate():
    network = CecottiCNN(64, 2, 78)
    grouped = [id(p) for group in network.learning_rates() for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in network.parameters())


def test_electrode_power_sums_absolute_weights_over_filters():
    network = CecottiCNN(2, 2, 78, n_filters=2)
    with torch.no_grad():
        network.spatial_weight.copy_(torch.tensor([[1.0, -2.0], [-3.0, 0.5]]))
    assert network.electrode_power().tolist() == [4.0, 2.5]


def test_the_last_layer_goes_by_its_common_name():
    assert isinstance(CecottiCNN(8).final_layer, nn.Linear)


def test_an_epoch_shorter_than_the_kernel_is_refused():
    with pytest.raises(ValueError, match="12 samples"):
        CecottiCNN(8, 2, 12)
