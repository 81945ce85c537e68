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
