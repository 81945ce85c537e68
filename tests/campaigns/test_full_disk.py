"""A disk that is full, or cannot be written to: one sentence, and nothing finished is damaged."""

import errno
import os
import shutil
import subprocess
import warnings

import numpy as np
import pytest

from p300.experiments.train import train
from p300.preprocessing import EpochsCache, Preprocessor
from p300.simulation import simulate_recording
from p300.storage.files import atomic_write

#: Kilobytes left on the disk: of none, of little more than Hydra's own files, of less than the
#: checkpoint needs, of less than the scores need.
LEFT_KB = (0, 8, 24, 40)


def mount(*arguments):
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting a small disk needs root: {done.stderr.strip()}")


@pytest.fixture(scope="module")
def finished(always_small, tmp_path_factory):
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    train(folder, "experiment=lda", *always_small)
    return folder


@pytest.fixture
def disk(tmp_path):
    """A disk of eight megabytes, mounted at "disk"."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder))
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def commands(small):
    """What is typed, by name; all of it writes onto the disk."""
    overrides = ",".join(f"'{override}'" for override in small)
    small = [*small, "save_every_s=0"]
    return {
        "train": ["train", "experiment=cnn3", *small, "hydra.run.dir=disk/new"],
        "sweep": ["train", "-m", "experiment=cnn3,lda", *small, "hydra.sweep.dir=disk/new"],
        "evaluate": ["evaluate", "run=disk/done", "hydra.run.dir=disk/new"],
        "benchmark": [
            "benchmark",
            "experiments=[lda]",
            "reference=lda",
            "seeds=[0]",
            "only=[own]",
            f"overrides=[{overrides}]",
            "folder=disk/new",
        ],
        "report": ["report", "disk/done", "out=disk/report.html"],
    }


def fill(disk, left_kb):
    """Write a file that leaves so many kilobytes free."""
    state = os.statvfs(disk)
    with open(disk / "filling", "wb") as file:
        file.write(bytes(state.f_bavail * state.f_frsize - 1024 * left_kb))


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def is_told(errors, status):
    """Whether it ended in a sentence about the disk and not in a traceback."""
    assert status == 1, errors
    assert "Traceback" not in errors and "Logging error" not in errors, errors
    lines = [line for line in errors.splitlines() if line.lstrip().startswith(("p300", "disk"))]
    assert lines, errors
    return errors


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "sweep", "evaluate", "benchmark", "report"])
def test_a_full_disk_ends_in_a_sentence_and_spoils_nothing(
    p300, finished, disk, commands, command
):
    shutil.copytree(finished, disk / "done")
    done = contents(disk / "done")
    typed = commands[command]
    # a page is larger than all that is ever left: one level shows it
    for left_kb in LEFT_KB if command != "report" else LEFT_KB[-1:]:
        fill(disk, left_kb)
        status, _, errors = p300(*typed)
        if status == 0:  # it needs no more than was left
            assert command in ("evaluate", "benchmark") and left_kb >= 24
        else:
            assert "No space left" in is_told(errors, status)
            assert not (disk / "report.html").exists()
            assert not [p for p in disk.rglob("results.json") if p.stat().st_size == 0]
        assert contents(disk / "done") == done
        (disk / "filling").unlink()
        if status == 0:
            return
    status, _, errors = p300(*typed)  # room has been made
    assert status == 0, errors
    assert not list(disk.rglob("*.partial"))


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "sweep", "evaluate", "benchmark", "report"])
def test_a_disk_that_cannot_be_written_to_ends_in_a_sentence(
    p300, finished, disk, commands, command
):
    shutil.copytree(finished, disk / "done")
    done = contents(disk)
    mount("-o", "remount,ro", str(disk))
    status, _, errors = p300(*commands[command])
    assert "Read-only file system" in is_told(errors, status)
    assert contents(disk) == done


def test_epochs_that_the_disk_has_no_room_for_cost_a_warning_only(disk):
    recording = simulate_recording("AB", n_repetitions=2, ch_names=["Fz", "Cz"])
    fitted, store = Preprocessor().fit(recording), EpochsCache(disk / "kept")
    fill(disk, 8)
    with pytest.warns(UserWarning, match="epochs are not cached in"):
        made = store.epochs(fitted, recording)
    assert list((disk / "kept").iterdir()) == []
    (disk / "filling").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(store.epochs(fitted, recording).data, made.data)


def test_an_error_of_the_disk_names_the_file(tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left on device: '.*scores.csv'"):
        with atomic_write(tmp_path / "scores.csv") as file:
            file.write("half")
    assert list(tmp_path.iterdir()) == []
