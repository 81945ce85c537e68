import numpy as np
import pytest
import torch

from p300.baselines import (
    SWLDA,
    GaussianProcessRidge,
    LinearSVM,
    ShrinkageLDA,
    SVMEnsemble,
    XdawnLDA,
)
from p300.baselines.xdawn import xdawn_filters
from p300.detector import Detector, Member
from p300.errors import InputError
from p300.explain.filters import (
    electrode_power,
    frequency_response,
    linear_weights,
    rank_electrodes,
    spatial_filters,
    spatial_patterns,
    temporal_kernels,
)
from p300.explain.patterns import channel_covariance, haufe_patterns, score_pattern
from p300.losses import CrossEntropy
from p300.models import (
    BN3,
    OCLNN,
    CecottiCNN,
    Conformer,
    DeepConvNet,
    EEGNet,
    ShallowConvNet,
)
from p300.preprocessing import Preprocessor
from p300.readers.datasets.bci3_ii import CH_NAMES
from p300.simulation import head_positions, scalp_map, simulate_recording

#: Every second electrode of the Wadsworth recordings, Pz among them.
NAMES = tuple(CH_NAMES[::2])
P300_S = 0.25, 0.35


@pytest.fixture(scope="module")
def simulated():
    """Epochs of a person whose P300 has a known place, and that place on the electrodes."""
    recording = simulate_recording("LEARNED_FROM", n_repetitions=12, ch_names=NAMES, seed=3)
    epochs = Preprocessor().fit(recording).epochs(recording)
    return epochs, scalp_map(head_positions(NAMES), "Pz")


@pytest.fixture(scope="module")
def trained(simulated):
    """A CNN-1 that has learned them."""
    epochs, _ = simulated
    return train(CecottiCNN(len(NAMES), 2, 78), epochs)


def train(network, epochs, n_epochs=8):
    torch.manual_seed(0)
    network.reset_parameters()
    is_target = torch.as_tensor(epochs.flashes["is_target"].to_numpy(bool))
    data, loss = torch.as_tensor(epochs.data), CrossEntropy(is_target.numpy())
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.1)
    for _ in range(n_epochs):
        for rows in torch.randperm(len(data)).split(64):
            optimizer.zero_grad()
            loss(network(data[rows]), is_target[rows]).backward()
            optimizer.step()
    return network.eval()


def labels(epochs):
    return epochs.flashes["is_target"].to_numpy(bool)


def likeness(a, b):
    return abs(np.corrcoef(a, b)[0, 1])


