import numpy as np
import pandas as pd
import pytest

from p300.errors import InputError
from p300.preprocessing import recording_from_arrays
from p300.recording import (
    Recording,
    channel_order,
    concatenate_recordings,
    flash_table,
    label_flashes,
)
from p300.simulation import simulate_recording
from p300.speller import WADSWORTH, Speller
from p300.spelling import spell, text_after


def make_recording(ch_names=("Fz", "Cz"), session="1", **changes):
    flashes = flash_table(
        onset=[0.0, 0.5, 0.0], segment=[0, 0, 1], code=[1, 2, 1], session=session
    )
    segments = [np.arange(40.0).reshape(2, 20), np.ones((2, 10))]
    arguments = dict(segments=segments, flashes=flashes, ch_names=ch_names, sfreq=20.0)
    return Recording(**{**arguments, **changes})


def test_signals_that_fit_the_other_way_round_are_said_to_be_transposed():
    eeg, onsets = np.zeros((5000, 8)), [1.0, 2.0]
    for names in (None, [f"E{k}" for k in range(8)]):
        with pytest.raises(InputError, match=r"5000 channels of 8 samples; .*transpose it"):
            recording_from_arrays(eeg, onsets, sfreq=100, ch_names=names)
        assert recording_from_arrays(eeg.T, onsets, sfreq=100, ch_names=names).n_chans == 8
    short = recording_from_arrays(np.zeros((64, 40)), [0.1], sfreq=100)  # few samples are no fault
    assert short.n_chans == 64


def test_a_recording_knows_its_length_over_all_segments():
    assert make_recording().duration_s == 1.5


def test_a_flash_table_fills_in_what_it_is_not_told():
    flashes = flash_table(onset=[0.0], is_target=[True])
    assert flashes.loc[0, "subject"] == "1"
    assert flashes["character"].isna().all()
    assert flashes["is_target"].dtype == "boolean"


def test_selected_flashes_keep_their_segment_under_its_new_number():
    part = make_recording().select([False, False, True])
    assert part.flashes["segment"].tolist() == [0]
    assert np.array_equal(part.segments[0], np.ones((2, 10)))


def test_joined_recordings_have_their_channels_in_one_order():
    first, second = make_recording(), make_recording(("cz", "FZ"), session="2")
    both = concatenate_recordings([first, second])
    assert both.flashes["segment"].tolist() == [0, 0, 1, 2, 2, 3]
    assert np.array_equal(both.segments[2], second.segments[0][::-1])
    assert both.ch_names == ("Fz", "Cz")


def test_channels_are_found_whatever_their_case_and_dots():
    assert channel_order(["Fc5.", "CZ"], ["cz", "FC5"]) == [1, 0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ch_names": ("Fz",)}, "shape"),
        ({"ch_names": ("Fz", "Fz")}, "duplicate channel names"),
        ({"sfreq": 0}, "got sfreq=0 Hz; expected more than 0"),
        ({"unit": "volts"}, "unit"),
        ({"flashes": flash_table(onset=[0.0], segment=7)}, "segment that does not exist"),
        ({"flashes": flash_table(onset=[0.0]).drop(columns="code")}, "lacks the columns"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        make_recording(**changes)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {"onset": [0.0], "row": [1]},
            r"got unknown columns \['row'\]; expected some of",
        ),
        ({"code": [1]}, r"got columns \['code'\]; expected onset among them"),
        ({"onset": [0.0], "code": [1, 2]}, "column code has 2 values; expected 1, as onset"),
    ],
)
def test_columns_that_make_no_flash_table_are_refused(columns, words):
    with pytest.raises(InputError, match=words):
        flash_table(**columns)


