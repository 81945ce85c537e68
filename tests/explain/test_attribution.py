import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from p300.baselines import ERPCovMDM, GaussianProcessRidge, ShrinkageLDA
from p300.detector import Detector, Member
from p300.errors import InputError
from p300.explain.attribution import attribute_targets, integrated_gradients
from p300.explain.occlusion import occlude, occlude_electrodes, occlude_windows
from p300.losses import CrossEntropy
from p300.metrics import roc_auc
from p300.models import OCLNN, CecottiCNN, EEGNet, RecurrentNet
from p300.preprocessing import Preprocessor
from p300.simulation import simulate_recording

needs_captum = pytest.mark.skipif(
    not pytest.importorskip("importlib.util").find_spec("captum"),
    reason="captum is not installed (extra explain)",
)


@pytest.fixture(scope="module")
def simulated():
    """Epochs of two texts by one person: to train on, and to look at."""
    preprocessor = Preprocessor(scaling="rms_epoch")
    parts = []
    for text, seed in (("TRAINING", 1), ("LOOKED", 2)):
        recording = simulate_recording(text, n_repetitions=8, seed=seed)
        parts.append(preprocessor.fit(recording).epochs(recording))
    return parts


@pytest.fixture(scope="module")
def lda(simulated):
    epochs, _ = simulated
    return trained_detector(Member(ShrinkageLDA().fit(epochs.data, labels(epochs)), {}))


@pytest.fixture(scope="module")
def network(simulated):
    """A trained CNN-1 as a member."""
    epochs, _ = simulated
    torch.manual_seed(0)
    model = CecottiCNN(8, 2, 78)
    is_target, data = torch.as_tensor(labels(epochs)), torch.as_tensor(epochs.data)
    loss = CrossEntropy(is_target.numpy())
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.1)
    for _ in range(15):
        for rows in torch.randperm(len(data)).split(64):
            optimizer.zero_grad()
            loss(model(data[rows]), is_target[rows]).backward()
            optimizer.step()
    return Member(model.eval(), {}, "CrossEntropy")


def labels(epochs):
    return epochs.flashes["is_target"].to_numpy(bool)


def trained_detector(*members, calibration=(1.0, 0.0)):
    return Detector(list(members), None, calibration=calibration)


class Reader:
    """Stands for a detector whose score is a sum over the samples it reads."""

    def __init__(self, weights):
        self.weights = weights

    members = ()

    def score_epochs(self, data):
        return np.einsum("nct,ct->n", data, self.weights)


# -- integrated gradients ------------------------------------------------------------------------


@needs_captum
@pytest.mark.parametrize("loss", ["CrossEntropy", "LogisticSquareError"])
@pytest.mark.parametrize(("kind", "factor"), [(CecottiCNN, 5), (EEGNet, 1.2), (RecurrentNet, 1.5)])
def test_the_contributions_of_an_epoch_sum_to_its_score_minus_the_baselines(kind, factor, loss):
    torch.manual_seed(0)
    model = kind(5, 2, 78, 120.0)
    with torch.no_grad():
        for weights in model.parameters():  # farther from linear than at the start
            weights.mul_(factor)
    member = Member(model, {}, loss)
    rng = np.random.default_rng(0)
    epochs, start = rng.normal(size=(2, 40, 5, 78)).astype(np.float32)
    contributions = integrated_gradients(member, epochs, start[0])
    gained = member.score(epochs) - member.score(start[:1])
    largest = np.abs(gained).max()
    assert largest > 2e-3
    np.testing.assert_allclose(contributions.sum(axis=(1, 2)), gained, atol=1e-3 * largest)


@needs_captum
def test_the_contributions_are_the_gradients_summed_on_the_way():
    torch.manual_seed(0)
    model = CecottiCNN(3, 2, 26).eval()
    epoch = torch.randn(1, 3, 26)
    steps = (torch.arange(2000) + 0.5) / 2000
    way = (steps[:, None, None] * epoch).requires_grad_()
    CrossEntropy.score(model(way)).sum().backward()
    expected = epoch[0] * way.grad.mean(dim=0)
    found = integrated_gradients(Member(model, {}, "CrossEntropy"), epoch.numpy())
    np.testing.assert_allclose(found[0], expected.numpy(), atol=1e-6)


@needs_captum
def test_contributions_in_an_ensemble_add_up_over_members_and_calibration(simulated, network, lda):
    epochs = simulated[1].data[:20]
    linear = replace(lda.members[0], weight=0.3)
    detector = trained_detector(replace(network, weight=2.0), linear, calibration=(1.5, -4.0))
    contributions = integrated_gradients(detector, epochs)
    gained = detector.score_epochs(epochs) - detector.score_epochs(np.zeros_like(epochs[:1]))
    np.testing.assert_allclose(contributions.sum(axis=(1, 2)), gained, atol=1e-3)


