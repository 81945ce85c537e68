"""A preprocessing of one's own comes back from a checkpoint with its class and what it learned."""

import json

import numpy as np
import pytest
import torch
from own_things import Doubled, Projected, Unsavable, Whole

from p300.baselines import ShrinkageLDA
from p300.detector import Detector, Member
from p300.errors import InputError
from p300.export.write import export
from p300.preprocessing import Preprocessor, StreamingPreprocessor
from p300.preprocessing.state import (
    check_usable,
    decoded,
    encoded,
    from_full_state,
    full_state,
)
from p300.simulation import simulate_recording

CHANNELS = ["Fz", "Cz", "Pz", "Oz"]


@pytest.fixture(scope="module")
def recording():
    return simulate_recording("EEG", n_repetitions=2, ch_names=CHANNELS)


OWN = {
    "transform": lambda: Doubled(gain=np.float32(4), scaling="standardize"),
    "finish": Projected,
    "whole": lambda: Whole(0.0, 0.65),
}


@pytest.mark.parametrize("name", OWN)
def test_an_own_preprocessing_comes_back_and_gives_the_same_epochs(recording, name):
    fitted = OWN[name]().fit(recording, rows=np.arange(len(recording.flashes)) < 20)
    state = json.loads(json.dumps(full_state(fitted)))
    again = from_full_state(state, is_own=True)
    assert type(again) is type(fitted)
    found = again.epochs(recording).data
    assert np.array_equal(found, fitted.epochs(recording).data)
    assert full_state(again) == state


def test_epochs_are_those_that_an_own_transform_returns(recording):
    plain = Preprocessor().fit(recording).epochs(recording)
    own = Doubled(gain=3.0, reject_uv=35.0).fit(recording)
    assert np.array_equal(own.epochs(recording).data, 3 * plain.data)
    assert np.array_equal(own.transform(recording), 3 * plain.data)
    wanted = Preprocessor(reject_uv=35.0).fit(recording).epochs(recording).is_rejected
    assert wanted.any() and np.array_equal(own.epochs(recording).is_rejected, wanted)
    assert own.epochs(recording).ch_names == tuple(CHANNELS)


def test_transform_returns_the_data_of_own_epochs(recording):
    class Own(Preprocessor):
        def epochs(self, recording, *, on_cut=None):
            epochs = super().epochs(recording, on_cut=on_cut)
            epochs.data[:] = 7
            return epochs

    assert (Own().fit(recording).transform(recording) == 7).all()


def test_an_own_transform_of_another_shape_is_refused(recording):
    class Flat(Preprocessor):
        def transform(self, recording):
            return super().transform(recording).reshape(len(recording.flashes), -1)

    with pytest.raises(InputError, match=r"Flat.transform returned \(72, 312\) for 72 flashes"):
        Flat().fit(recording).epochs(recording)


def test_a_preprocessor_of_p300_is_described_as_ever(recording):
    fitted = Preprocessor(scaling="robust").fit(recording)
    assert full_state(fitted) == fitted.get_state()
    assert type(from_full_state(fitted.get_state())) is Preprocessor


@pytest.mark.parametrize(
    "value",
    [
        None,
        [1, 2.5, "text", True, (1, (2,)), {"a": [None]}],
        {"nested": {"deep": (np.float32(0.1), np.int64(3))}},
        float("inf"),
        np.array([[0.1, np.nan]], np.float32),
        np.zeros((0, 3)),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array([1 + 2j]),
        np.array(5.0),
        np.array([True, False]),
    ],
    ids=lambda value: str(value)[:30].replace("\n", " "),
)
def test_a_value_comes_back_exactly(value):
    again = decoded(json.loads(json.dumps(encoded(value, "it"))))
    assert type(again) is type(value)
    if isinstance(value, np.ndarray):
        assert again.dtype == value.dtype and again.shape == value.shape
        assert again.flags.f_contiguous == value.flags.f_contiguous  # sums in the same order
        np.testing.assert_array_equal(again, value)
    else:
        assert repr(again) == repr(value)


