"""What the tests of sweeps share: a reader that can die, a sweep in a process of its own."""

import os
from pathlib import Path

import pytest
from forks import ROOT

#: A reader whose recording is the simulation, and whose process dies or fails where it is told to.
READER = """
import os, signal
from p300.simulation import simulate_data_set

def read(fate="", **arguments):
    if fate == "killed" or (fate == "killed at first" and os.environ.get("FIRST")):
        os.kill(os.getpid(), signal.SIGKILL)
    if fate == "bug":
        raise KeyError("electrode 65")
    return simulate_data_set(**arguments)
"""

FATE = ["data.read._target_=doomed.read", "experiment=lda", "quiet=true"]


@pytest.fixture
def typed(small, tmp_path, forks):
    """Sweep into the folder "sweep" in a process of its own, with the reader that can die."""
    (tmp_path / "doomed.py").write_text(READER)

    def run(*arguments, **environment):
        command = ["train", "-m", *small, *arguments, "hydra.sweep.dir=sweep"]
        paths = os.pathsep.join([str(tmp_path), str(ROOT)])  # workers import from there, too
        return forks.run(command, tmp_path, {"PYTHONPATH": paths, **environment})

    return run


def written(folder):
    """When each run's results were written, by run folder."""
    return {p.parent.name: p.stat().st_mtime_ns for p in Path(folder).rglob("results.json")}


def counts(printed):
    """Read the table that a sweep ends with."""
    lines = printed[printed.rindex("sweep sweep: ") :].splitlines()
    head = next(line for line in lines if "finished" in line)
    row = lines[lines.index(head) + 2]
    names = [cell.strip() for cell in head.strip("┃").split("┃")]
    return dict(zip(names, map(int, row.strip("│").split("│")), strict=True))
