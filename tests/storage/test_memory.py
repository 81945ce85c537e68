"""Memory that is left, by any of the limits, and arrays that are mapped from files."""

import sys

import numpy as np
import pytest

from p300.errors import InputError
from p300.storage import memory
from p300.storage.memory import available_memory, check_memory, is_mapped, map_array

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads the files of Linux's kernel")


@pytest.fixture
def mapped(tmp_path):
    path = tmp_path / "array"
    path.write_bytes(b"header" + np.arange(12, dtype=np.float32).tobytes())
    with open(path, "rb") as file:
        return path, map_array(file, (3, 4), np.float32, offset=6)


def test_a_mapped_array_is_that_of_the_file_and_changes_stay_in_memory(mapped):
    path, array = mapped
    before = path.read_bytes()
    assert array.tolist() == np.arange(12).reshape(3, 4).tolist()
    array[1] = -1
    assert array[1].tolist() == [-1] * 4 and path.read_bytes() == before


def test_views_of_a_mapped_array_are_mapped_and_copies_are_not(mapped):
    array = mapped[1]
    assert is_mapped(array) and is_mapped(array[1:]) and is_mapped(array.T)
    assert not is_mapped(array[[0, 2]]) and not is_mapped(array.copy())
    assert not is_mapped([1.0]) and is_mapped(np.asarray(array))


@linux
def test_a_file_larger_than_the_memory_can_be_mapped(tmp_path):
    shape = int(2 * memory._free_on_computer()) // 4096, 1024
    with open(tmp_path / "array", "wb+") as file:
        file.truncate(4 * shape[0] * shape[1])  # without content, so without space on the disk
        array = map_array(file, shape, np.float32)
    assert not array[-1].any()


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A computer with 8 GB free, whose files of the kernel lie in a folder."""

    class Elsewhere(type(tmp_path)):
        def __new__(cls, path, *more):
            path = str(path)
            inside = path.startswith(("/proc", "/sys")) and not path.startswith(str(tmp_path))
            return type(tmp_path)(str(tmp_path) + path if inside else path, *more)

    monkeypatch.setattr(memory, "Path", Elsewhere)
    monkeypatch.setattr(memory, "_left_by_limits", lambda: [])
    write(tmp_path / "proc", meminfo="MemTotal: 9 kB\nMemAvailable: 8000000 kB\nSwapFree: 0 kB\n")
    write(tmp_path / "proc" / "self", cgroup="")
    return tmp_path


def test_without_limits_all_that_is_free_is_left(system):
    assert available_memory() == 8000000 * 1024


@pytest.mark.parametrize("level", ["slurm", "slurm/job_7"])
def test_a_control_group_or_one_above_it_leaves_its_limit_less_what_is_used(system, level):
    write(system / "proc" / "self", cgroup="0::/slurm/job_7/step\n")
    groups = system / "sys/fs/cgroup"
    for name in ("slurm", "slurm/job_7", "slurm/job_7/step"):
        limit = "2000000000" if name == level else "max"
        stat = "anon 1\ninactive_file 300000000\nactive_file 200000000\n"
        write(groups / name, memory__max=limit, memory__current="1500000000", memory__stat=stat)
    assert available_memory() == 1_000_000_000  # pages of files are given up when need be


def test_a_control_group_of_the_first_version_counts_as_well(system):
    write(system / "proc" / "self", cgroup="5:cpu:/x\n4:hugetlb,memory:/docker/a\n0::/\n")
    group = system / "sys/fs/cgroup/memory/docker/a"
    write(group, memory__stat="total_inactive_file 100\ntotal_active_file 20\n")
    write(group, memory__limit_in_bytes="3000", memory__usage_in_bytes="1000")
    assert available_memory() == 2120


@linux
def test_a_limit_of_the_process_leaves_what_it_does_not_use_yet(monkeypatch):
    import resource

    used = 1024 * memory._numbers(memory.Path("/proc/self/status"))["VmData"]
    limits = {resource.RLIMIT_DATA: used + 10**8, resource.RLIMIT_AS: resource.RLIM_INFINITY}
    monkeypatch.setattr(resource, "getrlimit", lambda limit: (limits[limit], limits[limit]))
    assert available_memory() == pytest.approx(10**8, abs=3e7)


def test_what_does_not_fit_is_refused_in_a_sentence_and_what_fits_is_not(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2e9)
    check_memory(2e9, "the epochs", "close other programs")
    expected = r"got 2.00 GB of free memory; expected at least 2.50 GB for the epochs; close other"
    with pytest.raises(InputError, match=expected):
        check_memory(2.5e9, "the epochs", "close other programs")
