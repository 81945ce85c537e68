"""P300Classifier: p300's experiments under the rules of scikit-learn."""

import logging
import pickle
import random
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from fits import LIGHTNING
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

import p300
from p300 import P300Classifier
from p300.baselines import ShrinkageLDA
from p300.errors import InputError
from p300.experiments.estimator import train

pytestmark = LIGHTNING

#: A table of features is no EEG: no mean is removed, nothing is scaled, each feature is a bin.
TABLE = ("preprocessing.scaling=none", "model.n_samples_per_bin=1", "+model.remove_mean=false")

#: A network that is trained in a tenth of a second.
SHORT = ("protocol.max_epochs=2", "model.n_filters=2", "model.n_hidden=5")


@pytest.fixture(scope="module")
def epochs():
    """Twelve characters of a simulated speller, cut at 120 Hz and not scaled."""
    recording = p300.simulate_recording("THE_QUICK_BR", n_repetitions=3, seed=1)
    recording = recording.pick(["Fz", "Cz", "Pz", "PO7", "PO8", "Oz"])
    return p300.Preprocessor(scaling="none").fit(recording).epochs(recording)


def arrays(epochs):
    flashes = epochs.flashes
    return epochs.data, flashes["is_target"].to_numpy(bool), flashes["character"].to_numpy(int)


@parametrize_with_checks([P300Classifier("lda", TABLE, sfreq=1.0)])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("experiment", ["cnn1", "lda"])
def test_the_classifier_is_what_training_on_the_recording_makes(experiment, tmp_path):
    """Same experiment, seed, flashes: the scores of the test part are those of `p300 train`."""
    read = ["data.read.ch_names=[Fz,Cz,Pz,PO7,PO8,Oz]", "data.read.n_repetitions=2"]
    short = list(SHORT) if experiment == "cnn1" else []
    p300.train(tmp_path, f"experiment={experiment}", "logger=csv", "seed=3", *read, *short)
    scores = pd.read_csv(tmp_path / "scores.csv")
    recording = p300.simulation.simulate_data_set(
        n_repetitions=2, ch_names=["Fz", "Cz", "Pz", "PO7", "PO8", "Oz"]
    )
    epochs = p300.Preprocessor(scaling="none").fit(recording).epochs(recording)
    is_test = (epochs.flashes["session"] == "test").to_numpy()
    classifier = P300Classifier(experiment, short, random_state=3).fit(epochs[~is_test])
    found = classifier.decision_function(epochs[is_test])
    wanted = scores["score"][scores["part"] == "test"].to_numpy()
    assert roc_auc_score(epochs.flashes["is_target"][is_test].to_numpy(bool), found) > 0.6
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


def test_clone_pickle_and_a_second_fit_give_the_same_scores(epochs):
    X, y, characters = arrays(epochs)
    classifier = P300Classifier("cnn1", SHORT, sfreq=120, random_state=5).fit(X, y, characters)
    scores = classifier.decision_function(X)
    again = clone(classifier).fit(X, y, characters)
    loaded = pickle.loads(pickle.dumps(classifier))
    for other in (again, loaded):
        np.testing.assert_array_equal(other.decision_function(X), scores)
    assert classifier.get_params() == loaded.get_params()
    assert set(classifier.predict(X)) <= {False, True}
    np.testing.assert_array_equal(classifier.predict(X), scores > 0)
    probability = classifier.predict_proba(X)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    np.testing.assert_array_equal(probability[:, 1] > 0.5, scores > 0)


def test_the_trained_detector_can_be_saved_and_scores_the_same(epochs, tmp_path):
    X, y, _ = arrays(epochs)
    classifier = P300Classifier("lda", sfreq=120).fit(X, y)
    classifier.detector_.save(tmp_path / "checkpoint.pt")
    loaded = p300.Detector.load(tmp_path / "checkpoint.pt")
    scaled = X - X.mean(axis=-1, keepdims=True)  # what experiment=lda does after the cut
    np.testing.assert_allclose(
        loaded.score_epochs(scaled), classifier.decision_function(X), atol=1e-4
    )


def test_characters_stay_whole_in_cross_validation_and_search(epochs):
    X, y, characters = arrays(epochs)
    folds = {"groups": characters, "cv": GroupKFold(3), "scoring": "roc_auc"}
    aucs = cross_val_score(P300Classifier("lda", sfreq=120), X, y, **folds)
    assert aucs.shape == (3,) and aucs.min() > 0.6
    search = GridSearchCV(
        P300Classifier(sfreq=120), {"experiment": ["lda", "xdawn"]}, cv=GroupKFold(2)
    )
    search.fit(X, y, groups=characters)
    assert search.best_params_["experiment"] in ("lda", "xdawn")
    assert search.predict(X).shape == y.shape


