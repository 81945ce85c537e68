"""Tables of samples: what the columns are, the rate from time, markers of several kinds."""

import numpy as np
import pandas as pd
import pytest

from p300.errors import InputError
from p300.readers import file
from p300.simulation import simulate_recording

NAMES = ["Fz", "Cz", "Pz", "Oz"]


@pytest.fixture(scope="module")
def oddball():
    return simulate_recording(None, speller=None, n_flashes=40, ch_names=NAMES, sfreq=250, seed=2)


def onsets_of(recording):
    return np.round(recording.flashes["onset"].to_numpy() * recording.sfreq).astype(int)


def table_of(recording, *, held=5, start=1486664799.048):
    """Time in s, channels, and a column that holds 1 or 2 for some samples."""
    signal = recording.segments[0]
    table = pd.DataFrame(signal.T, columns=NAMES)
    table.insert(0, "timestamps", start + np.arange(signal.shape[1]) / recording.sfreq)
    table["Marker"] = 0
    is_target = recording.flashes["is_target"].to_numpy(bool)
    for onset, kind in zip(onsets_of(recording), is_target, strict=True):
        table.loc[onset : onset + held - 1, "Marker"] = 2 if kind else 1
    return table


def write(table, path, **more):
    more = {"float_format": "%.6f", "index": False} | more
    table.to_csv(path, **more)
    return path


KNOWN = {2: True, 1: False}


def check(recording, oddball):
    assert recording.ch_names == tuple(NAMES)
    assert recording.sfreq == 250 and recording.unit == "uV"
    assert np.abs(recording.segments[0] - oddball.segments[0]).max() < 1e-4
    assert recording.flashes["is_target"].tolist() == oddball.flashes["is_target"].tolist()
    onset = onsets_of(oddball) / 250
    assert recording.flashes["onset"].to_numpy() == pytest.approx(onset, abs=1e-9)


def test_a_table_of_samples_is_read_by_the_names_of_its_columns(tmp_path, oddball):
    path = write(table_of(oddball), tmp_path / "a.csv")
    recording = file.read(path, targets=KNOWN)
    check(recording, oddball)
    said = " ".join(recording.notes)
    assert "markers Marker" in said and "The rate is 250 Hz by 'timestamps', taken as s" in said
    assert "gives no unit: taken as µV" in said
    assert file.read(path, targets=KNOWN, unit="mV").unit == "mV"
    said = file.contents(path)
    assert "channels: Fz, Cz, Pz, Oz" in said and "markers 'Marker': 1 " in said


@pytest.mark.parametrize(
    ("name", "more"),
    [("a.tsv", {"sep": "\t"}), ("b.csv", {"sep": ";"}), ("c.csv", {"sep": ";", "decimal": ","})],
)
def test_delimiters_and_decimal_commas_are_found(tmp_path, oddball, name, more):
    check(file.read(write(table_of(oddball), tmp_path / name, **more), targets=KNOWN), oddball)


@pytest.mark.parametrize(
    ("column", "factor", "taken"),
    [("time", 1e3, "ms"), ("time (ms)", 1e3, "ms"), ("time_us", 1e6, "us"), ("Time (s)", 1, "s")],
)
def test_time_may_be_in_another_unit(tmp_path, oddball, column, factor, taken):
    table = table_of(oddball, start=3.0).rename(columns={"timestamps": column})
    table[column] *= factor
    recording = file.read(write(table, tmp_path / "a.csv"), targets=KNOWN)
    check(recording, oddball)
    assert any(f"taken as {taken} (" in note for note in recording.notes)


def test_rounded_and_jittering_stamps_give_the_true_rate(tmp_path, oddball):
    table = table_of(oddball)
    rng = np.random.default_rng(0)
    table["timestamps"] = (table["timestamps"] + rng.normal(0, 0.01, len(table))).round(3)
    check(file.read(write(table, tmp_path / "a.csv"), targets=KNOWN), oddball)


