"""Learning while a live session goes on: as offline, and the same again when it is replayed."""

import numpy as np
import pytest
from simulated_session import ABC, of, simulate

from p300.baselines import GaussianProcessRidge
from p300.description import DescribedDetector
from p300.errors import InputError
from p300.learning import LearningSettings, Source, read_source, spell_and_learn
from p300.learning.linear import usual_basis
from p300.online.events import Decided, Learned, Noted, Scored
from p300.online.journal import TABLES, Journal, as_row, read_inputs
from p300.online.learning import LiveLearning
from p300.online.playback import compare, events_of, recording_inputs
from p300.online.session import OnlineSpeller
from p300.online.setup import keep_learned
from p300.preprocessing import EuclideanAlignment, Preprocessor
from p300.recording import concatenate_recordings
from p300.spelling import ScoreLikelihood

#: Of other people, whose P300 is later, and of the one who spells.
OTHERS = [simulate("DCBADCBA", seed=k, subject=str(k), brain={"latency_s": 0.42}) for k in (3, 4)]
RECORDING = simulate("ABCDABCDAABB", n_repetitions=5, seed=1, brain={"latency_s": 0.3})


class AligningRidge(DescribedDetector):
    """A ridge of two other people on aligned epochs, and the sums it was computed from."""

    def __init__(self):
        recording = concatenate_recordings(OTHERS)
        self.speller, self.alignment = ABC, EuclideanAlignment()
        self.preprocessor = Preprocessor(phase="causal", scaling="rms_epoch").fit(recording)
        epochs = self.epochs(recording)
        is_target = recording.flashes["is_target"].to_numpy(bool)
        self.ridge = GaussianProcessRidge(penalty=0.05).fit(epochs.data, is_target)
        subject = recording.flashes["subject"].to_numpy(str)
        self.source = Source.of_epochs(
            epochs.data, is_target, subject, basis=usual_basis(4, 78, 120.0), penalty=0.05
        )
        self.likelihood = ScoreLikelihood.fit(self.score_epochs(epochs.data), is_target)
        self.stopping = {}

    def score_epochs(self, epochs):
        return np.array([self.ridge.decision_function(epoch[None])[0] for epoch in epochs])

    def score_and_inputs(self, epochs):
        return self.score_epochs(epochs), epochs


DETECTOR = AligningRidge()
SETTINGS = {"mean_flashes": 50, "guard": False}


def session(inputs, settings=SETTINGS, detector=DETECTOR, **options):
    learning = LiveLearning(detector, LearningSettings(**settings), **options)
    speller = OnlineSpeller(detector, RECORDING.ch_names, learning=learning)
    return speller, list(events_of(speller, inputs))


def offline():
    epochs = DETECTOR.epochs(RECORDING)
    static = DETECTOR.score_epochs(epochs.data)
    settings = LearningSettings(**SETTINGS)
    return static, spell_and_learn(
        static, epochs.data, epochs.flashes, ABC, settings, DETECTOR.source
    )


def test_a_live_session_learns_what_an_offline_one_does():
    speller, events = session(recording_inputs(RECORDING, start=1e4))
    static, expected = offline()
    scores = np.array([event.score for event in of(Scored, events)])
    np.testing.assert_allclose(scores, expected.scores, atol=1e-3)
    assert np.abs(scores - static).max() > 0.1
    last = of(Learned, events)[-1]
    assert last.text == "".join(expected.symbols["1"])
    assert len(of(Learned, events)) == 12
    assert [event.symbol for event in of(Decided, events)] == list(speller.text)


def test_without_learning_an_aligning_detector_reads_as_offline():
    speller = OnlineSpeller(DETECTOR, RECORDING.ch_names)
    scores = [e.score for e in of(Scored, events_of(speller, recording_inputs(RECORDING)))]
    np.testing.assert_allclose(scores, DETECTOR.score(RECORDING), atol=1e-3)


def test_the_size_of_chunks_changes_nothing_that_is_learned():
    inputs = list(recording_inputs(RECORDING))
    samples = np.concatenate([chunk for chunk, _, _ in inputs], axis=1)
    times = np.concatenate([stamps for _, stamps, _ in inputs])
    markers = [marker for _, _, some in inputs for marker in some]
    whole = [(samples, times, markers)]
    expected = [as_row(event) for event in of(Learned, session(inputs)[1])]
    found = [as_row(event) for event in of(Learned, session(whole)[1])]
    assert [row[:2] for row in found] == [row[:2] for row in expected]


