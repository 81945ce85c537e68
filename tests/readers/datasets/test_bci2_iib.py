import numpy as np
import pytest
from scipy.io import savemat

from p300.errors import InputError
from p300.readers import bci2_iib

N_SAMPLES = 100 + 2 * (24 * 42 + 600)


def run_file(text="HI", is_test=False):
    """Two characters of two repetitions, 600 blank samples after each, as int16 and uint8."""
    code = np.zeros((N_SAMPLES, 1), np.uint8)
    target = np.zeros_like(code)
    rows = ["ABCDEF", "GHIJKL", "MNOPQR", "STUVWX", "YZ1234", "56789_"]
    for c, symbol in enumerate(text):
        row = next(k for k, row in enumerate(rows) if symbol in row)
        wanted = (1 + rows[row].index(symbol), 7 + row)
        for i in range(24):
            start = 100 + c * (24 * 42 + 600) + i * 42
            code[start : start + 24] = 12 - i % 12
            target[start : start + 24] = 12 - i % 12 in wanted
    signal = np.arange(N_SAMPLES)[:, None] + 10 * np.arange(64)[None, :]
    content = {"signal": signal.astype(np.int16), "StimulusCode": code, "Flashing": code > 0}
    content["Flashing"] = content["Flashing"].astype(np.uint8)
    return content if is_test else {**content, "StimulusType": target}


def targets_of(flashes):
    targets = flashes[flashes["is_target"].fillna(False)].groupby("character")["code"].unique()
    return [sorted(codes) for codes in targets]


def test_a_run_is_one_segment_with_its_names_from_the_file_name(tmp_path):
    savemat(tmp_path / "AAS010R02.mat", run_file())
    recording = bci2_iib.read(tmp_path)
    assert [s.shape for s in recording.segments] == [(64, N_SAMPLES)]
    assert recording.segments[0][3, 7] == 7 + 30 and recording.segments[0].dtype == np.float32
    assert recording.unit == "AD" and recording.sfreq == 240
    flashes = recording.flashes
    assert set(flashes["subject"]) == {"AA"} and set(flashes["session"]) == {"10"}
    assert set(flashes["run"]) == {2} and len(flashes) == 48
    assert flashes["onset"][0] == pytest.approx(100 / 240)


def test_the_pause_between_two_characters_tells_them_apart(tmp_path):
    savemat(tmp_path / "AAS010R01.mat", run_file())
    flashes = bci2_iib.read(tmp_path).flashes
    assert flashes["character"].tolist() == [1] * 24 + [2] * 24
    assert flashes["repetition"].tolist() == ([0] * 12 + [1] * 12) * 2
    assert targets_of(flashes) == [[2, 8], [3, 8]]


def test_a_test_run_is_labelled_by_a_given_word_or_not_at_all(tmp_path):
    savemat(tmp_path / "AAS012R05.mat", run_file(is_test=True))
    assert bci2_iib.read(tmp_path).flashes["is_target"].isna().all()
    flashes = bci2_iib.read(tmp_path, words={"AAS012R05": "A_"}).flashes
    assert targets_of(flashes) == [[1, 7], [6, 12]]


def test_a_published_word_that_does_not_fit_the_run_is_refused(tmp_path):
    savemat(tmp_path / "AAS012R03.mat", run_file(is_test=True))  # HAM has three letters
    with pytest.raises(InputError, match="a text of 3 symbols for 2 recorded"):
        bci2_iib.read(tmp_path)


def test_runs_are_read_in_the_order_asked_for(tmp_path):
    for run in ("AAS010R01", "AAS011R02"):
        savemat(tmp_path / f"{run}.mat", run_file())
    recording = bci2_iib.read(tmp_path, ["AAS011R02", "AAS010R01"])
    assert recording.flashes.groupby("segment")["session"].first().tolist() == ["11", "10"]


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (None, "no run .* in .*bbci.de/competition/ii/"),
        (["AAS010R09"], "no AAS010R09.mat"),
        (["first"], "'first' is no name"),
    ],
)
def test_runs_that_are_not_there_are_named(tmp_path, runs, message):
    with pytest.raises(InputError, match=message):
        bci2_iib.read(tmp_path, runs)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"signal": np.zeros((N_SAMPLES, 63), np.int16)},
            r"shape \(\d+, 63\); expected \(samples, 64\)",
        ),
        ({"StimulusCode": np.zeros((50, 1), np.uint8)}, "StimulusCode has 50 values"),
        ({"StimulusCode": np.zeros((N_SAMPLES, 1), np.uint8)}, "no flash"),
    ],
)
def test_another_layout_is_refused(tmp_path, changed, message):
    savemat(tmp_path / "AAS010R01.mat", {**run_file(), **changed})
    with pytest.raises(InputError, match=message):
        bci2_iib.read(tmp_path)


@pytest.mark.real_data
def test_the_real_runs_spell_cat_dog_hat_hat_and_are_labelled_ham_pie(data_root):
    recording = bci2_iib.read(data_root / "bci2_iib")
    flashes = recording.flashes
    assert len(flashes) == 3240 and flashes["is_target"].sum() == 540
    for _, flash in flashes.groupby("segment"):
        assert flash["onset"].iloc[0] == pytest.approx(624 / 240)
        assert set(flash["character"]) == {1, 2, 3} and set(flash["repetition"]) == set(range(15))
    keys = ["session", "run", "character"]
    codes = flashes[flashes["is_target"]].groupby(keys)["code"].agg(lambda c: frozenset(c))
    spelled = [recording.speller.symbol_of(c) for c in codes]
    assert "".join(spelled) == "CATDOGHATHATHAMPIE"
