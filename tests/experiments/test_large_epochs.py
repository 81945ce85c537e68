"""Epochs on disk, larger than the memory that may be used: the same results, bit for bit."""

import json
import sys

import pytest
import torch
from large_epochs import CHANNEL_BYTES, overrides, watched

import p300

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and measures memory")


def made_by(folder):
    """All that a run found, without the seconds it took."""
    results = json.loads((folder / "results.json").read_text())
    results = {name: value for name, value in results.items() if not name.endswith(("_s", "_ms"))}
    checkpoint = torch.load(folder / "checkpoint.pt", weights_only=True)
    members = [(m["weight"], m["state"]) for m in checkpoint["members"]]
    state = checkpoint["calibration"], checkpoint["preprocessing"]
    scores = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    return results, scores, state, members


def assert_same(one, other):
    for a, b in zip(made_by(one)[:3], made_by(other)[:3], strict=True):
        assert a == b
    for (weight, state), (same, again) in zip(made_by(one)[3], made_by(other)[3], strict=True):
        assert weight == same
        assert_same_numbers(state, again)


def assert_same_numbers(one, other):
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_same_numbers(one[name], other[name])
    elif isinstance(one, list | tuple):
        for a, b in zip(one, other, strict=True):
            assert_same_numbers(a, b)
    else:
        assert one == other


@pytest.mark.slow
def test_epochs_of_twice_the_memory_train_and_score_as_those_in_memory(tmp_path):
    n_flashes, n_chans, most = 30_000, 32, 150e6
    n_bytes = n_flashes * n_chans * CHANNEL_BYTES
    few = "trainer.limit_train_batches=50"  # all epochs are scored
    resident = watched(tmp_path / "resident", overrides(n_flashes, n_chans, None, few))
    assert resident["peak"] > n_bytes > 1.9 * most
    # a limit counts what is set aside as well, such as the stacks of threads
    limit = {"limit": int(1.5 * most), "n_mapped": n_bytes}
    for name in ("written", "read"):
        typed = overrides(n_flashes, n_chans, tmp_path / "kept", few)
        mapped = watched(tmp_path / name, typed, **limit)
        assert mapped["peak"] < most
        assert_same(tmp_path / "resident", tmp_path / name)
    (kept,) = (tmp_path / "kept").iterdir()
    assert kept.stat().st_size > n_bytes


@pytest.mark.slow
def test_epochs_larger_than_the_memory_are_refused_before_they_are_cut(tmp_path):
    typed = overrides(30_000, 32)
    with pytest.raises(RuntimeError, match=r"expected at least 0.30 GB for the epochs of 30000"):
        watched(tmp_path / "run", typed, limit=int(150e6))
    assert "cache.folder=FOLDER keeps them" in (tmp_path / "run" / "train.log").read_text()


WAYS = {
    "side by side": ["ensemble=mcnn1"],
    "dropout, noise of the layout's order": ["experiment=eegnet", "augmentation=noise"],
    "aligned and standardized": [
        "experiment=oclnn",
        "alignment=euclidean",
        "preprocessing.scaling=standardize",
        "augmentation=all",
    ],
    "robust, left-out folds, calibrated": [
        "experiment=lda",
        "preprocessing.scaling=robust",
        "+preprocessing.reject_uv=500",
        "held_out_folds=3",
    ],
    "electrodes selected": ["select_electrodes.n=4"],
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_what_is_trained_does_not_depend_on_where_the_epochs_are(
    tmp_path, small, monkeypatch, way
):
    typed = [*small, *WAYS[way]]
    p300.train(tmp_path / "resident", *typed)
    for name in ("written", "read", "short"):
        if name == "short":  # of memory: no layout is copied
            monkeypatch.setattr("p300.training.datamodule.available_memory", lambda: 0)
        p300.train(tmp_path / name, *typed, f"cache.folder={tmp_path / 'kept'}")
        assert_same(tmp_path / "resident", tmp_path / name)
