"""Every protocol, augmentation and split trains on the simulation; test_determinism.py has every
experiment."""

import json

import pytest

from p300.experiments.configuration import conf_dir

AUGMENTATIONS = sorted(path.stem for path in (conf_dir() / "augmentation").glob("*.yaml"))
PROTOCOLS = sorted(path.stem for path in (conf_dir() / "protocol").glob("*.yaml"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_trains_the_papers_network(p300, small, protocol):
    status, _, errors = p300("train", f"protocol={protocol}", *small)
    assert status == 0, errors


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_every_augmentation_trains(p300, small, augmentation):
    status, _, errors = p300("train", f"augmentation={augmentation}", *small)
    assert status == 0, errors


@pytest.mark.parametrize(
    ("split", "n_characters"),
    [
        ("own", {2}),
        ("by_character", {3}),  # a quarter of twelve
        ("by_run", {5, 2}),  # two training runs of five, a test run of two
        ("by_session", {10, 2}),
        ("leave_one_out", {5}),
    ],
)
def test_every_split_holds_whole_units_out(p300, small, tmp_path, split, n_characters):
    status, _, errors = p300("train", "experiment=lda", f"split={split}", *small)
    assert status == 0, errors
    (results,) = tmp_path.rglob("results.json")
    assert json.loads(results.read_text())["test"]["n_flashes"] / 24 in n_characters


def test_subjects_are_held_out_whole(p300, small, tmp_path):
    overrides = ["data.read.subjects=3", "split=by_subject", "experiment=lda"]
    status, _, errors = p300("train", *overrides, *small)
    assert status == 0, errors
    (results,) = tmp_path.rglob("results.json")
    assert len(json.loads(results.read_text())["test"]["by_subject"]) == 1
