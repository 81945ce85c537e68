import numpy as np
import pytest
from scipy.io import savemat

from p300.errors import InputError
from p300.readers import bnci

ROWS = ["ABCDEF", "GHIJKL", "MNOPQR", "STUVWX", "YZ1234", "56789_"]


def part(text, *, soa=20, n_repetitions=2):
    """Rows of one part: time, 8 channels, flash code, target flag."""
    pause = 300
    n = pause + len(text) * (12 * n_repetitions * soa + pause)
    rows = np.zeros((11, n))
    rows[0] = np.arange(n) / 256
    rows[1:9] = np.arange(8)[:, None] + 1 + np.arange(n) / 1000
    for c, symbol in enumerate(text):
        row = next(k for k, row in enumerate(ROWS) if symbol in row)
        for i in range(12 * n_repetitions):
            start = pause + c * (12 * n_repetitions * soa + pause) + i * soa
            code = 1 + i % 12
            rows[9, start : start + 4] = code
            rows[10, start : start + 4] = code in (1 + ROWS[row].index(symbol), 7 + row)
    return rows


def write(root, number=6, train="LUKAS", test="WATER", **arguments):
    struct = {"train": part(train, **arguments), "test": part(test, **arguments)}
    savemat(root / f"s{number}.mat", {f"s{number}": struct})


def spelled(recording, session):
    flashes = recording.flashes.query("session == @session and is_target")
    codes = flashes.groupby("character")["code"].agg(lambda c: frozenset(c))
    return "".join(recording.speller.symbol_of(c) for c in codes)


@pytest.mark.filterwarnings("ignore::p300.readers.datasets.bnci.RateWarning")
def test_each_part_is_a_session_of_one_segment_and_spells_its_word(tmp_path):
    write(tmp_path)
    recording = bnci.read(tmp_path, 6)
    assert len(recording.segments) == 2 and recording.unit == "uV"
    assert recording.ch_names == ("Fz", "Cz", "P3", "Pz", "P4", "PO7", "Oz", "PO8")
    assert recording.segments[0][7, 500] == pytest.approx(8.5)
    assert spelled(recording, "train") == "LUKAS" and spelled(recording, "test") == "WATER"
    assert recording.flashes["onset"][0] == 300 / 256
    assert set(recording.flashes["repetition"]) == {0, 1}


@pytest.mark.filterwarnings("ignore::p300.readers.datasets.bnci.RateWarning")
@pytest.mark.parametrize("subject", ["all", [6, 10]])
def test_several_subjects_come_in_the_order_of_their_numbers(tmp_path, subject):
    write(tmp_path, 10)
    write(tmp_path, 6)
    assert bnci.read(tmp_path, subject).subjects == ("6", "10")


def test_a_rate_at_which_flashes_are_not_160_ms_apart_is_warned_of(tmp_path):
    write(tmp_path)
    with pytest.warns(bnci.RateWarning, match="at 256 Hz the flashes are 78 ms apart"):
        bnci.read(tmp_path, 6)


def test_a_rate_that_fits_the_flash_spacing_is_not_warned_of(tmp_path):
    write(tmp_path)
    assert bnci.read(tmp_path, 6, sfreq=128).sfreq == 128


def test_missing_subjects_are_named(tmp_path):
    with pytest.raises(InputError, match="no s7.mat.*bnci-horizon-2020"):
        bnci.read(tmp_path, 7)
    with pytest.raises(InputError, match="no file such as s6.mat"):
        bnci.read(tmp_path)


@pytest.mark.parametrize(
    ("struct", "message"),
    [
        ({"train": part("L")}, "expected train and test"),
        ({"train": part("L")[:10], "test": part("W")}, "expected 11 rows"),
        ({"train": part("L") * 5, "test": part("W")}, "codes up to 60"),
        ({"train": part("L") * 0, "test": part("W")}, "0 flashes"),
    ],
)
def test_another_layout_is_refused(tmp_path, struct, message):
    savemat(tmp_path / "s6.mat", {"s6": struct})
    with pytest.raises(InputError, match=message):
        bnci.read(tmp_path, 6)


@pytest.mark.real_data
def test_the_real_subjects_spell_lukas_and_water_and_their_rate_is_doubtful(data_root):
    with pytest.warns(bnci.RateWarning):
        recording = bnci.read(data_root / "bnci_003_2015")
    assert recording.subjects == ("6", "7", "8", "9", "10")
    assert recording.flashes["is_target"].sum() == 1500 and len(recording.flashes) == 9000
    for subject in recording.subjects:
        one = recording.select(recording.flashes["subject"] == subject)
        assert spelled(one, "train") == "LUKAS" and spelled(one, "test") == "WATER"
