"""The competition's files, quirk by quirk, in small: same variables, types and orders."""

import numpy as np
import pytest
from scipy.io import savemat

from p300.errors import InputError
from p300.readers import bci3_ii
from p300.speller import WADSWORTH, Speller

N_SAMPLES = 24 * 42 + 276  # two repetitions and what follows the last flash
ORDER = [7, 1, 12, 6, 2, 8, 3, 9, 4, 10, 5, 11, 1, 2, 3, 4, 5, 6, 12, 11, 10, 9, 8, 7]


def competition_file(text, *, order=ORDER, n_chans=64, is_test=False, n_samples=N_SAMPLES, soa=42):
    """Variables of a file in which every character starts at its first flash."""
    shape = (len(text), n_samples)
    content = {
        "Signal": np.zeros((*shape, n_chans), np.float32),
        **{k: np.zeros(shape, np.float32) for k in ("Flashing", "StimulusCode", "StimulusType")},
        "TargetChar": text,
    }
    character, sample, channel = np.ogrid[: len(text), :n_samples, :n_chans]
    content["Signal"][:] = 10_000 * character + sample + channel / 64
    rows = {s: (1 + i % 6, 7 + i // 6) for i, s in enumerate(WADSWORTH.symbols)}
    for k, symbol in enumerate(text):
        for i, code in enumerate(order):
            lit = slice(i * soa, i * soa + 24)
            content["Flashing"][k, lit] = 1
            content["StimulusCode"][k, lit] = code
            content["StimulusType"][k, lit] = code in rows.get(symbol, ())
    if is_test:
        del content["StimulusType"], content["TargetChar"]
    return content


def write(root, text="P3", test="HI", subject="X", **arguments):
    savemat(root / f"Subject_{subject}_Train.mat", competition_file(text, **arguments))
    savemat(root / f"Subject_{subject}_Test.mat", competition_file(test, is_test=True))


def test_the_true_texts_have_a_hundred_test_and_85_training_characters_of_the_screen():
    for texts, length in ((bci3_ii.TRUE_TEST_TEXT, 100), (bci3_ii.TRAIN_TEXT, 85)):
        for text in texts.values():
            assert len(text) == length and set(text) <= set(WADSWORTH.symbols)


def test_the_true_texts_are_those_seen_by_independent_decoders():
    # beginnings and ends as the organisers published them; a wrong B text is in circulation
    assert bci3_ii.TRUE_TEST_TEXT["A"].startswith("WQXPLZCOMRKO97YFZDEZ1DPI9NNVGRQDJC")
    assert bci3_ii.TRUE_TEST_TEXT["A"].endswith("BFAEEXAW_K4R3MRU")
    assert bci3_ii.TRUE_TEST_TEXT["B"].startswith("MERMIROOMUHJPXJOHUVLEORZP3GLOO7AUF")
    assert bci3_ii.TRUE_TEST_TEXT["B"].endswith("XODBEV2B5EFDIDNR")


def test_the_eight_electrodes_of_cnn_2a_stand_where_the_paper_counts_them():
    where = {"Fz": 33, "Cz": 10, "Pz": 50, "P3": 48, "P4": 52, "PO7": 55, "PO8": 59, "Oz": 61}
    assert len(set(bci3_ii.CH_NAMES)) == 64
    assert {name: bci3_ii.CH_NAMES.index(name) for name in where} == where


def test_the_first_flash_of_a_character_is_at_its_first_sample(tmp_path):
    write(tmp_path)
    flashes = bci3_ii.read(tmp_path, "X", parts=["train"]).flashes
    first = flashes.groupby("segment").first()
    assert (first["onset"] == 0).all() and (first["code"] == 7).all()
    assert len(flashes) == 2 * 24
    assert flashes["onset"][:24].to_numpy() == pytest.approx(np.arange(24) * 0.175)


def test_each_scrambled_character_is_a_segment_of_its_own(tmp_path):
    write(tmp_path)
    recording = bci3_ii.read(tmp_path, "X")
    assert [s.shape for s in recording.segments] == [(64, N_SAMPLES)] * 4
    assert all(s.dtype == np.float32 and s.flags.c_contiguous for s in recording.segments)
    # character 1, channel 5, sample 100 by the formula of the file
    assert recording.segments[1][5, 100] == 10_000 + 100 + 5 / 64
    keys = recording.flashes.groupby("segment")[["session", "character", "run"]].first()
    assert keys.to_numpy().tolist() == [
        ["train", 1, 1], ["train", 2, 1], ["test", 1, 1], ["test", 2, 1],
    ]  # fmt: skip
    assert recording.unit == "AD" and recording.sfreq == 240


def test_every_code_flashes_once_in_a_repetition(tmp_path):
    write(tmp_path)
    flashes = bci3_ii.read(tmp_path, "X").flashes
    for _, repetition in flashes.groupby(["segment", "repetition"]):
        assert sorted(repetition["code"]) == list(range(1, 13))
    assert set(flashes["repetition"]) == {0, 1}


def test_targets_are_the_column_and_the_row_of_the_character(tmp_path):
    write(tmp_path, text="A_")
    flashes = bci3_ii.read(tmp_path, "X", parts=["train"]).flashes
    targets = flashes[flashes["is_target"]].groupby("character")["code"].unique()
    assert [sorted(codes) for codes in targets] == [[1, 7], [6, 12]]


def test_test_flashes_of_an_unknown_subject_have_no_labels(tmp_path):
    write(tmp_path)
    flashes = bci3_ii.read(tmp_path, "X", parts=["test"]).flashes
    assert flashes["is_target"].isna().all()


def test_a_given_text_labels_the_test_flashes(tmp_path):
    write(tmp_path, test="HI")
    flashes = bci3_ii.read(tmp_path, "X", parts=["test"], test_text="HI").flashes
    targets = flashes[flashes["is_target"]].groupby("character")["code"].unique()
    assert [sorted(codes) for codes in targets] == [[2, 8], [3, 8]]


@pytest.fixture
def full_text(tmp_path):
    """Subject B with all its characters, one channel and one repetition."""
    common = {"order": ORDER[:12], "n_chans": 1, "n_samples": 12 * 2 + 2, "soa": 2}

    def write_b(train):
        small = competition_file(train, **common)
        test = competition_file("A" * 100, is_test=True, **common)
        for content in (small, test):  # one sample lit, one blank
            for name in {"Flashing", "StimulusCode", "StimulusType"} & set(content):
                content[name] = np.zeros_like(content[name])
        for content in (small, test):
            content["Flashing"][:, :24:2] = 1
            content["StimulusCode"][:, :24:2] = ORDER[:12]
        del small["StimulusType"]
        savemat(tmp_path / "Subject_B_Train.mat", small)
        savemat(tmp_path / "Subject_B_Test.mat", test)
        return tmp_path

    return write_b


def test_the_published_text_labels_the_competitions_test_flashes(full_text):
    root = full_text(bci3_ii.TRAIN_TEXT["B"])
    flashes = bci3_ii.read(root, "B", parts=["test"], ch_names=["Cz"]).flashes
    targets = flashes[flashes["is_target"]].groupby("character")["code"].unique()
    assert sorted(targets[1]) == [1, 9]  # M
    assert sorted(targets[100]) == [6, 9]  # R


def test_the_published_text_does_not_label_another_recording(full_text):
    root = full_text("A" * 85)
    with pytest.warns(UserWarning, match="does not spell the competition's training text"):
        flashes = bci3_ii.read(root, "B", parts=["test"], ch_names=["Cz"]).flashes
    assert flashes["is_target"].isna().all()


def test_a_lone_test_file_is_labelled_by_the_published_text(full_text):
    root = full_text("A" * 85)
    (root / "Subject_B_Train.mat").unlink()
    flashes = bci3_ii.read(root, "B", parts=["test"], ch_names=["Cz"]).flashes
    assert flashes["is_target"].sum() == 200


def test_another_laboratorys_keys_rate_and_channels_are_given_by_arguments(tmp_path):
    keys = Speller.single_keys("abcdefg")
    content = competition_file("gc", order=[1, 2, 3, 4, 5, 6, 7], n_chans=8, n_samples=400)
    content["StimulusType"] = (content["StimulusCode"] == np.array([[7], [3]], np.float32)).astype(
        np.float32
    )
    savemat(tmp_path / "s1-train.mat", content)
    recording = bci3_ii.read(
        tmp_path, 1, parts=["train"], ch_names=[f"E{k}" for k in range(8)], sfreq=100.0,
        speller=keys, unit="uV", file_pattern="s{subject}-{part}.mat",
    )  # fmt: skip
    assert recording.n_chans == 8 and recording.sfreq == 100 and recording.unit == "uV"
    assert recording.flashes["onset"][1] == pytest.approx(0.42)
    targets = recording.flashes.query("is_target")
    assert targets["code"].tolist() == [7, 3]


def test_a_code_that_stays_on_between_flashes_is_read_by_the_flashing(tmp_path):
    content = competition_file("P")
    content["StimulusCode"] = np.repeat(ORDER, 42)[None, :].astype(np.float32)
    content["StimulusCode"] = np.pad(content["StimulusCode"], ((0, 0), (0, 276)))
    savemat(tmp_path / "Subject_X_Train.mat", content)
    flashes = bci3_ii.read(tmp_path, "X", parts=["train"]).flashes
    assert flashes["code"].tolist() == ORDER


def test_a_folder_that_is_not_there_is_answered_with_where_to_get_the_data(tmp_path):
    with pytest.raises(InputError, match="no folder .*nowhere.*bbci.de/competition/iii"):
        bci3_ii.read(tmp_path / "nowhere")


def test_a_file_that_is_not_there_is_named_with_those_that_are(tmp_path):
    write(tmp_path)
    with pytest.raises(InputError, match="no Subject_A_Train.mat .*Subject_X_Test.mat"):
        bci3_ii.read(tmp_path, "A")


def test_an_unknown_part_is_refused(tmp_path):
    with pytest.raises(InputError, match="validation"):
        bci3_ii.read(tmp_path, parts=["validation"])


def test_another_number_of_channels_is_counted_and_asks_for_names(tmp_path):
    write(tmp_path, n_chans=9)
    with pytest.raises(InputError, match="9 channels; expected 64, as ch_names .*name the 9"):
        bci3_ii.read(tmp_path, "X")


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.001])
@pytest.mark.parametrize("do_compression", [True, False])
def test_a_truncated_file_is_called_truncated(tmp_path, keep, do_compression):
    path = tmp_path / "Subject_X_Train.mat"
    savemat(path, competition_file("P", n_chans=64), do_compression=do_compression)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(InputError, match="truncated|lacks the variables"):
        bci3_ii.read(tmp_path, "X", parts=["train"])