def test_recordings_of_other_channels_rates_or_units_are_not_joined():
    for changes, words in [
        ({"ch_names": ("Fz", "Pz")}, "Cz"),
        ({"sfreq": 10.0}, "sfreq"),
        ({"unit": "V"}, "unit"),
    ]:
        with pytest.raises(InputError, match=words):
            concatenate_recordings([make_recording(), make_recording(**changes)])


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([-1, 1, -1], [False, True, False]),
        ([0.0, 1.0, np.nan], [False, True, None]),
        (["yes", "no", ""], [True, False, None]),
        (["deviant", "Standard", "n/a"], [True, False, None]),
        (["frequent", "rare", "Non-Target"], [False, True, False]),
        (["Target", "NonTarget", "n/a"], [True, False, None]),
        (np.array([[0], [1], [0]]), [False, True, False]),
        (pd.array([True, pd.NA, False], "boolean"), [True, None, False]),
    ],
)
def test_labels_with_one_reading_are_taken(values, labels):
    table = flash_table(onset=[0, 1, 2], is_target=values)
    assert [None if v is pd.NA else bool(v) for v in table["is_target"]] == labels


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"is_target": [1, 2, 1]}, "is_target has the values 1, 2; expected bool, 0 and 1"),
        ({"is_target": ["a", "b", "a"]}, "is_target has the values 'a', 'b'"),
        ({"code": ["A", "B", "C"]}, "3 of 3 values of code that are no whole numbers .*'A'"),
        ({"code": [1, 2.5, 3]}, "1 of 3 values of code that are no whole numbers .*2.5"),
        ({"run": ["rest", "rest", "rest"]}, "values of run that are no whole numbers"),
        ({"run": ["a1", "b1", "a1"]}, "values of run that are no whole numbers"),
        ({"is_target": np.zeros((3, 2))}, r"column is_target has \(3, 2\) values; expected 3"),
    ],
)
def test_columns_that_cannot_be_read_are_refused_in_a_sentence(columns, words):
    with pytest.raises(InputError, match=words):
        flash_table(onset=[0, 1, 2], **columns)


def test_runs_may_be_names_with_one_number():
    assert flash_table(onset=[0, 1], run=["run_3", "12train"])["run"].tolist() == [3, 12]


def test_a_text_labels_flashes_of_several_runs_in_the_order_of_the_table():
    recording = simulate_recording("CABLE", n_repetitions=2, n_runs=2)
    unlabelled = recording.flashes.assign(is_target=pd.NA)
    found = label_flashes(unlabelled, "cable", WADSWORTH)
    pd.testing.assert_frame_equal(found, recording.flashes)
    unlabelled.loc[:5, "character"] = pd.NA
    assert label_flashes(unlabelled, "CABLE", WADSWORTH)["is_target"].isna().sum() == 6
    with pytest.raises(InputError, match="text of 4 symbols for 5 recorded characters"):
        label_flashes(unlabelled, "CABL", WADSWORTH)
    with pytest.raises(InputError, match="'é' is not on the screen"):
        label_flashes(unlabelled, "CABLé", WADSWORTH)


def test_two_recordings_of_one_run_are_refused_or_numbered_anew():
    first, second = (
        simulate_recording(t, n_repetitions=1, seed=k) for k, t in enumerate(("HAT", "CAT"))
    )
    with pytest.raises(InputError, match="both hold subject 1, session 1, run 1, character 1"):
        concatenate_recordings([first, second])
    both = concatenate_recordings([first, second], renumber=True)
    assert both.flashes.groupby("run").size().tolist() == [36, 36]
    perfect = both.flashes["is_target"].astype(float)
    assert text_after(spell(perfect, both.flashes, WADSWORTH), 1) == "HATCAT"
    halves = [both.select(both.flashes["character"] == k) for k in (1, 2, 3)]
    assert len(concatenate_recordings(halves).flashes) == 72  # other characters of the same runs


def test_flashes_are_selected_by_mask_or_index():
    recording = simulate_recording("AB", n_repetitions=1)
    some = recording.select([0, 5, 7])
    assert some.flashes["code"].tolist() == recording.flashes["code"].iloc[[0, 5, 7]].tolist()
    assert len(recording.select(recording.flashes["is_target"]).flashes) == 4


def test_a_screen_can_be_a_key_and_segments_may_be_lists():
    assert {WADSWORTH: 1}[Speller.from_dict(WADSWORTH.to_dict())] == 1
    assert Recording([[[1.0, 2.0]]], flash_table(onset=[0.0]), ["Cz"], 100).segments[0].shape == (
        1,
        2,
    )
