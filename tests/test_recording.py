import numpy as np
import pytest

from p300.errors import InputError
from p300.recording import Recording, channel_order, concatenate_recordings, flash_table


def make_recording(ch_names=("Fz", "Cz"), session="1", **changes):
    flashes = flash_table(
        onset=[0.0, 0.5, 0.0], segment=[0, 0, 1], code=[1, 2, 1], session=session
    )
    segments = [np.arange(40.0).reshape(2, 20), np.ones((2, 10))]
    arguments = dict(segments=segments, flashes=flashes, ch_names=ch_names, sfreq=20.0)
    return Recording(**{**arguments, **changes})


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