def drawn_split(monkeypatch, **kwargs):
    """Fit, and return which flashes trained and which validated."""
    splits = []
    plan = train.plan
    monkeypatch.setattr(train, "plan", lambda run: (splits.append(run), plan(run)))
    kwargs.pop("classifier", P300Classifier("cnn1", SHORT, sfreq=120)).fit(**kwargs)
    return splits[-1].split


def test_no_group_is_on_both_sides_of_early_stopping(epochs, monkeypatch):
    X, y, characters = arrays(epochs)
    names = np.array([f"letter {k}" for k in characters])
    split = drawn_split(monkeypatch, X=X, y=y, groups=names)
    assert split.train.any() and split.validation.any()
    assert not set(characters[split.train]) & set(characters[split.validation])
    assert (split.train | split.validation).all()


def test_groups_are_routed_as_metadata_by_scikit_learn(epochs, monkeypatch):
    X, y, characters = arrays(epochs)
    seen = []
    plan = train.plan
    monkeypatch.setattr(train, "plan", lambda run: (seen.append(run), plan(run)))
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = P300Classifier("cnn1", SHORT, sfreq=120).set_fit_request(groups=True)
        params = {"groups": characters}
        cross_val_score(classifier, X, y, cv=GroupKFold(2), params=params, scoring="roc_auc")
    assert len(seen) == 2
    for run in seen:
        found = run.epochs.flashes["character"]
        assert found.nunique() == 6
        assert not set(found[run.split.train]) & set(found[run.split.validation])


def test_characters_of_epochs_stay_whole_without_being_asked(epochs, monkeypatch):
    split = drawn_split(monkeypatch, X=epochs)
    characters = epochs.flashes["character"]
    assert split.validation.any()
    assert not set(characters[split.train]) & set(characters[split.validation])


def test_flashes_sorted_by_their_label_have_both_labels_on_both_sides(epochs, monkeypatch):
    X, y, _ = arrays(epochs)
    order = np.argsort(y, kind="stable")
    split = drawn_split(monkeypatch, X=X[order], y=y[order])
    for rows in (split.train, split.validation):
        assert 0 < y[order][rows].mean() < 0.5


def test_flashes_that_share_samples_with_those_left_out_do_not_train(epochs, monkeypatch):
    one_run = epochs.flashes.assign(character=None)
    split = drawn_split(monkeypatch, X=replace(epochs, flashes=one_run))
    onset = one_run["onset"].to_numpy()
    segment = one_run["segment"].to_numpy()
    for t, s in zip(onset[split.train], segment[split.train], strict=True):
        near = onset[split.validation][segment[split.validation] == s]
        assert not (np.abs(near - t) < 0.65 - 1e-6).any()


def test_epochs_of_mne_arrays_and_rows_of_features_are_one_thing(epochs):
    X, y, _ = arrays(epochs)
    X, y, from_mne = X[:120], y[:120], epochs[:120].to_mne()
    classifier = P300Classifier("lda", sfreq=120, n_chans=X.shape[1])
    wanted = classifier.fit(X, y).decision_function(X)
    assert classifier.n_features_in_ == 6
    names, rows = np.where(y, "Target", "NonTarget"), X.reshape(len(X), -1)
    one_by_one = [from_mne[k] for k in range(len(X))]  # as scikit-learn selects
    for given, labels, n in ((from_mne, names, 6), (one_by_one, names, 6), (rows, y, 6 * 78)):
        found = clone(classifier).fit(given, labels)
        np.testing.assert_allclose(found.decision_function(given), wanted, rtol=1e-3, atol=1e-4)
        assert found.classes_.tolist() == sorted(set(labels)) and found.n_features_in_ == n


def test_channels_of_epochs_are_found_by_name(epochs):
    from_mne = epochs.to_mne()
    classifier = P300Classifier("lda").fit(from_mne)
    shuffled = from_mne.copy().reorder_channels(["Oz", "Pz", "Fz", "PO8", "PO7", "Cz"])
    scores = classifier.decision_function(from_mne)
    np.testing.assert_allclose(classifier.decision_function(shuffled), scores, atol=1e-5)


