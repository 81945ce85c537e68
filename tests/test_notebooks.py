"""Every notebook runs from top to bottom on the simulation, in a process of its own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))

RUN = """
import json, sys
names = {}
for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        exec("".join(cell["source"]), names)
"""


def execute(path, folder, **environment):
    clean = {k: v for k, v in os.environ.items() if k != "P300_DATA_ROOT"}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", RUN, str(path)],
        cwd=folder,
        env={**clean, "MPLBACKEND": "Agg", **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - started


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs_in_under_a_minute_and_is_a_short_story(path, tmp_path):
    assert execute(path, tmp_path) < 60
    assert len(json.loads(path.read_text("utf-8"))["cells"]) <= 10
    assert path.stat().st_size < 1_000_000


@pytest.mark.real_data
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs_on_real_eeg(path, tmp_path, data_root):
    execute(path, tmp_path, P300_DATA_ROOT=str(data_root))
