import numpy as np
import pytest
from published_files import epfl, write_epfl

from p300.errors import InputError
from p300.integrity import check_recording
from p300.readers import epfl as reader


def test_each_run_is_a_character_of_the_image_that_was_attended_to(tmp_path):
    for run, image in enumerate([3, 6], start=1):
        write_epfl(tmp_path, epfl(image, seed=run), run=run)
    recording = reader.read(tmp_path)
    assert recording.sfreq == 2048 and recording.n_chans == 32 and recording.unit == "uV"
    flashes = recording.flashes
    assert set(flashes["run"]) == {1, 2} and set(flashes["repetition"]) == {0, 1, 2}
    targets = flashes[flashes["is_target"]].groupby("run")["code"].unique()
    assert [[recording.speller.symbols[c - 1] for c in codes] for codes in targets] == [
        ["lamp"],
        ["radio"],
    ]
    assert flashes["onset"][:3].tolist() == pytest.approx([0.4, 0.8, 1.2])
    report = check_recording(recording, tmin=0, tmax=0.6)
    assert report.at("refuse") == ()


def test_the_signal_is_referred_to_the_mastoids_and_ends_before_the_zeros(tmp_path):
    content = epfl()
    content["data"][:32], content["data"][32], content["data"][33] = 10, 3, 5
    content["data"][:, -2048:] = 0
    write_epfl(tmp_path, content)
    (segment,) = reader.read(tmp_path).segments
    assert segment.shape[1] == content["data"].shape[1] - 2048
    assert set(segment.ravel().tolist()) == {6.0}


def test_a_run_past_midnight_at_the_end_of_a_month_has_the_same_onsets(tmp_path):
    write_epfl(tmp_path, epfl(start="2006-05-31T23:59:59.000"))
    onsets = reader.read(tmp_path).flashes["onset"]
    assert onsets.to_numpy() == pytest.approx(0.4 + 0.4 * np.arange(18), abs=1e-6)


def test_flashes_behind_the_signal_are_left_out_with_their_number(tmp_path):
    content = epfl()
    content["data"][:, round(5.0 * 2048) :] = 0
    write_epfl(tmp_path, content)
    with pytest.warns(UserWarning, match="6 of 18 flashes are left out: behind the signal"):
        recording = reader.read(tmp_path)
    assert len(recording.flashes) == 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": np.zeros((33, 99))}, r"data has shape \(33, 99\); expected 32 channels and two"),
        ({"data": np.zeros((34, 99))}, "all 18 flashes lie behind the 0 samples"),
        ({"target": np.array([[7]])}, "or the target .7., are no image"),
        ({"stimuli": np.full((1, 18), 9)}, "18 of 18 stimuli"),
        ({"events": np.zeros((18, 6))}, "a date that is none"),
        ({"events": np.tile([2006.0, 5, 19, 11, 43, 28], (18, 1))}, "do not follow each other"),
        ({"events": np.ones((17, 6))}, r"events has shape \(17, 6\); expected \(18, 6\)"),
    ],
)
def test_another_layout_is_refused(tmp_path, change, message):
    write_epfl(tmp_path, epfl() | change)
    with pytest.raises(InputError, match=message):
        reader.read(tmp_path)


def test_people_and_sessions_are_chosen_by_their_numbers(tmp_path):
    for subject, session in ((1, 1), (1, 2), (9, 1)):
        write_epfl(tmp_path, subject=subject, session=session)
    assert reader.read(tmp_path, "all").subjects == ("1", "9")
    assert set(reader.read(tmp_path, 1, session=2).flashes["session"]) == {"2"}
    with pytest.raises(InputError, match="no MATLAB file in .*session3"):
        reader.read(tmp_path, 1, session=3)
    with pytest.raises(InputError, match="no session of subject 5.*documents.epfl.ch"):
        reader.read(tmp_path, 5)
