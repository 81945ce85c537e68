"""What every classical detector must do, one list of checks over all."""

import numpy as np
import pytest
from simulated import p300_epochs
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from p300.baselines import (
    SWLDA,
    ERPCovMDM,
    GaussianProcessRidge,
    LinearSVM,
    ShrinkageLDA,
    SparseCodingLDA,
    SVMEnsemble,
    XdawnLDA,
    XdawnTangentSpace,
)
from p300.errors import InputError

DETECTORS = [
    ShrinkageLDA(),
    GaussianProcessRidge(),
    SWLDA(),
    XdawnLDA(),
    LinearSVM(),
    SVMEnsemble(),
    SparseCodingLDA(),
    XdawnTangentSpace(),
    ERPCovMDM(),
]
every_detector = pytest.mark.parametrize("detector", DETECTORS, ids=lambda d: type(d).__name__)


def simulate_epochs(rng, n_flashes=480, n_chans=8):
    """Epochs with a P300 in noise and drift, and their labels."""
    return p300_epochs(rng, n_flashes, n_chans, height=0.4, drift=5.0)


@every_detector
@pytest.mark.parametrize("n_chans", [4, 16])
def test_a_simulated_p300_is_found_in_new_flashes_under_drift(detector, n_chans):
    rng = np.random.default_rng(1)
    X, y = simulate_epochs(rng, 960, n_chans)
    scores = clone(detector).fit(X[:480], y[:480]).decision_function(X[480:])
    assert scores.shape == (480,)
    assert roc_auc_score(y[480:], scores) > 0.85


@pytest.mark.slow
@every_detector
def test_permuted_labels_score_at_chance(detector):
    rng = np.random.default_rng(2)
    X, y = simulate_epochs(rng, 1440)
    values = []
    for _ in range(5):
        permuted = np.zeros(720, bool)
        for rows in (np.flatnonzero(y[:720]), np.flatnonzero(~y[:720])):  # luck taken out
            permuted[rng.permutation(rows)[: len(rows) // 6]] = True
        learned = clone(detector).fit(X[:720], permuted)
        values.append(roc_auc_score(y[720:], learned.decision_function(X[720:])))
    assert 0.4 < np.mean(values) < 0.6


@every_detector
def test_the_state_scores_identically_and_holds_no_objects(detector):
    rng = np.random.default_rng(3)
    X, y = simulate_epochs(rng)
    learned = clone(detector).fit(X, y)
    state = learned.get_state()
    again = type(detector).from_state(as_tensors(state))
    np.testing.assert_array_equal(again.decision_function(X), learned.decision_function(X))
    np.testing.assert_array_equal(again.predict(X), learned.predict(X))


def as_tensors(value):
    """Put a state through what ``torch.load(weights_only=True)`` can read."""
    import torch

    if isinstance(value, dict):
        return {k: as_tensors(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    assert value is None or isinstance(value, (bool, int, float, str, tuple)), type(value)
    return value


@every_detector
def test_epochs_stay_untouched_and_amplitude_units_do_not_matter(detector):
    X, y = simulate_epochs(np.random.default_rng(4))
    before = X.copy()
    in_uv = clone(detector).fit(X, y).predict(X)
    np.testing.assert_array_equal(X, before)
    in_ad_units = clone(detector).fit(32 * X, y).predict(32 * X)
    assert (in_uv == in_ad_units).mean() > 0.99


@every_detector
def test_a_constant_offset_of_a_channel_changes_no_score(detector):
    X, y = simulate_epochs(np.random.default_rng(5))
    learned = clone(detector).fit(X, y)
    offset = np.full((1, X.shape[1], 1), 64, np.float32)
    np.testing.assert_allclose(
        learned.decision_function(X + offset), learned.decision_function(X), atol=1e-2
    )


@every_detector
def test_one_class_and_epochs_of_another_shape_are_refused(detector):
    X, y = simulate_epochs(np.random.default_rng(6))
    with pytest.raises(InputError, match="1 class in y"):
        clone(detector).fit(X, np.zeros(len(X), bool))
    learned = clone(detector).fit(X, y)
    with pytest.raises(InputError, match=r"\(8, 70\); expected \(8, 78\)"):
        learned.decision_function(X[..., :70])
    with pytest.raises(ValueError, match="expecting 8 features"):
        learned.decision_function(X[:, :6])


TABLES = [  # a table (n_flashes, n_features) is one channel: no bins, no mean removed
    ShrinkageLDA(n_samples_per_bin=1, remove_mean=False),
    GaussianProcessRidge(length_scale_s=1e-6, remove_mean=False),
    SWLDA(n_samples_per_bin=1, remove_mean=False, p_enter=1.0, p_remove=1.0),
    XdawnLDA(n_samples_per_bin=1, remove_mean=False),
    LinearSVM(n_samples_per_bin=1, remove_mean=False),
    SVMEnsemble(n_samples_per_bin=1, remove_mean=False),
    SparseCodingLDA(n_atoms=16, n_samples_per_bin=1, remove_mean=False),
    XdawnTangentSpace(remove_mean=False),
    ERPCovMDM(remove_mean=False),
]


def no_covariance(estimator):
    """Checks whose tables are no EEG: one sample in time, or classes that differ in level only."""
    reason = "a covariance over time needs time"
    if isinstance(estimator, XdawnTangentSpace):
        return dict.fromkeys(
            ["check_classifier_data_not_an_array", "check_fit2d_1feature"], reason
        )
    if isinstance(estimator, ERPCovMDM):
        names = ["check_classifier_data_not_an_array", "check_fit2d_1feature"]
        return dict.fromkeys([*names, "check_classifiers_train"], reason)
    return {}


@parametrize_with_checks(TABLES, expected_failed_checks=no_covariance)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)