def test_a_session_that_learned_comes_out_again_to_the_last_digit(tmp_path):
    about = {"settings": {"learn": True}}
    learning = LiveLearning(DETECTOR, LearningSettings(**SETTINGS))
    speller = OnlineSpeller(DETECTOR, RECORDING.ch_names, learning=learning)
    with Journal(tmp_path / "session", about) as journal:
        for samples, stamps, markers in recording_inputs(RECORDING):
            for text, at in markers:
                journal.marker(text, at, at)
            journal.chunk(samples, stamps)
            for event in speller.push(samples, stamps, markers):
                journal.event(event)
        for event in speller.finish():
            journal.event(event)
    _, events = session(read_inputs(tmp_path / "session"))
    rows = {kind: [as_row(event) for event in of(kind, events)] for kind in TABLES}
    found = compare(tmp_path / "session", rows)
    assert found == "identical: 240 scores, 12 decisions, 12 updates"
    rows[Learned][3][-1] = "0" * 16
    with pytest.raises(InputError, match=r"learned.csv, row 4: got .* expected"):
        compare(tmp_path / "session", rows)


def test_targets_of_copy_spelling_are_known_only_if_it_is_said():
    inputs = list(recording_inputs(RECORDING))
    wrong = [
        (samples, stamps, [(text.replace("begin A", "begin D"), at) for text, at in markers])
        for samples, stamps, markers in inputs
    ]
    assert wrong != inputs
    by_odds = [session(some)[1] for some in (inputs, wrong)]
    weights = [[event.weights for event in of(Learned, events)] for events in by_odds]
    assert weights[0] == weights[1]
    by_labels = [session(some, uses_targets=True)[1] for some in (inputs, wrong)]
    assert of(Learned, by_labels[0])[-1].text == "ABCDABCDAABB"
    assert of(Learned, by_labels[1])[-1].text == "DBCDDBCDDDBB"


def test_the_next_session_goes_on_with_what_was_learned(tmp_path):
    speller, _ = session(recording_inputs(RECORDING))
    keep_learned(speller, tmp_path)
    again = AligningRidge()
    again.source = read_source(tmp_path / "learning.npz")
    first = LiveLearning(again, LearningSettings(**SETTINGS)).learner
    epochs = DETECTOR.epochs(RECORDING).data[:40]
    np.testing.assert_allclose(
        first.change(epochs), speller.learning.learner.change(epochs), atol=0.05
    )
    assert "of earlier sessions count fully" in first.weighing()


def test_a_session_without_characters_leaves_nothing_for_the_next(tmp_path):
    speller, _ = session([])
    keep_learned(speller, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_end_of_learning_is_noted_once(monkeypatch):
    monkeypatch.setattr("p300.learning.guard.DriftGuard.check", lambda *_: "it is worse")
    _, events = session(recording_inputs(RECORDING), {})
    notes = [e.text for e in of(Noted, events) if e.kind == "ends of learning"]
    assert notes == ["learning stopped, and is undone: it is worse"]
    assert not of(Learned, events)
    scores = [event.score for event in of(Scored, events)]
    np.testing.assert_allclose(scores, DETECTOR.score(RECORDING), atol=1e-3)


def test_a_detector_without_sums_cannot_learn():
    class Other(AligningRidge):
        def __init__(self):
            self.__dict__.update(DETECTOR.__dict__, source=None)

    with pytest.raises(InputError, match=r"left no sums; expected .*learning=while_spelling"):
        LiveLearning(Other(), LearningSettings())


def test_only_the_person_who_was_trained_on_alone_is_taken_for_the_one_who_spells():
    learner = LiveLearning(DETECTOR, LearningSettings()).learner
    assert learner.person is None
    assert learner.weighing() == "372 of others count as 250"
    assert LiveLearning(DETECTOR, LearningSettings(person="3")).learner.person == "3"
    with pytest.raises(InputError, match=r"person=9; expected one of \['3', '4'\]"):
        LiveLearning(DETECTOR, LearningSettings(person="9"))
