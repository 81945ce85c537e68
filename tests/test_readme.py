"""Every block of README, docs/own.md and docs/plugs.md does what it says: doctests, commands."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import mne
import pytest

ROOT = Path(__file__).parents[1]


def blocks(language, page="README.md"):
    text = (ROOT / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


PLUGS = blocks("python", "docs/plugs.md") + blocks("python", "docs/own.md")
PYTHON, SHELL, OWN = blocks("python"), blocks("sh"), blocks("sh", "docs/own.md")

#: What a test does not do again: installations with the training and the tests after them, which
#: continuous integration runs, a browser, and the two minutes of an audit.
LEFT_OUT = re.compile(r"pip install [^\n]*|jupyter lab [^\n]*|p300 audit [^\n]*")


def test_readme_has_blocks_of_both_kinds():
    assert len(PYTHON) == 2 and len(SHELL) >= 7 and len(OWN) >= 4


@pytest.mark.parametrize("code", PYTHON, ids=["from Python", "preprocessing"])
def test_the_python_of_readme_prints_what_readme_says(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = doctest.DocTestParser().get_doctest(code, {}, "README.md", "README.md", 0)
    statements = [example.source for example in found.examples]
    assert len(statements) <= 8
    assert doctest.DocTestRunner().run(found).failed == 0


@pytest.mark.filterwarnings("ignore")  # of other tools, and what they import
@pytest.mark.parametrize(
    "code", PLUGS, ids=["scikit-learn", "MOABB", "skorch", "Lightning", "screens"]
)
def test_other_tools_and_screens_do_what_their_page_says(code, tmp_path, monkeypatch):
    for tool in re.findall(r"^>>> from (moabb|skorch)\b", code, re.MULTILINE):
        pytest.importorskip(tool)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("_MNE_FAKE_HOME_DIR", str(tmp_path))
    found = doctest.DocTestParser().get_doctest(code, {}, "docs", "docs", 0)
    with mne.use_log_level("error"):  # MNE prints what it cuts
        assert doctest.DocTestRunner().run(found).failed == 0


@pytest.mark.slow
@pytest.mark.parametrize("block", SHELL + OWN, ids=range(len(SHELL + OWN)))
def test_the_commands_of_readme_and_of_the_page_of_own_parts_work_as_printed(
    block, tmp_path, forks
):
    commands = LEFT_OUT.sub("", block)
    if not re.sub(r"#.*", "", commands).strip():
        pytest.skip("nothing but an installation or the tests")
    places = [forks.executable.parent, Path(sys.executable).parent, os.environ["PATH"]]
    path = os.pathsep.join(map(str, places))
    environment = {**os.environ, "PATH": path, "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1"}
    environment.pop("P300_DATA_ROOT", None)
    done = subprocess.run(
        ["bash", "-euc", commands], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "Traceback" not in done.stdout + done.stderr
