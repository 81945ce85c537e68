import atexit
import gc
import os

# before numpy and torch are imported: pytest's processes share the cores, and threads of each
# beside them would wait for one another most of the time
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # a worker imports and collects a million objects that stay: Python would search them all for
    # garbage once more at the end
    atexit.register(gc.freeze)

from pathlib import Path

import pandas as pd
import pytest
from forks import ForkServer

from p300.simulation import simulate_recording

#: Files of long tests. Begun last, one of them would be all that is left to do.
LONGEST = (
    "test_readme.py",
    "test_two_nodes.py",
    "test_write.py",
    "test_sweep.py",
    "test_notebooks.py",
)


def pytest_collection_modifyitems(items):
    """Put the longest files first; with --no-loadscope-reorder, pytest-xdist keeps this order."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session")
def data_root():
    """Folder of the real recordings, laid out as data/README.md says."""
    root = os.environ.get("P300_DATA_ROOT")
    if not root:
        pytest.skip("P300_DATA_ROOT is unset; it names the folder of the real recordings")
    return Path(root)


@pytest.fixture(scope="session", autouse=True)
def own_key(tmp_path_factory):
    """A key of the tests' own: that of the person who runs them is not used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("user")))
        yield


@pytest.fixture(scope="session")
def forks():
    """Commands in processes of their own that need not import anything first."""
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def p300(monkeypatch, tmp_path, capfd):
    """Run a command as if typed in an empty folder: its status, what it printed, its errors."""
    import logging
    import sys

    from p300.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        handlers = logging.root.handlers[:]
        monkeypatch.setattr(sys, "argv", ["p300", *arguments])
        try:
            main()
            status = 0
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
            if isinstance(stop.code, str):
                print(stop.code, file=sys.stderr)
        finally:
            for handler in set(logging.root.handlers) - set(handlers):
                handler.close()  # Hydra opens a log file a run and never closes it
            logging.root.handlers[:] = handlers
        printed, errors = capfd.readouterr()
        return status, printed, errors

    return run


#: Overrides that make a training run small: 8 channels, few flashes, two batches.
SMALL = [
    "logger=csv",
    "data.read.ch_names=[Fz,Cz,Pz,P3,P4,PO7,PO8,Oz]",
    "data.read.train_text=ABCDEFGHIJ",
    "data.read.test_text=P3",
    "data.read.n_repetitions=2",
    "protocol.max_epochs=1",
    "trainer.limit_train_batches=16",
]


@pytest.fixture
def small():
    """Overrides that make a training run on the simulation take less than a second."""
    return list(SMALL)


@pytest.fixture(scope="session")
def always_small():
    """The same, for runs that several tests share."""
    return tuple(SMALL)


@pytest.fixture(scope="session")
def flashes():
    """Two subjects, two sessions each, two runs of three characters."""
    parts = []
    for k, subject in enumerate(("1", "2")):
        for session in ("a", "b"):
            part = simulate_recording(
                "ABCDEF",
                n_repetitions=2,
                ch_names=["Cz"],
                n_runs=2,
                subject=subject,
                session=session,
                seed=k,
            ).flashes
            parts.append(part.assign(segment=part["segment"] + 2 * len(parts)))
    return pd.concat(parts, ignore_index=True)
