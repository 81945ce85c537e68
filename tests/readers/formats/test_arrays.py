"""Arrays in .npz and HDF5: orientation, onsets or a channel of codes, what hostile files do."""

import io
import zipfile

import numpy as np
import pytest

from p300.errors import InputError
from p300.readers import file
from p300.simulation import simulate_recording

NAMES = ["Fz", "Cz", "Pz", "Oz"]

h5py = pytest.importorskip("h5py")


@pytest.fixture(scope="module")
def oddball():
    return simulate_recording(None, speller=None, n_flashes=40, ch_names=NAMES, sfreq=250, seed=2)


def samples_of(recording):
    return np.round(recording.flashes["onset"].to_numpy() * recording.sfreq).astype(int)


def arrays_of(recording):
    return {
        "signal": recording.segments[0],
        "sfreq": np.array(250.0),
        "ch_names": np.array(NAMES),
        "onsets": samples_of(recording),
        "codes": np.arange(40) % 6 + 1,
        "labels": recording.flashes["is_target"].to_numpy(bool),
    }


def write(path, arrays, **more):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
        return path
    with h5py.File(path, "w") as archive:
        for name, values in arrays.items():
            is_text = np.asarray(values).dtype.kind == "U"
            archive.create_dataset(name, data=values.astype("S") if is_text else values, **more)
    return path


def check(recording, oddball, names=NAMES):
    assert recording.ch_names == tuple(names) and recording.sfreq == 250
    assert np.array_equal(recording.segments[0], oddball.segments[0])
    onset = samples_of(oddball) / 250
    assert recording.flashes["onset"].to_numpy() == pytest.approx(onset, abs=1e-9)
    assert recording.flashes["is_target"].tolist() == oddball.flashes["is_target"].tolist()


@pytest.mark.parametrize("end", [".npz", ".h5", ".hdf5"])
def test_arrays_are_known_by_usual_names_and_either_orientation(tmp_path, oddball, end):
    arrays = arrays_of(oddball)
    for signal, order in (
        (arrays["signal"], "(n_chans, n_samples)"),
        (np.ascontiguousarray(arrays["signal"].T), "(n_samples, n_chans)"),
        (arrays["signal"].T.astype(float), "(n_samples, n_chans)"),
    ):
        path = write(tmp_path / f"a{end}", arrays | {"signal": signal})
        recording = file.read(path)
        check(recording, oddball)
        assert recording.flashes["code"].tolist() == arrays["codes"].tolist()
        assert any(f"taken as {order}, by the names" in note for note in recording.notes)
        assert any("Onsets are taken as samples" in note for note in recording.notes)
    picked = file.read(path, picks=["oz", "Fz"])
    assert np.array_equal(picked.segments[0], oddball.segments[0][[3, 0]])
    said = file.contents(path)
    assert "may be signal" in said and "sfreq: 250.0" in " ".join(said.split("may be ")[1:])


@pytest.mark.parametrize("end", [".npz", ".h5"])
def test_keys_name_arrays_of_any_name_and_flashes_may_be_a_channel(tmp_path, oddball, end):
    n_samples = oddball.segments[0].shape[1]
    code, kind = np.zeros((2, n_samples), int)
    for k, (onset, target) in enumerate(
        zip(samples_of(oddball), oddball.flashes["is_target"], strict=True)
    ):
        code[onset : onset + 5], kind[onset : onset + 5] = k % 6 + 1, bool(target)
    arrays = {"volts": oddball.segments[0].T * np.float32(1), "stimulation": code, "hit": kind}
    path = write(tmp_path / f"a{end}", arrays)
    with pytest.raises(InputError, match="expected a signal, and codes or onsets; set keys"):
        file.read(path)
    keys = {"signal": "volts", "codes": "stimulation", "labels": "hit"}
    with pytest.raises(InputError, match="got no array as the sampling rate"):
        file.read(path, keys=keys)
    recording = file.read(path, keys=keys, sfreq=250)
    check(recording, oddball, ["E1", "E2", "E3", "E4"])
    assert any("since there are more samples" in note for note in recording.notes)
    check(file.read(path, keys=keys, sfreq=250, ch_names=NAMES), oddball)
    targets = {code: code == 3 for code in range(1, 7)}
    other = file.read(path, keys=keys, sfreq=250, targets=targets).flashes
    assert (other["is_target"] == (other["code"] == 3)).all()
    with pytest.raises(InputError, match=r"got keys=\{codes: missing\}; expected some of signal"):
        file.read(path, keys=keys | {"codes": "missing"})


