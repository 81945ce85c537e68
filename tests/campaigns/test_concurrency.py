"""Processes that share a folder: nothing is spoilt, and no training is done twice."""

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from p300.errors import InputError
from p300.preprocessing import EpochsCache, Preprocessor
from p300.simulation import simulate_recording
from p300.storage.files import LOCK, folder_lock
from p300.storage.maps import is_mapped

pytest.importorskip("fcntl", reason="this system has no flock, so nobody is kept out")

ROOT = str(Path(__file__).parents[2])

#: Has a folder to itself until it is killed.
HOLDER = """
import sys, time
from p300.storage.files import folder_lock
with folder_lock(sys.argv[1]):
    print("has it", flush=True)
    time.sleep(600)
"""

#: Reads the simulation, after as long as it takes until the file HOLD is gone.
SLOW_READER = """
import os, time
from p300.simulation import simulate_data_set

def read(**arguments):
    open(f"reading-{os.getpid()}", "w").close()
    while os.path.exists("HOLD"):
        time.sleep(0.01)
    return simulate_data_set(**arguments)
"""


def environment(**more):
    paths = os.pathsep.join(filter(None, [ROOT, ".", os.getenv("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **more}


STARTED = []


@pytest.fixture(autouse=True)
def nothing_left_running(tmp_path):
    yield
    for number in readers(tmp_path):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    while STARTED:
        with STARTED.pop() as process:
            process.kill()


@pytest.fixture
def start(forks):
    """Start a command in a folder, in a process of its own (not that which is returned)."""

    def start(folder, *arguments, stdout=subprocess.PIPE):
        process = subprocess.Popen(
            [forks.executable, *arguments],
            stdout=stdout,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=environment(),
        )
        STARTED.append(process)
        return process

    return start


def until(condition, seconds=120):
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


@pytest.fixture
def holder(tmp_path):
    """A process that has the folder "held" to itself."""
    command = [sys.executable, "-c", HOLDER, tmp_path / "held"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as one:
        assert one.stdout.readline() == "has it\n"
        yield one
        one.kill()


def test_who_comes_second_is_told_who_is_there(holder, tmp_path):
    with pytest.raises(InputError, match=f"in use by process {holder.pid} on"):
        with folder_lock(tmp_path / "held"):
            raise AssertionError("two were let in")


def test_the_lock_of_a_killed_process_keeps_nobody_out(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "held" / LOCK).exists()
    with folder_lock(tmp_path / "held"):
        pass
    assert list((tmp_path / "held").iterdir()) == []


def test_who_waits_comes_in_when_the_other_ends(holder, tmp_path):
    told = []

    def tell(who):
        told.append(who)
        holder.send_signal(signal.SIGKILL)

    with folder_lock(tmp_path / "held", tell):
        assert holder.wait() == -signal.SIGKILL
    assert str(holder.pid) in told[0]


def test_who_waited_for_a_lock_that_was_removed_takes_the_new_one(tmp_path):
    held = folder_lock(tmp_path)
    held.__enter__()

    def first_ends_and_another_comes(_):
        nonlocal held
        held.__exit__(None, None, None)
        held = folder_lock(tmp_path)
        held.__enter__()
        told.append(1)

    told = []

    def tell(who):
        if not told:
            first_ends_and_another_comes(who)
        else:
            told.append(2)
            held.__exit__(None, None, None)

    with folder_lock(tmp_path, tell):
        assert told == [1, 2]


def test_a_file_system_without_locks_costs_a_warning_only(tmp_path, monkeypatch, caplog):
    import fcntl

    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with folder_lock(tmp_path):
        pass
    assert "got no lock" in caplog.text


@pytest.fixture
def slow(small, tmp_path):
    """Overrides of a training that begins when the file HOLD is removed."""
    (tmp_path / "slow.py").write_text(SLOW_READER)
    (tmp_path / "HOLD").touch()
    return ["data.read._target_=slow.read", "experiment=lda", *small]


def readers(folder):
    """Numbers of the processes that began to read the recording."""
    return [int(path.name.partition("-")[2]) for path in folder.glob("reading-*")]


def n_reading(folder):
    return len(readers(folder))


def who_has(folder):
    """Number of the process that has a folder to itself."""
    return int(re.search(r"\d+", (folder / LOCK).read_text())[0])


@pytest.mark.slow
def test_a_run_folder_is_trained_into_by_one_process_at_a_time(slow, start, tmp_path):
    command = ["train", *slow, "hydra.run.dir=run"]
    first = start(tmp_path, *command)
    until(lambda: n_reading(tmp_path) == 1)
    (reader,) = readers(tmp_path)
    second = start(tmp_path, *command)
    assert f"in use by process {reader} on" in second.communicate(timeout=120)[0]
    assert second.returncode == 1
    (tmp_path / "HOLD").unlink()
    assert first.wait() == 0, first.communicate()[0]
    first.stdout.close()
    assert (tmp_path / "run" / "results.json").exists() and n_reading(tmp_path) == 1
    assert not (tmp_path / "run" / LOCK).exists()


@pytest.mark.slow
def test_two_sweeps_of_one_folder_train_every_run_once(slow, start, tmp_path):
    command = ["train", "-m", *slow, "seed=0,1,2", "hydra.sweep.dir=sweep"]
    sweeps = [start(tmp_path, *command)]
    until(lambda: n_reading(tmp_path) == 1)
    assert [who_has(tmp_path / "sweep")] == readers(tmp_path)
    sweeps.append(start(tmp_path, *command[:-2], "seed=2,3", "hydra.sweep.dir=sweep"))
    assert "waiting for its end" in sweeps[1].stdout.readline()
    (tmp_path / "HOLD").unlink()
    printed = [sweep.communicate()[0] for sweep in sweeps]
    assert [sweep.returncode for sweep in sweeps] == [0, 0], printed
    runs = [json.loads(p.read_text()) for p in (tmp_path / "sweep").rglob("results.json")]
    assert sorted(run["seed"] for run in runs) == [0, 1, 2, 3]
    assert "1 of 2 runs are finished, 1 to do" in printed[1]


#: For tests with workers.
WITH_JOBLIB = pytest.mark.skipif(
    not find_spec("hydra_plugins.hydra_joblib_launcher"),
    reason="hydra-joblib-launcher is not installed (extra sweep)",
)


def workers_of(parent):
    """Numbers of the workers that joblib started for a process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            words = (folder / "cmdline").read_text()
            ppid = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if ppid == parent and "popen_loky" in words:
                found.append(int(folder.name))
    return found


def is_running(number):
    with contextlib.suppress(OSError):
        return (Path("/proc") / str(number) / "stat").read_text().rpartition(")")[2][1] != "Z"
    return False


@pytest.mark.slow
@WITH_JOBLIB
def test_a_worker_that_outlives_its_killed_sweep_is_waited_for(slow, start, tmp_path):
    workers = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    command = ["train", "-m", *slow, *workers, "seed=0,1", "hydra.sweep.dir=sweep"]
    killed = start(tmp_path, *command, stdout=subprocess.DEVNULL)
    until(lambda: n_reading(tmp_path) == 2)
    parent = who_has(tmp_path / "sweep")
    workers = workers_of(parent)
    os.kill(parent, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    again = start(tmp_path, *command)
    assert "waiting for its end" in again.stdout.readline()
    (tmp_path / "HOLD").unlink()
    printed = again.communicate()[0]
    assert again.returncode == 0, printed
    assert "2 of 2 runs are finished" in printed
    # two trainings, and one look at the recording, whether it is still the same
    assert n_reading(tmp_path) == 3, "a run was trained twice"
    assert len(workers) == 2
    until(lambda: not any(map(is_running, workers)))


@pytest.mark.slow
@WITH_JOBLIB
def test_a_sweep_that_is_ended_takes_its_workers_along(slow, start, tmp_path):
    options = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=sweep"]
    ended = start(tmp_path, "train", "-m", *slow, *options, "seed=0,1")
    until(lambda: n_reading(tmp_path) == 2)
    parent = who_has(tmp_path / "sweep")
    workers = workers_of(parent)
    os.kill(parent, signal.SIGTERM)
    assert ended.wait(30) == 128 + signal.SIGTERM
    assert len(workers) == 2
    until(lambda: not any(map(is_running, workers)))


# --- kept epochs ------------------------------------------------------------------------------

RECORDINGS = [
    simulate_recording("ABC", n_repetitions=2, ch_names=["Fz", "Cz", "Pz"], seed=k)
    for k in range(6)
]

#: Eight processes take the epochs of six recordings from a folder, or make them, and print their
#: hash. They are forks of one, which imports everything for them.
TAKERS = """
import hashlib, os, sys, warnings
import numpy as np
warnings.simplefilter("error")
from p300.preprocessing import EpochsCache, Preprocessor
from test_concurrency import RECORDINGS


def take(seed):
    order = np.random.default_rng(seed).permutation(len(RECORDINGS))
    found = {}
    for _ in range(3):
        for k in order:
            fitted = Preprocessor().fit(RECORDINGS[k])
            found[k] = EpochsCache(sys.argv[1], max_bytes=float(sys.argv[2])).epochs(
                fitted, RECORDINGS[k]
            ).data.tobytes()
    digest = hashlib.sha256(b"".join(found[k] for k in sorted(found)))
    os.write(1, (digest.hexdigest() + "\\n").encode())

for seed in range(8):
    if not os.fork():
        take(seed)
        os._exit(0)
assert [os.wait()[1] for _ in range(8)] == [0] * 8
"""


@pytest.mark.slow
def test_eight_processes_share_one_folder_of_epochs(tmp_path):
    n_entries = 2  # of six: entries are deleted while others read them
    import hashlib

    expected, size = hashlib.sha256(), 0
    for recording in RECORDINGS:
        epochs = Preprocessor().fit(recording).epochs(recording)
        expected.update(epochs.data.tobytes())
        size = max(size, epochs.data.nbytes)
    done = subprocess.run(
        [sys.executable, "-c", TAKERS, tmp_path / "kept", str(n_entries * (size + 1000))],
        capture_output=True,
        text=True,
        env=environment(PYTHONPATH=os.pathsep.join([ROOT, str(Path(__file__).parent)])),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [expected.hexdigest()] * 8
    left = [p.name for p in (tmp_path / "kept").iterdir()]
    assert all(name.endswith(".npy") for name in left)
    # each of the eight makes room before it writes: at most one entry too many each
    assert len(left) == 6 if n_entries == 6 else len(left) <= n_entries + 7


def test_kept_epochs_can_be_read_by_whoever_may_read_the_folder(tmp_path):
    recording, mask = RECORDINGS[0], os.umask(0o027)
    try:
        EpochsCache(tmp_path).epochs(Preprocessor().fit(recording), recording)
    finally:
        os.umask(mask)
    (entry,) = tmp_path.iterdir()
    assert stat.S_IMODE(entry.stat().st_mode) == 0o640


def test_epochs_in_use_outlive_their_file(tmp_path):
    recording = RECORDINGS[0]
    fitted, store = Preprocessor().fit(recording), EpochsCache(tmp_path)
    made = store.epochs(fitted, recording).data.copy()
    mapped = store.epochs(fitted, recording).data
    assert is_mapped(mapped.ctypes.data)
    store.prune(0)
    np.testing.assert_array_equal(mapped, made)
