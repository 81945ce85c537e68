"""Recordings written as BIDS and FIF, and read back."""

import dataclasses
import json

import mne_bids
import numpy as np
import pandas as pd
import pytest

from p300.errors import InputError
from p300.preprocessing import recording_from_arrays
from p300.readers import bids, file
from p300.readers.write import write_bids, write_fif
from p300.recording import concatenate_recordings
from p300.simulation import simulate_data_set, simulate_recording
from p300.speller import Speller

WHERE = ["subject", "session", "run", "onset"]


def in_order(recording):
    """Return the flash table by place, and the segment of each run."""
    flashes = recording.flashes.sort_values(WHERE).reset_index(drop=True)
    parts = {
        key: recording.segments[segment]
        for key, segment in flashes.groupby(WHERE[:3])["segment"].first().items()
    }
    return flashes, parts


def assert_equal(found, expected):
    (flashes, parts), (wanted, signals) = in_order(found), in_order(expected)
    columns = [c for c in wanted if c not in ("segment", "onset")]
    pd.testing.assert_frame_equal(flashes[columns], wanted[columns], check_dtype=False)
    np.testing.assert_allclose(flashes["onset"], wanted["onset"], atol=1e-6)
    assert parts.keys() == signals.keys()
    for key, signal in signals.items():
        np.testing.assert_allclose(parts[key], signal, rtol=1e-5, atol=1e-4)
    assert (found.ch_names, found.sfreq, found.unit) == (
        expected.ch_names,
        expected.sfreq,
        expected.unit,
    )
    assert found.speller == expected.speller and found.bad_channels == expected.bad_channels


@pytest.fixture
def spelled():
    names = ["Fz", "FC1", "FC2", "C3", "Cz", "C4", "Pz", "Oz"]
    recording = simulate_data_set("AB", "C", n_repetitions=2, subjects=2, ch_names=names)
    return dataclasses.replace(recording, bad_channels=["Cz"])


@pytest.mark.parametrize("kind", ["bids", "fif"])
def test_a_speller_with_its_screen_reads_back_equal(spelled, kind, tmp_path):
    if kind == "bids":
        assert len(write_bids(spelled, tmp_path / "ds", line_freq=50)) == 6
        found = bids.read(tmp_path / "ds")
    else:
        write_fif(spelled, tmp_path / "a-raw.fif")
        pattern = "a_{subject}_{session}_{run}-raw"
        found = file.read(tmp_path / "a_*-raw.fif", pattern=pattern)
    assert_equal(found, spelled)


def test_another_screen_than_a_file_states_is_refused(spelled, tmp_path):
    one = spelled.select(
        spelled.flashes["session"].eq("test") & spelled.flashes["subject"].eq("1")
    )
    write_fif(one, tmp_path / "a-raw.fif")
    with pytest.raises(InputError, match="got the screen 'matrix', .* leave out speller"):
        file.read(tmp_path / "a-raw.fif", speller=["ABCDEF", "GHIJKL"])
    assert file.read(tmp_path / "a-raw.fif", speller="wadsworth").speller == one.speller


@pytest.mark.parametrize("kind", ["bids", "fif"])
def test_an_oddball_without_labels_reads_back_equal(kind, tmp_path):
    oddball = simulate_recording(speller=None, n_flashes=20, ch_names=["Pz", "Oz"])
    unknown = oddball.flashes.assign(is_target=pd.NA).astype({"is_target": "boolean"})
    recording = dataclasses.replace(oddball, flashes=unknown)
    if kind == "bids":
        write_bids(recording, tmp_path)
        found = bids.read(tmp_path)
    else:
        write_fif(recording, tmp_path / "a-raw.fif")
        found = file.read(tmp_path / "a-raw.fif")
    assert_equal(found, recording)


def test_changing_groups_travel_with_the_symbols_that_were_lit(tmp_path):
    screen = Speller.changing("ABCDEFGHI", n_per_repetition=6)
    recording = simulate_recording("CAB", speller=screen, n_repetitions=2, ch_names=["Pz"])
    write_bids(recording, tmp_path)
    found = bids.read(tmp_path)
    assert_equal(found, recording)
    assert found.flashes["lit"].tolist() == recording.flashes["lit"].tolist()


def test_segments_of_one_run_are_cut_again(tmp_path):
    one, two = (simulate_recording("A", n_repetitions=1, ch_names=["Pz"], seed=k) for k in (0, 1))
    second = two.flashes.assign(character=2)
    whole = concatenate_recordings([one, dataclasses.replace(two, flashes=second)])
    write_bids(whole, tmp_path)
    found = bids.read(tmp_path)
    assert len(found.segments) == 2
    assert found.flashes["segment"].tolist() == whole.flashes["segment"].tolist()
    np.testing.assert_allclose(found.flashes["onset"], whole.flashes["onset"], atol=1e-6)


def test_events_hold_the_wanted_symbol_and_the_screen(spelled, tmp_path):
    write_bids(spelled, tmp_path)
    name = "sub-1/ses-test/eeg/sub-1_ses-test_task-p300_run-1_events"
    events = pd.read_csv(tmp_path / f"{name}.tsv", sep="\t")
    assert set(events["symbol"]) == {"C"} and set(events["code"]) == set(range(1, 13))
    assert events["trial_type"].iloc[0].split("/")[0] in ("target", "nontarget")
    about = json.loads((tmp_path / f"{name}.json").read_text("utf-8"))
    assert about["code"]["Levels"]["1"] == "A G M S Y 5"
    assert "to be spelled" in about["symbol"]["Description"]


