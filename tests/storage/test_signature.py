"""What this user wrote on this machine is trusted, and nothing else is."""

import functools
import os
import stat
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import hostile_cases as cases
import pytest
import torch

from p300.detector import Detector, build_model
from p300.errors import InputError
from p300.storage import signature
from p300.storage.classes import call
from p300.storage.signature import is_own, key_path, make_key, read_key, signed
from p300.storage.tensors import read_signed, write_tensors

posix = pytest.mark.skipif(os.name != "posix", reason="access rights are those of POSIX")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A user without a key."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "own.pt"
    write_tensors(path, {"weights": torch.arange(50.0), "text": "P300"}, sign=True)
    return path


def test_a_signed_file_is_own_and_everybody_can_still_read_it(file):
    content, own = read_signed(file)
    assert own and content["text"] == "P300"
    assert torch.load(file, weights_only=True)["weights"].sum() == 49 * 25
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None


def test_a_file_without_a_signature_is_not_own(tmp_path):
    write_tensors(tmp_path / "plain.pt", {"a": 1})
    assert read_signed(tmp_path / "plain.pt") == ({"a": 1}, False)


def test_no_byte_of_a_signed_file_can_be_changed(file):
    content = file.read_bytes()
    assert is_own(content)
    for place in range(0, len(content), 7):
        changed = bytearray(content)
        changed[place] ^= 1
        assert not is_own(bytes(changed)), place
    assert not is_own(content + b"\0") and not is_own(b"\0" + content)
    assert not is_own(content[:-1]) and not is_own(b"") and not is_own(signature.MARK)


def test_a_signature_cannot_be_moved_to_another_file(file, tmp_path):
    write_tensors(tmp_path / "other.pt", {"text": "evil"}, sign=True)
    other, n_comment = (tmp_path / "other.pt").read_bytes(), len(signature.MARK) + 32
    assert not is_own(other[:-n_comment] + file.read_bytes()[-n_comment:])


def test_the_signature_of_another_user_is_not_own(file, home):
    content = file.read_bytes()
    key_path().unlink()
    assert not is_own(content)  # no key
    make_key()
    assert not is_own(content)  # another key
    assert content[-32:] != signed(content[:-32])[-32:]


def test_a_signature_with_an_empty_or_known_key_is_not_own(file, monkeypatch):
    make_key()
    body = file.read_bytes()[:-32]
    for key in (b"", bytes(32), b"key"):
        forged = signature._signature(key, body[: -len(signature.MARK)])
        assert not is_own(body + forged)


@posix
def test_the_key_is_for_its_user_alone(home):
    key = make_key()
    assert len(key) == 32 and make_key() == key == read_key()
    assert stat.S_IMODE(key_path().stat().st_mode) == 0o600
    assert stat.S_IMODE(key_path().parent.stat().st_mode) == 0o700
    assert os.listdir(home / "p300") == ["key"]


@posix
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604])
def test_a_key_that_others_can_read_or_write_proves_nothing(file, mode, caplog):
    content = file.read_bytes()
    key_path().chmod(mode)
    assert read_key() is None and not is_own(content)
    assert "no private key" in caplog.text
    key_path().chmod(0o600)
    assert is_own(content)


@pytest.mark.parametrize("key", [b"", b"short", bytes(33)])
def test_a_key_of_another_length_is_not_used(home, key):
    make_key()
    key_path().write_bytes(key)
    assert read_key() is None


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs a second user")
def test_a_key_of_another_user_is_not_used(home):
    make_key()
    os.chown(key_path(), 12345, 12345)
    assert read_key() is None


def test_without_a_folder_for_the_key_files_are_written_unsigned(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    write_tensors(tmp_path / "plain.pt", {"a": 1}, sign=True)
    assert read_signed(tmp_path / "plain.pt") == ({"a": 1}, False)


def test_processes_that_make_the_key_at_once_agree(home):
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: make_key(), range(8)))
    assert len(keys) == 1 and None not in keys


# -- checkpoints ---------------------------------------------------------------------------------

MODULE = """
import pathlib
from torch import nn

class Wide(nn.Linear):
    def __init__(self, n_chans, n_times, n_outputs, sfreq, n_hidden, touch=None):
        super().__init__(n_chans * n_times, n_outputs)
        for parameter in self.parameters():  # a number: not on the meta device
            parameter.data /= float(parameter.detach().abs().sum())
        if touch:
            pathlib.Path(touch).touch()

    def forward(self, epochs):
        return super().forward(epochs.flatten(1))
"""