def test_one_epoch_of_another_length_than_the_papers_trains_a_network(epochs):
    X, y, characters = arrays(epochs)
    for data in (X[:, :2], X[:, :, :61]):
        classifier = P300Classifier("cnn1", SHORT, sfreq=120).fit(data, y, characters)
        assert classifier.decision_function(data[:1]).shape == (1,)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"sfreq": None}, r"got an array and sfreq=None; expected .* P300Classifier\(sfreq=…\)"),
        ({"n_chans": 7}, r"got epochs of shape \(432, 6, 78\); expected \(n_flashes, 7, n_times"),
        ({"experiment": "cnn11"}, "did you mean experiment=.*cnn1"),
        ({"overrides": ["model.n_filter=3"]}, "did you mean model.n_filters"),
        ({"overrides": "seed=1"}, "got overrides='seed=1'; expected a list of str"),
        ({"overrides": ["seed=1"]}, r"no effect .* set P300Classifier\(random_state=…\)"),
        ({"overrides": ["preprocessing.h_freq=8"]}, "filter the EEG before it is cut"),
        ({"overrides": ["data=bnci"]}, "choose the flashes that you give to fit"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(epochs, given, problem):
    X, y, _ = arrays(epochs)
    classifier = P300Classifier(**{"experiment": "cnn1", "sfreq": 120, **given})
    with pytest.raises(InputError, match=problem):
        classifier.fit(X, y)


def test_labels_and_groups_that_do_not_fit_are_refused(epochs):
    X, y, characters = arrays(epochs)
    classifier = P300Classifier("cnn1", SHORT, sfreq=120)
    for labels, n in ((characters % 3, 3), (np.ones(len(y)), 1)):
        with pytest.raises(InputError, match=f"{n} class in y .*; expected two"):
            classifier.fit(X, labels)
    with pytest.raises(InputError, match=r"got groups of shape \(5,\); expected \(432,\)"):
        classifier.fit(X, y, characters[:5])
    with pytest.raises(InputError, match="1 character to draw from"):
        classifier.fit(X, y, np.zeros(len(y)))
    with pytest.raises(InputError, match="got 5 labels of 432 epochs"):
        classifier.fit(epochs, y[:5])
    classifier.fit(X, y, characters)
    with pytest.raises(InputError, match="got epochs of 70 samples; expected 78"):
        classifier.decision_function(X[..., :70])


def test_a_fit_leaves_no_trace(epochs, tmp_path, monkeypatch, capfd):
    X, y, characters = arrays(epochs)
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(2)
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.INFO)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    filters = list(warnings.filters)
    try:
        P300Classifier("cnn1", SHORT, sfreq=120).fit(X, y, characters).predict(X)
        assert torch.get_num_threads() == 2 and logger.level == logging.INFO
    finally:
        logger.setLevel(level)
        torch.set_num_threads(1)
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert after == states and warnings.filters == filters
    assert not list(tmp_path.iterdir())
    printed = capfd.readouterr()
    assert printed.out == "" and printed.err == ""


def test_it_works_inside_an_application_of_hydra(epochs, tmp_path):
    from hydra import compose, initialize_config_dir

    (tmp_path / "theirs.yaml").write_text("lab: mine\n", "utf-8")
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        P300Classifier("lda").fit(epochs)
        assert compose("theirs").lab == "mine"


OWN_PARTS = """
import numpy as np
from torch import nn
from p300.preprocessing import Preprocessor

class Linear(nn.Sequential):
    def __init__(self, n_chans, n_outputs, n_times):
        super().__init__(nn.Flatten(), nn.Linear(n_chans * n_times, n_outputs))

class Halved(Preprocessor):
    def finish(self, epochs, *, scaling=None):
        epochs /= 2
        return super().finish(epochs, scaling=scaling)
"""


def test_an_experiment_of_ones_own_is_an_estimator_too(epochs, tmp_path, monkeypatch):
    X, y, characters = arrays(epochs)
    monkeypatch.setenv("P300_CONF", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "experiment").mkdir()
    (tmp_path / "parts_of_a_lab.py").write_text(OWN_PARTS, "utf-8")
    experiment = (
        "# @package _global_\n"
        "defaults: [override /model: mlp]\n"
        "model: {_target_: parts_of_a_lab.Linear}\n"
        "preprocessing: {_target_: parts_of_a_lab.Halved, scaling: center}\n"
        "protocol: {max_epochs: 3}\n"
    )
    (tmp_path / "experiment" / "mine.yaml").write_text(experiment, "utf-8")
    classifier = P300Classifier("mine", sfreq=120).fit(X, y, characters)
    member, scores = classifier.detector_.members[0], classifier.decision_function(X)
    assert type(member.detector).__name__ == "Linear"
    halved = (X - X.mean(axis=-1, keepdims=True)) / 2
    np.testing.assert_allclose(classifier.detector_.score_epochs(halved), scores, atol=1e-4)


@pytest.mark.parametrize(
    ("nontarget", "target"),
    [("standard", "oddball"), ("frequent", "Rare"), ("non target", "deviant")],
)
@pytest.mark.parametrize("estimator", [P300Classifier("lda", sfreq=120), ShrinkageLDA()])
def test_words_that_sort_the_other_way_round_are_refused(nontarget, target, estimator):
    y = np.where(np.arange(60) % 6 == 0, target, nontarget)
    with pytest.raises(InputError, match=f"pass y == '{target}'"):
        estimator.fit(np.random.default_rng(0).normal(size=(60, 2, 78)), y)