def test_a_gap_in_time_cuts_and_moves_no_flash(tmp_path, oddball):
    table = table_of(oddball)
    table.loc[1000:, "timestamps"] += 3.0
    recording = file.read(write(table, tmp_path / "a.csv"), targets=KNOWN)
    assert [s.shape[1] for s in recording.segments] == [1000, len(table) - 1000]
    onset, segment = onsets_of(oddball), recording.flashes["segment"].to_numpy()
    assert segment.tolist() == (onset >= 1000).astype(int).tolist()
    expected = (onset - 1000 * segment) / 250
    assert recording.flashes["onset"].to_numpy() == pytest.approx(expected, abs=1e-9)
    assert any("samples are missing before 7.000 s" in note for note in recording.notes)


def test_without_time_the_rate_must_be_given(tmp_path, oddball):
    table = table_of(oddball).drop(columns="timestamps")
    path = write(table, tmp_path / "a.csv")
    with pytest.raises(InputError, match="got no column of time .* set sfreq"):
        file.read(path, targets=KNOWN)
    check(file.read(path, targets=KNOWN, sfreq=250), oddball)
    path.write_text("% Recorder\n%Sample Rate = 250 Hz\n" + path.read_text())
    recording = file.read(path, targets=KNOWN)
    check(recording, oddball)
    assert any("250 Hz by a comment of the file" in note for note in recording.notes)
    with pytest.raises(InputError, match=r"got sfreq=100; expected 250 Hz, by 'timestamps'"):
        file.read(write(table_of(oddball), tmp_path / "b.csv"), targets=KNOWN, sfreq=100)
    with pytest.raises(InputError, match="got sfreq=-1; expected a rate in Hz"):
        file.read(path, targets=KNOWN, sfreq=-1)


def test_a_table_without_names_has_numbers_for_them(tmp_path, oddball):
    path = write(table_of(oddball), tmp_path / "a.csv", header=False)
    with pytest.raises(InputError, match="no column of markers among 1, 2, 3.*name or number"):
        file.read(path)
    of_eeg, numbers = {"picks": [2, 3, 4, 5], "ch_names": NAMES}, {"markers": 6, "targets": KNOWN}
    check(file.read(path, **numbers, **of_eeg, sfreq=250), oddball)
    check(file.read(path, **numbers, **of_eeg | {"picks": list("2345")}, sfreq=250), oddball)
    with pytest.raises(InputError, match=r"got no column of time .* or keys=\{time: …\}"):
        file.read(path, **numbers, **of_eeg)
    recording = file.read(path, **numbers, ch_names=NAMES, keys={"time": 1})
    check(recording, oddball)
    assert any("250 Hz by column 1, taken as s" in note for note in recording.notes)
    assert file.read(path, **numbers, picks=4, sfreq=250).ch_names == ("4",)


def test_what_is_in_a_table_without_names_is_said_without_guessing(tmp_path, oddball):
    path = write(table_of(oddball), tmp_path / "a.csv", header=False)
    said = file.contents(path)
    assert "6 columns without names, which are numbered: 1, 2, 3, 4, 5, 6" in said
    assert "channels: 1, 2, 3, 4, 5, 6, but for those of time and markers" in said
    assert "set sfreq, or keys={time: …} to a name or number (rising from row to row: 1)" in said
    assert "markers: no column has such a name" in said and "None" not in said
    path.write_text("%Sample Rate = 250 Hz\n" + path.read_text())
    assert "time: no column has such a name; the rate is 250 Hz by a comment" in file.contents(
        path
    )


def test_columns_with_names_have_numbers_too_where_no_name_is_one(tmp_path, oddball):
    table = table_of(oddball)
    path = write(table, tmp_path / "a.csv")
    recording = file.read(path, markers="6", picks=["2", "cz", 4, 5], targets=KNOWN)
    check(recording, oddball)
    names = ["timestamps", "3", "EEG 2", "Pz", "Oz", "Marker"]
    path = write(table.set_axis(names, axis=1), tmp_path / "b.csv")
    assert file.read(path, picks=[3, 2, 4], targets=KNOWN).ch_names == ("3", "EEG 2", "Pz")
    for wrong in (0, 7, "x", "-1", 2.5):
        with pytest.raises(InputError, match=r"got the columns .*, or numbers from 1 to 6"):
            file.read(path, picks=[4, wrong], targets=KNOWN)
        with pytest.raises(InputError, match=r"got the columns .*, or numbers from 1 to 6"):
            file.read(path, markers=wrong, targets=KNOWN)


