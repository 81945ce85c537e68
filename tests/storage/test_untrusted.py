"""Files from elsewhere hold numbers: none of them runs code, opens a file or fills the memory."""

import ast
import io
import pickle
import zipfile
from pathlib import Path

import hostile_cases as cases
import numpy as np
import pytest
import torch

import p300
from p300.detector import Detector
from p300.errors import InputError
from p300.preprocessing import EpochsCache, Preprocessor
from p300.simulation import simulate_recording
from p300.storage.tensors import read_tensors
from p300.storage.untrusted import restricted
from p300.training.loop import SavedTraining

SOURCE = Path(p300.__file__).parent


class Bomb:
    """Pickled, it opens a file for writing when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.fixture
def fuse(tmp_path):
    """The file that a bomb would make."""
    path = tmp_path / "exploded"
    yield path
    assert not path.exists()


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """What a good checkpoint holds, as bytes, so that every test breaks its own."""
    path = tmp_path_factory.mktemp("good") / "checkpoint.pt"
    cases.trained()[0].save(path)
    return path.read_bytes()


@pytest.fixture
def checkpoint(content, tmp_path):
    """Write a checkpoint of which something was changed."""

    def write(change=lambda content: None):
        loaded = torch.load(io.BytesIO(content), weights_only=True)
        change(loaded)
        torch.save(loaded, tmp_path / "checkpoint.pt")
        return tmp_path / "checkpoint.pt"

    return write


def test_a_bomb_goes_off_where_nobody_keeps_it_from_it(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "exploded"))).close()
    assert (tmp_path / "exploded").exists()


@pytest.mark.parametrize("place", ["config", "members", "speller", "format", "preprocessing"])
def test_a_bomb_in_a_checkpoint_does_not_go_off(checkpoint, fuse, place):
    path = checkpoint(lambda content: content.update({place: Bomb(fuse)}))
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        Detector.load(path)


def test_a_bare_pickle_is_no_checkpoint(tmp_path, fuse):
    (tmp_path / "checkpoint.pt").write_bytes(pickle.dumps(Bomb(fuse)))
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        Detector.load(tmp_path / "checkpoint.pt")


def test_a_bomb_in_an_interrupted_training_does_not_go_off_and_it_begins_anew(tmp_path, fuse):
    path = tmp_path / "1.ckpt"
    torch.save({"key": "mine", "fits": [Bomb(fuse)]}, path)
    assert SavedTraining(path, "mine").read() is None
    torch.save({"key": "mine", "fits": []}, path)
    assert SavedTraining(path, "mine").read() == {"key": "mine", "fits": []}


def test_a_bomb_in_the_cache_of_epochs_does_not_go_off_even_with_the_right_hash(tmp_path, fuse):
    import hashlib

    recording = simulate_recording("E", n_repetitions=1)
    fitted, cache = Preprocessor().fit(recording), EpochsCache(tmp_path / "epochs")
    path = cache.path(fitted, recording)
    path.parent.mkdir()
    np.save(path, np.array([Bomb(fuse)], object), allow_pickle=True)
    planted = path.read_bytes() + b"\0"
    path.write_bytes(planted + hashlib.sha256(planted).digest())
    with pytest.warns(UserWarning, match="is computed again"):
        found = cache.epochs(fitted, recording)
    assert found.data.shape == (12, 8, 78)


@pytest.mark.parametrize("shape", [(12, 8, 77), (11, 8, 78), (8, 78), (12, 8, 78, 1)])
def test_epochs_of_another_shape_in_the_cache_are_made_anew_even_with_the_right_hash(
    tmp_path, shape
):
    import hashlib

    recording = simulate_recording("E", n_repetitions=1)
    fitted, cache = Preprocessor().fit(recording), EpochsCache(tmp_path / "epochs")
    path = cache.path(fitted, recording)
    path.parent.mkdir()
    np.save(path, np.zeros(shape, np.float32))
    planted = path.read_bytes() + bytes(shape[0])
    path.write_bytes(planted + hashlib.sha256(planted).digest())
    with pytest.warns(UserWarning, match="is computed again"):
        assert cache.epochs(fitted, recording).data.any()


def _calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}


def test_nothing_in_the_package_reads_pickles_or_text_as_code():
    n_loads, unpickled = 0, []
    for path in SOURCE.rglob("*.py"):
        for name, keywords in _calls(ast.parse(path.read_text("utf-8"))):
            where = f"{path.name}: {name}"
            assert name not in ("eval", "exec", "yaml.load", "os.system"), where
            if name.endswith(("pickle.load", "pickle.loads", "read_pickle")):
                unpickled.append(where)
            assert keywords.get("shell", "False") == "False", where
            if name == "torch.load":
                assert keywords["weights_only"] == "True", where
                n_loads += 1
            if name == "np.load":
                assert keywords["allow_pickle"] == "False", where
                n_loads += 1
    assert n_loads >= 3
    assert unpickled == ["sklearn_estimator.py: pickle.loads"]  # of this user alone: see below


#: What a checkpoint must not make its reader call, as the configuration of its data.
CALLS = [
    {"_target_": "builtins.open", "file": "FUSE", "mode": "w"},
    {"_target_": "pathlib.Path.touch", "self": "FUSE"},
    {"_target_": "p300.experiments.results.os.mknod", "path": "FUSE"},
    {"_target_": "p300.experiments.results.write_json", "path": "FUSE", "content": 1},
    {"_target_": "p300.readers.muse.read", "root": {"_target_": "builtins.open", "file": "FUSE"}},
    {
        "_target_": "p300.readers.muse.read",
        "root": [{"a": {"_target_": "builtins.open", "file": "FUSE", "mode": "w"}}],
    },
    {"_target_": "p300.readers.muse.read", "root": "${oc.env:HOME}"},
]


def planted(value, fuse):
    """Put the path of the bomb's file into a configuration."""
    if isinstance(value, dict):
        return {k: planted(v, fuse) for k, v in value.items()}
    if isinstance(value, list):
        return [planted(v, fuse) for v in value]
    return str(fuse) if value == "FUSE" else value


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call["_target_"])
@pytest.mark.parametrize("place", ["data", "split"])
def test_a_checkpoint_cannot_make_evaluate_call_what_it_names(checkpoint, fuse, p300, place, call):
    call = planted(call, fuse)
    part = {"data": {"read": call}} if place == "data" else {"split": call}
    path = checkpoint(lambda content: content["config"].update(part))
    status, printed, errors = p300("evaluate", f"run={path}")
    assert status == 1 and "Traceback" not in errors
    if place == "data":
        assert "which a file that may come from elsewhere must not call" in errors


