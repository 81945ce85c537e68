import numpy as np
import pandas as pd
import pytest

from p300.errors import InputError
from p300.readers import muse


def run_file(n_samples=2000, markers=((100, 1), (250, 2), (900, 1)), marker="Marker", seed=0):
    rng = np.random.default_rng(seed)
    columns = ["timestamps", "TP9", "AF7", "AF8", "TP10", "Right AUX"]
    table = pd.DataFrame(rng.normal(0, 20, (n_samples, 6)), columns=columns)
    table["timestamps"] = 1486223115.483 + np.arange(n_samples) / 256
    table[marker] = 0
    for sample, kind in markers:
        table.loc[sample, marker] = kind
    return table


def write(root, table, name="data_2017-02-04-15_45_13", where="visual/P300/subject1/session1"):
    (root / where).mkdir(parents=True, exist_ok=True)
    table.to_csv(root / where / f"{name}.csv", index=False)


def test_markers_are_flashes_and_two_is_the_target(tmp_path):
    table = run_file()
    write(tmp_path, table)
    recording = muse.read(tmp_path)
    flashes = recording.flashes
    assert flashes["onset"].tolist() == [100 / 256, 250 / 256, 900 / 256]
    assert flashes["is_target"].tolist() == [False, True, False]
    assert flashes["code"].tolist() == [1, 2, 1]
    assert flashes["character"].isna().all() and recording.speller is None
    assert recording.segments[0] == pytest.approx(table[list(muse.CH_NAMES)].to_numpy().T)


def test_right_aux_is_taken_only_on_request(tmp_path):
    write(tmp_path, run_file())
    assert muse.read(tmp_path).ch_names == ("TP9", "AF7", "AF8", "TP10")
    assert muse.read(tmp_path, aux=True).ch_names[-1] == "Right AUX"


def test_runs_are_numbered_by_the_time_in_their_names(tmp_path):
    # the data set writes the time in two ways; names sorted as text would come out otherwise
    write(tmp_path, run_file(1000, [(10, 1)]), "data_2017-02-04-15_45_13")
    write(tmp_path, run_file(1000, [(20, 1)]), "data_2017-02-04-15.40.00")
    write(tmp_path, run_file(1000, [(30, 1)]), where="visual/P300/subject2/session3")
    flashes = muse.read(tmp_path).flashes
    assert (flashes["onset"] * 256).tolist() == [20, 10, 30]
    assert flashes["run"].tolist() == [1, 2, 1]
    assert flashes["session"].tolist() == ["1", "1", "3"]
    assert flashes["subject"].tolist() == ["1", "1", "2"]
    assert muse.read(tmp_path, subject=2).subjects == ("2",)


