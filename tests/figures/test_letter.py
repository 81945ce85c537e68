"""One letter, from the EEG on: what is drawn is what was read."""

import numpy as np
import pytest

from p300.errors import InputError
from p300.figures import draw_letter
from p300.preprocessing import Preprocessor
from p300.recording import CHARACTER_KEY
from p300.simulation import simulate_recording
from p300.spelling import spell


@pytest.fixture(scope="module")
def recording():
    return simulate_recording("P3", n_repetitions=4, ch_names=["Cz", "Pz"])


@pytest.fixture(scope="module")
def epochs(recording):
    return Preprocessor(scaling="center").fit(recording).epochs(recording)


def noisy_scores(recording, seed=0):
    noise = np.random.default_rng(seed).normal(size=len(recording.flashes))
    return noise + 2 * recording.flashes["is_target"].to_numpy(bool)


@pytest.mark.parametrize("n_repetitions", [1, 4])
@pytest.mark.parametrize("character", [0, 1])
def test_the_darkest_symbol_is_the_one_that_is_spelled(
    recording, epochs, character, n_repetitions
):
    scores = noisy_scores(recording)
    figure = draw_letter(
        recording, epochs, scores, character=character, n_repetitions=n_repetitions
    )
    spelled = spell(scores, recording.flashes, recording.speller)
    rows = spelled.groupby(CHARACTER_KEY, sort=False).ngroup() == character
    (read,) = spelled[rows & (spelled["n_repetitions"] == n_repetitions)]["symbol"]
    screen = figure.axes[2]
    evidence = screen.images[0].get_array()
    symbols = [text.get_text() for text in screen.texts]
    assert symbols[int(np.argmax(evidence))] == read
    assert [t.get_text() for t in screen.texts if t.get_weight() == "bold"] == [read]
    assert screen.get_title(loc="left").endswith(f": {read}")
    assert f", wanted {'P3'[character]}." in figure.get_label()


def test_every_flash_of_the_stretch_is_a_line_and_the_averages_are_those_of_the_epochs(
    recording, epochs
):
    figure = draw_letter(recording, epochs, noisy_scores(recording), channel="Pz", n_repetitions=1)
    eeg, waves, _ = figure.axes
    onsets = recording.flashes["onset"].to_numpy()
    shown = onsets < onsets[0] + 2.05
    assert sum(len(lines.get_segments()) for lines in eeg.collections) == shown.sum()
    is_target = recording.flashes["is_target"].to_numpy(bool)
    expected = epochs.data[is_target, 1].mean(axis=0, dtype=float)
    np.testing.assert_allclose(waves.lines[0].get_ydata(), expected)
    assert eeg.get_ylabel() == "amplitude (µV)" and waves.get_xlabel().endswith("(s)")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"character": 2}, "got character=2 of .*; expected 0 to 1"),
        ({"n_repetitions": 5}, "got n_repetitions=5; expected 1 to 4"),
        ({"n_repetitions": 0}, "got n_repetitions=0; expected 1 to 4"),
        ({"channel": "Oz"}, "got channels Oz; expected one or more of the 2 channels Cz, Pz"),
    ],
)
def test_what_is_not_there_is_refused(recording, epochs, options, words):
    options = {"n_repetitions": 1} | options
    with pytest.raises(InputError, match=words):
        draw_letter(recording, epochs, noisy_scores(recording), **options)


def test_an_oddball_has_no_letter(epochs):
    oddball = simulate_recording(None, speller=None, n_runs=2, ch_names=["Cz"])
    with pytest.raises(InputError, match="no screen; expected a recording with a speller"):
        draw_letter(oddball, epochs, np.zeros(len(oddball.flashes)))
