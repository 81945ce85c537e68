"""The figure of a session: learning beside the detector as it was trained."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from p300 import simulate_recording, spell
from p300.errors import InputError
from p300.figures import draw_session
from p300.metrics import roc_auc, wilson_interval

RECORDING = simulate_recording("P3_WAVE", n_repetitions=3, ch_names=("Cz",))
FLASHES, SPELLER = RECORDING.flashes, RECORDING.speller
RNG = np.random.default_rng(0)

#: Without noise every character is right; as trained, all after the third are noise alone.
CLEAR = FLASHES.assign(score=FLASHES["is_target"].astype(float))
NOISY = CLEAR.assign(score=CLEAR["score"].where(CLEAR["character"] <= 3, RNG.normal(size=252)))
TABLES = {"as trained": NOISY, "learning": CLEAR}
READINGS = {name: spell(table["score"], table, SPELLER) for name, table in TABLES.items()}


def lines(axis):
    return {k.get_label().split(",")[0]: k for k in axis.lines if k.get_label()[0] != "_"}


def test_each_character_has_its_own_auc_and_the_line_is_the_mean_of_the_last_few():
    figure = draw_session(TABLES, window=2)
    (axis,) = figure.axes
    dots = axis.lines[0].get_ydata()
    expected = [
        roc_auc(own["is_target"].to_numpy(bool), own["score"])
        for _, own in NOISY.groupby("character")
    ]
    assert_allclose(dots, expected)
    running = [expected[0], *np.convolve(expected, [0.5, 0.5], "valid")]
    assert_allclose(lines(axis)["as trained"].get_ydata(), running)
    assert_allclose(lines(axis)["learning"].get_ydata(), 1.0)
    assert "each of 7 characters: as trained 0." in figure.get_label()


def test_the_text_is_right_so_far_in_percent_with_wilsons_interval():
    figure = draw_session(TABLES, READINGS)
    right = READINGS["as trained"].query("n_repetitions == 3")["is_right"].to_numpy(bool)
    assert right[:3].all() and not right[3:].all()
    found = lines(figure.axes[1])["as trained"].get_ydata()
    assert_allclose(found, 100 * right.cumsum() / np.arange(1, 8))
    low = figure.axes[1].collections[0].get_paths()[0].vertices[:, 1].min()
    ends = [wilson_interval(n, k).low for k, n in enumerate(right.cumsum(), start=1)]
    assert low == pytest.approx(100 * np.nanmin(ends))
    text = f"after all repetitions: as trained {right.sum()} of 7, learning 7 of 7."
    assert figure.get_label().endswith(text)


def test_fewer_repetitions_are_read_as_after_these():
    figure = draw_session(TABLES, READINGS, n_repetitions=1)
    assert figure.axes[1].get_title("left") == "characters read after 1 repetition"
    right = READINGS["as trained"].query("n_repetitions == 1")["is_right"].sum()
    assert f"as trained {right} of 7" in figure.get_label()


def test_people_are_averaged_at_the_same_place_of_their_sessions():
    other = CLEAR[CLEAR["character"] <= 4].assign(subject="2", score=0.0)
    both = {name: pd.concat([table, other]) for name, table in TABLES.items()}
    figure = draw_session(both)
    dots = figure.axes[0].lines[2].get_ydata()  # of learning: 1 and 0.5, then 1 alone
    assert_allclose(dots, [0.75] * 4 + [1.0] * 3)
    assert "(2 people)" in figure.axes[0].get_title("left")
    assert "each of 11 characters" in figure.get_label()


def test_a_gain_that_is_the_same_in_all_characters_but_noise_has_an_interval_around_it():
    figure = draw_session(TABLES)
    gain = 1 - np.mean(figure.axes[0].lines[0].get_ydata())
    text = figure.get_label().split("gain ")[1]
    assert text.startswith(f"{gain:+.3f} [") and text.endswith("; n = 7].")
    low, high = (float(end) for end in text.split("[")[1].split(";")[0].split(","))
    assert low < gain < high
    three = {**TABLES, "third": CLEAR}
    assert "gain" not in draw_session(three).get_label()


def test_sessions_of_other_characters_cannot_be_compared():
    fewer = CLEAR[CLEAR["character"] < 7]
    with pytest.raises(InputError, match="7 of as trained, 6 of learning; expected the same"):
        draw_session({"as trained": NOISY, "learning": fewer})


def test_a_session_without_labels_or_known_symbols_cannot_be_drawn():
    blind = CLEAR.assign(is_target=pd.NA)
    with pytest.raises(InputError, match="learning: no character of 252 flashes has labelled"):
        draw_session({"learning": blind})
    unknown = READINGS["learning"].assign(is_right=pd.NA)
    with pytest.raises(InputError, match="no character of 7 rows has a known symbol after 2"):
        draw_session({"learning": CLEAR}, {"learning": unknown}, n_repetitions=2)
    with pytest.raises(InputError, match="learning: no column score"):
        draw_session({"learning": FLASHES})
