import numpy as np
import pytest
from published_files import LINES, OVERT, bnci_2014, write_bnci_als, write_bnci_overt
from scipy.io import savemat

from p300.errors import InputError
from p300.integrity import check_recording
from p300.readers import bnci_2014 as reader


def spelled(recording):
    """Read the target codes of each character as the screen of the recording does."""
    key = ["subject", "session", "run", "character"]
    targets = recording.flashes[recording.flashes["is_target"]]
    codes = targets.groupby(key, sort=False)["code"].agg(frozenset)
    return "".join(recording.speller.symbol_of(lit) for lit in codes)


def test_a_patient_spells_twenty_letters_in_words_of_five(tmp_path):
    write_bnci_als(tmp_path)
    recording = reader.read(tmp_path)
    assert recording.ch_names == ("Fz", "Cz", "Pz", "Oz", "P3", "P4", "PO7", "PO8")
    assert (recording.sfreq, recording.unit, recording.subjects) == (256, "uV", ("01",))
    assert spelled(recording) == "WATERLIGHTHOUSE_WAVE"
    flashes = recording.flashes
    words = flashes.groupby("run")["character"].agg(["min", "max"]).to_numpy().tolist()
    assert words == [[1, 5], [6, 10], [11, 15], [16, 20]]
    assert flashes.groupby("session")["run"].unique().map(list).to_dict() == {
        "train": [1, 2, 3],
        "test": [4],
    }
    assert flashes["onset"][0] == 1280 / 256 and set(flashes["repetition"]) == {0, 1}
    report = check_recording(recording, tmin=0, tmax=0.6)
    assert report.at("refuse") == report.at("warn") == ()


def test_the_names_of_the_codes_say_which_are_rows(tmp_path):
    columns_first = [*LINES[6:], *LINES[:6]]
    write_bnci_als(tmp_path, content=bnci_2014("HELLO", lines=columns_first))
    recording = reader.read(tmp_path)
    assert spelled(recording) == "HELLO" and recording.speller.groups[1] == tuple("AGMSY5")


def test_each_session_of_a_healthy_person_is_a_segment_in_microvolts(tmp_path):
    write_bnci_overt(tmp_path, 3)
    recording = reader.read(tmp_path, 3, kind="overt")
    assert len(recording.segments) == 3 and set(recording.ch_names) == set(OVERT)
    assert set(recording.flashes["session"]) == {"1", "2", "3"}
    assert spelled(recording) == "BRAINWAVESEEG"
    assert 7 < recording.segments[0].std() < 10
    raw = reader.read(tmp_path, 3, kind="overt", scale=1.0)
    assert raw.segments[0].std() == pytest.approx(10 * recording.segments[0].std(), rel=1e-5)
    assert any("multiplied by 0.1" in note for note in recording.notes)


def test_structs_in_cells_are_read_as_an_array_of_structs_is(tmp_path):
    data = np.empty((1, 2), object)
    data[0] = [bnci_2014("AB", OVERT), bnci_2014("CD", OVERT)]
    savemat(tmp_path / "A01S.mat", {"data": data})
    assert spelled(reader.read(tmp_path, kind="overt")) == "ABCD"


def test_codes_of_geospell_that_name_no_lines_are_an_oddball_with_codes(tmp_path):
    write_bnci_overt(tmp_path, end="G", texts=["AB"])
    content = bnci_2014("AB", OVERT) | {"classes_stim": np.array([["Set1", "Set2"] * 6], object)}
    savemat(tmp_path / "A01G.mat", {"data": content})
    recording = reader.read(tmp_path, kind="covert")
    assert recording.speller is None and set(recording.flashes["code"]) == set(range(1, 13))
    assert recording.flashes["character"].isna().all()
    assert recording.flashes["is_target"].sum() == 2 * 2 * 2


def test_flashes_before_the_first_character_are_left_out_with_their_number(tmp_path):
    content = bnci_2014("PQRST")
    content["trial"] = content["trial"][:, 1:]
    write_bnci_als(tmp_path, content=content)
    with pytest.warns(UserWarning, match="24 of 120 flashes are left out: before the first"):
        recording = reader.read(tmp_path)
    assert spelled(recording) == "QRST" and "24 of 120" in " ".join(recording.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": None}, "lacks y"),
        ({"X": np.zeros((10, 8))}, "y has .* values; expected 10"),
        (
            {"channels": np.array([["A", "B"]], object)},
            r"channels are A, B; expected \(samples, 8",
        ),
        ({"trial": np.array([[0, 3]])}, "trial has 2 values, 1 of them no sample"),
        ({"trial": np.array([[9, 3]], np.uint8)}, "ascending whole numbers"),
        ({"y": np.zeros((6912, 1))}, "48 of 48 flashes have a y that is neither 1 nor 2"),
        ({"fs": 128.0}, "fs is 128.0; expected 256 Hz"),
        ({"classes_stim": np.array([["Row1"]], object)}, "codes up to 12; expected up to 1"),
    ],
)
def test_another_layout_is_refused(tmp_path, change, message):
    content = bnci_2014("AB") | change
    write_bnci_als(tmp_path, content={k: v for k, v in content.items() if v is not None})
    with pytest.raises(InputError, match=message):
        reader.read(tmp_path)


def test_files_and_kinds_that_are_not_there_are_named(tmp_path):
    with pytest.raises(InputError, match="numbers in file names such as A01S.mat"):
        reader.read(tmp_path, kind="overt")
    with pytest.raises(InputError, match="no A07.mat in"):
        reader.read(tmp_path, 7)
    with pytest.raises(InputError, match="kind 'both'; expected one of als, overt, covert"):
        reader.read(tmp_path, kind="both")