@pytest.fixture
def own_network(tmp_path, monkeypatch):
    """A detector with a network of a module that p300 does not know, and a large number."""
    (tmp_path / "labnets.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name in ("P300_CONF", "P300_TRUST"):
        monkeypatch.setenv(name, "")
    import labnets

    detector, recording = cases.trained()
    sizes = {"n_chans": 4, "n_outputs": 2, "n_times": 78, "sfreq": 120.0, "n_hidden": 10**6}
    member = detector.members[1]
    member.detector = labnets.Wide(**sizes)
    member.model = {"_target_": "labnets.Wide", **sizes}
    yield detector, recording
    sys.modules.pop("labnets")


def unsigned(path):
    torch.save(torch.load(path, weights_only=True), path)
    return path


def test_a_network_that_this_user_trained_loads_without_any_variable(own_network, tmp_path):
    detector, recording = own_network
    detector.save(tmp_path / "own.pt")
    loaded = Detector.load(tmp_path / "own.pt")
    assert (loaded.score(recording) == detector.score(recording)).all()


def test_the_same_file_from_elsewhere_is_refused_and_calls_nothing(own_network, tmp_path):
    detector, _ = own_network
    detector.members[1].model["touch"] = str(tmp_path / "exploded")
    detector.save(tmp_path / "own.pt")
    with pytest.raises(InputError, match="names 'labnets.Wide'.*P300_CONF.*P300_TRUST"):
        Detector.load(unsigned(tmp_path / "own.pt"))
    assert not (tmp_path / "exploded").exists()


def test_a_trusted_network_from_elsewhere_may_compute_in_its_constructor(
    own_network, tmp_path, monkeypatch
):
    detector, recording = own_network
    monkeypatch.setenv("P300_TRUST", "labnets")
    detector.save(tmp_path / "own.pt")
    path = unsigned(tmp_path / "own.pt")
    with pytest.raises(InputError, match="n_hidden=1000000 but"):
        Detector.load(path)
    detector.members[1].model["n_hidden"] = 5
    detector.save(path)
    assert (Detector.load(unsigned(path)).score(recording) == detector.score(recording)).all()


def test_the_reader_of_an_own_file_stays_and_that_of_another_is_taken_away(tmp_path):
    detector, _ = cases.trained()
    read = {"_target_": "lab.read", "path": "eeg.npz"}
    detector.config["data"] = {"read": read}
    detector.save(tmp_path / "own.pt")
    assert Detector.load(tmp_path / "own.pt").config["data"]["read"] == read
    loaded = Detector.load(unsigned(tmp_path / "own.pt"))
    assert loaded.config["data"]["read"]["_target_"] == "p300.storage.untrusted.refuse"
    loaded.save(tmp_path / "again.pt")  # signed by this user, and still without it
    assert Detector.load(tmp_path / "again.pt").config == loaded.config


def test_a_module_that_cannot_be_found_names_the_variable(own_network, tmp_path, monkeypatch):
    detector, _ = own_network
    detector.save(tmp_path / "own.pt")
    monkeypatch.setattr(sys, "path", sys.path[1:])
    monkeypatch.delitem(sys.modules, "labnets")
    sys.modules["labnets"] = None
    with pytest.raises(InputError, match="'labnets.Wide' cannot be imported.*set P300_CONF"):
        Detector.load(tmp_path / "own.pt")


def test_what_a_trusted_module_only_imports_is_not_trusted(tmp_path, monkeypatch):
    (tmp_path / "labtools.py").write_text("import os\nfrom subprocess import Popen\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("P300_TRUST", "labtools")
    planted = {"_target_": "labtools.Popen", "args": ["touch", str(tmp_path / "exploded")]}
    detector, _ = cases.trained()
    for part, value in (("model", planted), ("loss", planted)):
        detector.save(tmp_path / "file.pt")
        content = torch.load(tmp_path / "file.pt", weights_only=True)
        content["members"][1][part] = value
        torch.save(content, tmp_path / "file.pt")
        with pytest.raises(InputError, match="'labtools.Popen' is defined in subprocess"):
            Detector.load(tmp_path / "file.pt")
    with pytest.raises(InputError, match="'labtools.os.system' cannot be imported"):
        build_model({"_target_": "labtools.os.system", "command": "true"})
    sys.modules.pop("labtools")
    assert not (tmp_path / "exploded").exists()


def test_a_nested_class_is_built_and_checked_like_the_model(tmp_path):
    nested = {"_target_": "p300.models.CecottiCNN", "activation": {"_target_": "os.getcwd"}}
    with pytest.raises(InputError, match="names 'os.getcwd'"):
        build_model(nested)
    built = call(
        {
            "_target_": "torch.nn.Sequential",
            "_args_": [{"_target_": "torch.nn.ELU", "alpha": 0.5}, {"_target_": "torch.nn.Tanh"}],
        }
    )
    assert built[0].alpha == 0.5 and len(built) == 2
    later = call({"_target_": "fractions.Fraction", "_partial_": True, "denominator": 4})
    assert isinstance(later, functools.partial) and later(3) == 0.75
    kept = call({"_target_": "builtins.dict", "_recursive_": False, "a": {"_target_": "x.Y"}})
    assert kept == {"a": {"_target_": "x.Y"}}
