"""BCI2000 files of the P3Speller: states, gains, characters, screen and text."""

import bci2000_files as files
import numpy as np
import pytest
from bci2000_files import ALIGNED, PACKED, listed, one, screen, write_bci2000

from p300.errors import InputError
from p300.readers import file
from p300.simulation import simulate_recording
from p300.speller import WADSWORTH

ROWS = ["ABCDEF", "GHIJKL", "MNOPQR", "STUVWX", "YZ1234", "56789_"]
NAMES = ["Fz", "Cz", "Pz", "Oz"]
GAIN = 0.1


@pytest.fixture(scope="module")
def spelled():
    return simulate_recording("CAT_", n_repetitions=2, ch_names=NAMES, sfreq=240, seed=3)


def rows_first(code):
    """P3SpellerTask's number of a row or column of WADSWORTH."""
    return code - 6 if code > 6 else code + 6


def states_of(recording, order=int):
    """StimulusCode for 100 ms after each onset, its type, and the phases of characters."""
    n_samples, flashes = recording.segments[0].shape[1], recording.flashes
    states = {name: np.zeros(n_samples, int) for name, *_ in PACKED}
    states["PhaseInSequence"][:] = 1
    onsets = np.round(flashes["onset"].to_numpy() * recording.sfreq).astype(int)
    for onset, code, is_target in zip(onsets, flashes["code"], flashes["is_target"], strict=True):
        states["StimulusCode"][onset : onset + 24] = order(code)
        states["StimulusType"][onset : onset + 24] = bool(is_target)
    for _, rows in flashes.groupby("character"):
        first, last = onsets[rows.index[0]], onsets[rows.index[-1]]
        states["PhaseInSequence"][first - 10 : last + 30] = 2
        states["PhaseInSequence"][last + 30 :][:40] = 3
    return states


def parameters_of(recording, text="CAT ", mode=2):
    n = recording.n_chans
    return [
        one("SamplingRate", "240Hz"),
        listed("ChannelNames", NAMES, "list"),
        listed("SourceChOffset", ["100"] * n),
        listed("SourceChGain", [f"{GAIN}muV"] * n),
        one("TextToSpell", text, section="Application:Speller:P3SpellerTask"),
        one("InterpretMode", mode, "int"),
        *screen(ROWS),
    ]


def steps_of(recording):
    return np.round(recording.segments[0] / GAIN) + 100


def write(recording, path, *, order=rows_first, without=(), parameters=None, **more):
    states = {k: v for k, v in states_of(recording, order).items() if k not in without}
    layout = [state for state in more.pop("layout", PACKED) if state[0] not in without]
    parameters = parameters_of(recording) if parameters is None else parameters
    return write_bci2000(path, steps_of(recording), states, parameters, layout=layout, **more)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32"])
def test_a_speller_of_bci2000_is_read_with_its_own_screen(tmp_path, spelled, dtype):
    recording = file.read(write(spelled, tmp_path / "a.dat", dtype=dtype))
    assert recording.ch_names == tuple(NAMES) and recording.sfreq == 240
    assert recording.unit == "uV"
    assert np.abs(recording.segments[0] - spelled.segments[0]).max() <= GAIN / 2 + 1e-3
    found, expected = recording.flashes, spelled.flashes
    assert found["code"].tolist() == [rows_first(code) for code in expected["code"]]
    assert recording.speller.codes_of("C") == (1, 9)  # first row, third column
    for column in ("character", "repetition", "is_target"):
        assert found[column].tolist() == expected[column].tolist(), column
    onset = np.round(expected["onset"].to_numpy() * 240) / 240
    assert found["onset"].to_numpy() == pytest.approx(onset, abs=1e-9)
    assert any(
        "PhaseInSequence divides the flashes into 4 characters" in n for n in recording.notes
    )


def test_files_before_version_1_1_hold_int16_and_number_columns_first(tmp_path, spelled):
    path = write(spelled, tmp_path / "a.dat", order=int, version=None, layout=ALIGNED)
    recording = file.read(path)
    assert recording.speller.groups == WADSWORTH.groups
    assert recording.flashes["code"].tolist() == spelled.flashes["code"].tolist()
    assert recording.flashes["is_target"].tolist() == spelled.flashes["is_target"].tolist()


@pytest.mark.parametrize("version", [None, "1.1"])
def test_the_text_tells_whether_rows_or_columns_are_numbered_first(tmp_path, spelled, version):
    for order, expected in ((int, (3, 7)), (rows_first, (1, 9))):
        recording = file.read(write(spelled, tmp_path / "a.dat", order=order, version=version))
        assert recording.speller.codes_of("C") == expected
    with_swapped = file.read(tmp_path / "a.dat", speller="wadsworth")
    assert any("are rows and columns swapped?" in note for note in with_swapped.notes)


def test_a_flash_goes_on_while_its_code_stays_and_ends_where_flashing_does(tmp_path, spelled):
    states = states_of(spelled)
    lit = states["StimulusCode"] != 0
    last = np.maximum.accumulate(np.where(lit, np.arange(len(lit)), 0))
    states["Flashing"], states["StimulusCode"] = lit, states["StimulusCode"][last]
    path = write_bci2000(
        tmp_path / "a.dat", steps_of(spelled), states, parameters_of(spelled), layout=ALIGNED
    )
    recording = file.read(path)
    assert len(recording.flashes) == len(spelled.flashes)
    assert any("StimulusCode while Flashing" in note for note in recording.notes)


