"""Secrets and names planted around a run: none is in what the run writes for others to see."""

import os
import subprocess
import sys

import hostile_cases as cases
import pytest

from p300.storage.privacy import public, without_paths

KEY = "planted-secret-0123456789abcdef0123456789"
USER = "ada-of-planted"

#: Files of a run that stay on its computer: they say where its recording lies, to read it again.
OWN = ("config.yaml", "checkpoint.pt", ".hydra", "train.log", "evaluate.log")


#: The fixture trains, evaluates and reports in processes of their own.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Train, evaluate, report and export as a user who has secrets; then every file there is."""
    root = tmp_path_factory.mktemp("machine")
    home = root / USER
    data = home / "private recordings"
    work = root / "work"
    data.mkdir(parents=True)
    work.mkdir()
    for k in range(4):
        path = cases.write_muse(data)
        path.rename(path.with_name(f"data_2017-02-04-15_45_1{k}.csv"))
    environment = {
        **os.environ,
        "HOME": str(home),
        "USER": USER,
        "LOGNAME": USER,
        "WANDB_API_KEY": KEY,
        "WANDB_MODE": "offline",
        "AWS_SECRET_ACCESS_KEY": KEY,
        "HTTPS_PROXY": f"http://{USER}:{KEY}@localhost:9",
        "P300_DATA_ROOT": str(data),
    }
    commands = [
        [
            "train",
            "data=muse",
            "logger=private",
            f"data.root={data}",
            "experiment=lda",
            "split=by_run",
            "allow_leaks=true",  # its four runs are copies
        ]
        + ["hydra.run.dir=run"],
        ["evaluate", "run=run", "part=all", "hydra.run.dir=evaluated"],
        ["report", "run"],
    ]
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-c", "from p300.cli import main; main()", *command],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        (work / f"{command[0]}.printed").write_text(done.stdout + done.stderr, "utf-8")
    files = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return {
        str(path.relative_to(root)): content
        for path, content in files.items()
        if path.suffix != ".csv" or path.is_relative_to(work)
    }


def test_the_run_wrote_what_is_looked_at(written):
    names = " ".join(written)
    for name in ("results.json", "report.html", "scores.csv", "checkpoint.pt", ".wandb"):
        assert name in names


def test_no_secret_is_in_any_file(written):
    found = [name for name, content in written.items() if KEY.encode() in content]
    assert found == []


def test_no_file_that_is_handed_on_names_the_user_or_the_home_folder(written):
    handed_on = {
        name: content for name, content in written.items() if not any(p in name for p in OWN)
    }
    found = [name for name, content in handed_on.items() if USER.encode() in content]
    assert found == []


def test_an_exported_detector_names_no_place(tmp_path, monkeypatch):
    pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra export)")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("HOME", f"/home/{USER}")
    cases.write_export(tmp_path)
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        assert str(tmp_path).encode() not in content
        assert KEY.encode() not in content and USER.encode() not in content


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/home/ada/eeg/A.mat is damaged", "…/A.mat is damaged"),
        ("/home/ada lovelace/eeg", "…/eeg"),
        (r"C:\Users\ada\eeg", "…/eeg"),
        ("file:///home/ada/eeg/A.mat", "…/A.mat"),
        (
            "see https://example.org/a/b and row/column",
            "see https://example.org/a/b and row/column",
        ),
        ("/", "/"),
        ("~", "~"),
        ("_", "_"),
    ],
)
def test_of_a_path_the_last_part_is_left_and_symbols_stay(text, left):
    assert without_paths(text) == left


def test_a_home_folder_with_blanks_is_taken_out_of_a_sentence(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada lovelace")
    text = "cannot read /home/ada lovelace/eeg data/A.mat, which is damaged"
    assert "ada" not in without_paths(text) and "A.mat" in without_paths(text)


def test_paths_below_the_working_folder_stay_usable(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert without_paths({"a": [str(tmp_path / "runs" / "1")]}, mark="") == {"a": ["runs/1"]}


@pytest.mark.parametrize(
    "key", ["api_key", "WANDB_API_KEY", "password", "entity", "user", "email"]
)
def test_values_of_a_person_or_an_account_are_left_out(key):
    assert public({"a": [{key: "x"}], "n_tokens": 3}) == {
        "a": [{key: "(left out)"}],
        "n_tokens": 3,
    }


def test_numbers_that_are_shared_hold_no_table_of_the_data():
    from p300.experiments.tracking import shareable

    config = {"data": {"root": "/home/ada", "subject": "A", "read": {"words": {"x": "HI"}}}}
    assert shareable(config, "numbers") == {"data": {"subject": "A"}}
    assert shareable(config)["data"] == config["data"] | {"root": "ada"}