def test_the_column_of_time_may_have_any_name_and_another_be_none(tmp_path, oddball):
    table = table_of(oddball).rename(columns={"timestamps": "clock"})
    path = write(table.assign(time=7.0), tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"got 'time' in steps of 0; .*set keys=\{time: …\}"):
        file.read(path, targets=KNOWN)
    recording = file.read(path, keys={"time": "clock"}, targets=KNOWN)
    check(recording, oddball)
    assert any("250 Hz by 'clock'" in note for note in recording.notes)
    assert any("left out time" in note for note in recording.notes)
    recording = file.read(path, keys={"time": None}, sfreq=250, picks=NAMES, targets=KNOWN)
    check(recording, oddball)
    with pytest.raises(InputError, match="got keys of signal; expected {time: …}"):
        file.read(path, keys={"signal": "clock"}, targets=KNOWN)
    with pytest.raises(InputError, match="got the columns uhr, of which some do not exist"):
        file.read(path, keys={"time": "uhr"}, targets=KNOWN)


def test_codes_and_classes_may_stand_in_two_columns(tmp_path, oddball):
    table = table_of(oddball).rename(columns={"Marker": "StimulusType"})
    table["StimulusCode"] = 0
    for k, onset in enumerate(onsets_of(oddball)):
        table.loc[onset : onset + 4, "StimulusCode"] = k % 6 + 1
    table["StimulusType"] = (table["StimulusType"] == 2).astype(int)
    path = write(table, tmp_path / "a.csv")
    recording = file.read(path)
    check(recording, oddball)
    assert recording.flashes["code"].tolist() == [k % 6 + 1 for k in range(40)]
    assert any("classes 'StimulusType'" in note for note in recording.notes)
    table["event"] = table["StimulusCode"]
    path = write(table, tmp_path / "b.csv")
    with pytest.raises(InputError, match="got flashes in the columns StimulusCode, event"):
        file.read(path)
    check(file.read(path, markers=["StimulusCode", "StimulusType"]), oddball)


def test_markers_may_be_words_in_a_column_of_any_name(tmp_path, oddball):
    table = table_of(oddball, held=1)
    table["what"] = table["Marker"].map({0: "", 1: "standard", 2: "oddball"})
    table["Marker"] = 0
    path = write(table, tmp_path / "a.csv")
    with pytest.raises(InputError, match="got no flash among the markers .Marker: none"):
        file.read(path)
    recording = file.read(path, markers="what", picks=NAMES)
    check(recording, oddball)


def test_columns_of_something_else_are_no_eeg(tmp_path, oddball):
    table = table_of(oddball)
    table.insert(0, "Sample Index", np.arange(len(table)) % 256)
    table["Accel X"], table["comment"] = 0.5, "x"
    path = write(table, tmp_path / "a.csv")
    recording = file.read(path, targets=KNOWN)
    check(recording, oddball)
    assert any("left out Sample Index, Accel X, comment" in note for note in recording.notes)
    assert file.read(path, targets=KNOWN, picks=["accel x", "Pz"]).ch_names == ("Accel X", "Pz")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "expected a line of names and rows"),
        (b"a,b\n", "expected a line of names and rows"),
        (b"one column\n1\n2\n", "expected a line of names and rows"),
        (b"\xff\xfe\x00,", "cannot be read as a table"),
        (b"time,Fz,Marker\n0,1,0\n0.004,2,0\n0.008,3,1,9,9\n", "cannot be read as a table"),
        (b"time,Fz,Marker\n0,1,0\n0.004,x,1\n", "no column of EEG"),
        (b"time,Fz,Marker\n0,1,0\n0,2,0\n0,3,1\n", "expected time that rises"),
        (b"time,Fz,Marker\n0,1,0\nnan,2,0\n1,3,1\n", "1 of 3 values of 'time' that are no finite"),
        (b"time,Fz,Marker\n0,1,0\n0.1,2,0\n", "no flash among the markers"),
    ],
)
def test_what_is_no_table_of_samples_is_refused_in_a_sentence(tmp_path, content, words):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputError, match=words):
        file.read(tmp_path / "a.csv")


