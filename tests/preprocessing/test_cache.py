"""The cache of epochs: same content, same file; anything else, another; damage is noticed."""

import hashlib
import os
import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from p300.errors import InputError
from p300.preprocessing import (
    EpochsCache,
    EuclideanAlignment,
    Preprocessor,
    aligned,
    cache,
    recording_from_arrays,
)
from p300.storage.maps import is_mapped


def make_recording(seed=0, onsets=(0.5, 1.0)):
    """A quiet segment and a loud one."""
    rng = np.random.default_rng(seed)
    segments = [scale * rng.standard_normal((3, 600)) for scale in (1, 9)]
    return recording_from_arrays(segments, [*onsets, *onsets], sfreq=240, segment=[0, 0, 1, 1])


@pytest.fixture
def recording():
    return make_recording()


@pytest.fixture
def fitted(recording):
    return Preprocessor(reject_uv=5.0).fit(recording)


def test_the_second_time_epochs_come_from_the_disk_and_are_the_same(tmp_path, recording, fitted):
    store = EpochsCache(tmp_path / "new" / "epochs")
    first = store.epochs(fitted, recording)
    second = store.epochs(fitted, recording)
    assert is_mapped(first.data.ctypes.data) and is_mapped(second.data.ctypes.data)
    np.testing.assert_array_equal(second.data, first.data)
    np.testing.assert_array_equal(second.is_rejected, first.is_rejected)
    assert first.is_rejected.tolist() == [False, False, True, True]
    assert second.flashes is recording.flashes
    assert (second.unit, second.ch_names, second.sfreq) == ("sd", first.ch_names, 120)
    assert [p.suffix for p in store.folder.iterdir()] == [".npy"]


def sessions_in_turns(n_flashes=900):
    """Two people who were recorded in turns, flashes in no order of time, some right at an end."""
    rng = np.random.default_rng(5)
    segments = [40 * rng.standard_normal((4, 9000)) for _ in range(3)]
    return recording_from_arrays(
        segments,
        rng.uniform(0.3, 36.7, n_flashes),
        sfreq=240,
        segment=rng.integers(3, size=n_flashes),
        subject=rng.choice(["1", "2"], n_flashes),
    )


@pytest.mark.parametrize("alignment", [None, EuclideanAlignment()])
@pytest.mark.parametrize(
    "steps",
    [
        {},
        {"scaling": "standardize", "clip_uv": 30.0, "reference": "average"},
        {"scaling": "robust", "reject_uv": 95.0, "sfreq": 100.0, "phase": "causal"},
        {"scaling": "center", "engine": "scipy", "channels": ["2", "0"]},
        {"scaling": "rms_epoch", "l_freq": None, "h_freq": None, "baseline": (0.0, 0.1)},
    ],
)
def test_epochs_from_the_disk_are_those_of_the_memory_bit_for_bit(tmp_path, steps, alignment):
    recording = sessions_in_turns()
    fitted = Preprocessor(**steps).fit(recording, rows=np.arange(500))
    resident = aligned(fitted.epochs(recording), alignment)
    for _ in range(2):  # written, then read
        mapped = EpochsCache(tmp_path).epochs(fitted, recording, alignment=alignment)
        assert is_mapped(mapped.data.ctypes.data) and not is_mapped(resident.data.ctypes.data)
        assert mapped.data.tobytes() == resident.data.tobytes()
        assert mapped.unit == resident.unit
        np.testing.assert_array_equal(mapped.is_rejected, resident.is_rejected)
    assert len(list(tmp_path.iterdir())) == (1 if alignment is None else 2)


def test_who_was_recorded_and_how_epochs_are_aligned_changes_the_file(tmp_path):
    recording, store = sessions_in_turns(), EpochsCache(tmp_path)
    fitted = Preprocessor().fit(recording)
    other = recording_from_arrays(
        recording.segments,
        recording.flashes["onset"],
        sfreq=240,
        segment=recording.flashes["segment"],
    )
    paths = {
        store.path(fitted, recording),
        store.path(fitted, recording, EuclideanAlignment()),
        store.path(fitted, recording, EuclideanAlignment(n_prior=12)),
        store.path(fitted, other, EuclideanAlignment()),
    }
    assert len(paths) == 4
    assert store.path(fitted, other) in paths  # without alignment, it does not matter who it was


