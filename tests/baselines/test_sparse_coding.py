"""Sparse codes of epochs: the dictionary that made them is found, and no label is used for it."""

import numpy as np
import pytest
from simulated import p300_epochs
from sklearn.linear_model import Lasso

from p300.baselines import SparseCodingLDA
from p300.errors import InputError


def planted(seed, n_flashes=1500, n_atoms=8):
    """Epochs of 6 electrodes and 13 bins, each the sum of few of some patterns, and these."""
    rng = np.random.default_rng(seed)
    patterns = rng.normal(size=(n_atoms, 6, 13))
    codes = rng.normal(size=(n_flashes, n_atoms)) * (rng.random((n_flashes, n_atoms)) < 0.15)
    noise = 0.01 * rng.normal(size=(n_flashes, 6, 13))
    epochs = np.einsum("na,act->nct", codes, patterns) + noise
    return np.repeat(epochs, 6, axis=2), patterns


def unit(patterns):
    flat = patterns.reshape(len(patterns), -1)
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_patterns_that_epochs_are_made_of_are_found_up_to_sign_and_order(seed):
    epochs, patterns = planted(seed)
    detector = SparseCodingLDA(n_atoms=8, alpha=1.0, n_components=8, remove_mean=False)
    detector.fit(epochs, np.arange(1500) % 6 == 0)
    cosines = np.abs(unit(patterns) @ unit(detector.dictionary()).T)
    assert cosines.max(axis=1).min() > 0.95
    assert sorted(cosines.argmax(axis=1)) == list(range(8))  # each by an atom of its own


def test_the_dictionary_is_learned_without_labels():
    epochs, _ = planted(0, 300)
    y = np.arange(300) % 6 == 0
    fits = [SparseCodingLDA(n_atoms=8).fit(epochs, labels) for labels in (y, np.roll(y, 1))]
    np.testing.assert_array_equal(fits[0].atoms_, fits[1].atoms_)
    np.testing.assert_array_equal(fits[0].codes(epochs), fits[1].codes(epochs))
    assert not np.allclose(fits[0].coef_, fits[1].coef_)


def test_codes_solve_the_lasso_and_a_larger_penalty_makes_more_of_them_zero():
    epochs, is_target = p300_epochs(np.random.default_rng(0), 200)
    shares = []
    for alpha in (0.3, 1.0):
        detector = SparseCodingLDA(n_atoms=32, alpha=alpha).fit(epochs, is_target)
        components = (detector._features(epochs[:1]) - detector.mean_) @ detector.whitening_
        lasso = Lasso(alpha / components.shape[1], fit_intercept=False, tol=1e-10, max_iter=10_000)
        lasso.fit(detector.atoms_.T, components[0])
        np.testing.assert_allclose(detector.codes(epochs[:1])[0], lasso.coef_, atol=1e-4)
        shares.append((detector.codes(epochs) != 0).mean())
    assert shares[1] < 0.6 * shares[0]


def test_an_epoch_has_one_score_alone_and_among_others():
    epochs, is_target = p300_epochs(np.random.default_rng(0), 240)
    detector = SparseCodingLDA(n_atoms=32).fit(epochs, is_target)
    alone = np.concatenate([detector.decision_function(epochs[k : k + 1]) for k in range(5)])
    np.testing.assert_allclose(alone, detector.decision_function(epochs)[:5], atol=1e-6)


def test_the_same_random_state_gives_the_same_dictionary():
    epochs, is_target = p300_epochs(np.random.default_rng(0), 120)
    atoms = [
        SparseCodingLDA(n_atoms=16, random_state=k).fit(epochs, is_target).atoms_
        for k in (0, 0, 1)
    ]
    np.testing.assert_array_equal(atoms[0], atoms[1])
    assert not np.allclose(atoms[0], atoms[2])


def test_silent_electrodes_are_left_out_of_the_components():
    epochs, is_target = p300_epochs(np.random.default_rng(0), 240)
    epochs[:, 2] = 0
    detector = SparseCodingLDA(n_atoms=32).fit(epochs, is_target)
    assert np.isfinite(detector.decision_function(epochs)).all()
    np.testing.assert_allclose(detector.dictionary()[:, 2], 0, atol=1e-9)


def test_sparse_codes_have_no_form_in_onnx_and_the_refusal_says_what_has():
    pytest.importorskip("onnx")
    from p300.detector import Detector, Member
    from p300.export.modules import ScoreGraph
    from p300.preprocessing import Preprocessor

    epochs, is_target = p300_epochs(np.random.default_rng(0), 120)
    member = Member(SparseCodingLDA(n_atoms=16).fit(epochs, is_target), {})
    with pytest.raises(InputError, match="a SparseCodingLDA, which has no form in ONNX; expected"):
        ScoreGraph(Detector([member], Preprocessor()))