def test_a_folder_of_nothing_but_tables_is_read(tmp_path, oddball):
    (tmp_path / "day").mkdir()
    for k in (1, 2):
        table = table_of(oddball).assign(Pz=lambda table, k=k: table["Pz"] + k)
        write(table, tmp_path / "day" / f"run{k}.csv")
    assert len(file.read(tmp_path / "day", targets=KNOWN).flashes) == 80
    (tmp_path / "day" / "a.edf").write_bytes(b"")
    assert [p.name for p in file.find(tmp_path / "day")] == ["a.edf"]


def test_a_word_among_the_samples_is_refused_with_its_place(tmp_path, oddball):
    table = table_of(oddball).astype({"Pz": object})
    table.loc[1500, "Pz"] = "loud"
    with pytest.raises(InputError, match="got 'loud' in row 1501 of column 'Pz'"):
        file.read(write(table, tmp_path / "a.csv"), targets=KNOWN)


def write_openvibe(recording, path, *, missing_from=None):
    """As http://openvibe.inria.fr/csv-file-format-description/ says: 32 samples per epoch."""
    ids, dates = [""] * recording.segments[0].shape[1], [""] * recording.segments[0].shape[1]
    lines = [f"Time:250Hz,Epoch,{','.join(NAMES)},Event Id,Event Date,Event Duration"]
    is_target = recording.flashes["is_target"].to_numpy(bool)
    for k, (onset, target) in enumerate(zip(onsets_of(recording), is_target, strict=True)):
        ids[onset] = f"{0x8100 + k % 6 + 1}:32779:{33285 if target else 33286}"
        at = onset / 250 + (2 if missing_from is not None and onset >= missing_from else 0)
        dates[onset] = ":".join([f"{at:.6f}"] * 3)
    for n, values in enumerate(recording.segments[0].T):
        second = n / 250 + (2 if missing_from is not None and n >= missing_from else 0)
        cells = [f"{second:.5f}", str(n // 32), *(f"{v:.6f}" for v in values), ids[n], dates[n]]
        lines.append(",".join([*cells, "0:0:0" if ids[n] else ""]))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_tables_of_openvibe_tell_rate_codes_and_classes(tmp_path, oddball):
    path = write_openvibe(oddball, tmp_path / "a.csv")
    with pytest.warns(UserWarning, match="VisualStimulationStart"):
        recording = file.read(path)
    check(recording, oddball)
    assert recording.flashes["code"].tolist() == [k % 6 + 1 for k in range(40)]
    said = file.contents(path)
    assert "OpenViBE CSV" in said and "at 250 Hz" in said and "Label_01' 7" in said
    path = write_openvibe(oddball, tmp_path / "b.csv", missing_from=1000)
    with pytest.warns(UserWarning, match="VisualStimulationStart"):
        recording = file.read(path, picks=["pz"])
    assert [s.shape[1] for s in recording.segments][0] == 1000
    onset, segment = onsets_of(oddball), recording.flashes["segment"].to_numpy()
    expected = (onset - 1000 * segment) / 250
    assert recording.flashes["onset"].to_numpy() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.replace("Time:250Hz", "Time:0Hz"), "expected Time:…Hz first"),
        (lambda t: t.replace(":33285", ":0x8205"), "got the event"),
        (lambda t: t.replace("\n0.10000", "\n0.05000"), "not epochs"),
        (lambda t: t.replace("\n0.10000", "\nsoon"), "that are no finite numbers"),
        (lambda t: t.replace("Fz,Cz,Pz,Oz,", ""), "Time:…Hz first"),
    ],
)
def test_a_damaged_table_of_openvibe_is_refused_in_a_sentence(tmp_path, oddball, change, words):
    path = write_openvibe(oddball, tmp_path / "a.csv")
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=words):
        file.read(path)


@pytest.mark.parametrize(
    "name, is_time",
    [
        ("T7", False),
        ("TP9", False),
        ("Trigger", False),
        ("t (ms)", True),
        ("Zeit [s]", True),
        ("time_us", True),
        ("timestamps", True),
    ],
)
def test_electrodes_and_triggers_are_no_columns_of_time(name, is_time):
    from p300.readers.formats._time_column import TIME

    assert bool(TIME.fullmatch(name.lower())) == is_time