def test_epochs_that_fit_neither_on_the_disk_nor_into_memory_are_refused(
    tmp_path, recording, fitted, monkeypatch
):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.warns(UserWarning, match="not cached in .*No space left .*GB of epochs"):
        assert not is_mapped(EpochsCache(tmp_path).epochs(fitted, recording).data.ctypes.data)
    monkeypatch.setattr("p300.storage.memory.available_memory", lambda: 100)
    with pytest.warns(UserWarning), pytest.raises(InputError, match="free disk space in"):
        EpochsCache(tmp_path).epochs(fitted, recording)
    assert list(tmp_path.iterdir()) == []


def test_changes_to_the_epochs_do_not_reach_the_disk(tmp_path, recording, fitted):
    store = EpochsCache(tmp_path)
    first = store.epochs(fitted, recording)
    store.epochs(fitted, recording).data[:] = 0
    np.testing.assert_array_equal(store.epochs(fitted, recording).data, first.data)


def test_whatever_changes_the_epochs_changes_the_file(recording, fitted, tmp_path, monkeypatch):
    store = EpochsCache(tmp_path)
    one_sample = make_recording()
    one_sample.segments[1][2, 599] += 1e-9
    paths = [
        store.path(fitted, recording),
        store.path(fitted, one_sample),
        store.path(fitted, make_recording(onsets=(0.5, 1.1))),
        store.path(Preprocessor(phase="causal").fit(recording), recording),
        store.path(Preprocessor(scaling="standardize").fit(recording), recording),
        store.path(Preprocessor(scaling="standardize").fit(recording, rows=[0, 1]), recording),
    ]
    for change in ({"ch_names": ["0", "2", "1"]}, {"segment": [0, 1, 1, 1]}):
        columns = {"ch_names": recording.ch_names, "segment": [0, 0, 1, 1]} | change
        onsets = recording.flashes["onset"]
        other = recording_from_arrays(recording.segments, onsets, sfreq=240, **columns)
        paths.append(store.path(fitted, other))
    monkeypatch.setattr(cache, "_code_version", lambda: "other code")
    paths.append(store.path(fitted, recording))
    assert len(set(paths)) == len(paths)
    monkeypatch.undo()
    assert store.path(fitted, make_recording()) == paths[0]
    labelled = recording.flashes.assign(is_target=True)
    object.__setattr__(recording, "flashes", labelled)
    assert store.path(fitted, recording) == paths[0]


def test_another_version_of_the_code_makes_its_own_files(tmp_path, monkeypatch):
    shutil.copytree(Path(cache.__file__).parent, tmp_path / "copy")
    version = cache._code_version.__wrapped__  # without what it remembers
    installed = version()
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "copy" / "cache.py"))
    assert version() == installed
    with open(tmp_path / "copy" / "filters.py", "a") as file:
        file.write("# a change")
    assert version() != installed


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "short", "foreign", "pickle"])
def test_a_damaged_entry_is_noticed_and_made_anew(tmp_path, recording, fitted, damage):
    store = EpochsCache(tmp_path)
    expected = store.epochs(fitted, recording).data.copy()
    path = store.path(fitted, recording)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[:-100]
    elif damage == "flipped":
        content[len(content) // 2] ^= 1
    elif damage == "empty":
        content = b""
    elif damage == "short":
        content = content[: cache.N_DIGEST]
    elif damage == "foreign":
        content = b"something else entirely, and longer than a hash" * 9
    else:
        np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
        content = path.read_bytes()
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="damaged cache entry .* is computed again: ") as warned:
        again = store.epochs(fitted, recording)
    assert warned[0].filename == __file__  # where the epochs were asked for
    np.testing.assert_array_equal(again.data, expected)
    np.testing.assert_array_equal(store.epochs(fitted, recording).data, expected)


