"""XDF as LabRecorder writes it: clocks, gaps, units, marker streams."""

import numpy as np
import pytest
from xdf_files import header, write_xdf

from p300.errors import InputError
from p300.readers import file, xdf
from p300.simulation import simulate_recording
from p300.speller import WADSWORTH

pytest.importorskip("pyxdf")

CHANNELS = [("Fz", "microvolts", "EEG"), ("Pz", "microvolts", "EEG"), ("X", "g", "ACC")]


def eeg_stream(times, rng, *, rate=250, channels=CHANNELS, name="amp"):
    signal = rng.normal(0, 20, (len(times), len(channels))).astype(np.float32)
    head = header(name, "EEG", len(channels), rate, "float32", channels)
    return (head, times, signal.tolist()), signal


def marker_stream(times, labels, name="speller", dtype="string"):
    return header(name, "Markers", 1, 0, dtype), times, labels


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_markers_find_their_samples_whatever_jitter_and_offset_of_the_clocks(tmp_path, rng):
    true = 1000 + np.arange(5000) / 250.013  # the amplifier's own clock is a little fast
    stamped = true + np.abs(rng.normal(0, 0.002, 5000))
    eeg, signal = eeg_stream(stamped, rng)
    onsets = 1000 + np.array([1.0, 4.2, 17.0])
    markers = marker_stream(onsets + 300, ["target/7", "nontarget/2", "target/1"])
    clock = [(1300 + k, -300.0) for k in range(0, 20, 5)]  # of another computer, 300 s ahead
    path = write_xdf(tmp_path / "a.xdf", [eeg, markers], [[(1000, 0.0)], clock])
    recording = xdf.read(path)
    assert recording.ch_names == ("Fz", "Pz") and recording.unit == "uV"
    assert recording.rates[0] == pytest.approx(250.013, abs=2e-3) and recording.sfreq == 250
    assert np.array_equal(recording.segments[0], signal[:, :2].T)
    # stamps are late by 1.6 ms in the mean
    assert recording.flashes["onset"].to_numpy() == pytest.approx([1, 4.2, 17], abs=0.003)
    assert recording.flashes["is_target"].tolist() == [True, False, True]
    assert recording.flashes["code"].tolist() == [7, 2, 1]


def test_a_gap_cuts_the_recording_and_moves_no_marker(tmp_path, rng):
    times = 50 + np.arange(4000) / 250
    times[2000:] += 3.5
    eeg, signal = eeg_stream(times, rng)
    onsets = 50 + np.array([2.0, 10.0, 13.5])  # the second lies in the gap of 8 to 11.5 s
    path = write_xdf(tmp_path / "a.xdf", [eeg, marker_stream(onsets, ["target"] * 3)])
    with pytest.warns(UserWarning, match="1 of 3 flashes are left out: they lie outside the EEG"):
        recording = xdf.read(path)
    assert [s.shape[1] for s in recording.segments] == [2000, 2000]
    assert recording.flashes["segment"].tolist() == [0, 1]
    assert recording.flashes["onset"].to_numpy() == pytest.approx([2.0, 2.0], abs=1e-3)
    assert np.array_equal(recording.segments[1], signal[2000:, :2].T)
    assert any("samples are missing before 11.500 s" in note for note in recording.notes)


def test_whole_numbers_are_codes_and_streams_are_chosen_by_name(tmp_path, rng):
    times = 10 + np.arange(2500) / 250
    eeg, _ = eeg_stream(times, rng)
    codes = marker_stream([11, 12, 13], [3, 9, 3], "codes", "int32")
    labels = marker_stream([11, 12, 13], ["target", "nontarget", "target"], "labels")
    mouse = marker_stream([11.5, 12.5], ["click", "click"], "mouse")
    path = write_xdf(tmp_path / "a.xdf", [eeg, codes, mouse])
    recording = xdf.read(path)
    assert recording.flashes["code"].tolist() == [3, 9, 3]
    assert any("'mouse' (2)" in note for note in recording.notes)
    both = write_xdf(tmp_path / "b.xdf", [eeg, codes, labels])
    with pytest.raises(
        InputError, match="got flashes in 2 streams: codes, labels; .* set markers"
    ):
        xdf.read(both)
    joined = xdf.read(both, markers=["codes", "labels"]).flashes
    assert joined["code"].tolist() == [3, 9, 3]
    assert joined["is_target"].tolist() == [True, False, True]
    for wrong in ("lables", ["codes", "lables"], 2):
        with pytest.raises(InputError, match="no stream of markers .*some of codes, labels"):
            xdf.read(both, markers=wrong)
    with pytest.raises(InputError, match="no flash among the markers .mouse: 'click' 2"):
        xdf.read(write_xdf(tmp_path / "c.xdf", [eeg, mouse]))


