"""Memory that is left, by any of the limits."""

import sys

import pytest

from p300.errors import InputError
from p300.storage import memory
from p300.storage.memory import available_memory, check_memory

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads the files of Linux's kernel")


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