@pytest.mark.parametrize("value", [object(), {1, 2}, {1: 2}, np.array([None]), [print]])
def test_what_is_not_plain_is_refused(value):
    with pytest.raises(InputError, match="it.* is a .*, which a checkpoint cannot keep"):
        encoded(value, "it")


def test_an_attribute_that_cannot_be_kept_is_named(recording):
    with pytest.raises(InputError, match="Unsavable.rule is a function"):
        full_state(Unsavable().fit(recording))


def test_what_a_preprocessing_lacks_is_named():
    with pytest.raises(InputError, match="str has no fit, epochs, tmin, tmax; expected"):
        check_usable("text")
    with pytest.raises(InputError, match="Whole has no ch_names_"):
        check_usable(Whole(0.0, 0.65), is_fitted=True)


# -- in a checkpoint -----------------------------------------------------------------------------


@pytest.fixture
def checkpoint(recording, tmp_path):
    fitted = Doubled(gain=5.0, scaling="center", phase="causal").fit(recording)
    lda = ShrinkageLDA().fit(fitted.transform(recording), recording.flashes["is_target"] == True)  # noqa: E712
    member = Member(lda, {"_target_": "p300.baselines.ShrinkageLDA"})
    detector = Detector([member], fitted, recording.speller)
    detector.save(tmp_path / "checkpoint.pt")
    return detector, tmp_path / "checkpoint.pt"


def test_a_detector_with_an_own_preprocessing_scores_as_before_it_was_saved(checkpoint, recording):
    detector, path = checkpoint
    loaded = Detector.load(path)
    assert type(loaded.preprocessor) is Doubled and loaded.preprocessor.gain == 5
    assert np.array_equal(loaded.score(recording), detector.score(recording))


def test_an_own_preprocessing_from_elsewhere_is_refused_unless_trusted(
    checkpoint, recording, monkeypatch
):
    detector, path = checkpoint
    torch.save(torch.load(path, weights_only=True), path)
    with pytest.raises(InputError, match="names 'own_things.Doubled', and this user did not"):
        Detector.load(path)
    monkeypatch.setenv("P300_TRUST", "own_things")
    assert np.array_equal(Detector.load(path).score(recording), detector.score(recording))


@pytest.mark.parametrize("target", ["os.system", "p300.models.EEGNet", "p300.models.os.system"])
def test_a_state_from_elsewhere_calls_nothing(target):
    with pytest.raises((InputError, AttributeError)):
        from_full_state(
            {"_target_": target, "state": None, "attributes": {"dict": {}}}
            | ({"state": {"dict": {}}})
        )


def test_an_export_of_an_own_preprocessing_is_refused_in_a_sentence(checkpoint, tmp_path):
    with pytest.raises(InputError, match="preprocessing is own_things.Doubled, whose code is not"):
        export(checkpoint[1], tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_stream_refuses_what_works_on_whole_recordings(checkpoint, recording):
    with pytest.raises(InputError, match="Doubled has transform of its own"):
        StreamingPreprocessor(checkpoint[0].preprocessor)
    with pytest.raises(InputError, match="Whole has transform, epochs, "):
        StreamingPreprocessor(Whole(0.0, 0.65).fit(recording))


def test_a_stream_gives_the_epochs_of_an_own_finish():
    recording = simulate_recording("E", n_repetitions=1, ch_names=CHANNELS)
    fitted = Projected(phase="causal").fit(recording)
    stream = StreamingPreprocessor(fitted)
    signal, times = recording.segments[0], np.arange(recording.segments[0].shape[1]) / 240
    found = stream.push(signal, times, recording.flashes["onset"].to_numpy())
    wanted = fitted.transform(recording)
    n = len(found.data)
    assert n >= 10 and np.allclose(found.data, wanted[:n], atol=1e-3)