def test_a_run_folder_cannot_make_report_call_what_it_names(p300, small, tmp_path, fuse):
    from omegaconf import OmegaConf

    assert p300("train", "experiment=lda", *small, "hydra.run.dir=run")[0] == 0
    config = OmegaConf.load(tmp_path / "run" / "config.yaml")
    config.data.read = {"_target_": "builtins.open", "file": str(fuse), "mode": "w"}
    OmegaConf.save(config, tmp_path / "run" / "config.yaml")
    status, _, errors = p300("report", "run")
    assert status == 0, errors
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "names builtins.open, which a file that may come from elsewhere must not call" in page


def test_a_laboratory_names_the_packages_that_it_trusts(monkeypatch):
    own = {"data": {"read": {"_target_": "mylab.readers.read"}}, "split": None}
    assert restricted(own)["data"]["read"]["_target_"] == "p300.storage.untrusted.refuse"
    monkeypatch.setenv("P300_TRUST", "other, mylab.readers")
    assert restricted(own) == own
    similar = {"data": {"read": {"_target_": "mylab.readers_of_evil.read"}}}
    assert restricted(similar)["data"]["read"]["_target_"] == "p300.storage.untrusted.refuse"


def network(**sizes):
    return lambda content: content["members"][1]["model"].update(sizes)


def loop(content):
    content["config"]["self"] = content["config"]


