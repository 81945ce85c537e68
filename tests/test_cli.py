import subprocess
import sys
import time

import pytest

from p300 import __version__
from p300.cli import COMMANDS, conf_dir


@pytest.mark.parametrize("arguments", [["--help"], *([c, "--help"] for c in COMMANDS)])
def test_help_answers_in_half_a_second_and_imports_nothing_heavy(arguments):
    code = (
        "import sys; from p300.cli import main; sys.argv = ['p300', *sys.argv[1:]]; main();"
        "heavy = {'torch', 'hydra', 'numpy', 'pandas', 'mne', 'wandb'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert time.perf_counter() - started < 0.5
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