def test_a_sample_of_a_linear_detector_gets_weight_times_difference(simulated, lda):
    epochs = simulated[1].data[:3]
    weights = lda.members[0].detector.epoch_weights()
    expected = (epochs - epochs[0]) * weights
    found = integrated_gradients(lda, epochs, epochs[0])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not found[0].any()


@needs_captum
def test_the_targets_score_rests_on_the_p300(simulated, network):
    _, epochs = simulated
    found = attribute_targets(network, epochs)
    rows = labels(epochs)
    assert found.n_targets == rows.sum() and found.baseline == "nontarget"
    assert found.score == pytest.approx(network.score(epochs.data[rows]).mean())
    start = epochs.data[~rows].mean(axis=0, keepdims=True)
    assert found.baseline_score == pytest.approx(network.score(start)[0])
    assert found.values.sum() == pytest.approx(found.score - found.baseline_score, abs=1e-3)
    assert abs(found.gap) < 1e-3
    best = np.argsort(-found.values.sum(axis=1))[:4]
    assert "Pz" in {epochs.ch_names[k] for k in best}
    course = found.values.sum(axis=0)
    assert epochs.times[course.argmax()] == pytest.approx(0.3, abs=0.05)
    inside = (epochs.times > 0.2) & (epochs.times < 0.4)
    assert course[inside].sum() > 0.6 * course.sum()  # in 0.2 of 0.65 s


@needs_captum
def test_targets_can_be_compared_with_an_epoch_of_zeros(simulated, network):
    found = attribute_targets(network, simulated[1], baseline="zero")
    assert found.baseline_score == pytest.approx(network.score(np.zeros((1, 8, 78), "f4"))[0])
    assert abs(found.gap) < 1e-3
    with pytest.raises(InputError, match="baseline 'noise'"):
        attribute_targets(network, simulated[1], baseline="noise")


def test_more_steps_close_the_gap_of_a_network_with_corners():
    pytest.importorskip("captum")
    torch.manual_seed(0)
    member = Member(OCLNN(5, 2, 78, 120.0), {}, "CrossEntropy")
    epochs = np.random.default_rng(0).normal(size=(40, 5, 78)).astype(np.float32)
    gained = member.score(epochs) - member.score(np.zeros_like(epochs[:1]))
    gaps = [
        np.abs(integrated_gradients(member, epochs, n_steps=n).sum(axis=(1, 2)) - gained).max()
        for n in (5, 400)
    ]
    assert gaps[1] < 1e-3 < gaps[0]


def test_a_detector_without_gradient_is_named():
    with pytest.raises(InputError, match="ERPCovMDM has no gradient; expected a network"):
        integrated_gradients(Member(ERPCovMDM(), {}), np.zeros((2, 5, 78)))


def test_without_captum_the_extra_is_named(monkeypatch, network):
    for name in ("captum", "captum.attr"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=r"p300\[explain\]"):
        integrated_gradients(network, np.zeros((2, 8, 78)))


def test_a_baseline_of_another_shape_is_refused(lda):
    with pytest.raises(InputError, match=r"baseline of shape \(8, 70\)"):
        integrated_gradients(lda, np.zeros((2, 8, 78)), np.zeros((8, 70)))


# -- occlusion -----------------------------------------------------------------------------------


@pytest.mark.parametrize("replacement", ["mean", "zero"])
def test_an_electrode_that_is_not_read_costs_nothing(simulated, network, replacement):
    _, epochs = simulated
    model = CecottiCNN(8, 2, 78)
    model.load_state_dict(network.detector.state_dict())
    with torch.no_grad():
        model.spatial_weight[:, [1, 5]] = 0
    detector = trained_detector(Member(model, {}, "CrossEntropy"))
    before = epochs.data.copy()
    found = occlude_electrodes(detector, epochs, replacement=replacement)
    assert np.flatnonzero(found.auc_loss == 0).tolist() == [1, 5]
    assert np.flatnonzero(np.isnan(found.low) | np.isnan(found.high)).tolist() == [1, 5]
    assert found.margin_loss[[1, 5]] == pytest.approx(0, abs=1e-7)
    np.testing.assert_array_equal(epochs.data, before)


def test_only_the_electrode_and_window_that_are_read_cost_all(simulated):
    _, epochs = simulated
    weights = np.zeros((8, 78))
    weights[2, 33:39] = 1  # Pz from 0.275 s, within one window of 0.3 s, not of 0.05 s
    detector = Reader(weights)
    auc = roc_auc(labels(epochs), detector.score_epochs(epochs.data))
    by_electrode = occlude_electrodes(detector, epochs)
    assert by_electrode.auc == pytest.approx(auc) and auc > 0.7
    assert by_electrode.auc_loss == pytest.approx(np.where(np.arange(8) == 2, auc - 0.5, 0))
    assert by_electrode.margin_loss == pytest.approx(np.eye(8)[2], abs=1e-6)
    by_window, windows = occlude_windows(detector, epochs, width_s=0.05)
    assert np.flatnonzero(by_window.auc_loss).tolist() == [5, 6]
    np.testing.assert_allclose(windows[5:7], [[0.25, 0.30], [0.30, 0.35]])


