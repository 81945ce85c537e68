"""Arrays that are mapped from files: read when they are used, and only what is used."""

import ctypes
import gc
import mmap
import os
import sys
import time

import numpy as np
import pytest
import torch

from p300.storage import memory
from p300.storage.maps import announce_rows, is_mapped, map_array

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's kernel")


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


def address(array):
    return array.ctypes.data


def test_views_of_a_mapped_array_are_mapped_and_copies_are_not(mapped):
    array = mapped[1]
    views = array, array[1:], array.T, torch.as_tensor(array[2:]).numpy()
    assert all(is_mapped(address(view)) for view in views)
    assert not is_mapped(address(array[[0, 2]])) and not is_mapped(address(array.copy()))


def test_an_array_that_is_gone_is_not_mapped_any_more(tmp_path):
    (tmp_path / "array").write_bytes(bytes(4096))
    with open(tmp_path / "array", "rb") as file:
        array = map_array(file, (4096,), np.uint8)
    where = address(array)
    assert is_mapped(where)
    del array
    gc.collect()
    assert not is_mapped(where)


@linux
def test_rows_that_were_announced_are_read_and_those_between_them_are_not(tmp_path):
    n_bytes, path = 1 << 16, tmp_path / "array"
    path.write_bytes(bytes(400 * n_bytes + 9))
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        array = map_array(file, (400, n_bytes), np.uint8, offset=9)
    if any(map(resident, array)):
        pytest.skip("the file system keeps all files in memory")
    announce_rows(address(array[100:]), n_bytes, [0, 250])
    until = time.monotonic() + 10
    while not (resident(array[100]) and resident(array[350])) and time.monotonic() < until:
        time.sleep(0.01)
    assert [k for k in range(400) if resident(array[k])] == [100, 350]


def resident(array):
    """Whether the pages that lie wholly inside an array are in memory."""
    libc, page = ctypes.CDLL(None, use_errno=True), mmap.PAGESIZE
    start = -(-address(array) // page) * page
    n_pages = (address(array) + array.nbytes - start) // page
    found = (ctypes.c_ubyte * n_pages)()
    assert not libc.mincore(ctypes.c_void_p(start), ctypes.c_size_t(n_pages * page), found)
    return all(byte & 1 for byte in found)


def test_rows_of_an_array_in_memory_need_no_announcement():
    array = np.zeros((3, 5))
    announce_rows(address(array), 40, [0, 2])
    assert not array.any()


@linux
def test_a_file_larger_than_the_memory_can_be_mapped(tmp_path):
    shape = int(2 * memory._free_on_computer()) // 4096, 1024
    with open(tmp_path / "array", "wb+") as file:
        file.truncate(4 * shape[0] * shape[1])  # without content, so without space on the disk
        array = map_array(file, shape, np.float32)
    assert not array[-1].any()