def noise(n_flashes=60, n_chans=5, n_times=80, seed=0):
    """Epochs whose electrodes share noise, and labels that shift some of it."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(n_chans, n_chans))
    X, y = mixing @ rng.normal(size=(n_flashes, n_chans, n_times)), np.arange(n_flashes) % 4 == 0
    X[y, 1, 30:40] += 2
    return (X + rng.normal(size=(n_flashes, n_chans, 1))).astype(np.float32), y


# -- electrode power -----------------------------------------------------------------------------


def test_electrode_power_is_the_papers_sum_written_out():
    network = CecottiCNN(6, 2, 78, n_filters=4)
    w = network.spatial_weight.tolist()
    expected = [sum(abs(w[j][i]) for j in range(4)) for i in range(6)]
    assert electrode_power(network) == pytest.approx(expected, rel=1e-6)


def test_electrode_power_of_an_ensemble_is_the_mean_of_its_members_that_have_filters():
    networks = [CecottiCNN(6, 2, 78), CecottiCNN(6, 2, 78), OCLNN(6, 2, 78, 120.0)]
    detector = Detector([Member(n, {}, "CrossEntropy") for n in networks], None)
    expected = (electrode_power(networks[0]) + electrode_power(networks[1])) / 2
    assert electrode_power(detector) == pytest.approx(expected)
    assert electrode_power(networks[:2]) == pytest.approx(expected)
    assert electrode_power(detector.members[1]) == pytest.approx(electrode_power(networks[1]))


def test_a_network_that_mixes_space_and_time_has_no_spatial_filters():
    for network in (OCLNN(6, 2, 78, 120.0), ShallowConvNet(6, 2, 78, 120.0)):
        with pytest.raises(InputError, match=f"{type(network).__name__}: no spatial filters"):
            electrode_power(network)


def test_electrodes_are_ranked_from_the_strongest_relative_to_the_mean():
    table = rank_electrodes([1.0, 4.0, 1.0], ["Fz", "Pz", "Oz"])
    assert table["electrode"].tolist() == ["Pz", "Fz", "Oz"]
    assert table["relative"].tolist() == [2.0, 0.5, 0.5]
    assert table.index.tolist() == [1, 2, 3]
    with pytest.raises(InputError, match=r"shape \(3,\); expected one .* of the 2 channels"):
        rank_electrodes([1.0, 4.0, 1.0], ["Fz", "Pz"])


def test_the_strongest_electrodes_of_a_trained_network_lie_over_the_p300(simulated, trained):
    best = rank_electrodes(electrode_power(trained), simulated[0].ch_names)["electrode"][:5]
    assert best[1] == "Pz"
    assert sum(name.startswith(("CP", "P")) for name in best) >= 4


# -- filters and patterns ------------------------------------------------------------------------


@pytest.mark.parametrize("n_filters", [3, 9])  # fewer, and more, than electrodes
def test_patterns_are_the_regression_of_the_channels_on_the_components(n_filters):
    X, _ = noise()
    samples = X.transpose(1, 0, 2).reshape(5, -1).astype(float)
    samples -= samples.mean(axis=1, keepdims=True)
    filters = np.random.default_rng(1).normal(size=(n_filters, 5))
    components = filters @ samples
    slopes = np.linalg.lstsq(components.T, samples.T, rcond=None)[0]
    np.testing.assert_allclose(haufe_patterns(filters, channel_covariance(X)), slopes, atol=1e-5)
    alone = [np.linalg.lstsq(c[:, None], samples.T, rcond=None)[0][0] for c in components]
    found = haufe_patterns(filters, channel_covariance(X), jointly=False)
    np.testing.assert_allclose(found, alone, atol=1e-5)


def test_the_covariance_is_that_of_all_samples_whatever_the_size_of_the_pieces(monkeypatch):
    X, _ = noise()
    samples = X.transpose(1, 0, 2).reshape(5, -1).astype(float)
    monkeypatch.setattr("p300.explain.patterns.CHUNK", 7)
    np.testing.assert_allclose(channel_covariance(X), np.cov(samples, bias=True), rtol=1e-6)


def test_each_pattern_of_a_trained_network_shows_the_p300_and_its_filter_less(simulated, trained):
    epochs, truth = simulated
    filters = spatial_filters(trained)
    patterns = spatial_patterns(trained, epochs.data)
    of_patterns = [likeness(p, truth) for p in patterns]
    assert min(of_patterns) > 0.8 and np.mean(of_patterns) > 0.9
    assert np.mean([likeness(f, truth) for f in filters]) < np.mean(of_patterns) - 0.15


def test_the_first_xdawn_filter_is_no_map_of_the_p300_but_its_pattern_is(simulated):
    epochs, truth = simulated
    detector = XdawnLDA(n_filters=4).fit(epochs.data, labels(epochs))
    assert likeness(spatial_patterns(detector, epochs.data)[0], truth) > 0.9
    assert likeness(spatial_filters(detector)[0], truth) < 0.7


def test_xdawn_reads_epochs_less_their_mean():
    X, y = noise()
    detector = XdawnLDA(n_filters=2).fit(X, y)
    centred = X - X.mean(axis=2, keepdims=True)
    assert likeness(spatial_filters(detector)[0], xdawn_filters(centred, y, 2)[0]) > 0.999
    expected = haufe_patterns(spatial_filters(detector), channel_covariance(centred))
    np.testing.assert_allclose(spatial_patterns(detector, X, jointly=True), expected, rtol=1e-4)


def test_eegnets_filters_read_what_its_temporal_filters_leave():
    torch.manual_seed(0)
    network = EEGNet(5, 2, 80, 120.0).eval()
    x = torch.as_tensor(noise()[0])
    with torch.no_grad():
        expected = network.spatial(network.temporal_norm(same_length(network, x)))[:, :, 0]
        filters = network.spatial_filters()
        found = [filters[rows] @ read for rows, read in network.spatial_inputs(x)]
        found = torch.cat(found, dim=1)
    assert found.shape == expected.shape == (60, 16, 80)
    for k in range(16):  # batch normalisation scales and shifts
        assert likeness(found[:, k].flatten(), expected[:, k].flatten()) > 0.999999
    patterns = spatial_patterns(network, x.numpy())
    read = same_length(network, x)[:, 3].detach().numpy()  # by the filters 6 and 7
    slopes = haufe_patterns(filters[6:8], channel_covariance(read), jointly=False)
    np.testing.assert_allclose(patterns[6:8], slopes, rtol=1e-3)


def same_length(network, x):
    length = network.temporal.kernel_size[1]
    before = (length - 1) // 2
    return network.temporal(torch.nn.functional.pad(x[:, None], (before, length - 1 - before)))


def test_bn3s_filters_include_the_scaling_of_its_input():
    torch.manual_seed(0)
    network = BN3(5, 2, 80, 120.0)
    x = 3 * torch.as_tensor(noise()[0])
    network(x)  # the running variances move
    network.eval()
    with torch.no_grad():
        expected = network.spatial(network.input_norm(x))
        found = network.spatial_filters() @ x
    difference = (expected - found).transpose(0, 1).flatten(1)
    assert difference.std(dim=1).max() < 1e-5 < expected.std()


def test_epochs_of_another_number_of_channels_are_refused():
    with pytest.raises(InputError, match=r"expected \(n_flashes, 5, n_times\)"):
        spatial_patterns(CecottiCNN(5, 2, 78), np.zeros((4, 6, 78)))


# -- kernels in time -----------------------------------------------------------------------------


def test_the_paper_networks_kernels_stand_in_the_order_of_their_maps():
    torch.manual_seed(0)
    network, caught = CecottiCNN(5, 2, 78, n_filters=3), []
    network.hidden.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    x = torch.as_tensor(noise(n_times=78)[0])
    with torch.no_grad():
        network(x)
        maps = network.spatial_weight @ x + network.spatial_bias
        maps = 1.7159 * torch.tanh(2 / 3 * maps)  # (60, 3, 78)
        second = 1.7159 * torch.tanh(
            2 / 3 * (maps[:, 2, 13:26] @ temporal_row(network, 11) + network.temporal_bias[2, 1])
        )
    torch.testing.assert_close(caught[0].reshape(60, 15, 6)[:, 11, 1], second)


def temporal_row(network, k):
    return torch.as_tensor(temporal_kernels(network)[k], dtype=torch.float32)


@pytest.mark.parametrize("kind", [ShallowConvNet, DeepConvNet, Conformer])
def test_a_kernel_is_what_the_networks_first_layer_does_to_one_electrode(kind):
    torch.manual_seed(0)
    network = kind(5, 2, 78, 120.0).eval()
    x = torch.as_tensor(noise(n_times=78)[0])
    with torch.no_grad():
        network.spatial.weight.zero_()
        network.spatial.weight[4, 2, 1] = 1.0  # map 4 reads electrode 1 after kernel 2
        found = network.spatial(network.temporal(x.unsqueeze(1))).squeeze(2)[:, 4]
    kernel = temporal_kernels(network)[2]
    expected = np.array([np.correlate(row, kernel, "valid") for row in x[:, 1].numpy()])
    shift = (found.numpy() - expected).ravel()
    assert shift.std() < 1e-5 < expected.std()


def test_an_electrode_has_no_kernels_where_time_is_not_filtered_alone():
    with pytest.raises(InputError, match="OCLNN: no temporal kernels; expected a network"):
        temporal_kernels(OCLNN(5, 2, 78, 120.0))


def test_a_ten_hertz_kernel_passes_ten_hertz():
    seconds = np.arange(120) / 120
    freqs, gain = frequency_response([np.cos(2 * np.pi * 10 * seconds)], sfreq=120.0)
    assert freqs[[0, -1]].tolist() == [0.0, 60.0]
    assert freqs[gain[0].argmax()] == pytest.approx(10, abs=0.25)
    assert gain[0].max() == pytest.approx(60, rel=0.01)
    sine = np.sin(2 * np.pi * 17 * np.arange(600) / 120)
    kernel = np.random.default_rng(0).normal(size=13)
    left = np.convolve(sine, kernel, "valid")
    freqs, gain = frequency_response([kernel], sfreq=120.0)
    amplitude = np.sqrt(2 * np.mean(left[:480] ** 2))
    assert gain[0, np.flatnonzero(freqs == 17)[0]] == pytest.approx(amplitude, rel=1e-3)


def test_a_kernel_longer_than_the_frequencies_can_tell_is_refused():
    with pytest.raises(InputError, match="got n_freqs=20 for 60 taps; expected at least 31"):
        frequency_response(np.ones((1, 60)), 120.0, n_freqs=20)


# -- linear detectors ----------------------------------------------------------------------------

LINEAR = [
    ShrinkageLDA(),
    ShrinkageLDA(remove_mean=False),
    ShrinkageLDA(n_samples_per_bin=7),  # 80 samples leave a shorter last bin
    SWLDA(),
    LinearSVM(),
    SVMEnsemble(n_flashes_per_part=20),
    XdawnLDA(n_filters=3, n_samples_per_bin=7),
    GaussianProcessRidge(penalty=1.0),
]


@pytest.mark.parametrize("detector", LINEAR, ids=lambda d: type(d).__name__)
def test_weights_times_samples_are_the_score(detector):
    X, y = noise()
    scores = detector.fit(X, y).decision_function(X)
    summed = np.einsum("nct,ct->n", X, linear_weights(detector))
    assert scores.std() > 0.01
    assert (scores - summed).std() < 1e-4 * scores.std()


def test_weights_of_a_trained_detector_add_up_over_members_and_calibration():
    X, y = noise()
    members = [
        Member(ShrinkageLDA().fit(X, y), {}, weight=0.5),
        Member(GaussianProcessRidge(penalty=1.0).fit(X, y), {}, weight=2.0),
    ]
    detector = Detector(members, None, calibration=(3.0, 1.0))
    scores = detector.score_epochs(X)
    summed = np.einsum("nct,ct->n", X, linear_weights(detector))
    assert (scores - summed).std() < 1e-4 * scores.std()


def test_a_network_has_no_linear_weights():
    with pytest.raises(InputError, match="CecottiCNN: not linear in the epoch; expected linear"):
        linear_weights(CecottiCNN(5, 2, 78))


def test_the_pattern_of_a_score_is_the_covariance_times_the_weights():
    X, y = noise(n_chans=2, n_times=8)
    detector = ShrinkageLDA(n_samples_per_bin=2).fit(X, y)
    flat = X.reshape(60, -1).astype(float)
    weights = linear_weights(detector).ravel()
    covariance = np.cov(flat.T, bias=True)
    expected = covariance @ weights / (weights @ covariance @ weights)
    found = score_pattern(X, detector.decision_function(X))
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-4)


def test_the_pattern_of_ldas_score_shows_the_p300_and_its_weights_less(simulated):
    epochs, truth = simulated
    detector = ShrinkageLDA().fit(epochs.data, labels(epochs))
    inside = (epochs.times >= P300_S[0]) & (epochs.times < P300_S[1])
    pattern = score_pattern(epochs.data, detector.decision_function(epochs.data))
    assert likeness(pattern[:, inside].mean(axis=1), truth) > 0.95
    assert likeness(linear_weights(detector)[:, inside].mean(axis=1), truth) < 0.8
    course = pattern[epochs.ch_names.index("Pz")]
    assert epochs.times[course.argmax()] == pytest.approx(0.3, abs=0.05)


def test_scores_that_do_not_differ_have_no_pattern():
    X, _ = noise()
    with pytest.raises(InputError, match="all 60 scores are equal; expected scores that differ"):
        score_pattern(X, np.ones(60))
    with pytest.raises(InputError, match="3 scores for 60 epochs; expected one per epoch"):
        score_pattern(X, np.ones(3))
