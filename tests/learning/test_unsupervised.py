"""Reading from nothing."""

import numpy as np
import pytest
from learners import SYMBOLS, character
from numpy.testing import assert_allclose

from p300 import WADSWORTH, Preprocessor, Speller, simulate_recording
from p300.errors import InputError
from p300.learning import FromNothing, MeanDifference, spell_and_learn
from p300.learning.unsupervised import AT_FIRST, AT_LEAST
from p300.metrics import roc_auc


def read(recording, **settings):
    epochs = Preprocessor(scaling="rms_epoch").fit(recording).epochs(recording)
    zeros = np.zeros(len(epochs.data))
    speller, settings = recording.speller, FromNothing(**settings)
    return spell_and_learn(zeros, epochs.data, epochs.flashes, speller, settings)


@pytest.mark.parametrize(
    "speller", [WADSWORTH, Speller.single_keys("BCIS")], ids=["matrix", "keys"]
)
def test_a_recording_without_noise_is_read_from_its_first_character(speller):
    quiet = {"noise_uv": 0.05, "alpha_uv": 0.0, "blink_uv": 0.0}
    recording = simulate_recording("BCIS", speller=speller, n_repetitions=8, brain=quiet)
    assert "".join(read(recording).symbols["1"]) == "BCIS"


def test_noisy_characters_are_read_and_their_flashes_told_apart():
    recording = simulate_recording("HELLO_WORLD", n_repetitions=12, seed=3)
    found = read(recording)
    right = sum(a == b for a, b in zip(found.symbols["1"], "HELLO_WORLD", strict=True))
    assert right >= 10
    assert roc_auc(recording.flashes["is_target"].to_numpy(bool), found.scores) > 0.8


def test_no_label_is_read():
    recording = simulate_recording("HEL", n_repetitions=8, seed=3)
    expected = read(recording).scores
    flashes = recording.flashes.assign(is_target=~recording.flashes["is_target"])
    from dataclasses import replace

    blind = replace(recording, flashes=flashes)
    assert (read(blind).scores == expected).all()


def test_what_comes_later_changes_no_earlier_score():
    recording = simulate_recording("HELLO", n_repetitions=6, seed=3)
    first = recording.select((recording.flashes["character"] <= 3).to_numpy())
    n = len(first.flashes)
    assert (read(recording).scores[:n] == read(first).scores).all()


def test_the_evidence_is_that_of_the_mean_difference_by_hand():
    epochs, lit, _ = character(2, n_repetitions=8)
    settings = FromNothing(temper=1.0, penalty=0.2, toeplitz_flashes=0)
    found = MeanDifference(SYMBOLS, 40.0, settings).odds(epochs, lit)
    from p300.learning.linear import usual_basis

    basis = usual_basis(3, 40, 40.0)
    features = (epochs - epochs.mean(axis=2, keepdims=True)) @ basis
    scale = np.sqrt(np.mean((epochs - epochs.mean(axis=2, keepdims=True)) ** 2, axis=(0, 2)))
    features = (features / scale[:, np.newaxis]).reshape(len(epochs), -1)
    covariance = np.cov(features.T, bias=True)
    covariance += 0.2 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    evidence = []
    for symbol in range(6):
        targets, others = features[lit[:, symbol]], features[~lit[:, symbol]]
        difference = targets.mean(axis=0) - others.mean(axis=0)
        n = len(targets) * len(others) / len(features)
        evidence.append(n / 2 * difference @ np.linalg.solve(covariance, difference))
    wanted = np.array(evidence) - np.logaddexp.reduce(evidence)
    assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


def test_fewer_repetitions_are_needed_after_characters_that_are_sure():
    learner = MeanDifference(SYMBOLS, 40.0)
    needed = [learner.min_repetitions]
    for k in range(10):
        learner.learn(*character(k % 6, n_repetitions=20, size=3.0, seed=k)[:2])
        needed.append(learner.min_repetitions)
    assert needed[0] == AT_FIRST
    assert needed == sorted(needed, reverse=True)
    assert needed[-1] == AT_LEAST


def test_characters_that_were_read_wrongly_are_found_out():
    learner = MeanDifference(SYMBOLS, 40.0)
    wanted = [2, 0, 5, 1]
    for k, symbol in enumerate(wanted):
        if k == 3:  # all have been read as symbols that were not wanted
            for one, wrong in zip(learner.characters, (3, 3, 4), strict=True):
                one.posterior = np.eye(6)[wrong]
        learner.learn(*character(symbol, n_repetitions=20, size=1.5, seed=k)[:2])
    assert learner.symbols_so_far() == [SYMBOLS[k] for k in wanted]


def test_settings_that_are_no_numbers_from_0_are_refused():
    with pytest.raises(InputError, match=r"learning\.penalty=-1"):
        FromNothing(penalty=-1)
