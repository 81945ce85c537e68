"""Estimators of scikit-learn, pyRiemann and one's own as detectors."""

import os
import pickle

import numpy as np
import pytest
import torch
from own_things import Nearest, Silent, Unpicklable
from own_things import Regression as Derived
from pyriemann.classification import MDM
from pyriemann.estimation import ERPCovariances
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC

from p300.baselines import SklearnDetector
from p300.baselines.sklearn_estimator import n_numbers
from p300.detector import ESTIMATOR, Detector, Member
from p300.errors import InputError
from p300.preprocessing import Preprocessor
from p300.preprocessing.state import encoded
from p300.simulation import simulate_recording

RNG = np.random.default_rng(0)
IS_TARGET = np.arange(120) % 6 == 0
EPOCHS = RNG.normal(size=(120, 4, 20)).astype(np.float32)
EPOCHS[IS_TARGET, :, 8:12] += 2.0

#: Estimator, and whether it gets rows of features.
ESTIMATORS = {
    "logistic": (lambda: LogisticRegression(), True),
    "svc": (lambda: SVC(), True),
    "probabilities": (lambda: SVC(kernel="linear"), True),
    "forest": (lambda: RandomForestClassifier(20), True),
    "regressor": (lambda: Ridge(), True),
    "pipeline": (
        lambda: Pipeline(
            [["scale", StandardScaler()], ["pca", PCA(5)], ["lr", LogisticRegression()]]
        ),
        True,
    ),
    "search": (lambda: GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}), True),
    "pyriemann": (lambda: Pipeline([("cov", ERPCovariances()), ("mdm", MDM())]), False),
    "own": (Nearest, False),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_finds_targets_in_the_form_that_it_takes(name):
    make, is_flat = ESTIMATORS[name]
    detector = SklearnDetector(make()).fit(EPOCHS[:60], IS_TARGET[:60])
    assert detector.is_flat_ is is_flat
    scores = detector.decision_function(EPOCHS[60:])
    truth = IS_TARGET[60:]
    assert scores.shape == (60,) and scores.dtype == float
    assert np.mean(scores[truth][:, None] > scores[~truth]) > 0.9
    again = SklearnDetector.from_state(detector.get_state(), is_own=True)
    assert np.array_equal(again.decision_function(EPOCHS), detector.decision_function(EPOCHS))
    assert np.array_equal(again.predict(EPOCHS), detector.predict(EPOCHS))


