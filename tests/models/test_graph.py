"""The network that knows where the electrodes are."""

import numpy as np
import pytest
import torch

from p300.electrodes import find_positions
from p300.errors import InputError
from p300.models import EEGNet, GraphEEGNet
from p300.models.graph import REGIONS, WIDTH_M, normalised_adjacency, pooling
from p300.models.protocols import ReadsPositions

EIGHT = ["Fz", "Cz", "Pz", "P3", "P4", "PO7", "PO8", "Oz"]
both = pytest.mark.parametrize("adjacency", ["near", "random"])


def network(ch_names=EIGHT, **options):
    torch.manual_seed(0)
    model = GraphEEGNet(len(ch_names), 2, 78, 120.0, ch_names=ch_names, **options)
    torch.nn.init.normal_(model.graph_weight)
    return model.eval()


def adjacency_of(model):
    return model.powers[1].double().numpy()


def weights_and_degrees(matrix):
    """Off the diagonal; the degree of electrode i is 1 / A[i, i], as its own weight was 1."""
    off = matrix[~np.eye(len(matrix), dtype=bool)]
    return np.sort(off), np.sort(1 / matrix.diagonal())


def test_two_electrodes_at_one_deviation_of_distance_have_the_weights_of_the_formula():
    between = np.exp(-0.5)
    found = normalised_adjacency(np.array([[0, 0, 0], [0, WIDTH_M, 0]]))
    expected = np.array([[1, between], [between, 1]]) / (1 + between)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@both
@pytest.mark.parametrize("n_chans", [4, 8, 64])
def test_the_adjacency_is_symmetric_and_its_largest_eigenvalue_is_one(adjacency, n_chans):
    matrix = adjacency_of(GraphEEGNet(n_chans, 2, 78, 120.0, adjacency=adjacency))
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-7)
    eigenvalues = np.linalg.eigvalsh(matrix)
    assert eigenvalues.max() == pytest.approx(1, abs=1e-6) and eigenvalues.min() > -1e-6


def test_the_random_twin_has_the_same_weights_and_degrees_between_other_electrodes():
    near, random = (adjacency_of(network(adjacency=a)) for a in ("near", "random"))
    for one, other in zip(weights_and_degrees(near), weights_and_degrees(random), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    assert np.abs(near - random).max() > 0.1
    assert torch.equal(network().pooling, network(adjacency="random").pooling)


@both
def test_the_order_of_the_electrodes_has_no_effect(adjacency):
    order = np.random.default_rng(0).permutation(len(EIGHT))
    epochs = torch.randn(5, 8, 78, generator=torch.Generator().manual_seed(0))
    permuted = network([EIGHT[k] for k in order], adjacency=adjacency)
    found = permuted(epochs[:, order])
    torch.testing.assert_close(found, network(adjacency=adjacency)(epochs), rtol=1e-4, atol=1e-5)


def test_a_negative_weight_compares_an_electrode_with_its_neighbours():
    model = network(degree=1)
    with torch.no_grad():
        model.graph_weight.copy_(torch.tensor([2.0, -1.0]))
    positions = np.array([find_positions(EIGHT)[name] for name in EIGHT])
    expected = model.pooling.numpy() @ (2 * np.eye(8) - normalised_adjacency(positions))
    found = model.regions_of_electrodes().detach()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_without_a_graph_on_the_electrodes_of_its_regions_it_is_nearly_eegnet():
    # regions are 6 cm apart, two deviations, so a mean over electrodes is mostly the nearest
    model = network(list(REGIONS), degree=0)
    assert (model.pooling.argmax(1) == torch.arange(19)).all()
    with torch.no_grad():
        model.graph_weight.fill_(1.0)
        model.pooling.copy_(torch.eye(19))
    plain = EEGNet(19, 2, 78, 120.0).eval()
    weights = model.state_dict()
    del weights["graph_weight"]
    plain.load_state_dict(weights)
    epochs = torch.randn(5, 19, 78, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(epochs), plain(epochs))


def test_a_region_is_a_mean_of_the_electrodes_around_it_and_far_away_the_nearest_one():
    electrodes = np.array([[0, 0, 0], [0, WIDTH_M, 0], [0, 2 * WIDTH_M, 0]])
    middle, far = pooling(electrodes, np.array([[0, WIDTH_M, 0], [0, 1e3, 0]]))
    side = np.exp(-0.5)
    np.testing.assert_allclose(middle, np.array([side, 1, side]) / (1 + 2 * side))
    np.testing.assert_allclose(far, [0, 0, 1], atol=1e-12)


def test_its_weights_fit_8_16_and_64_electrodes():
    shapes = [
        {name: value.shape for name, value in GraphEEGNet(n, 2, 78, 120.0).state_dict().items()}
        for n in (8, 16, 64)
    ]
    assert shapes[0] == shapes[1] == shapes[2]
    assert isinstance(network(), ReadsPositions)


def test_its_spatial_filters_are_those_of_the_electrodes():
    model = network()
    epochs = torch.randn(5, 8, 78, generator=torch.Generator().manual_seed(0))
    textbook = model.time_and_space(model.regions_of_electrodes() @ epochs)
    norm = model.temporal_norm  # with its first statistics it only scales
    filters = model.spatial_filters() / (1 + norm.eps) ** 0.5
    for rows, filtered in model.spatial_inputs(epochs):
        torch.testing.assert_close(filters[rows] @ filtered, textbook[:, rows], atol=1e-5, rtol=0)


def test_a_channel_without_a_position_is_named():
    with pytest.raises(InputError, match=r"1 of 3 channels .* \(EOG\); expected .* leave"):
        GraphEEGNet(3, 2, 78, 120.0, ch_names=["Fz", "EOG", "Cz"])
    with pytest.raises(ValueError, match="'far'; expected 'near' or 'random'"):
        GraphEEGNet(8, 2, 78, 120.0, adjacency="far")