def test_onsets_of_numbers_with_a_point_are_seconds(tmp_path, oddball):
    arrays = arrays_of(oddball) | {"onsets": samples_of(oddball) / 250}
    del arrays["codes"]
    recording = file.read(write(tmp_path / "a.npz", arrays))
    check(recording, oddball)
    assert any("Onsets are taken as seconds" in note for note in recording.notes)


def test_groups_of_hdf5_are_searched(tmp_path, oddball):
    arrays = {f"run/{name}": values for name, values in arrays_of(oddball).items()}
    check(file.read(write(tmp_path / "a.h5", arrays, compression=None)), oddball)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"signal": np.zeros(9)}, r"signal has shape \(9,\)"),
        ({"signal": np.zeros((4, 9), complex)}, "and type complex128"),
        ({"ch_names": np.array(["a", "b"])}, "got 2 names of channels for a signal of shape"),
        ({"sfreq": np.array([250, 251])}, "as the sampling rate; expected one number"),
        ({"sfreq": np.array(-1)}, r"got \[-1\] as the sampling rate"),
        ({"codes": np.zeros(3)}, "got 40 onsets, 3 codes.*; expected numbers, one of each"),
        ({"labels": np.full(40, 3)}, r"is_target has the values 3; .* targets: targets=\{3: \?\}"),
        ({"onsets": np.full(40, np.nan)}, "onsets that are NaN"),
        ({"data": np.zeros((2, 2))}, "all may be signal; .* such as keys={'signal': 'signal'}"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_in_a_sentence(tmp_path, oddball, change, words):
    for end in (".npz", ".h5"):
        path = write(tmp_path / f"a{end}", arrays_of(oddball) | change)
        with pytest.raises(InputError, match=words if end == ".npz" else "."):
            file.read(path)


class Payload:
    def __reduce__(self):
        raise AssertionError("code of a file was run")


def test_python_objects_are_never_read(tmp_path, oddball):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays_of(oddball) | {"ch_names": np.array(NAMES, object)})
    with pytest.raises(InputError, match="ch_names hold Python objects.* dtype=str"):
        file.read(path)


def test_a_claim_of_more_than_the_file_holds_allocates_nothing(tmp_path, oddball):
    import tracemalloc

    arrays = arrays_of(oddball)
    path = write(tmp_path / "a.npz", arrays)
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f4", "fortran_order": False, "shape": (4, 10**9)}
    )
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("eeg.npy", head.getvalue() + bytes(10**6))
    bomb = write(tmp_path / "b.h5", {name: arrays[name] for name in ("sfreq", "onsets", "codes")})
    with h5py.File(bomb, "a") as archive:
        archive.create_dataset("signal", (4, 10**10), "f4", chunks=(4, 1000))
    tracemalloc.start()
    for one, keys in ((path, {"signal": "eeg"}), (bomb, None)):
        with pytest.raises(InputError, match="more than the file|a file that holds it"):
            file.read(one, keys=keys)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_links_to_other_files_are_not_followed(tmp_path, oddball):
    write(tmp_path / "secret.h5", arrays_of(oddball))
    with h5py.File(tmp_path / "a.h5", "w") as archive:
        for name in arrays_of(oddball):
            archive[name] = h5py.ExternalLink("secret.h5", name)
    with pytest.raises(InputError, match="got the arrays nothing"):
        file.read(tmp_path / "a.h5")


@pytest.mark.parametrize("end", [".npz", ".h5"])
def test_damaged_files_are_refused_in_a_sentence(tmp_path, oddball, end):
    whole = write(tmp_path / f"a{end}", arrays_of(oddball)).read_bytes()
    for content in (b"", b"no arrays", whole[:2000], whole[: len(whole) // 2]):
        (tmp_path / f"a{end}").write_bytes(content)
        with pytest.raises(InputError, match=f"a{end} cannot be read"):
            file.read(tmp_path / f"a{end}")


def test_targets_tell_labels_that_have_several_readings_beside_codes(tmp_path, oddball):
    n = len(oddball.flashes)
    is_target = oddball.flashes["is_target"].to_numpy(bool)
    arrays = {
        "signal": oddball.segments[0],
        "sfreq": 250.0,
        "onsets": oddball.flashes["onset"].to_numpy(),
        "codes": np.arange(n) % 12 + 1,
        "labels": np.where(is_target, 2, 1),
    }
    path = write(tmp_path / "a.npz", arrays)
    recording = file.read(path, targets={2: True, 1: False})
    assert recording.flashes["is_target"].tolist() == is_target.tolist()
    assert recording.flashes["code"].tolist() == arrays["codes"].tolist()
    assert any("targets are about the array of labels" in note for note in recording.notes)
    with pytest.raises(InputError, match="got the labels 1, which targets do not name"):
        file.read(path, targets={2: True})
