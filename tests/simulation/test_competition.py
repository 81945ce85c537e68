"""The competition's files as the simulator writes them, read back by the reader."""

import numpy as np
import pytest
from scipy.io import loadmat

from p300.errors import InputError
from p300.readers import bci3_ii
from p300.simulation import write_bci3_ii
from p300.speller import WADSWORTH, Speller
from p300.spelling import spell, text_after


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("bci3_ii")
    return root, write_bci3_ii(root, "A", n_train=4, n_test=3)


def test_the_files_have_the_competitions_fields_shapes_and_types(written):
    root, _ = written
    train, test = (loadmat(root / f"Subject_A_{part}.mat") for part in ("Train", "Test"))
    assert train["Signal"].shape == (4, 7794, 64) and train["Signal"].dtype == np.float32
    assert {"Flashing", "StimulusCode", "StimulusType", "TargetChar"} < set(train)
    assert not {"StimulusType", "TargetChar"} & set(test)
    for name in ("Flashing", "StimulusCode"):
        assert test[name].shape == (3, 7794) and test[name].dtype == np.float32
        assert (test[name][:, 0] > 0).all()  # the first flash is at sample 0
    lit = np.flatnonzero(np.diff(train["Flashing"][0])) + 1
    assert set(np.diff(lit)) == {24, 18}  # 100 ms on, 75 ms off at 240 Hz


def test_the_reader_finds_every_flash_and_the_competitions_characters(written):
    root, texts = written
    recording = bci3_ii.read(root, "A", test_text=texts["test"])
    assert texts == {"train": bci3_ii.TRAIN_TEXT["A"][:4], "test": bci3_ii.TRUE_TEST_TEXT["A"][:3]}
    assert len(recording.flashes) == 7 * 180 and len(recording.segments) == 7
    perfect = recording.flashes["is_target"].astype(float)
    spelled = spell(perfect, recording.flashes, WADSWORTH)
    assert text_after(spelled, 15) == texts["train"] + texts["test"]


def test_every_character_epoch_leaves_room_after_its_last_flash(written):
    recording = bci3_ii.read(written[0], "A", test_text="WQX")
    last = recording.flashes.groupby("segment")["onset"].max() * 240
    assert (last == 7518).all()  # 276 samples, 1.15 s, remain


def test_another_laboratory_has_its_own_electrodes_rate_and_screen(tmp_path):
    keys, channels = Speller.single_keys("abcdefg"), ["Fz", "Cz", "Pz", "Oz"]
    texts = write_bci3_ii(
        tmp_path,
        "X",
        n_train=2,
        n_test=2,
        n_samples=5000,
        speller=keys,
        ch_names=channels,
        sfreq=200.0,
        n_repetitions=10,
    )
    recording = bci3_ii.read(
        tmp_path, "X", ch_names=channels, sfreq=200.0, speller=keys, test_text=texts["test"]
    )
    assert recording.segments[0].shape == (4, 5000)
    spelled = spell(recording.flashes["is_target"].astype(float), recording.flashes, keys)
    assert text_after(spelled, 10) == texts["train"] + texts["test"]


def test_the_same_arguments_write_the_same_bytes_at_any_time_of_day(tmp_path, monkeypatch):
    short = {"n_train": 1, "n_test": 1, "n_repetitions": 1, "n_samples": 700, "ch_names": ["Cz"]}
    written = []
    for hour in ("12", "13"):
        monkeypatch.setattr("time.asctime", lambda *_, hour=hour: f"Mon Nov 30 {hour}:00:00 2026")
        write_bci3_ii(tmp_path / hour, "A", **short)
        written.append([path.read_bytes() for path in sorted((tmp_path / hour).iterdir())])
    assert len(written[0]) == 2 and written[0] == written[1]


@pytest.mark.parametrize("change", [{"n_repetitions": 20}, {"soa_s": 0.08}, {"n_samples": 500}])
def test_flashes_that_do_not_fit_into_the_files_are_refused(tmp_path, change):
    with pytest.raises(InputError, match="change soa_s, n_repetitions or n_samples"):
        write_bci3_ii(tmp_path, "A", **({"n_train": 1, "n_test": 1, "ch_names": ["Cz"]} | change))
