import numpy as np
import pytest
from published_files import MATRIX, bigp3bci, write_bigp3bci, write_edf

from p300.errors import InputError
from p300.integrity import check_recording
from p300.readers import bigp3bci as reader
from p300.spelling import spell

#: A screen of nine rows and eight columns.
KEYBOARD = ["ABCDEFGH", "IJKLMNOP", "QRSTUVWX", "YZ123456", "7890.,;:", "abcdefgh"]
KEYBOARD += ["ijklmnop", "qrstuvwx", "yz()[]{}"]


def spelled(recording):
    scores = recording.flashes["is_target"].astype(float)
    read = spell(scores, recording.flashes, recording.speller)
    return "".join(read.loc[read["n_repetitions"] == 2, "symbol"])


@pytest.mark.parametrize("rows", [MATRIX, KEYBOARD])
def test_rows_and_columns_spell_the_text_of_the_cells_that_were_lit(tmp_path, rows):
    write_bigp3bci(tmp_path, bigp3bci("HI3", rows=rows))
    recording = reader.read(tmp_path)
    assert spelled(recording) == "HI3" and recording.speller.symbols == tuple("".join(rows))
    assert recording.ch_names[:2] == ("Fp1", "Fz") and recording.n_chans == 8
    flashes = recording.flashes
    assert flashes["onset"][:2].tolist() == [384 / 256, 416 / 256]
    assert set(flashes["subject"]) == {"A_01"} and set(flashes["session"]) == {"1-train"}
    assert set(flashes["repetition"]) == {0, 1} and recording.rates == (256,)
    report = check_recording(recording, tmin=0, tmax=0.6)
    assert report.at("refuse") == report.at("warn") == ()
    assert any("spells 'HI3'" in note for note in recording.notes)


def test_the_signal_is_in_microvolts(tmp_path):
    channels = bigp3bci("H")
    write_bigp3bci(tmp_path, channels)
    (segment,) = reader.read(tmp_path).segments
    assert segment.dtype == np.float32
    assert segment[3] == pytest.approx(channels["EEG_Pz"], abs=0.051)


@pytest.mark.parametrize("rows", [MATRIX, KEYBOARD])
def test_a_checkerboard_spells_the_text_of_the_cells_that_were_lit(tmp_path, rows):
    write_bigp3bci(tmp_path, bigp3bci("WAVE", rows=rows, checkerboard=True), condition="CB")
    recording = reader.read(tmp_path)
    assert spelled(recording) == "WAVE"
    assert recording.flashes["is_target"].sum() == 4 * 2 * 2
    assert any("each flash says which" in note for note in recording.notes)
    report = check_recording(recording, tmin=0, tmax=0.6)
    assert report.at("refuse") == report.at("warn") == ()


def test_training_comes_before_the_test_and_files_are_runs(tmp_path):
    for phase, numbers in (("Train", (2, 10)), ("Test", (11,))):
        for number in numbers:
            write_bigp3bci(tmp_path, bigp3bci("P", seed=number), phase=phase, number=number)
    write_bigp3bci(tmp_path, condition="CB")
    flashes = reader.read(tmp_path, conditions=["RC"]).flashes
    runs = flashes[["session", "run"]].drop_duplicates().to_numpy().tolist()
    assert runs == [["1-train", 1], ["1-train", 2], ["1-test", 1]]
    assert len(reader.read(tmp_path).segments) == 4


def test_labels_that_contradict_the_lit_cells_are_left_out_with_their_number(tmp_path):
    channels = bigp3bci("HI")
    channels["StimulusType"][384:400] = 1 - channels["StimulusType"][384:400]
    write_bigp3bci(tmp_path, channels)
    with pytest.warns(UserWarning, match="1 of 48 flashes are left out: StimulusType contradicts"):
        recording = reader.read(tmp_path)
    assert len(recording.flashes) == 47 and "1 of 48" in " ".join(recording.notes)
    assert spelled(recording) == "HI"


def test_flashes_between_characters_are_left_out_with_their_number(tmp_path):
    channels = bigp3bci("HI")
    channels["StimulusBegin"][10:14] = 1
    write_bigp3bci(tmp_path, channels)
    with pytest.warns(UserWarning, match="1 of 49 flashes are left out: between characters"):
        assert len(reader.read(tmp_path).flashes) == 48


def test_flashes_that_lit_nothing_are_left_out_with_their_number(tmp_path):
    channels = bigp3bci("HI")
    for name, values in channels.items():
        if name[-4:-3] == "_":  # a cell such as A_1_1
            values[384:400] = 0
    write_bigp3bci(tmp_path, channels)
    with pytest.warns(UserWarning, match="1 of 48 flashes are left out: no cell was lit"):
        assert spelled(reader.read(tmp_path)) == "HI"


def test_a_file_with_another_screen_is_left_out_and_named(tmp_path):
    write_bigp3bci(tmp_path, bigp3bci("HI"))
    channels = {("Bs_6_6" if k == "Sp_6_6" else k): v for k, v in bigp3bci("H").items()}
    write_bigp3bci(tmp_path, channels, number=2)
    with pytest.warns(UserWarning, match="1 files are left out.*A_01_SE001_RC_Train02.edf"):
        assert spelled(reader.read(tmp_path)) == "HI"


def test_the_true_rate_of_a_clock_stays_with_its_segment(tmp_path):
    channels = bigp3bci("HI")
    path = write_bigp3bci(tmp_path, channels)
    units = ["uV" if name.startswith("EEG_") else "" for name in channels]
    write_edf(path, channels, np.stack(list(channels.values())), units, duration=".9999998")
    recording = reader.read(tmp_path)
    assert recording.sfreq == 256 and recording.rates[0] == pytest.approx(256.0000512, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"StimulusCode": None, "CurrentTarget": None}, "no channels StimulusCode, CurrentTarget"),
        ({"StimulusBegin": 0}, "none of 0 flashes can be used"),
        ({"PhaseInSequence": 1}, "none of 48 flashes can be used"),
        ({"Dup_1_1": 0}, "two channels of one cell"),
        ({"StimulusCode": -1}, "are no state; expected whole numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*flashes are left out")
def test_another_layout_is_refused(tmp_path, change, message):
    channels = bigp3bci("HI")
    for name, value in change.items():
        channels[name] = None if value is None else np.full_like(channels["EEG_Fz"], value)
    write_bigp3bci(tmp_path, {k: v for k, v in channels.items() if v is not None})
    with pytest.raises(InputError, match=message):
        reader.read(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"study": "B"}, "no study 'B' in .*physionet.org/content/bigp3bci"),
        ({"study": "../A"}, "no study"),
        ({"subject": 2}, "no EDF file of subject 2, session 1"),
        ({"session": 2}, "no EDF file of subject 1, session 2"),
        ({"conditions": ["CB"]}, "conditions CB"),
    ],
)
def test_what_is_not_there_is_named(tmp_path, arguments, message):
    write_bigp3bci(tmp_path)
    with pytest.raises(InputError, match=message):
        reader.read(tmp_path, **arguments)
