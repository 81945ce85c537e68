"""Whatever kills a process: nothing finished is lost, nothing half written is taken for whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from p300.experiments.configuration import compose_training, shipped_configuration
from p300.experiments.folder import begin_folder
from p300.experiments.prepare import Shared
from p300.experiments.run import Request
from p300.experiments.train import train_several
from p300.storage.files import atomic_write

CAMPAIGN = Path(__file__).parents[1] / "benchmarks" / "kill_campaign.py"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the campaign needs fork")
def test_whatever_is_killed_goes_on_to_the_undisturbed_result(tmp_path):
    done = subprocess.run(
        [sys.executable, CAMPAIGN, "--kills", "8", "--seed", "0"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.splitlines()[-1].split()[0]) >= 6, done.stdout
    assert not list(tmp_path.glob("kill-*")), "the campaign keeps folders where something was lost"


def test_a_file_keeps_its_old_content_until_the_new_is_whole(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as file:
        file.write("half of the new")
        file.flush()
        assert path.read_text() == "old"
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["scores.csv"] and path.read_text() == "old"
    with atomic_write(path) as file:
        file.write("new\n")
    assert path.read_bytes() == b"new\n"


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    happened, sync, replace = [], os.fsync, os.replace

    def noted_sync(handle):
        happened.append(
            "sync of the folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "sync"
        )
        sync(handle)

    def noted_replace(source, target):
        assert Path(source).read_text() == "EEG"
        happened.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)
    with atomic_write(tmp_path / "text") as file:
        file.write("EEG")
    assert happened[:2] == ["sync", "name"]


#: Files of a run folder that are written on and on, and that nobody takes for whole: the log, the
#: curves (made anew by a training that goes on), and what Hydra writes for its own records.
GROWING = ("train.log", "benchmark.log", "evaluate.log", "metrics.csv", "multirun.yaml")
#: Lightning's own, which no command reads once results.json is there.
GROWING += ("best.ckpt",)


@pytest.fixture
def named(monkeypatch):
    """What was given its name by a rename, whole."""
    names, replace = set(), os.replace

    def noted(source, target):
        replace(source, target)
        names.add(Path(target).resolve())

    monkeypatch.setattr(os, "replace", noted)
    return names


def grown(folder, named):
    """Name the files that were there before they were whole."""
    files = [p for p in folder.resolve().rglob("*") if p.is_file() and ".hydra" not in p.parts]
    return sorted(
        str(p.relative_to(folder)) for p in files if p not in named and p.name not in GROWING
    )


@pytest.mark.slow
def test_every_file_of_a_run_gets_its_name_when_it_is_whole(p300, small, tmp_path, named):
    for arguments in (
        ["train", "experiment=cnn3", "hydra.run.dir=run", *small],
        ["train", "-m", "experiment=lda", "seed=0", "hydra.sweep.dir=sweep", *small],
        ["evaluate", "run=run", "hydra.run.dir=again"],
        ["report", "run"],
    ):
        status, _, errors = p300(*arguments)
        assert status == 0, errors
    assert {"checkpoint.pt", "scores.csv", "results.json", "held_out.csv", "report.html"} <= {
        p.name for p in (tmp_path / "run").iterdir()
    }
    assert grown(tmp_path, named) == []


@pytest.mark.slow
def test_every_file_of_a_benchmark_gets_its_name_when_it_is_whole(p300, small, tmp_path, named):
    overrides = ",".join(f"'{override}'" for override in small)
    chosen = ["experiments=[lda]", "reference=lda", "seeds=[0]", "only=[own]"]
    status, _, errors = p300("benchmark", *chosen, f"overrides=[{overrides}]")
    assert status == 0, errors
    folder = tmp_path / "runs" / "benchmark"
    assert {"cells.csv", "summary.csv", "summary.md", "auc.png", "accuracy.png"} <= {
        p.name for p in folder.iterdir()
    }
    assert grown(tmp_path, named) == []


def test_simulated_competition_files_are_whole_or_not_there(tmp_path, monkeypatch):
    import scipy.io

    from p300.simulation import write_bci3_ii

    def half(file, content):
        file.write(b"MATLAB")
        raise KeyboardInterrupt

    monkeypatch.setattr(scipy.io, "savemat", half)
    with pytest.raises(KeyboardInterrupt):
        write_bci3_ii(tmp_path, "A", n_train=1, n_test=1, n_repetitions=1)
    assert list(tmp_path.iterdir()) == []


class Killed(BaseException):
    pass


@pytest.mark.slow
def test_a_run_that_is_killed_after_its_training_keeps_the_curves(
    p300, small, tmp_path, monkeypatch
):
    command = ["train", "experiment=cnn3", *small, "protocol.max_epochs=3", "hydra.run.dir=run"]

    def killed(self, path):
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr("p300.detector.Detector.save", killed)
        p300(*command)
    assert not (tmp_path / "run" / "results.json").exists()
    curves = tmp_path / "run" / "networks" / "1" / "metrics.csv"
    before = curves.read_text()
    status, _, errors = p300(*command)
    assert status == 0, errors
    assert curves.read_text() == before and len(pd.read_csv(curves)) == 3
    assert not list((tmp_path / "run").rglob("*.partial"))


@pytest.mark.slow
def test_what_a_killed_process_had_begun_to_write_is_cleared_away(p300, small, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    left = run / "checkpoint.pt.4711-0a0b0c0d.partial"
    left.write_bytes(b"half")
    status, _, errors = p300("train", "experiment=lda", *small, "hydra.run.dir=run")
    assert status == 0, errors
    assert not left.exists()


@pytest.mark.slow
def test_a_network_that_was_trained_beside_others_is_stored_alone(p300, small, tmp_path):
    options = ["experiment=cnn3", *small]
    assert p300("train", *options, "hydra.run.dir=alone")[0] == 0
    assert p300("train", "-m", *options, "seed=0,1,2", "hydra.sweep.dir=sweep")[0] == 0

    def stored(run):
        (member,) = torch.load(tmp_path / run / "checkpoint.pt", weights_only=True)["members"]
        return {name: part.untyped_storage().size() for name, part in member["state"].items()}

    assert stored("sweep/0") == stored("alone") == stored("sweep/2")


def test_results_are_written_after_all_that_they_stand_for(p300, small, tmp_path, monkeypatch):
    order, replace = [], os.replace

    def noted(source, target):
        replace(source, target)
        order.append(Path(target).name)

    monkeypatch.setattr(os, "replace", noted)
    assert p300("train", "experiment=cnn3", *small, "hydra.run.dir=run")[0] == 0
    assert order[-1] == "results.json"
    assert {"config.yaml", "checkpoint.pt", "scores.csv", "held_out.csv"} < set(order)
    assert "test" in json.loads((tmp_path / "run" / "results.json").read_text())


@pytest.mark.slow
def test_a_benchmark_killed_while_it_cleared_a_cell_goes_on(p300, small, tmp_path, monkeypatch):
    overrides = ",".join(f"'{override}'" for override in small)
    chosen = ["experiments=[lda]", "reference=lda", "seeds=[0]", "only=[own]"]
    cell = tmp_path / "runs" / "benchmark" / "own" / "lda" / "seed-0"
    begin_folder(cell, {"seed": 1})
    (cell / "error.txt").write_text("killed")

    def half(folder, **_):
        (folder / "error.txt").unlink()
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr("p300.experiments.folder.clear", half)
        p300("benchmark", *chosen, f"overrides=[{overrides}]")
    status, _, errors = p300("benchmark", *chosen, f"overrides=[{overrides}]")
    assert status == 0, errors
    assert [p.name for p in cell.parent.iterdir()] == ["seed-0"]
    assert (cell / "results.json").exists()


@pytest.mark.parametrize(
    "killing",
    [
        "p300.experiments.train.conclude",  # its results are saved
        "p300.training.callbacks.resuming.SavedTraining.write_results",  # its last epoch is
    ],
)
def test_runs_trained_side_by_side_and_killed_after_it_keep_their_curves(
    small, tmp_path, monkeypatch, killing
):
    """The training is saved in the folder of the first; those of the others are made anew."""
    cells = ["experiment=cnn3", *small, "protocol.max_epochs=3", "save_every_s=0"]
    cells.append("trainer.limit_train_batches=null")  # limited, they are trained one by one

    def requests():
        with shipped_configuration():
            composed = [compose_training([*cells, f"seed={seed}"]) for seed in (0, 1)]
        return [
            Request(cfg, tmp_path / str(seed), choices)
            for seed, (cfg, choices) in enumerate(composed)
        ]

    def killed(*args):
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(killing, killed)
        train_several(requests(), Shared())
    curves = [tmp_path / str(seed) / "networks" / "1" / "metrics.csv" for seed in (0, 1)]
    before = [path.read_text() for path in curves]
    found = train_several(requests(), Shared())
    assert all(isinstance(results, dict) for results in found)
    assert [path.read_text() for path in curves] == before
    assert all(len(pd.read_csv(path)) == 3 for path in curves)
