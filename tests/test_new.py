"""`p300 new`: the project is complete in itself, and each command finds the parts in it."""

import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from p300.commands.new import NAME, TEMPLATE
from p300.experiments.configuration import conf_dir, groups_of, known_files
from p300.experiments.identity import code_digest

CHOICES = ["data=lab", "split=lab", "experiment=lab"]


@pytest.fixture
def project(p300, tmp_path, monkeypatch):
    """A new project in the working folder; paths and modules are as before afterwards."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", sys.path[:])
    for name in ("P300_CONF", "PYTHONPATH"):
        monkeypatch.setenv(name, "")
    status, printed, errors = p300("new", ".", "name=lab")
    assert status == 0, errors
    assert "p300 benchmark --config-dir . tasks=lab" in printed
    yield tmp_path
    for module in set(sys.modules) - before:
        if module.startswith("lab_"):
            del sys.modules[module]


def test_the_name_replaces_that_of_the_template_everywhere(project):
    files = [path for path in project.rglob("*") if path.is_file()]
    assert len(files) == len(
        [p for p in TEMPLATE.rglob("*") if p.is_file() and p.suffix != ".pyc"]
    )
    for path in files:
        assert not NAME.search(path.name) and not NAME.search(path.read_text("utf-8"))
    assert "_target_: lab_reader.read" in (project / "data" / "lab.yaml").read_text("utf-8")


def test_no_file_is_overwritten(p300, project):
    (project / "lab_reader.py").write_text("mine already")
    files = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    status, _, errors = p300("new", ".", "name=lab")
    assert status == 1 and "lab_reader.py" in errors and "nothing is overwritten" in errors
    assert files == {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["a", "name=Lab 1"], "expected small letters"),
        (["a", "name=bnci"], "p300 has data/bnci.yaml"),
        ([], "expected `p300 new FOLDER"),
        (["a", "b"], "expected `p300 new FOLDER"),
        (["a", "--force"], "expected `p300 new FOLDER"),
    ],
)
def test_what_cannot_be_a_project_is_refused_and_nothing_is_written(
    p300, tmp_path, typed, message
):
    status, _, errors = p300("new", *typed)
    assert status == 1 and message in errors and not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["train", "audit"])
def test_every_choice_of_the_project_is_composed(p300, project, command):
    typed = [*CHOICES, "model=lab", "callbacks=lab", "--config-dir", ".", "--cfg", "job"]
    status, printed, errors = p300(command, *typed)
    assert status == 0, errors
    for name in ("reader.read", "network.Network", "split.split", "callback.WeightNorm"):
        assert f"_target_: lab_{name}" in printed


def test_a_task_of_ones_own_brings_its_detectors_along(p300, project):
    status, printed, errors = p300("benchmark", "tasks=lab", "--config-dir=.", "--cfg", "job")
    assert status == 0, errors
    assert "- lab\n- lda\n" in printed and "data=lab split=lab subject=1,2" in printed


@pytest.mark.parametrize("command", [path.stem for path in sorted(conf_dir().glob("*.yaml"))])
def test_every_command_takes_ones_own_file_of_each_of_its_groups(p300, project, command):
    groups = groups_of(command)
    for group in groups:
        (project / group).mkdir(exist_ok=True)
        first = next(n for n in known_files(group) if (conf_dir() / group / f"{n}.yaml").exists())
        shutil.copy(conf_dir() / group / f"{first}.yaml", project / group / "copied.yaml")
    typed = [f"{group}=copied" for group in groups if group != "search"]
    status, printed, errors = p300(command, *typed, "--config-dir", ".", "--cfg", "hydra")
    assert status == 0, errors
    for group in groups:
        assert group == "search" or f"{group}: copied" in printed


def test_a_working_folder_is_no_group_of_configuration(p300, project):
    for name in ("runs", "seed", "detector"):
        (project / name / "first").mkdir(parents=True)
    status, printed, errors = p300("train", "seed=3", "--config-dir", ".", "--cfg", "job")
    assert status == 0 and "seed: 3" in printed, errors
    status, printed, errors = p300(
        "replay", "runs=[2]", "detector=model", "--config-dir", ".", "--cfg", "job"
    )
    assert status == 0 and "runs:\n- 2\n" in printed and "detector: model" in printed, errors


def test_help_and_completion_name_ones_own_choices(p300, project):
    assert ", lab, " in p300("train", "--config-dir", ".", "--help")[1]
    os.environ["P300_CONF"] = ""
    assert p300("--complete", "p300 train -cd . data=la")[1].split() == ["lab"]


@pytest.mark.parametrize("command", ["report", "export", "compare", "train", "new"])
def test_a_folder_of_ones_own_must_be_named_and_exist(p300, project, command):
    status, _, errors = p300(command, "run", "--config-dir", "nowhere")
    assert status == 1 and "nowhere" in errors and "expected a folder that exists" in errors
    status, _, errors = p300(command, "run", "--config-dir")
    assert status == 1 and "expected --config-dir DIR" in errors


def test_two_folders_of_ones_own_hold_together(p300, project):
    assert p300("new", "other", "name=other")[0] == 0
    typed = ["data=lab", "model=other", "-cd", ".", "--config-dir=other", "--cfg", "job"]
    status, printed, errors = p300("train", *typed)
    assert status == 0, errors
    assert "lab_reader.read" in printed and "other_network.Network" in printed


def test_a_changed_test_of_the_project_is_no_other_code_and_a_changed_reader_is(
    project, monkeypatch
):
    monkeypatch.setenv("P300_CONF", str(project))
    before = code_digest({})
    (project / "test_lab.py").write_text("# none\n")
    assert code_digest({}) == before
    (project / "lab_reader.py").write_text("# none\n")
    assert code_digest({}) != before


@pytest.mark.slow
def test_the_project_is_checked_trained_reported_and_compared(p300, project):
    own = ["--config-dir", "."]
    status, printed, errors = p300("check", "data=lab", *own)
    assert status == 0, errors
    assert f"p300 train --config-dir {project} data=lab" in printed
    typed = [*CHOICES, *own, "hydra.run.dir=runs/first"]
    status, printed, errors = p300("train", *typed)
    assert status == 0, errors
    assert "WAVES" in printed
    assert "weight_norm" in (project / "runs/first/networks/1/metrics.csv").read_text()
    for typed in (
        ["report", "runs/first", *own],
        ["export", *own, "runs/first", "out=model"],
        ["compare", *own, "runs"],
        ["evaluate", *own, "run=runs/first", "data=lab", "subject=2", "stopping=none"],
        ["convert", *own, "data=lab", "out=lab-raw.fif"],
    ):
        status, printed, errors = p300(*typed)
        assert status == 0, errors


@pytest.mark.slow
def test_the_benchmark_of_the_project_and_its_tests_run_at_once(p300, project):
    status, printed, errors = p300("benchmark", "tasks=lab", "seeds=[0]", "--config-dir", ".")
    assert status == 0, errors
    table = pd.read_csv(project / "runs" / "benchmark" / "summary.csv")
    assert set(table["experiment"]) == {"lab", "lda"} and table["auc"].gt(0.7).all()
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(tests, cwd=project, capture_output=True, text=True)
    assert done.returncode == 0 and "5 passed" in done.stdout, done.stdout + done.stderr
