"""Recordings as data sets of MOABB, and p300's classifiers in its evaluations."""

import numpy as np
import pytest

from p300 import WADSWORTH, P300Classifier, Speller, recording_from_arrays, simulate_recording
from p300.errors import InputError
from p300.readers import moabb as reader
from p300.spelling import letter_scorer

pytestmark = [pytest.mark.filterwarnings("ignore")]  # of MOABB and what it imports


@pytest.fixture(autouse=True)
def moabb_home(tmp_path, monkeypatch):
    pytest.importorskip("moabb.datasets.fake", reason="MOABB is not installed (extra moabb)")
    monkeypatch.setenv("MNE_DATA", str(tmp_path))
    monkeypatch.setenv("_MNE_FAKE_HOME_DIR", str(tmp_path))
    return tmp_path


def person(number, text="P3_WAVES", n_repetitions=3, **options):
    recording = simulate_recording(
        text, n_repetitions=n_repetitions, n_runs=2, subject=str(number), seed=number, **options
    )
    return recording.pick(["Fz", "Cz", "Pz", "Oz"])


def evaluate(kind, paradigm, dataset, folder, **options):
    from moabb import evaluations

    pipelines = {"lda": P300Classifier("lda", sfreq=120)}
    evaluation = getattr(evaluations, kind)(
        paradigm, [dataset], hdf5_path=str(folder), overwrite=True, **options
    )
    return evaluation.process(pipelines)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["WithinSessionEvaluation", "CrossSubjectEvaluation"])
def test_a_classifier_runs_in_the_evaluations_of_moabb(kind, moabb_home):
    from moabb.datasets.fake import FakeDataset
    from moabb.paradigms import P300

    events = {"event_list": ["NonTarget", "Target"], "paradigm": "p300"}
    sizes = {"n_subjects": 2, "n_sessions": 1, "n_runs": 2, "duration": 60, "n_events": 40}
    results = evaluate(
        kind, P300(resample=120, tmax=0.65), FakeDataset(**events, **sizes, seed=1), moabb_home
    )
    assert sorted(results["subject"]) == ["1", "2"]
    assert results["score"].between(0.2, 0.8).all()  # it is noise


def test_a_recording_comes_back_from_moabb_as_it_was():
    people = [person(1), person(7)]
    dataset = reader.as_dataset(people)
    assert dataset.subject_list == [1, 7] and dataset.speller == WADSWORTH
    back = reader.read(dataset, "all")
    assert back.ch_names == people[0].ch_names and back.speller == WADSWORTH
    segments = [segment for recording in people for segment in recording.segments]
    for found, wanted in zip(back.segments, segments, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)
    for column in ("run", "character", "repetition", "code", "is_target"):
        wanted = [value for recording in people for value in recording.flashes[column]]
        assert back.flashes[column].tolist() == wanted
    onset = np.concatenate([recording.flashes["onset"] for recording in people])
    np.testing.assert_allclose(back.flashes["onset"], onset, atol=0.5 / 240)


def test_a_run_of_several_segments_keeps_its_number():
    signal = np.random.default_rng(0).normal(size=(2, 2, 1200))
    flashes = {"segment": [0, 0, 1], "run": 5, "code": [1, 2, 1], "is_target": [0, 1, 0]}
    recording = recording_from_arrays(list(signal), [1.0, 2.0, 1.0], sfreq=240, **flashes)
    dataset = reader.as_dataset(recording)
    assert list(dataset.get_data([1])[1]["1"]) == ["0", "1"]
    assert reader.read(dataset).flashes["run"].tolist() == [5, 5, 5]


def test_flashes_without_a_label_or_room_are_left_out_with_a_warning():
    signal = np.zeros((2, 1200))
    labels = {"is_target": [True, None, False, True]}
    recording = recording_from_arrays(signal, [1.0, 2.0, 3.0, 4.5], sfreq=240, **labels)
    with pytest.warns(UserWarning) as caught:
        dataset = reader.as_dataset(recording)
    texts = [str(w.message) for w in caught]
    assert texts[0].startswith("arrays: 1 of 4 flashes have no label")
    assert texts[1].startswith("arrays: 1 of 4 flashes reach past an end")
    assert len(dataset.get_additional_metadata(1, "1", "1")) == 2
    with pytest.raises(InputError, match="no labelled flash with .0, 5. s of EEG"):
        reader.as_dataset(recording, window_s=(0, 5))


@pytest.mark.slow
def test_letters_are_counted_in_an_evaluation_of_moabb(moabb_home):
    from sklearn.model_selection import GroupKFold

    paradigm = reader.spelling_paradigm(
        fmin=0.5, fmax=20, tmax=0.65, resample=120,
        scorer={"auc": "roc_auc", "letters": letter_scorer(WADSWORTH)},
    )  # fmt: skip
    dataset = reader.as_dataset([person(1, n_repetitions=6), person(2, n_repetitions=6)])
    whole = {"groups": ["run", "character"], "cv_class": GroupKFold, "n_splits": 2}
    for kind, options in (("WithinSessionEvaluation", whole), ("CrossSubjectEvaluation", {})):
        found = evaluate(kind, paradigm, dataset, moabb_home, return_epochs=True, **options)
        assert len(found) == 2 and (found["score_auc"] > 0.7).all()
        assert (found["score_letters"] > 0.4).all()  # by chance 1 of 36


def test_epochs_longer_than_the_data_set_promises_are_refused():
    dataset = reader.as_dataset(person(1), window_s=(0, 0.6))
    with pytest.raises(InputError, match=r"got epochs of \[0, 0.7\] s of RecordingDataset-"):
        reader.spelling_paradigm(tmax=0.7).get_data(dataset)


class Perfect:
    """Scores a flash by its label in the metadata."""

    def decision_function(self, X):
        return X.metadata["is_target"].to_numpy(float)


def test_the_metadata_of_moabbs_epochs_hold_the_flash_table():
    recording = person(3)
    paradigm = reader.spelling_paradigm(tmax=0.65)
    epochs, labels, table = paradigm.get_data(
        reader.as_dataset(recording), [3], return_epochs=True
    )
    assert table["code"].tolist() == recording.flashes["code"].tolist()
    assert (table["is_target"] == (labels == "Target")).all()
    assert letter_scorer(WADSWORTH)(Perfect(), epochs, labels) == 1.0
    some = table["character"].isin([1, 2]).to_numpy()
    assert letter_scorer(WADSWORTH, 1)(Perfect(), epochs[some], labels[some]) == 1.0


def test_letters_are_not_counted_where_they_are_divided_or_unknown():
    epochs, labels, _ = reader.spelling_paradigm(tmax=0.65).get_data(
        reader.as_dataset(person(3)), [3], return_epochs=True
    )
    score = letter_scorer(WADSWORTH)
    with pytest.raises(InputError, match="without half of their flashes"):
        score(Perfect(), epochs[12:], labels[12:])
    with pytest.raises(InputError, match="got ndarray, which has no flash table"):
        score(Perfect(), epochs.get_data(), labels)
    with pytest.raises(InputError, match="not on the screen"):
        letter_scorer(Speller.single_keys("AB"))(Perfect(), epochs, labels)