def laughs(content):
    value = ["ha"]
    for _ in range(30):
        value = [value, value]
    content["config"]["joke"] = value


#: What is changed in a good checkpoint, and words of the sentence.
DAMAGED = [
    (lambda c: c.pop("members"), "damaged (KeyError: 'members')"),
    (lambda c: c.update(members=3), "damaged (TypeError"),
    (lambda c: c.update(config=None), "damaged"),
    (lambda c: c.update(format="p300 detector 99"), "its format is 'p300 detector 99'"),
    (lambda c: c.update(calibration=[1.0]), "damaged (ValueError"),
    (lambda c: c.update(calibration=["a", "b"]), "damaged (ValueError"),
    (lambda c: c["preprocessing"].update(version=0), "state of version 0"),
    (lambda c: c["preprocessing"]["params"].update(sfreq=1e12), "expected at most 100000"),
    (lambda c: c["preprocessing"]["params"].update(tmax=float("nan")), "tmax is nan; expected"),
    (lambda c: c["preprocessing"]["params"].update(order=10**6), "filter order 1000000; expected"),
    (lambda c: c["preprocessing"]["params"].update(tmax=0.3), "expected (4, 78), as in training"),
    (lambda c: c["preprocessing"]["ch_names"].pop(), "center of shape (4,); expected (3,)"),
    (lambda c: c["speller"]["symbols"].append("A"), "got duplicate symbols ['A']"),
    (lambda c: c["members"][1].update(loss="Path"), "the loss 'Path'; expected"),
    (lambda c: c["members"][1].update(loss="nn"), "the loss 'nn'; expected"),
    (lambda c: c["members"][1]["model"].update(_target_="os.system"), "names 'os.system'"),
    (lambda c: c["members"][1]["model"].update(_target_="p300.models.os.system"), "imported"),
    (lambda c: c["members"][1]["model"].update(command="id"), "damaged (TypeError"),
    (lambda c: c["members"][1]["state"].popitem(), "weights do not fit its model"),
    (lambda c: c["members"][0]["state"]["learned"].clear(), "damaged (NotFittedError"),
    (network(n_filters=10**9), "n_filters=1000000000 but"),
    (network(n_times=10**15), "n_times=1000000000000000 but"),
    (network(n_filters=9_999, n_times=9_999), "weights do not fit its model"),
    (network(n_chans=-4), "damaged|do not fit"),
    (loop, "holds more than 1000000 values"),
    (laughs, "holds more than 1000000 values"),
]


@pytest.mark.parametrize(("change", "words"), DAMAGED, ids=[words for _, words in DAMAGED])
def test_a_checkpoint_with_one_thing_wrong_is_refused_in_a_sentence(checkpoint, change, words):
    path = checkpoint(change)
    with pytest.raises(InputError) as refused:
        Detector.load(path)
    text = str(refused.value)
    assert any(word in text for word in words.split("|")), text
    assert text.startswith(str(path)) and "\n" not in text


def test_the_checkpoint_that_the_cases_break_is_good(checkpoint):
    assert Detector.load(checkpoint()).n_parameters > 0


def rewritten(path, change, method=zipfile.ZIP_STORED):
    """Change the parts of a checkpoint's archive."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, part in parts.items():
            archive.writestr(name, change(name, part))


def test_a_tensor_that_claims_more_than_its_part_of_the_file_is_refused(tmp_path):
    """PyTorch would read whatever stands in memory behind it."""
    path = tmp_path / "checkpoint.pt"
    torch.save({"weights": torch.zeros(1000)}, path)
    assert read_tensors(path)["weights"].shape == (1000,)
    rewritten(path, lambda name, part: part.replace(b"M\xe8\x03", b"M\xff\xff"))
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        read_tensors(path)


def test_a_compressed_archive_which_could_fill_the_memory_is_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save({"weights": torch.zeros(100_000)}, path)
    rewritten(path, lambda name, part: part, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10_000
    with pytest.raises(InputError, match="its parts are compressed"):
        read_tensors(path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_checkpoint_that_is_cut_short_is_refused(content, tmp_path, share):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        Detector.load(path)
