"""Commands given what cannot be: one sentence on standard error, status 1, nothing lost."""

import os
import subprocess
import sys

import hostile_cases as cases
import pytest

HERE = "hydra.run.dir=run"

#: Command, arguments, words of the sentence.
REFUSED = [
    ("train", ["sed=1"], "sed"),
    ("train", ["model.n_filtres=3"], "n_filtres"),
    ("train", ["experiment=cnn9"], "cnn9"),
    ("train", ["data=bci3"], "bci3"),
    ("train", ["preprocessing.sfreq=0"], "rate of 0 Hz"),
    ("train", ["preprocessing.sfreq=nan"], "sfreq is nan; expected a finite number"),
    ("train", ["preprocessing.sfreq=1e12"], "expected at most 100000"),
    ("train", ["preprocessing.tmax=-1"], "holds no sample; expected tmin < tmax"),
    ("train", ["preprocessing.tmax=99"], "reach past an end of their segment"),
    ("train", ["preprocessing.h_freq=200"], "got h_freq=200 Hz at a rate of 240 Hz"),
    ("train", ["preprocessing.l_freq=30"], "got l_freq=30 Hz; expected between 0 and 20 Hz"),
    ("train", ["preprocessing.order=1000000"], "filter order 1000000; expected"),
    ("train", ["preprocessing.order=a"], "order is 'a'; expected a finite number"),
    ("train", ["preprocessing.channels=[]"], "expected each once, at least one"),
    ("train", ["preprocessing.channels=[Cz,Cz]"], "1 of them are repeated"),
    ("train", ["preprocessing.channels=[Xz]"], "channels ['Xz'] are not among"),
    ("train", ["preprocessing.colour=red"], "colour"),
    ("train", ["protocol.monitor=test/auc"], "test"),
    ("train", ["logger=default", "logger.share=numbers", "logger.artifact=true"], "expected one"),
    ("train", ["data=bci3_ii", "data.root=nowhere"], "There is no folder nowhere"),
    ("train", ["data=bnci", "subject=six", "data.root=."], "subject 'six'; expected"),
    ("train", ["data=muse", "data.read.experiment=../visual"], "experiment '../visual'"),
    (
        "train",
        ["pretrained=nowhere", "experiment=cnn3"],
        "nowhere: no such run folder or checkpoint",
    ),
    ("train", ["subject=../../evil", "data=bci3_ii", "data.root=nowhere"], "There is no folder"),
    ("evaluate", ["run=nowhere"], "nowhere: no such run folder or checkpoint"),
    ("evaluate", ["run=keep.txt"], "cannot be read as a checkpoint"),
    ("evaluate", ["run=."], "not a finished run, results.json is missing"),
    ("report", ["nowhere"], "no such folder"),
    ("report", ["."], "no finished run, sweep or benchmark in it"),
    ("report", ["a", "b"], "expected `p300 report"),
    ("export", ["nowhere"], "no such run folder or checkpoint"),
    ("export", ["keep.txt"], "cannot be read as a checkpoint"),
    ("online", ["nowhere"], "expected a folder, an .onnx or a .json file"),
    ("replay", ["session=nowhere"], "session.json is missing; expected the folder of a session"),
    ("compare", ["nowhere"], "nowhere"),
    ("spell", [], "no command 'spell'; expected one of check, convert"),
]


@pytest.mark.parametrize(
    ("command", "arguments", "words"), REFUSED, ids=[" ".join([c, *a]) for c, a, _ in REFUSED]
)
def test_a_command_that_cannot_be_obeyed_says_so_and_leaves_the_folder(
    p300, small, tmp_path, command, arguments, words
):
    (tmp_path / "keep.txt").write_text("of the user")
    if command == "train":
        is_other = any(a.startswith("data=") for a in arguments)
        known = [a for a in small if not (is_other and a.startswith("data."))]
        arguments = [*known, HERE, "experiment=lda", *arguments]
        if any(a.startswith("logger=default") for a in arguments):
            arguments.remove("logger=csv")
        if sum(a.startswith("experiment=") for a in arguments) > 1:
            arguments.remove("experiment=lda")
    status, printed, errors = p300(command, *arguments)
    said = errors + printed
    assert status == 1, said
    assert words in said and "Traceback" not in said
    assert (tmp_path / "keep.txt").read_text() == "of the user"
    written = {p.name for p in tmp_path.rglob("*") if p.is_file()} - {"keep.txt"}
    told = {"config.yaml", "overrides.yaml", "hydra.yaml", "integrity.txt", ".lock", ".p300"}
    assert {n for n in written if not n.endswith(".log")} <= told  # and no result


def test_a_run_that_is_finished_is_never_written_over(p300, small, tmp_path):
    status, _, errors = p300("train", "experiment=lda", HERE, *small)
    assert status == 0, errors
    kept = ("checkpoint.pt", "config.yaml", "results.json", "scores.csv", "integrity.txt")
    before = {path: path.read_bytes() for path in (tmp_path / "run" / name for name in kept)}
    status, _, errors = p300("train", "experiment=lda", HERE, "seed=3", *small)
    assert status == 1 and "holds a finished run; expected a new folder" in errors
    assert {p: p.read_bytes() for p in before} == before


@pytest.mark.skipif(os.geteuid() == 0, reason="the system lets root write everywhere")
def test_a_folder_that_cannot_be_written_is_told(p300, small, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(0o500)
    status, _, errors = p300("train", HERE, *small)
    assert status == 1 and "run" in errors and "Traceback" not in errors


def test_a_file_where_the_run_folder_should_be_is_told(p300, small, tmp_path):
    (tmp_path / "run").write_text("of the user")
    status, _, errors = p300("train", HERE, *small)
    assert status == 1 and "run" in errors
    assert (tmp_path / "run").read_text() == "of the user"


def test_runs_and_recordings_may_lie_in_folders_of_any_name(p300, tmp_path):
    root = tmp_path / "脳波 d'été"
    root.mkdir()
    cases.write_muse(root)
    status, printed, errors = p300(
        "train",
        "data=muse",
        f'data.root="{root}"',
        "experiment=lda",
        "split=by_run",
        "logger=csv",
        'hydra.run.dir="Läufe 1/eins"',
    )
    said = errors + printed
    # one run cannot be split; what matters is that it was found and read
    assert "There is no" not in said and "Traceback" not in said, said
    assert (tmp_path / "Läufe 1" / "eins" / "config.yaml").exists()


def test_a_real_process_ends_with_status_1_and_one_sentence(tmp_path):
    cases.write_bci3_ii(tmp_path).write_bytes(b"MATLAB 5.0")
    code = "from p300.cli import main; main()"
    arguments = ["train", "data=bci3_ii", f"data.root={tmp_path}", "logger=csv"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "is no MATLAB file of version 5 to 7.2" in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
