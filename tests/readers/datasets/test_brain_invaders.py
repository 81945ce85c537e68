import numpy as np
import pytest
from published_files import brain_invaders, write_brain_invaders
from scipy.io import savemat

from p300.errors import InputError
from p300.integrity import check_recording
from p300.readers import brain_invaders as reader

#: Edition to rate in Hz, number of channels without the ground of 2012, and column of the last.
EDITIONS = {
    "2012": (128, 16, 17),
    "2013a": (512, 16, 15),
    "2014a": (512, 16, 16),
    "2015a": (512, 32, 32),
}


@pytest.mark.parametrize("edition", EDITIONS)
def test_a_sixth_of_the_flashes_lights_the_alien_that_was_attended_to(tmp_path, edition):
    write_brain_invaders(tmp_path, edition)
    recording = reader.read(tmp_path, edition)
    sfreq, n_chans, last = EDITIONS[edition]
    assert (recording.sfreq, recording.n_chans) == (sfreq, n_chans)
    flashes = recording.flashes
    assert len(flashes) == 60 and flashes["is_target"].sum() == 10
    assert flashes["onset"][:2].tolist() == pytest.approx([1.0, 1.2], abs=1 / 256)
    assert (flashes["code"] == 1 + flashes["is_target"]).all() and recording.speller is None
    report = check_recording(recording, tmin=0, tmax=0.6)
    assert report.at("refuse") == () and {f.check for f in report.at("warn")} <= {"epochs"}
    assert recording.unit == ("AD" if edition == "2013a" else "uV")
    column = brain_invaders(edition)[:, last].astype(np.float32)
    assert np.array_equal(recording.segments[0][-1], column)


def test_the_ground_of_2012_is_left_out_and_its_neighbours_keep_their_columns(tmp_path):
    content = brain_invaders("2012")
    content[:, 1:18] = np.arange(1, 18)
    write_brain_invaders(tmp_path, "2012", content=content)
    recording = reader.read(tmp_path, "2012")
    first = dict(zip(recording.ch_names, recording.segments[0][:, 0], strict=True))
    assert "Fz" not in first and (first["F3"], first["F4"], first["O2"]) == (2, 4, 17)


def test_calibration_comes_before_the_game(tmp_path):
    write_brain_invaders(tmp_path, "2012")
    savemat(tmp_path / "subject_01/online.mat", {"online": brain_invaders("2012", seed=1)})
    flashes = reader.read(tmp_path, "2012").flashes
    assert flashes["session"].unique().tolist() == ["training", "online"]


def test_other_marks_of_openvibe_are_no_flashes(tmp_path):
    content = brain_invaders("2013a")
    content[5, -1], content[700, -1] = 32769, 33025
    write_brain_invaders(tmp_path, "2013a", content=content)
    recording = reader.read(tmp_path, "2013a", unit="uV")
    assert len(recording.flashes) == 60 and recording.unit == "uV"
    assert "2 marks are no flashes: 32769, 33025." in recording.notes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((99, 17)), r"samples has shape \(99, 17\); expected \(samples, 18 columns"),
        (np.zeros((99, 18)), "0 flashes and 0 other marks"),
        (np.full((99, 18), 7.0), r"0 flashes and 1 other marks \(7\); expected 1 .nontarget"),
        (np.full((99, 18), np.nan), "column of marks has 99 values that are NaN"),
    ],
)
def test_another_layout_is_refused(tmp_path, content, message):
    write_brain_invaders(tmp_path, content=content)
    with pytest.raises(InputError, match=message):
        reader.read(tmp_path)


def test_players_and_editions_that_are_not_there_are_named(tmp_path):
    write_brain_invaders(tmp_path, subject=3)
    assert reader.read(tmp_path, subject="all").subjects == ("03",)
    with pytest.raises(InputError, match="no file of subject 4 .*there: 3.*zenodo.org/record/326"):
        reader.read(tmp_path, subject=4)
    with pytest.raises(InputError, match="no file of subject nothing in .*Brain Invaders 2015a"):
        reader.read(tmp_path, "2015a", "all")
    with pytest.raises(InputError, match="edition '2016'; expected one of 2012, 2013a"):
        reader.read(tmp_path, "2016")