def test_the_loss_is_the_auc_of_epochs_whose_part_was_replaced_one_by_one(simulated, network):
    _, epochs = simulated
    detector = trained_detector(network)
    masks = np.random.default_rng(0).random((3, 8, 78)) < 0.3
    whole = roc_auc(labels(epochs), detector.score_epochs(epochs.data))
    for replacement in ("mean", "zero"):
        found = occlude(detector, epochs, masks, replacement=replacement)
        for mask, loss in zip(masks, found.auc_loss, strict=True):
            filling = epochs.data.mean(axis=0) if replacement == "mean" else np.zeros((8, 78))
            replaced = np.stack([np.where(mask, filling, e) for e in epochs.data])
            scores = detector.score_epochs(replaced.astype(np.float32))
            assert loss == pytest.approx(whole - roc_auc(labels(epochs), scores), abs=1e-6)


@pytest.mark.parametrize("kind", ["network", "lda", "both"])
def test_the_window_of_the_p300_costs_more_than_the_first(simulated, network, lda, kind):
    _, epochs = simulated
    members = {"network": [network], "lda": lda.members, "both": [network, *lda.members]}[kind]
    found, windows = occlude_windows(trained_detector(*members), epochs, width_s=0.2)
    np.testing.assert_allclose(windows[:2], [[0, 0.2], [0.2, 0.4]])
    assert found.auc_loss[1] > 0.1 and abs(found.auc_loss[0]) < 0.03
    assert found.low[1] > found.high[0]
    assert found.margin_loss[1] > 0.4 and abs(found.margin_loss[0]) < 0.1


def test_taking_everything_away_leaves_chance(simulated, lda):
    _, epochs = simulated
    found = occlude(lda, epochs, np.ones((1, 8, 78), bool))
    assert found.auc_loss[0] == pytest.approx(found.auc - 0.5)
    assert found.margin_loss[0] == pytest.approx(1, abs=1e-4)
    assert found.low[0] < found.auc_loss[0] < found.high[0]


def test_windows_follow_each_other_and_cover_the_epoch(simulated, lda):
    _, epochs = simulated
    _, windows = occlude_windows(lda, epochs, width_s=0.2)
    np.testing.assert_allclose(windows, [[0, 0.2], [0.2, 0.4], [0.4, 0.6], [0.6, 0.65]])
    with pytest.raises(InputError, match="width_s=0.001: windows of 0 samples; expected 1 to 78"):
        occlude_windows(lda, epochs, width_s=0.001)


def test_there_is_no_interval_where_every_character_is_the_same(simulated):
    _, epochs = simulated
    one = epochs.flashes["character"] == 1
    flashes = epochs.flashes[one]
    tables = [flashes.assign(character=k) for k in range(6)]
    import pandas as pd

    repeated = replace(
        epochs, data=np.tile(epochs.data[one], (6, 1, 1)), flashes=pd.concat(tables)
    )
    found = occlude_electrodes(Reader(np.ones((8, 78))), repeated)
    assert np.isnan(found.low).all() and np.isnan(found.high).all()
    assert (found.n_units, found.unit) == (6, "characters")


def test_flashes_without_a_label_are_left_out(simulated, lda):
    _, epochs = simulated
    flashes = epochs.flashes.copy()
    flashes.loc[flashes["character"] == 1, "is_target"] = None
    found = occlude_electrodes(lda, replace(epochs, flashes=flashes))
    known = flashes["is_target"].notna().to_numpy()
    alone = replace(epochs, data=epochs.data[known], flashes=flashes[known])
    assert found.n_flashes == known.sum() < len(known)
    np.testing.assert_array_equal(found.auc_loss, occlude_electrodes(lda, alone).auc_loss)
    none = replace(epochs, flashes=flashes.assign(is_target=False))
    with pytest.raises(InputError, match="0 targets among"):
        occlude_electrodes(lda, none)


def test_masks_and_replacements_that_do_not_fit_are_refused(simulated, lda):
    _, epochs = simulated
    with pytest.raises(InputError, match=r"masks of shape \(8, 78\); expected \(n_parts, 8, 78\)"):
        occlude(lda, epochs, np.ones((8, 78), bool))
    with pytest.raises(InputError, match="replacement 'noise'"):
        occlude_electrodes(lda, epochs, replacement="noise")


def test_ridge_is_attributed_like_any_linear_detector(simulated):
    epochs, _ = simulated
    member = Member(GaussianProcessRidge(penalty=1.0).fit(epochs.data, labels(epochs)), {})
    contributions = integrated_gradients(member, epochs.data[:20])
    gained = member.score(epochs.data[:20]) - member.score(np.zeros((1, 8, 78)))
    np.testing.assert_allclose(contributions.sum(axis=(1, 2)), gained, atol=1e-3)