def test_channels_are_picked_as_laboratories_write_them(tmp_path, rng):
    channels = [(name, "uV", "EEG") for name in ("EEG Cz", "Cz", "Pz")]
    eeg, signal = eeg_stream(10 + np.arange(500) / 250, rng, channels=channels)
    path = write_xdf(tmp_path / "a.xdf", [eeg, marker_stream([11], ["target"])])
    recording = xdf.read(path, picks=["Pz", "Cz"])  # exact, though another is alike
    assert recording.ch_names == ("Pz", "Cz")
    assert np.array_equal(recording.segments[0], signal[:, [2, 1]].T)
    with pytest.raises(InputError, match="duplicate channel names"):
        xdf.read(path, picks=["pz", "cz"])
    channels = [(name, "uV", "EEG") for name in ("EEG Cz", "Fz", "Pz")]
    eeg, _ = eeg_stream(10 + np.arange(500) / 250, rng, channels=channels)
    path = write_xdf(tmp_path / "b.xdf", [eeg, marker_stream([11], ["target"])])
    assert xdf.read(path, picks="cz").ch_names == ("EEG Cz",)
    with pytest.raises(InputError, match=r"channels \['Oz', '3'\] are not among the 3 recorded"):
        xdf.read(path, picks=["Oz", 3])


def test_units_are_taken_as_said_and_a_missing_one_is_noted(tmp_path, rng):
    times = 10 + np.arange(500) / 250
    marker = marker_stream([11], ["target"])
    for unit, expected in (("volts", "V"), ("µV", "uV"), ("mV", "mV"), ("", "uV")):
        eeg, _ = eeg_stream(times, rng, channels=[("Cz", unit, "EEG")])
        recording = xdf.read(write_xdf(tmp_path / "a.xdf", [eeg, marker]))
        assert recording.unit == expected
        assert any("gives no unit" in note for note in recording.notes) == (unit == "")
    assert xdf.read(tmp_path / "a.xdf", unit="mV").unit == "mV"


def test_two_eeg_streams_or_none_are_refused_unless_one_is_named(tmp_path, rng):
    times = 10 + np.arange(500) / 250
    streams = [eeg_stream(times, rng, name=n)[0] for n in ("left", "right")]
    marker = marker_stream([11], ["target"])
    path = write_xdf(tmp_path / "a.xdf", [*streams, marker])
    with pytest.raises(InputError, match="got 2 EEG streams among left .* set stream"):
        xdf.read(path)
    assert xdf.read(path, stream="right").n_chans == 2
    with pytest.raises(InputError, match="got 0 EEG streams among nothing"):
        xdf.read(write_xdf(tmp_path / "b.xdf", [marker]))


def test_damaged_files_are_refused_in_a_sentence(tmp_path, rng):
    times = 10 + np.arange(500) / 250
    path = write_xdf(tmp_path / "a.xdf", [eeg_stream(times, rng)[0], marker_stream([11], ["x"])])
    whole = path.read_bytes()
    for content in (b"", b"XDF:", b"no XDF at all", whole[:700], whole[:2000]):
        path.write_bytes(content)
        with pytest.raises(InputError):
            xdf.read(path)
    for k in range(60):
        changed = bytearray(whole)
        for place in np.random.default_rng(k).integers(0, len(whole), 8):
            changed[place] ^= 0xFF
        path.write_bytes(changed)
        try:
            xdf.read(path, targets={"x": True})
        except InputError:
            pass


def test_a_speller_in_xdf_is_read_by_the_name_of_its_file(tmp_path):
    spelled = simulate_recording("CAT", n_repetitions=2, ch_names=["Fz", "Pz"], sfreq=250, seed=1)
    times = 77 + np.arange(spelled.segments[0].shape[1]) / 250
    channels = [("Fz", "microvolts", "EEG"), ("Pz", "microvolts", "EEG")]
    head = header("amp", "EEG", 2, 250, "float32", channels)
    codes = [f"S {code}" for code in spelled.flashes["code"]]
    markers = marker_stream((77 + spelled.flashes["onset"]).tolist(), codes)
    write_xdf(
        tmp_path / "sub-7_run-2.xdf", [(head, times, spelled.segments[0].T.tolist()), markers]
    )
    recording = file.read(
        tmp_path / "*.xdf", pattern="sub-{subject}_run-{run}", speller="wadsworth", text="cat"
    )
    found, expected = recording.flashes, spelled.flashes
    assert found["subject"].unique().tolist() == ["7"] and found["run"].unique().tolist() == [2]
    for column in ("character", "repetition", "code", "is_target"):
        assert found[column].tolist() == expected[column].tolist(), column
    assert found["onset"].to_numpy() == pytest.approx(expected["onset"], abs=1e-4)
    assert recording.speller == WADSWORTH


def test_a_file_that_is_described_and_read_is_loaded_once(tmp_path, rng, monkeypatch):
    import pyxdf

    times = 10 + np.arange(500) / 250
    path = write_xdf(
        tmp_path / "a.xdf", [eeg_stream(times, rng)[0], marker_stream([11], ["target"])]
    )
    loaded = []
    load = pyxdf.load_xdf
    monkeypatch.setattr(
        pyxdf, "load_xdf", lambda *args, **kwargs: loaded.append(args) or load(*args, **kwargs)
    )
    assert "a.xdf: XDF" in file.contents(path)
    first = file.read(path)
    assert len(loaded) == 1
    assert file.read(path).checksum == first.checksum and len(loaded) == 2  # it is kept no longer