def test_auditory_files_and_their_backward_time_stamps_are_read(tmp_path):
    table = run_file(marker="Marker0")
    stamps = table["timestamps"].to_numpy()
    table["timestamps"] = stamps + 0.03 * (np.arange(2000) // 12 % 2)  # jumps of +34 and -26 ms
    write(tmp_path, table, where="auditory/P300/subject1/session1")
    recording = muse.read(tmp_path, "auditory")
    assert len(recording.segments) == 1
    assert recording.flashes["onset"][2] == 900 / 256


def test_a_run_is_cut_where_samples_were_lost(tmp_path):
    table = run_file()
    table.loc[500:, "timestamps"] += 0.5
    write(tmp_path, table)
    with pytest.warns(UserWarning, match="lost at 1 places .* after sample 499"):
        recording = muse.read(tmp_path)
    assert [s.shape for s in recording.segments] == [(4, 500), (4, 1500)]
    assert recording.flashes["segment"].tolist() == [0, 0, 1]
    assert recording.flashes["onset"][2] == 400 / 256
    assert set(recording.flashes["run"]) == {1}


def test_folders_that_are_not_there_are_named(tmp_path):
    with pytest.raises(InputError, match="no CSV file below"):
        muse.read(tmp_path)
    write(tmp_path, run_file())
    with pytest.raises(InputError, match="no session in .*subject4"):
        muse.read(tmp_path, subject=4)


def test_columns_that_are_not_there_are_named(tmp_path):
    write(tmp_path, run_file().drop(columns="AF8"))
    with pytest.raises(InputError, match="AF7, TP10.*expected timestamps, TP9, AF7, AF8"):
        muse.read(tmp_path)


def test_markers_and_samples_that_are_no_numbers_are_refused(tmp_path):
    table = run_file()
    table.loc[3, "Marker"] = 7
    write(tmp_path, table)
    with pytest.raises(InputError, match="1 of 2000 markers"):
        muse.read(tmp_path)
    table = run_file().astype({"TP9": object})
    table.loc[3, "TP9"] = "lost"
    write(tmp_path, table)
    with pytest.raises(InputError, match=r"\['TP9'\] are not numbers"):
        muse.read(tmp_path)


def test_an_empty_file_is_refused(tmp_path):
    write(tmp_path, run_file())
    next(tmp_path.rglob("*.csv")).write_text("")
    with pytest.raises(InputError, match="cannot be read as CSV"):
        muse.read(tmp_path)


@pytest.mark.real_data
def test_the_real_runs_have_rare_targets_and_no_lost_samples(data_root):
    visual = muse.read(data_root / "muse_p300")
    assert visual.subjects == ("1", "2") and len(visual.segments) == 21
    assert visual.flashes["is_target"].sum() == 627 and len(visual.flashes) == 4051
    runs = visual.flashes.groupby(["subject", "session"])["run"].max()
    assert runs.tolist() == [6, 5, 5, 5]
    auditory = muse.read(data_root / "muse_p300", "auditory")
    assert len(auditory.segments) == 6 and len(auditory.flashes) == 1180


@pytest.mark.parametrize("header", ["", ",Marker", ", Marker", ",stim", ",Marker0", ",markers"])
@pytest.mark.parametrize("n_short", [0, 12])
def test_other_recorders_name_the_markers_otherwise_and_leave_out_the_first(
    tmp_path, header, n_short
):
    folder = tmp_path / "visual" / "P300" / "subject1" / "session1"
    folder.mkdir(parents=True)
    rows = ["timestamps,TP9,AF7,AF8,TP10" + header]
    for k in range(900):
        marker = {99: 1, 299: 2, 400: 1}.get(k, 0)
        rows.append(f"{k / 256:.4f},1,2,3,{k % 7}" + (f",{marker}" if k >= n_short else ""))
    (folder / "r.csv").write_text("\n".join(rows) + "\n")
    recording = muse.read(tmp_path)
    assert recording.flashes["is_target"].tolist() == [False, True, False]
    assert recording.flashes["onset"].to_numpy() == pytest.approx(np.array([99, 299, 400]) / 256)
    assert recording.segments[0].shape == (4, 900)


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        ("timestamp,TP9,AF7,AF8,TP10,Event", ","),
        ("Timestamps, tp9, af7, af8, tp10, label", ","),
        ("time;TP9;AF7;AF8;TP10;Marker", ";"),
        ('\ufeff"TimeStamp","RAW_TP9","RAW_AF7","RAW_AF8","RAW_TP10","stim_code"', ","),
        ("timestamps,EEG_TP9,EEG_AF7,EEG_AF8,EEG_TP10,Unnamed: 5", ","),
    ],
)
@pytest.mark.parametrize(
    "words", [("", "nontarget", "Target"), ("0", "1", "2"), ("0.0", "1.0", "2")]
)
def test_headers_and_words_of_other_recorders_are_read(tmp_path, header, delimiter, words):
    folder = tmp_path / "visual" / "P300" / "subject1" / "session1"
    folder.mkdir(parents=True)
    rows = [header]
    for k in range(900):
        marker = words[{99: 1, 299: 2, 400: 1}.get(k, 0)]
        rows.append(delimiter.join([f"{k / 256:.4f}", "1", "2", "3", str(k % 7), marker]))
    (folder / "r.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    recording = muse.read(tmp_path)
    assert recording.flashes["is_target"].tolist() == [False, True, False]
    assert recording.flashes["onset"].to_numpy() == pytest.approx(np.array([99, 299, 400]) / 256)
    assert recording.segments[0][3, :8].tolist() == [0, 1, 2, 3, 4, 5, 6, 0]


def test_a_word_that_is_no_class_is_refused_and_not_taken_for_no_marker(tmp_path):
    folder = tmp_path / "visual" / "P300" / "subject1" / "session1"
    folder.mkdir(parents=True)
    rows = [
        f"{k / 256:.4f},1,2,3,4,{'target' if k == 50 else 'damaged' * (k == 60)}"
        for k in range(99)
    ]
    (folder / "r.csv").write_text("\n".join(["timestamps,TP9,AF7,AF8,TP10,Marker", *rows]))
    with pytest.raises(InputError, match="1 of 99 markers are not 0, 1"):
        muse.read(tmp_path)


def test_two_columns_of_markers_are_refused(tmp_path):
    folder = tmp_path / "visual" / "P300" / "subject1" / "session1"
    folder.mkdir(parents=True)
    (folder / "r.csv").write_text("timestamps,TP9,AF7,AF8,TP10,Marker0,stim\n0,1,2,3,4,0,1\n")
    with pytest.raises(InputError, match="one of markers"):
        muse.read(tmp_path)