def foreign(tmp_path, **columns):
    """Change the columns of the events of a data set as another laboratory would write them."""
    recording = simulate_recording("AB", n_repetitions=1, n_runs=1, ch_names=["Pz"])
    (header,) = write_bids(recording, tmp_path)
    path = header.with_name(header.name.replace("_eeg.vhdr", "_events.tsv"))
    events = pd.read_csv(path, sep="\t")
    code = recording.flashes["code"].to_numpy(int)
    is_target = recording.flashes["is_target"].to_numpy(bool)
    for name, make in columns.items():
        events[name] = make(code, is_target)
    events.drop(columns=["character", "repetition"]).to_csv(path, sep="\t", index=False)
    header.with_name(path.name.replace(".tsv", ".json")).write_text("{}")
    return recording


def test_labels_and_codes_are_read_from_columns_of_other_names(tmp_path):
    recording = foreign(
        tmp_path,
        trial_type=lambda code, is_target: "stimulus",
        group=lambda code, is_target: code,
        attended=lambda code, is_target: np.where(is_target, "yes", "no"),
    )
    columns = {"code": "group", "is_target": "attended", "label": None}
    found = bids.read(tmp_path, columns=columns, speller=recording.speller, characters=2)
    for name in ("code", "is_target", "character", "repetition"):
        assert found.flashes[name].tolist() == recording.flashes[name].tolist()


def test_labels_may_stand_in_another_column(tmp_path):
    recording = foreign(tmp_path, what=lambda code, is_target: np.where(is_target, 21, 22))
    targets = {21: True, 22: False}
    found = bids.read(tmp_path, columns={"label": "what"}, targets=targets)
    assert found.flashes["is_target"].tolist() == recording.flashes["is_target"].tolist()
    assert any("column 'what' of events.tsv" in note for note in found.notes)


@pytest.mark.parametrize(
    "how, words",
    [
        (
            {"columns": {"code": "nowhere"}},
            r"_events.tsv: got columns \['nowhere'\], which it does not have",
        ),
        ({"columns": {"color": "code"}}, r"got columns \['color'\]; expected some of"),
        ({"subject": "7"}, "got no EEG of subject 7; expected some of subjects: 1, 2; sess"),
        ({"task": "rest"}, "expected some of .*tasks: p300"),
    ],
)
def test_what_is_not_in_the_data_set_is_refused_with_what_is(spelled, how, words, tmp_path):
    write_bids(spelled, tmp_path)
    with pytest.raises(InputError, match=words):
        bids.read(tmp_path, **how)


def test_files_are_never_overwritten_and_names_never_mixed(spelled, tmp_path):
    write_bids(spelled, tmp_path)
    with pytest.raises(InputError, match="exists; expected a folder without this run"):
        write_bids(spelled, tmp_path)
    write_fif(spelled, tmp_path / "a-raw.fif")
    with pytest.raises(InputError, match="exists; expected new files"):
        write_fif(spelled, tmp_path / "a-raw.fif")
    names = spelled.flashes.assign(
        subject=spelled.flashes["subject"].map({"1": "S 1", "2": "S-1"})
    )
    with pytest.raises(InputError, match="got 'S-1', which BIDS writes as 'S1', the name of"):
        write_bids(dataclasses.replace(spelled, flashes=names), tmp_path / "other")


def test_amplifier_steps_and_a_folder_of_other_files_are_refused(spelled, tmp_path):
    with pytest.raises(InputError, match="volts"):
        write_bids(dataclasses.replace(spelled, unit="AD"), tmp_path)
    with pytest.raises(InputError, match="no dataset_description.json in it; expected the root"):
        bids.read(tmp_path / "nothing")


def test_the_commands_convert_and_train(p300, small, tmp_path):
    simulated = [o for o in small if o.startswith("data.read.")]
    assert p300("convert", "data=simulation", *simulated, "out=ds")[0] == 0
    status, printed, errors = p300("check", "data=bids", "data.root=ds")
    assert status == 0, errors
    assert "to train on it: p300 train data=bids data.root=ds" in printed
    given = [o for o in small if not o.startswith("data.")]
    status, printed, errors = p300("train", "data=bids", "data.root=ds", "experiment=lda", *given)
    assert status == 0, errors
    assert mne_bids.get_entity_vals(tmp_path / "ds", "task") == ["p300"]


def test_a_foreign_data_set_without_trial_type_is_read_by_its_values(tmp_path):
    recording = foreign(tmp_path, value=lambda code, is_target: np.where(is_target, 11, 12))
    (path,) = tmp_path.rglob("*_events.tsv")
    events = pd.read_csv(path, sep="\t")
    for columns in ({"label": "value"}, {}):
        found = bids.read(tmp_path, columns=columns, targets={11: True, 12: False})
        assert found.flashes["is_target"].tolist() == recording.flashes["is_target"].tolist()
        assert any("column 'value' of events.tsv" in note for note in found.notes)
        events.drop(columns="trial_type").to_csv(path, sep="\t", index=False)


def test_changing_groups_without_codes_read_back(tmp_path):
    screen = Speller.changing("ABCD", n_per_repetition=4)
    flashes = dict(onsets=[1.0, 1.2, 1.4, 1.6], lit=["A B", "A C", "C D", "B D"], character=1)
    recording = recording_from_arrays(
        np.zeros((1, 750)), sfreq=250, ch_names=["Pz"], speller=screen, repetition=0, **flashes
    )
    write_bids(recording, tmp_path / "ds")
    write_fif(recording, tmp_path / "a-raw.fif")
    for found in (bids.read(tmp_path / "ds"), file.read(tmp_path / "a-raw.fif")):
        assert found.flashes["lit"].tolist() == flashes["lit"]
