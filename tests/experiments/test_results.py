import json
import math

import numpy as np
import pytest
from rich.console import Console

from p300.experiments.results import results_table, summarize, write_json
from p300.simulation import simulate_data_set, simulate_recording


def shown(summary):
    console = Console(width=100, record=True, file=open("/dev/null", "w"))
    console.print(results_table(summary, "a recording"))
    console.file.close()
    return console.export_text()


def test_a_perfect_detector_has_auc_1_and_the_whole_text():
    recording = simulate_recording("EEG", n_repetitions=2)
    truth = recording.flashes["is_target"].to_numpy(float) - 0.5
    summary = summarize(truth, recording.flashes, recording.speller)
    assert summary["detection"]["auc"] == 1 and summary["wanted"] == "EEG"
    assert [row["n_right"] for row in summary["spelling"]] == [3, 3]
    assert "EEG" in shown(summary) and "3/3" in shown(summary)


def test_the_measures_of_several_subjects_are_averaged_over_people_not_flashes():
    recording = simulate_data_set(
        "AB", "C", subjects=2, ch_names=["Pz"], n_runs=1, n_repetitions=1
    )
    truth = recording.flashes["is_target"].to_numpy(bool)
    good = recording.flashes["subject"].eq("1").to_numpy()
    scores = np.where(good, truth - 0.5, 0.5 - truth)
    summary = summarize(scores, recording.flashes, recording.speller)
    assert summary["by_subject"]["1"]["auc"] == 1 and summary["by_subject"]["2"]["auc"] == 0
    assert summary["detection"]["auc"] == 0.5


def test_unlabelled_flashes_give_text_alone():
    recording = simulate_recording("EEG", n_repetitions=2)
    flashes = recording.flashes.assign(is_target=None).astype({"is_target": "boolean"})
    summary = summarize(np.zeros(len(flashes)), flashes, recording.speller)
    assert "detection" not in summary and summary["wanted"] == "???"
    assert "without labels" in shown(summary)


def test_an_oddball_has_no_text():
    recording = simulate_recording(None, speller=None)
    summary = summarize(np.zeros(200), recording.flashes, None)
    assert "spelling" not in summary and summary["detection"]["auc"] == 0.5


def test_numbers_that_are_not_finite_are_null_in_json(tmp_path):
    write_json(tmp_path / "r.json", {"a": [math.nan, np.float32(1.5)], 2: math.inf})
    assert json.loads((tmp_path / "r.json").read_text()) == {"a": [None, 1.5], "2": None}
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_what_cannot_be_written_as_json_leaves_no_file(tmp_path):
    with pytest.raises(TypeError):
        write_json(tmp_path / "r.json", {"a": object()})
    assert not (tmp_path / "r.json").exists()