def test_a_matlab_7_3_file_is_named_with_the_way_out(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "Subject_X_Train.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["Signal"] = np.zeros((1, 2, 3))
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    path.write_bytes(header.ljust(512, b"\x00") + path.read_bytes()[512:])
    with pytest.raises(InputError, match=r"MATLAB 7.3 \(HDF5\).*-v7"):
        bci3_ii.read(tmp_path, "X", parts=["train"])


def test_wrongly_named_variables_are_listed(tmp_path):
    content = competition_file("P")
    content["signal"] = content.pop("Signal")
    savemat(tmp_path / "Subject_X_Train.mat", content)
    with pytest.raises(InputError, match="lacks the variables Signal; it holds .*signal"):
        bci3_ii.read(tmp_path, "X", parts=["train"])


@pytest.mark.parametrize("name", ["Signal", "StimulusCode", "Flashing", "StimulusType"])
def test_a_variable_of_the_wrong_shape_is_named_with_its_shape(tmp_path, name):
    content = competition_file("P3")
    content[name] = content[name][:, :-5] if name != "Signal" else content[name][..., 0]
    savemat(tmp_path / "Subject_X_Train.mat", content)
    with pytest.raises(InputError, match=f"{name} has shape"):
        bci3_ii.read(tmp_path, "X", parts=["train"])


def test_codes_that_are_no_whole_numbers_are_counted(tmp_path):
    content = competition_file("P")
    content["StimulusCode"][0, :3] = np.nan
    savemat(tmp_path / "Subject_X_Train.mat", content)
    with pytest.raises(InputError, match="3 of 1284 samples are no flash codes"):
        bci3_ii.read(tmp_path, "X", parts=["train"])


def test_a_character_without_a_flash_is_refused(tmp_path):
    content = competition_file("P3")
    content["StimulusCode"][1] = 0
    savemat(tmp_path / "Subject_X_Train.mat", content)
    with pytest.raises(InputError, match=r"1 of 2 characters have no flash \(the first: 2\)"):
        bci3_ii.read(tmp_path, "X", parts=["train"])


def test_stimulus_types_that_contradict_the_target_character_are_refused(tmp_path):
    content = competition_file("P3")
    content["TargetChar"] = "PA"
    savemat(tmp_path / "Subject_X_Train.mat", content)
    with pytest.raises(InputError, match=r"1 of 2 characters: the first, character 2, is 'A'"):
        bci3_ii.read(tmp_path, "X", parts=["train"])


def test_a_test_text_of_another_length_is_refused(tmp_path):
    write(tmp_path)
    with pytest.raises(InputError, match="a text of 3 symbols for 2 recorded characters"):
        bci3_ii.read(tmp_path, "X", test_text="HIJ")


def test_a_symbol_that_is_not_on_the_screen_is_refused(tmp_path):
    write(tmp_path)
    with pytest.raises(InputError, match=r"'\?' is not on the screen"):
        bci3_ii.read(tmp_path, "X", test_text="H?")


def test_without_a_speller_the_file_is_a_plain_oddball(tmp_path):
    write(tmp_path)
    recording = bci3_ii.read(tmp_path, "X", parts=["train"], speller=None)
    assert recording.flashes["character"].isna().all()
    assert recording.flashes["is_target"].mean() == pytest.approx(1 / 6)