def test_the_text_labels_copy_spelling_without_a_stimulus_type(tmp_path, spelled):
    expected = spelled.flashes["is_target"].tolist()
    path = write(spelled, tmp_path / "a.dat", order=int, version=None, without=("StimulusType",))
    recording = file.read(path)
    assert recording.flashes["is_target"].tolist() == expected
    assert any("Labels come from TextToSpell" in note for note in recording.notes)
    longer = write(
        spelled,
        tmp_path / "b.dat",
        without=("StimulusType",),
        parameters=parameters_of(spelled, text="CAT 99"),
    )
    recording = file.read(longer)
    assert recording.flashes["is_target"].tolist() == expected
    assert any("4 of the 6 symbols of TextToSpell are recorded" in n for n in recording.notes)
    free = write(
        spelled,
        tmp_path / "c.dat",
        without=("StimulusType",),
        parameters=parameters_of(spelled, mode=1),
    )
    recording = file.read(free)
    assert recording.flashes["is_target"].isna().all()
    assert any("free spelling" in note for note in recording.notes)
    assert file.read(free, text="cat_").flashes["is_target"].tolist() == expected


def test_without_phases_pauses_divide_the_characters(tmp_path, spelled):
    recording = file.read(write(spelled, tmp_path / "a.dat", without=("PhaseInSequence",)))
    assert recording.flashes["character"].tolist() == spelled.flashes["character"].tolist()
    assert any("PhaseInSequence does not divide" in note for note in recording.notes)
    given = file.read(write(spelled, tmp_path / "b.dat"), characters=4)
    assert any("4 characters of 24 flashes, told apart by their number" in n for n in given.notes)


def test_an_oddball_of_codes_is_labelled_by_the_user(tmp_path, spelled):
    parameters = [p for p in parameters_of(spelled) if "Matrix" not in p and "Target" not in p]
    path = write(spelled, tmp_path / "a.dat", parameters=parameters)
    recording = file.read(path, targets={code: code == 3 for code in range(1, 13)})
    assert recording.speller is None
    assert (recording.flashes["is_target"] == (recording.flashes["code"] == 3)).all()
    assert recording.flashes["is_target"].sum() == 8
    with pytest.raises(InputError, match="got no state Cue; expected one .* StimulusCode"):
        file.read(path, source="Cue")
    # any other state may hold the codes
    with pytest.warns(UserWarning, match="4 events are no flashes: 3"):
        phases = file.read(path, source="PhaseInSequence", targets={2: True, 1: False})
    assert phases.flashes["is_target"].sum() == 4


def test_channels_are_picked_and_named_and_missing_gains_are_said(tmp_path, spelled):
    path = write(spelled, tmp_path / "a.dat")
    recording = file.read(path, picks=["EEG pz", "Fz"])
    assert recording.ch_names == ("Pz", "Fz")
    assert np.abs(recording.segments[0][0] - spelled.segments[0][2]).max() < GAIN
    bare = [p for p in parameters_of(spelled) if "ChannelNames" not in p and "Gain" not in p]
    path = write(spelled, tmp_path / "b.dat", parameters=bare, odd=b"12345")
    recording = file.read(path)
    assert recording.unit == "AD" and recording.ch_names == ("E1", "E2", "E3", "E4")
    said = " ".join(recording.notes)
    assert "A/D steps" in said and "set ch_names" in said and "last 5 bytes" in said
    named = file.read(path, ch_names=["a", "b", "c", "d"], unit="uV")
    assert named.ch_names == ("a", "b", "c", "d") and named.unit == "uV"
    for arguments, words in (
        ({"ch_names": ["a"]}, "got 1 ch_names; expected 4"),
        ({"unit": "nT"}, "got unit='nT'; expected one of uV"),
        ({"markers": ["a"]}, "got markers; expected for its format nothing but source"),
    ):
        with pytest.raises(InputError, match=words):
            file.read(path, **arguments)


def test_the_contents_say_what_a_stranger_must_know(tmp_path, spelled):
    said = file.contents(write(spelled, tmp_path / "a.dat"))
    assert "a.dat: BCI2000 1.1" in said and "at 240 Hz" in said and "Fz, Cz, Pz, Oz" in said
    assert "StimulusCode becomes: 1 8, 2 8" in said and "TextToSpell: 'CAT '" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b: b[:40], "expected HeaderLen, SourceCh"),
        (lambda b: b.replace(b"SourceCh= 4", b"SourceCh= 0"), "expected HeaderLen, SourceCh"),
        (lambda b: b.replace(b"DataFormat= int16", b"DataFormat= int17"), "expected HeaderLen"),
        (lambda b: b.replace(b"SourceCh= 4", b"SourceCh= 987654321"), "expected HeaderLen"),
        (lambda b: b.replace(b"SamplingRate= 240Hz", b"SamplingRate= fastHz"), "a rate in Hz"),
        (lambda b: b.replace(b"StimulusCode 16 0 2 1", b"StimulusCode 16 0 9 1"), "16 bits from"),
        (lambda b: b.replace(b"StimulusCode 16", b"StimulusCodE 16"), "got no state StimulusCode"),
        (lambda b: b.replace(b" 0.1muV", b" 0.0muV"), "SourceChGain of 0"),
        (lambda b: b.replace(b" 0.1muV", b" 0.1fur", 1), "SourceChGain in 2 units"),
    ],
)
def test_a_damaged_header_is_refused_in_a_sentence(tmp_path, spelled, change, words):
    path = write(spelled, tmp_path / "a.dat")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=words):
        file.read(path)


def test_a_dat_file_of_another_program_is_left_to_mne(tmp_path):
    (tmp_path / "a.dat").write_bytes(b"something else")
    with pytest.raises(InputError, match="a.dat cannot be read"):
        file.read(tmp_path / "a.dat")
    assert files.encoded("a b%") == "a%20b%25"
