import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
import time

import pytest

from p300 import __version__, train
from p300.cli import COMMANDS
from p300.errors import InputError
from p300.experiments.configuration import conf_dir
from p300.storage.files import LOCK


@pytest.mark.parametrize("arguments", [["--help"], *([c, "--help"] for c in COMMANDS)])
def test_help_answers_in_half_a_second_and_imports_nothing_heavy(arguments):
    code = (
        "import sys; from p300.cli import main; sys.argv = ['p300', *sys.argv[1:]]; main();"
        "heavy = {'torch', 'hydra', 'numpy', 'pandas', 'mne', 'wandb'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)  # other processes make it wait, not work
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5
    assert done.returncode == 0, done.stderr
    assert "p300" in done.stdout


def test_every_command_has_its_help_and_every_choice_is_named(p300):
    _, printed, _ = p300("train", "--help")
    for folder in ("experiment", "data", "model", "split"):
        for choice in (conf_dir() / folder).glob("*.yaml"):
            assert choice.stem in printed


def test_an_unknown_command_is_refused_with_those_there_are(p300):
    status, _, errors = p300("trian")
    assert status == 1
    assert "no command 'trian'" in errors and "train, evaluate" in errors


def test_the_version_is_printed(p300):
    assert p300("--version")[1].strip() == f"p300 {__version__}"


@pytest.mark.parametrize(
    ("choice", "module", "extra"),
    [
        ("hydra/launcher=joblib", "hydra_plugins.hydra_joblib_launcher", "sweep"),
        ("hydra/launcher=submitit_slurm", "hydra_plugins.hydra_submitit_launcher", "slurm"),
        ("search=cnn", "optuna", "sweep"),
    ],
)
def test_without_a_plugin_a_sweep_says_what_to_install(p300, monkeypatch, choice, module, extra):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda m: None if m == module else found(m))
    status, _, errors = p300("train", "-m", choice)
    assert status == 1 and f"pip install 'p300[{extra}]'" in errors and choice in errors


@pytest.mark.slow
def test_only_training_a_network_waits_for_lightning(small, tmp_path):
    commands = [
        ["train", "--help"],
        ["train", "experiment=lda", *small, "hydra.run.dir=run"],
        ["evaluate", "run=run", "hydra.run.dir=evaluated"],
        ["compare", "run"],
        ["benchmark", "only=[own]", "experiments=[lda]", "seeds=[0]", "reference=lda"]
        + [f"overrides={small!r}", "folder=benchmark"],
    ]
    code = (
        "import sys, contextlib; from p300.cli import main\n"
        f"for arguments in {commands!r}:\n"
        "    sys.argv = ['p300', *arguments]\n"
        "    with contextlib.suppress(SystemExit):\n"
        "        main()\n"
        "    loaded = {'pytorch_lightning', 'lightning_fabric'} & set(sys.modules)\n"
        "    assert not loaded, arguments\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    made = ("run/results.json", "evaluated/results.json", "benchmark/summary.md")
    assert all((tmp_path / name).exists() for name in made)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("lr=0.1", "protocol.optimizer.lr=…"),
        ("n_flters=3", "model.n_filters=…"),
        ("protocol.max_epoch=3", "protocol.max_epochs=…"),
        ("modle=eegnet", "model=…"),
        ("trainer.acelerator=cpu", "trainer.accelerator=…"),
        ("model=eegnt", "model=eegnet"),
        ("experiment=riemannn", "experiment=riemann"),
        ("data=file data.txt=HI", "data.text=…?"),
        ("data=bids data.columns.charcter=letter", "data.columns.character=…?"),
        ("data=bids data.columns={lbl:what}", "data.columns.label=…?"),
        ("data.patern=x", "data.pattern=… with data=file?"),
        ("-m data=file,bids data.txt=HI", "data.text=… with data=bids or data=file?"),
    ],
)
def test_what_may_have_been_meant_is_named(p300, typed, meant):
    status, _, errors = p300("train", *typed.split())
    assert status == 1 and f"did you mean {meant}" in errors
    assert "To append" not in errors


@pytest.mark.parametrize("typed", ["zzz=1", "model=xyzzy", "protocol.qqqq.rrrr=2"])
def test_nothing_is_proposed_where_nothing_is_near(p300, typed):
    status, _, errors = p300("train", typed)
    assert status == 1 and "did you mean" not in errors and typed.split("=")[0] in errors


def test_a_refusal_is_one_line(p300, small):
    status, _, errors = p300("train", *small, "seed=-1")
    assert status == 1 and errors.splitlines() == [
        "p300 train: got seed=-1; expected a whole number, 0 or more"
    ]


@pytest.mark.parametrize("key", ["hydra.run.dir", "hydra.sweep.dir"])
@pytest.mark.parametrize("command", ["benchmark", "reproduce"])
def test_a_command_with_a_folder_of_its_own_is_not_given_hydras(p300, command, key):
    status, _, errors = p300(command, f"{key}=mine")
    assert status == 1 and f"got {key}=mine; expected folder=mine" in errors


def test_what_python_types_wrong_is_an_error_of_ours(tmp_path):
    with pytest.raises(InputError, match="modle.*; did you mean model=…?"):
        train(tmp_path / "run", "modle=lda")


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["-m", "seed=0,1"]], ids=["run", "sweep"])
def test_an_interrupted_command_says_how_to_go_on(small, tmp_path, forks, options):
    key = "hydra.sweep.dir" if options else "hydra.run.dir"
    folder = tmp_path / "mine"
    endless = ["protocol.max_epochs=100000", "protocol.patience=100000", f"{key}={folder}"]
    command = [forks.executable, "train", *options, *small, *endless]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        while not list(folder.rglob("networks/*/metrics.csv")):
            assert process.poll() is None
            time.sleep(0.1)
        number = int(re.search(r"\d+", (folder / LOCK).read_text())[0])
        try:
            os.kill(number, signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)  # or a failure would be waited for without end
    assert process.returncode == 130
    assert f"p300 train: interrupted; the same command with {key}=mine goes on there" in errors
    assert "Traceback" not in errors


def test_help_names_the_groups_that_the_command_takes_and_no_others(p300):
    assert "stopping=all, none" in p300("evaluate", "--help")[1]
    assert "protocol=" not in p300("evaluate", "--help")[1]
    assert "protocol=adamw, modern" in p300("train", "--help")[1]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("p300 ", COMMANDS),
        ("p300 re", ["reproduce", "report", "replay"]),
        ("p300 train experiment=cnn2", ["cnn2a", "cnn2b"]),
        ("p300 train -m experiment=lda,sw", ["lda,swlda"]),
        ("p300 train seed=1 ca", ["callbacks="]),
        ("p300 evaluate protocol=", []),
    ],
)
def test_the_shell_completes_commands_groups_and_choices(p300, line, wanted):
    status, printed, errors = p300("--complete", line)
    assert status == 0, errors
    assert printed.split() == wanted


def test_bash_takes_the_completion(tmp_path):
    typed = 'COMP_LINE="p300 eva"; COMP_POINT=8; _p300; echo ${COMPREPLY[@]}'
    script = f'eval "$(p300 --completion)"; {typed}'
    (tmp_path / "p300").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m p300 "$@"\n')
    (tmp_path / "p300").chmod(0o755)
    paths = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], env={**os.environ, **paths}, capture_output=True, text=True
    )
    assert done.stdout.split() == ["evaluate"], done.stderr
