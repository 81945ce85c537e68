"""What the tests on SLURM share: a cluster that is started for a test and ends with it."""

import contextlib
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent / "slurm"

#: Status of a script that cannot start SLURM on this computer, and says why.
CANNOT = 3


@contextlib.contextmanager
def running(script, folder):
    """Start a cluster, give the environment that reaches it, and end it."""
    if not find_spec("hydra_plugins.hydra_submitit_launcher"):
        pytest.skip("hydra-submitit-launcher is not installed (extra slurm)")
    script = SCRIPTS / script
    started = subprocess.run([script, "start", folder], capture_output=True, text=True)
    if started.returncode == CANNOT:
        pytest.skip(started.stderr.strip())
    assert started.returncode == 0, started.stderr
    try:
        yield {"SLURM_CONF": str(folder / "slurm.conf")}
    finally:
        pids = [path.read_text().strip() for path in folder.glob("*.pid")]
        subprocess.run([script, "stop", folder], check=True)
        until(lambda: not any(map(is_running, pids)), 20, "SLURM's processes to end")


def until(is_so, seconds, what):
    """Wait until something is so."""
    stop_at = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < stop_at, f"waited {seconds} s for {what}"
        time.sleep(0.5)


def is_running(pid):
    """Tell a process from one that has ended, though nobody has asked yet how."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
