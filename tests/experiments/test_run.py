"""From a recording to letters, by the commands a user types."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from p300.detector import Detector
from p300.errors import InputError
from p300.experiments.train import train
from p300.metrics import roc_auc
from p300.readers import bci2_iib
from p300.simulation import simulate_data_set

#: A stack with networks, though there are few targets.
WITH_NETWORKS = ["experiment=best", "model.network_targets=0"]

RUN_FILES = {"config.yaml", "checkpoint.pt", "scores.csv", "results.json", "integrity.txt"}


def read_results(folder):
    return json.loads((folder / "results.json").read_text())


def only_run(tmp_path):
    (results,) = tmp_path.rglob("results.json")
    return results.parent


def test_the_main_job_spells_the_simulated_text(p300, tmp_path):
    status, printed, errors = p300("train", "logger=csv")
    assert status == 0, errors
    run = only_run(tmp_path)
    assert RUN_FILES | {"train.log", "networks"} <= {path.name for path in run.iterdir()}
    test = read_results(run)["test"]
    assert test["wanted"] == "HELLO_P3_WAVE"
    assert test["spelling"][-1]["n_right"] >= 12  # of 13
    assert test["detection"]["auc"] > 0.85
    assert test["spelling"][-1]["text"] in printed


def test_scores_and_results_of_a_run_agree(p300, small, tmp_path):
    p300("train", *small)
    run = only_run(tmp_path)
    scores = pd.read_csv(run / "scores.csv")
    test = scores[scores["part"] == "test"]
    found = roc_auc(test["is_target"].astype(bool), test["score"])
    assert found == pytest.approx(read_results(run)["test"]["detection"]["auc"])
    assert set(scores["part"]) == {"train", "validation", "test"}


def test_training_from_python_is_the_commands_training(p300, small, tmp_path):
    given = [*small, "experiment=lda", "data.read.test_text=WAVES"]  # enough for an interval
    p300("train", *given, "hydra.run.dir=typed")
    results = train(tmp_path / "called", *given)
    assert results["test"] == read_results(tmp_path / "typed")["test"]
    assert read_results(tmp_path / "called")["choices"] == results["choices"]
    typed, called = (tmp_path / name / "scores.csv" for name in ("typed", "called"))
    assert called.read_text() == typed.read_text()
    with pytest.raises(InputError, match="holds a finished run; expected a new folder"):
        train(tmp_path / "called", *small)


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["mcnn1", "light"])
def test_a_checkpoint_scores_identically_in_a_fresh_process_by_its_path_alone(
    p300, small, tmp_path, experiment
):
    p300("train", f"experiment={experiment}", *small)
    run = only_run(tmp_path)
    code = (
        "import sys, numpy as np, torch; from p300.detector import Detector;"
        "from p300.simulation import simulate_data_set; torch.set_num_threads(1);"
        "channels = ['Oz', 'Fz', 'Cz', 'Pz', 'P3', 'P4', 'PO7', 'PO8'];"
        "recording = simulate_data_set('AB', 'P3', ch_names=channels, n_repetitions=1);"
        "np.save(sys.argv[2], Detector.load(sys.argv[1]).score(recording))"
    )
    out = tmp_path / "scores.npy"
    subprocess.run([sys.executable, "-c", code, run / "checkpoint.pt", out], check=True)
    channels = ["Oz", "Fz", "Cz", "Pz", "P3", "P4", "PO7", "PO8"]
    recording = simulate_data_set("AB", "P3", ch_names=channels, n_repetitions=1)
    torch.set_num_threads(1)  # more would round otherwise
    here = Detector.load(run).score(recording)
    assert np.array_equal(np.load(out), here)


@pytest.mark.parametrize(
    "options",
    [
        ["experiment=cnn1"],
        ["experiment=lda"],
        ["experiment=light"],
        ["experiment=lda", "alignment=euclidean"],
    ],
    ids=" ".join,
)
def test_evaluating_a_run_repeats_its_test_result(p300, small, tmp_path, options):
    p300("train", *options, *small)
    run = only_run(tmp_path)
    status, printed, errors = p300("evaluate", f"run={run}")
    assert status == 0, errors
    (again,) = (tmp_path / "runs" / "evaluate").rglob("results.json")
    again = json.loads(again.read_text())
    before = read_results(run)["test"]
    assert again["detection"] == before["detection"]
    assert again["spelling"] == before["spelling"]


def test_a_detector_reads_another_recording(p300, small, tmp_path):
    p300("train", "experiment=lda", *small)
    run = only_run(tmp_path)
    overrides = [o.replace("train_text=ABCDEFGHIJ", "train_text=XY") for o in small]
    overrides = [o for o in overrides if o.startswith("data")]
    status, printed, errors = p300("evaluate", f"run={run}", "data=simulation", *overrides)
    assert status == 0, errors
    assert "wanted: XYP3" in printed


@pytest.mark.slow
def test_two_jobs_of_a_sweep_are_two_runs_of_their_own_and_two_wandb_runs(p300, small, tmp_path):
    small.remove("logger=csv")
    status, _, errors = p300("train", "-m", "experiment=cnn3,lda", *small)
    assert status == 0, errors
    runs = sorted(path.parent for path in tmp_path.rglob("results.json"))
    assert len(runs) == 2
    ids = [re.findall(r"run-(\w+)\.wandb$", str(p))[0] for p in tmp_path.rglob("*.wandb")]
    assert len(set(ids)) == 2
    assert all(len(list(run.rglob("*.wandb"))) == 1 for run in runs)
    assert [
        yaml.safe_load((r / "config.yaml").read_text())["choices"]["experiment"] for r in runs
    ] == [
        "cnn3",
        "lda",
    ]
    status, printed, _ = p300("compare", str(tmp_path))
    assert status == 0
    assert "| cnn3 |" in printed and "| lda |" in printed


def test_the_same_seed_gives_the_same_scores_and_another_seed_others(p300, small, tmp_path):
    for seed in (0, 0, 1):
        p300("train", f"seed={seed}", *small)
    tables = [pd.read_csv(p)["score"] for p in sorted(tmp_path.rglob("scores.csv"))]
    assert tables[0].equals(tables[1]) and not tables[0].equals(tables[2])


@pytest.mark.parametrize("experiment", ["cnn1", "lda"])
def test_epochs_kept_on_disk_give_the_same_result(p300, small, tmp_path, experiment):
    kept = tmp_path / "epochs"
    results = []
    for options in ([], [f"cache.folder={kept}"], [f"cache.folder={kept}"]):
        run = tmp_path / f"run{len(results)}"
        arguments = [f"experiment={experiment}", f"hydra.run.dir={run}", *options]
        status, _, errors = p300("train", *small, *arguments)
        assert status == 0, errors
        results.append(read_results(run)["test"]["detection"]["auc"])
        (entry,) = kept.glob("*.npy") if options else [None]
    assert results[0] == results[1] == results[2]


def test_training_to_select_electrodes_is_not_counted_as_preprocessing(
    p300, small, tmp_path, monkeypatch
):
    import time

    from p300.experiments import prepare

    def slow(*arguments):
        time.sleep(1.0)
        return ["Pz", "Cz"]

    monkeypatch.setattr(prepare, "select_electrodes", slow)
    status, _, errors = p300("train", "experiment=cnn2b", *small)
    assert status == 0, errors
    results = json.loads((only_run(tmp_path) / "results.json").read_text())
    assert results["ch_names"] == ["Pz", "Cz"]
    assert 1.0 <= results["select_electrodes_s"] < 1.5 and results["preprocess_s"] < 1.0


def test_cnn2b_keeps_the_electrodes_of_highest_power(p300, small, tmp_path):
    status, printed, errors = p300("train", "experiment=cnn2b", "select_electrodes.n=3", *small)
    assert status == 0, errors
    kept = read_results(only_run(tmp_path))["ch_names"]
    assert len(kept) == 3 and f"electrodes of highest power: {' '.join(kept)}" in printed


@pytest.mark.parametrize("experiment", ["cnn1", "lda"])
@pytest.mark.parametrize("calibration", ["platt", "temperature"])
def test_calibrated_scores_travel_in_the_checkpoint(
    p300, small, tmp_path, experiment, calibration
):
    overrides = [f"experiment={experiment}", f"calibration={calibration}"]
    status, _, errors = p300("train", *overrides, *small)
    assert status == 0, errors
    run = only_run(tmp_path)
    slope, offset = Detector.load(run).calibration
    assert slope >= 0 and (offset == 0) == (calibration == "temperature")
    p300("evaluate", f"run={run}")
    (again,) = (tmp_path / "runs" / "evaluate").rglob("scores.csv")
    scores = pd.read_csv(run / "scores.csv")
    wanted = scores.loc[scores["part"] == "test", "score"].to_numpy()
    assert np.allclose(pd.read_csv(again)["score"], wanted, atol=1e-6)


def test_training_goes_on_from_an_earlier_run(p300, small, tmp_path):
    p300("train", *small)
    run = only_run(tmp_path)
    still = ["protocol.optimizer.lr=0", f"pretrained={run}", "hydra.run.dir=fine_tuned"]
    status, _, errors = p300("train", *small, *still)
    assert status == 0, errors
    first, second = (pd.read_csv(f / "scores.csv")["score"] for f in (run, Path("fine_tuned")))
    assert np.allclose(first, second, atol=1e-6)
    status, _, errors = p300("train", *small, f"pretrained={run}", "model=lstm")
    assert status == 1 and "got a CecottiCNN on 8 channels" in errors
    assert "expected a RecurrentNet" in errors


@pytest.mark.slow
def test_an_ensemble_of_stacks_averages_them(p300, small, tmp_path):
    status, _, errors = p300("train", *WITH_NETWORKS, "ensemble=mcnn3", *small)
    assert status == 0, errors
    members = Detector.load(only_run(tmp_path)).members
    assert [m.is_network for m in members] == 3 * (4 * [False] + 5 * [True])
    weights = np.array([m.weight for m in members])
    records = read_results(only_run(tmp_path))["members"]
    assert [r["weight"] for r in records] == weights.tolist() and (weights >= 0).all()


@pytest.mark.slow
def test_a_stack_goes_on_from_the_networks_of_an_earlier_stack(p300, small, tmp_path):
    p300("train", *WITH_NETWORKS, *small, "hydra.run.dir=first")
    still = ["protocol.optimizer.lr=0", "pretrained=first", "hydra.run.dir=second"]
    status, _, errors = p300("train", *WITH_NETWORKS, *small, *still)
    assert status == 0, errors
    first, second = (
        [m for m in Detector.load(folder).members if m.is_network]
        for folder in ("first", "second")
    )
    for one, other in zip(first, second, strict=True):
        for name, weight in one.get_state().items():
            assert weight.equal(other.get_state()[name])


@pytest.mark.parametrize("n_characters", [1, 2, 3])
def test_a_stack_learns_from_few_characters(p300, small, n_characters):
    few = ["split=learning_curve", f"split.n_characters={n_characters}"]
    status, printed, errors = p300("train", *WITH_NETWORKS, *few, *small)
    assert status == 0, errors


def test_a_network_of_braindecode_trains_and_comes_back(p300, small, tmp_path):
    try:
        import braindecode.models  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"braindecode cannot be imported: {error}")
    status, _, errors = p300("train", "model=braindecode", *small)
    assert status == 0, errors
    status, _, errors = p300("evaluate", f"run={only_run(tmp_path)}")
    assert status == 0, errors


def test_an_oddball_without_a_screen_gives_auc_and_no_text(p300, tmp_path):
    overrides = ["data.read._target_=p300.simulation.simulate_recording", "split=by_run"]
    gone = ["train_text", "test_text", "subjects", "subject_spread"]
    overrides += [f"~data.read.{key}" for key in gone]
    overrides += [
        "data.read.ch_names=[Cz,Pz,Oz]",
        "+data.read.text=null",
        "+data.read.speller=null",
    ]
    overrides += ["+data.read.n_runs=4", "experiment=lda", "logger=csv"]
    status, printed, errors = p300("train", *overrides)
    assert status == 0, errors
    results = read_results(only_run(tmp_path))["test"]
    assert results["detection"]["auc"] > 0.6 and "spelling" not in results


BAD_INPUT = {
    "model": (["model._target_=p300.models.Nope"], "'p300.models.Nope' cannot be imported"),
    "an unknown experiment": (["experiment=cnn9"], "experiment/cnn9"),
    "an unknown key": (["model.n_layers=3"], "n_layers"),
    "a folder that is not there": (["data=bci2_iib", "data.root=nowhere"], "nowhere"),
    "choosing by test results": (["protocol.monitor=test/auc"], "test result"),
    "an unknown channel": (["preprocessing.channels=[Cz,Nz9]"], "Nz9"),
    "a band above the rate": (["preprocessing.h_freq=130"], "130"),
    "epochs past the end": (["preprocessing.tmax=60"], "More than 50% do"),
    "a split of what is not there": (["data.test.session=[13]"], "is not in the recording"),
    "too many electrodes": (
        ["select_electrodes.n=9"],
        "got select_electrodes.n=9; expected 1 to 8",
    ),
    "the paper's rates elsewhere": (["model=lstm", "protocol=paper"], "protocol=modern"),
    "no P300 network to rank by": (["model=lstm", "select_electrodes.n=2"], "electrode_power"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_ends_in_one_sentence_and_no_finished_run(p300, small, tmp_path, case):
    overrides, words = BAD_INPUT[case]
    small = [o for o in small if overrides[0] != "data=bci2_iib" or not o.startswith("data")]
    status, _, errors = p300("train", *small, *overrides)
    assert status == 1
    assert words in errors
    assert "Traceback" not in errors
    assert not list(tmp_path.rglob("results.json"))
    assert not list(tmp_path.rglob("checkpoint.pt"))


def test_a_checkpoint_for_other_channels_is_refused(p300, small, tmp_path):
    p300("train", "experiment=lda", *small)
    run = only_run(tmp_path)
    status, _, errors = p300(
        "evaluate", f"run={run}", "data=simulation", "data.read.ch_names=[Fz,Cz,Pz]"
    )
    assert status == 1 and "PO7" in errors and "Traceback" not in errors


def test_an_unfinished_run_is_not_evaluated(p300, small, tmp_path):
    p300("train", "experiment=lda", *small)
    run = only_run(tmp_path)
    (run / "results.json").unlink()
    status, _, errors = p300("evaluate", f"run={run}")
    assert status == 1 and "not a finished run" in errors
    status, _, errors = p300("compare", str(tmp_path))
    assert status == 1 and "no finished run" in errors


@pytest.mark.real_data
def test_lda_reads_hampie_from_real_eeg(p300, tmp_path, data_root):
    status, printed, errors = p300("train", "data=bci2_iib", "experiment=lda", "logger=csv")
    assert status == 0, errors
    test = read_results(only_run(tmp_path))["test"]
    assert test["spelling"][-1]["text"] == test["wanted"] == "HAMPIE"
    assert test["detection"]["auc"] == pytest.approx(0.93, abs=0.01)


@pytest.mark.slow
@pytest.mark.real_data
def test_three_cnn1_detect_the_p300_in_real_eeg(p300, tmp_path, data_root):
    status, _, errors = p300("train", "data=bci2_iib", "experiment=mcnn3", "logger=csv")
    assert status == 0, errors
    test = read_results(only_run(tmp_path))["test"]
    assert test["detection"]["auc"] > 0.88
    assert test["spelling"][-1]["n_right"] >= 5


@pytest.mark.real_data
@pytest.mark.parametrize("overrides", [["data=bnci", "subject=9"], ["data=muse"]])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_other_real_recordings_run_end_to_end(p300, tmp_path, data_root, overrides):
    status, _, errors = p300("train", *overrides, "experiment=lda", "logger=csv")
    assert status == 0, errors
    assert read_results(only_run(tmp_path))["test"]["detection"]["auc"] > 0.65


@pytest.mark.real_data
def test_permuted_labels_of_real_eeg_score_at_chance(data_root):
    from p300.baselines import ShrinkageLDA
    from p300.preprocessing import Preprocessor

    recording = bci2_iib.read(Path(data_root) / "bci2_iib")
    epochs = Preprocessor(scaling="center").fit(recording).transform(recording)
    is_target = recording.flashes["is_target"].to_numpy(bool)
    is_test = recording.flashes["session"].eq("12").to_numpy()
    shuffled = np.random.default_rng(0).permutation(is_target)
    detector = ShrinkageLDA().fit(epochs[~is_test], shuffled[~is_test])
    auc = roc_auc(is_target[is_test], detector.decision_function(epochs[is_test]))
    assert abs(auc - 0.5) < 0.08