@pytest.mark.parametrize(
    "change", [lambda e: e[:-1], lambda e: e.astype(float), np.asfortranarray]
)
def test_a_whole_entry_of_another_shape_or_type_is_made_anew(tmp_path, recording, fitted, change):
    store = EpochsCache(tmp_path)
    expected = store.epochs(fitted, recording).data.copy()
    path = store.path(fitted, recording)
    with open(path, "wb") as file:
        np.save(file, change(expected))
        file.write(bytes(len(expected)))
        file.flush()
        file.write(hashlib.sha256(path.read_bytes()).digest())
    with pytest.warns(UserWarning, match="is computed again: .*, expected float32 of"):
        again = store.epochs(fitted, recording)
    assert again.data.dtype == np.float32
    np.testing.assert_array_equal(again.data, expected)


def test_many_at_once_all_get_the_epochs(tmp_path, recording, fitted):
    store, found = EpochsCache(tmp_path), []
    expected = fitted.transform(recording)
    threads = [
        threading.Thread(target=lambda: found.append(store.epochs(fitted, recording).data.copy()))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    for data in found:
        np.testing.assert_array_equal(data, expected)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_process_that_dies_while_writing_leaves_no_entry(
    tmp_path, recording, fitted, monkeypatch
):
    store = EpochsCache(tmp_path)

    def die(*_):
        raise KeyboardInterrupt

    def be_robbed_and_die(unfinished, _):
        os.remove(unfinished)
        die()

    for death in (die, be_robbed_and_die):
        monkeypatch.setattr(os, "replace", death)
        with pytest.raises(KeyboardInterrupt):
            store.epochs(fitted, recording)
        assert list(tmp_path.iterdir()) == []


def test_the_entries_not_used_for_longest_go_first(tmp_path, fitted):
    recordings = [make_recording(seed) for seed in range(4)]
    size = fitted.transform(recordings[0]).nbytes + 200
    store = EpochsCache(tmp_path, max_bytes=3 * size)
    now = time.time()
    for age, recording in enumerate(recordings[:3]):
        store.epochs(fitted, recording)
        os.utime(store.path(fitted, recording), (now - 100 + age,) * 2)
    store.epochs(fitted, recordings[0])  # used again
    store.epochs(fitted, recordings[3])
    kept = [store.path(fitted, r).exists() for r in recordings]
    assert kept == [True, False, True, True]
    assert store.prune(0) > 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_as_large_as_its_limit_loses_nothing(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.npy").write_bytes(b"1234")
    assert EpochsCache(tmp_path).prune(8) == 0
    assert EpochsCache(tmp_path).prune(7) == 4
    assert len(list(tmp_path.iterdir())) == 1


def test_entries_that_another_process_deletes_meanwhile_are_no_error(tmp_path, monkeypatch):
    for name in ("a.npy", "b.partial"):
        (tmp_path / name).write_bytes(b"1234")
        os.utime(tmp_path / name, (time.time() - 7200,) * 2)
    look = cache._status

    def look_and_lose(path):
        status = look(path)
        path.unlink()
        return status

    monkeypatch.setattr(cache, "_status", look_and_lose)
    EpochsCache(tmp_path).prune(0)
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_process_left_is_cleared_away(tmp_path):
    old, new = tmp_path / "a.partial", tmp_path / "b.partial"
    old.write_bytes(b"1234")
    new.write_bytes(b"1234")
    os.utime(old, (time.time() - 7200,) * 2)
    assert EpochsCache(tmp_path).prune() == 4
    assert not old.exists() and new.exists()


def test_a_folder_that_cannot_be_written_costs_a_warning_only(tmp_path, recording, fitted):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.warns(UserWarning, match="epochs are not cached in") as warned:
        epochs = EpochsCache(blocked / "epochs").epochs(fitted, recording)
    assert warned[0].filename == __file__  # where the epochs were asked for
    assert epochs.data.shape == (4, 3, 78)
