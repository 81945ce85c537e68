"""An exported detector carries what it needs to learn while it spells."""

import json
import shutil

import numpy as np
import pytest

from p300.detector import Detector
from p300.errors import InputError
from p300.experiments.fitting.learning import inputs_of
from p300.experiments.train import train
from p300.export.onnx_detector import OnnxDetector
from p300.export.write import export
from p300.learning import Learner, LearningSettings, read_source
from p300.online.events import Learned
from p300.online.learning import LiveLearning
from p300.online.playback import events_of, recording_inputs
from p300.online.session import OnlineSpeller
from p300.simulation import simulate_recording

CHANNELS = ["Fz", "Cz", "Pz", "Oz"]
RECORDING = simulate_recording("LIVE", ch_names=CHANNELS, n_repetitions=5, seed=7)


@pytest.fixture(scope="module", params=["ridge", "eegnet"])
def exported(request, tmp_path_factory):
    """A run that learned, and its exported detector."""
    folder = tmp_path_factory.mktemp(request.param)
    train(
        folder / "run",
        f"experiment={request.param}",
        "learning=while_spelling",
        "preprocessing.phase=causal",
        "data.read.ch_names=[Fz,Cz,Pz,Oz]",
        "data.read.train_text=BRAINS",
        "data.read.test_text=SPELL",
        "data.read.n_repetitions=5",
        "protocol.max_epochs=4",
        "logger=csv",
        "progress=false",
    )
    lines = export(folder / "run", folder / "model")
    assert any("learning.npz" in line for line in lines)
    return folder


@pytest.mark.slow
def test_an_exported_detector_learns_from_what_the_trained_one_would(exported):
    trained, found = Detector.load(exported / "run"), OnnxDetector.load(exported / "model")
    source = read_source(exported / "run" / "learning.npz")
    epochs = trained.epochs(RECORDING).data
    scores, inputs = found.score_and_inputs(epochs)
    np.testing.assert_allclose(scores, trained.score_epochs(epochs), atol=1e-4)
    np.testing.assert_allclose(inputs, inputs_of(trained, source, epochs), atol=1e-4)
    learners = [Learner(one, trained.speller.symbols) for one in (source, found.source)]
    changes = [learner.change(inputs) for learner in learners]
    np.testing.assert_allclose(changes[0], changes[1], atol=1e-9)


@pytest.mark.slow
def test_an_exported_detector_learns_live(exported):
    detector = OnnxDetector.load(exported / "model")
    learning = LiveLearning(detector, LearningSettings())
    speller = OnlineSpeller(detector, RECORDING.ch_names, learning=learning)
    events = list(events_of(speller, recording_inputs(RECORDING)))
    learned = [event for event in events if isinstance(event, Learned)]
    assert len(learned) == 4
    assert len({event.weights for event in learned}) == 4


@pytest.mark.slow
def test_sums_of_another_export_are_refused(exported, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(exported / "model", model)
    data = (model / "learning.npz").read_bytes()
    (model / "learning.npz").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(InputError, match="damaged"):
        OnnxDetector.load(model)
    (model / "learning.npz").write_bytes(data)
    content = json.loads((model / "detector.json").read_text())
    content["learning"]["sha256"] = "0" * 64
    (model / "detector.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="damaged or from another export"):
        OnnxDetector.load(model)
    (model / "learning.npz").unlink()
    with pytest.raises(InputError, match="no such file"):
        OnnxDetector.load(model)
