"""Every block of README does what README says: Python as a doctest, commands in a shell."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


PYTHON, SHELL = blocks("python"), blocks("sh")

#: What a block needs that a test does not do again: installations, a browser, the tests.
LEFT_OUT = re.compile(r"pip install [^&\n]*(&& )?|jupyter lab [^\n]*|pytest -n 2")


def test_readme_has_blocks_of_both_kinds():
    assert len(PYTHON) == 2 and len(SHELL) >= 7


@pytest.mark.parametrize("code", PYTHON, ids=["from Python", "preprocessing"])
def test_the_python_of_readme_prints_what_readme_says(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = doctest.DocTestParser().get_doctest(code, {}, "README.md", "README.md", 0)
    statements = [example.source for example in found.examples]
    assert len(statements) <= 8
    assert doctest.DocTestRunner().run(found).failed == 0


@pytest.mark.slow
@pytest.mark.parametrize("block", SHELL, ids=range(len(SHELL)))
def test_the_commands_of_readme_work_as_printed(block, tmp_path):
    commands = LEFT_OUT.sub("", block)
    if not re.sub(r"#.*", "", commands).strip():
        pytest.skip("nothing but an installation or the tests")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1"}
    environment.pop("P300_DATA_ROOT", None)
    done = subprocess.run(
        ["bash", "-euc", commands], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "Traceback" not in done.stdout + done.stderr