def test_scores_of_probabilities_are_their_log_odds():
    class Certain:
        def fit(self, X, y):
            return self

        def predict_proba(self, X):
            return np.tile([[0.2, 0.8], [1.0, 0.0]], (len(X) // 2, 1))

    scores = SklearnDetector(Certain()).fit(EPOCHS, IS_TARGET).decision_function(EPOCHS[:2])
    assert scores[0] == pytest.approx(np.log(4)) and np.isfinite(scores[1]) and scores[1] < -20


def test_the_configured_form_is_taken():
    class Sees:
        def fit(self, X, y):
            self.ndim_ = X.ndim
            return self

        def decision_function(self, X):
            return np.zeros(len(X))

    for flatten, ndim in ((True, 2), (False, 3), ("auto", 3)):
        detector = SklearnDetector(Sees(), flatten).fit(EPOCHS, IS_TARGET)
        assert detector.estimator_.ndim_ == ndim
    with pytest.raises(InputError, match="dim 3"):
        SklearnDetector(LogisticRegression(), False).fit(EPOCHS, IS_TARGET)
    with pytest.raises(InputError, match="flatten='yes'; expected auto, true or false"):
        SklearnDetector(LogisticRegression(), "yes").fit(EPOCHS, IS_TARGET)


def test_an_estimator_without_a_score_is_refused_with_the_reason_of_each_form():
    with pytest.raises(InputError, match="Silent.*neither decision_function nor predict_proba"):
        SklearnDetector(Silent()).fit(EPOCHS, IS_TARGET)
    with pytest.raises(InputError, match=r"shape \(4, 20\): .* shape \(80,\): "):
        SklearnDetector(PCA(500)).fit(EPOCHS, IS_TARGET)


def test_random_estimators_are_repeatable_and_follow_a_given_state():
    fit = lambda **given: (  # noqa: E731
        SklearnDetector(Pipeline([("forest", RandomForestClassifier(5, **given))]))
        .fit(EPOCHS, IS_TARGET)
        .decision_function(EPOCHS)
    )
    assert np.array_equal(fit(), fit())
    assert not np.array_equal(fit(), fit(random_state=1))


def test_the_given_estimator_is_not_changed():
    given = LogisticRegression()
    SklearnDetector(given).fit(EPOCHS, IS_TARGET)
    assert not hasattr(given, "coef_")


def test_learned_numbers_are_counted_inside_a_pipeline():
    lda = SklearnDetector(LogisticRegression()).fit(EPOCHS, IS_TARGET)
    assert lda.n_parameters == 80 + 1 + 1 + 2  # weights, intercept, iterations, classes
    piped = Pipeline([("lr", LogisticRegression())])
    assert SklearnDetector(piped).fit(EPOCHS, IS_TARGET).n_parameters == lda.n_parameters
    assert n_numbers("text") == 0


# -- in a checkpoint -----------------------------------------------------------------------------


class Bomb:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (os.mkdir, (self.path,))


def saved(estimator, folder):
    """A detector with an estimator, its recording, and its checkpoint."""
    recording = simulate_recording("EEG", n_repetitions=2, ch_names=["Cz", "Pz"])
    steps = Preprocessor(scaling="center").fit(recording)
    is_target = recording.flashes["is_target"].to_numpy(bool)
    fitted = SklearnDetector(estimator).fit(steps.transform(recording), is_target)
    name = f"{type(estimator).__module__}.{type(estimator).__name__}"
    model = {"_target_": ESTIMATOR, "estimator": {"_target_": name}}
    detector = Detector([Member(fitted, model)], steps, recording.speller)
    detector.save(folder / "checkpoint.pt")
    return detector, recording, folder / "checkpoint.pt"


@pytest.fixture
def checkpoint(tmp_path):
    return saved(SVC(), tmp_path)


def foreign(path, change=lambda content: None):
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    return path


def test_an_estimator_of_this_user_comes_back(checkpoint):
    detector, recording, path = checkpoint
    loaded = Detector.load(path)
    assert np.array_equal(loaded.score(recording), detector.score(recording))
    assert loaded.n_parameters == detector.n_parameters and loaded.is_classical


def test_an_estimator_from_elsewhere_is_not_unpickled(checkpoint, tmp_path, monkeypatch):
    detector, recording, path = checkpoint

    def plant(content):
        bomb = np.frombuffer(pickle.dumps(Bomb(tmp_path / "exploded")), np.uint8)
        content["members"][0]["state"]["pickle"] = torch.as_tensor(bomb.copy())

    for trust in ("", "sklearn", "own_things,pickles", "p300"):
        monkeypatch.setenv("P300_TRUST", trust)
        with pytest.raises(InputError, match="pickled estimator.*set P300_TRUST=pickle"):
            Detector.load(foreign(path, plant))
        assert not (tmp_path / "exploded").exists()
    monkeypatch.setenv("P300_TRUST", "pickle")
    with pytest.raises(InputError):  # nothing is no estimator; but the folder was made
        Detector.load(path)
    assert (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", ["SklearnDetector", "sklearn_estimator.SklearnDetector"])
def test_no_name_of_the_class_leads_to_the_pickle_of_a_file_from_elsewhere(
    checkpoint, tmp_path, name
):
    _, _, path = checkpoint

    def plant(content):
        bomb = np.frombuffer(pickle.dumps(Bomb(tmp_path / "exploded")), np.uint8)
        content["members"][0]["state"]["pickle"] = torch.as_tensor(bomb.copy())
        content["members"][0]["model"] = {"_target_": f"p300.baselines.{name}", "estimator": None}

    with pytest.raises(InputError, match="pickled estimator"):
        Detector.load(foreign(path, plant))
    planted = torch.load(path, weights_only=True)
    planted["preprocessing"] = {
        "_target_": f"p300.baselines.{name}",
        "state": {"dict": {"pickle": [1], "classes": [0], "is_flat": True}},
        "attributes": {"dict": {}},
    }
    torch.save(planted, path)
    with pytest.raises(InputError):
        Detector.load(path)
    assert not (tmp_path / "exploded").exists()


def test_a_changed_byte_of_the_pickle_is_noticed_before_it_is_read(checkpoint, tmp_path):
    _, _, path = checkpoint
    content = bytearray(path.read_bytes())
    place = content.find(b"sklearn.svm._classes")
    assert place > 0
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="pickled estimator|cannot be read"):
        Detector.load(path)


def test_what_cannot_be_pickled_says_so():
    with pytest.raises(InputError, match="Unpicklable cannot be pickled, and so not be saved"):
        SklearnDetector(Unpicklable()).fit(EPOCHS, IS_TARGET).get_state()


def test_a_class_that_is_gone_is_named(checkpoint):
    state = SklearnDetector(Nearest()).fit(EPOCHS, IS_TARGET).get_state()
    renamed = bytes(state["pickle"]).replace(b"Nearest", b"Missing")
    with pytest.raises(InputError, match="cannot be unpickled.*set P300_CONF"):
        SklearnDetector.from_state({**state, "pickle": np.frombuffer(renamed, "u1")}, is_own=True)


# -- estimators without a pickle -----------------------------------------------------------------

PLAIN = {
    "logistic": LogisticRegression,
    "lda": lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    "svc": LinearSVC,
    "ridge": Ridge,
    "pipeline": lambda: Pipeline(
        [
            ("a", Pipeline([("scale", RobustScaler()), ("pca", PCA(5))])),
            ("lda", LogisticRegression()),
        ]
    ),
}


@pytest.mark.parametrize("name", PLAIN)
def test_estimators_that_score_by_numpy_load_from_elsewhere(name, tmp_path):
    detector, recording, path = saved(PLAIN[name](), tmp_path)
    loaded = Detector.load(foreign(path))
    assert np.array_equal(loaded.score(recording), detector.score(recording))
    assert loaded.n_parameters == detector.n_parameters


@pytest.mark.parametrize(
    "estimator",
    [SVC(), Nearest(), Pipeline([("forest", RandomForestClassifier(3))]), Derived()],
    ids=lambda value: type(value).__name__,
)
def test_all_others_are_kept_as_pickles(estimator):
    state = SklearnDetector(estimator).fit(EPOCHS, IS_TARGET).get_state()
    assert "pickle" in state and "estimator" not in state


@pytest.mark.parametrize(
    "name", ["sklearn.svm.SVC", "subprocess.Popen", "os.system", "builtins.dict"]
)
def test_a_file_from_elsewhere_names_no_other_estimator(name, tmp_path):
    _, _, path = saved(LogisticRegression(), tmp_path)

    def plant(content):
        content["members"][0]["state"]["estimator"]["class"] = name

    with pytest.raises(InputError, match="names the estimator"):
        Detector.load(foreign(path, plant))


HOSTILE = {
    "a text for weights": lambda a: a.update(coef_="text"),
    "no weights": lambda a: a.pop("coef_"),
    "a text for a method": lambda a: a.update(decision_function="text"),
    "weights of another size": lambda a: a.update(coef_=encoded(np.zeros((1, 3)), "")),
    "weights that claim more": lambda a: a["coef_"].update(shape=[1, 10**12]),
    "objects": lambda a: a["coef_"].update(dtype="|O"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_damaged_arrays_of_an_estimator_are_refused_in_a_sentence(case, tmp_path):
    _, _, path = saved(LogisticRegression(), tmp_path)

    def plant(content):
        HOSTILE[case](content["members"][0]["state"]["estimator"]["attributes"]["dict"])

    with pytest.raises(InputError, match="damaged"):
        Detector.load(foreign(path, plant))


def test_a_pipeline_from_elsewhere_has_no_folder_of_pickles(tmp_path):
    fitted = SklearnDetector(Pipeline([("lr", LogisticRegression())])).fit(EPOCHS, IS_TARGET)
    state = fitted.get_state()
    state["estimator"]["attributes"]["dict"]["memory"] = str(tmp_path)
    assert SklearnDetector.from_state(state).estimator_.memory is None
