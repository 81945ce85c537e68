"""Live reading without a trained detector."""

import numpy as np
import pytest
from simulated_session import of

from p300 import simulate_recording
from p300.errors import InputError
from p300.learning import FromNothing, spell_and_learn
from p300.online.events import Decided, Learned
from p300.online.playback import events_of, format_of, recording_inputs
from p300.online.setup import choose_rule, make_speller, open_detector
from p300.online.streams.format import StreamFormat

RECORDING = simulate_recording(
    "BRAIN", n_repetitions=12, ch_names=["Fz", "Cz", "Pz", "Oz"], seed=2
)
STREAM = format_of(RECORDING)


def settings(**changed):
    usual = {
        "screen": "wadsworth",
        "channels": None,
        "idle_prior": 0.0,
        "learned": None,
        "learning": {"_target_": "p300.learning.LearningSettings", "temper": 0.3},
        "learn": False,
        "learn_targets": False,
        "language": None,
        "offset_s": 0.0,
    }
    return usual | changed


def session(rule=None, **changed):
    chosen = settings(**changed)
    detector = open_detector("none", STREAM, chosen)
    speller = make_speller(detector, STREAM, chosen, choose_rule(detector, rule))
    return detector, list(events_of(speller, recording_inputs(RECORDING)))


def test_a_live_session_from_nothing_reads_what_an_offline_one_does():
    detector, events = session()
    epochs = detector.epochs(RECORDING)
    zeros = np.zeros(len(epochs.data))
    expected = spell_and_learn(zeros, epochs.data, epochs.flashes, detector.speller, FromNothing())
    assert of(Learned, events)[-1].text == "".join(expected.symbols["1"]) == "BRAIN"
    assert "".join(event.symbol or "?" for event in of(Decided, events)) == "BRAIN"


def test_a_character_ends_early_once_it_is_sure_and_later_ones_sooner():
    _, events = session("posterior")
    decided = of(Decided, events)
    assert [event.symbol for event in decided] == list("BRAIN")
    assert decided[0].n_repetitions >= 10
    assert decided[-1].n_repetitions < 10
    assert all(event.probability >= 0.95 for event in decided if event.is_early)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"screen": None}, "without a screen; expected one; set screen=wadsworth"),
        ({"idle_prior": 0.5}, "from nothing, a symbol is always read"),
        ({"channels": ["Fz", "T7"]}, r"it has no \['T7'\]"),
    ],
)
def test_what_cannot_be_read_from_nothing_is_refused(changed, message):
    with pytest.raises(InputError, match=message):
        session(**changed)


def test_a_stream_without_a_unit_is_refused():
    stream = StreamFormat("amplifier", ("Fz", "Cz"), (None, None), 250.0)
    with pytest.raises(InputError, match=r"set eeg\.unit"):
        open_detector("none", stream, settings())


def test_only_the_named_channels_are_read():
    detector, events = session(channels=["Pz", "Cz"])
    assert detector.preprocessor.ch_names_ == ("Pz", "Cz")
    assert of(Decided, events)
