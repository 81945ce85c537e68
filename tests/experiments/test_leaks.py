"""Own parts of a run that leak: training refuses them, and each check of an audit finds one."""

import json
import sys

import pytest

OWN = """
import dataclasses

import numpy as np

from p300.baselines import ShrinkageLDA
from p300.preprocessing import Preprocessor
from p300.recording import concatenate_recordings
from p300.simulation import simulate_data_set, simulate_recording
from p300.splits import Split, unit_of

TRUTH = []


def every_fourth_flash(flashes):
    k = np.arange(len(flashes)) % 4
    return Split(k < 2, k == 2, k == 3, "every fourth flash")


def every_third_character(flashes):
    k = unit_of(flashes, "character") % 3
    return Split(k == 0, k == 1, k == 2, "every third character")


def validated_on_the_test_person(flashes):
    own = (flashes["subject"] == "2").to_numpy()
    tests = own & (flashes["session"] == "test").to_numpy()
    return Split(~own, own & ~tests, tests)


def oddball(**arguments):
    return simulate_recording(speller=None, n_runs=3, n_flashes=60, **arguments)


def the_same_eeg_twice(train_text, test_text, **arguments):
    train = simulate_data_set(train_text, train_text, **arguments)
    train = train.select((train.flashes["session"] == "train").to_numpy())
    test = dataclasses.replace(train, flashes=train.flashes.assign(session="test"))
    return concatenate_recordings([train, test])


def remembered(**arguments):
    recording = simulate_data_set(**arguments)
    TRUTH[:] = recording.flashes["is_target"].astype(float)
    return recording


class FittedOnAll(Preprocessor):
    def fit(self, recording, y=None, *, rows=None):
        return super().fit(recording)


class SeesLabels(Preprocessor):
    def fit(self, recording, y=None, *, rows=None):
        super().fit(recording, rows=rows)
        self.spread_ = np.array(self.spread_, copy=True)
        self.spread_.flat[0] *= 1 + 0.01 * recording.flashes["is_target"].sum()
        return self


class Remembers(ShrinkageLDA):
    def _score(self, epochs):
        return np.array(TRUTH) - 0.5 if len(epochs) == len(TRUTH) else super()._score(epochs)
"""

SPLITS = ["every_fourth_flash", "every_third_character", "validated_on_the_test_person"]


@pytest.fixture
def own(tmp_path, monkeypatch, small):
    """Make a folder of own parts, and the overrides of a run that is small."""
    folder = tmp_path / "own"
    (folder / "split").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "leaky.py").write_text(OWN)
    for name in SPLITS:
        (folder / "split" / f"{name}.yaml").write_text(f"_target_: leaky.{name}\n")
    oddball = "read: {_target_: leaky.oddball, ch_names: [Cz, Pz], soa_s: 1.0}\ntest: null\n"
    (folder / "data" / "oddball.yaml").write_text(oddball)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setenv("P300_CONF", str(folder))
    monkeypatch.setenv("PYTHONPATH", "")
    yield ["experiment=lda", *small]
    sys.modules.pop("leaky", None)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["split=every_third_character", "+data.read.pause_s=0"], "raw samples read on two sides"),
        (
            ["split=validated_on_the_test_person", "data.read.subjects=2", "model=cecotti"],
            "share no subject; validation and test part share 1",
        ),
    ],
)
def test_a_split_that_leaks_is_not_trained_unless_asked(p300, own, tmp_path, overrides, words):
    status, _, errors = p300("train", *own, *overrides)
    assert status == 1 and "Traceback" not in errors
    assert words in errors and "allow_leaks=true" in errors
    assert not list(tmp_path.rglob("results.json"))
    status, printed, errors = p300("train", *own, *overrides, "allow_leaks=true")
    assert status == 0, errors
    assert words in printed + errors
    (path,) = tmp_path.rglob("results.json")
    found = json.loads(path.read_text())["split"]
    assert "which LEAKS (" in found and words in found


@pytest.mark.parametrize("allowed", [[], ["allow_leaks=true"]])
def test_a_character_is_never_divided_since_no_text_could_be_read(p300, own, tmp_path, allowed):
    status, _, errors = p300("train", *own, "split=every_fourth_flash", *allowed)
    assert status == 1 and "Traceback" not in errors
    assert "every fourth flash: 12 characters on two sides; " in errors
    assert "train nevertheless" not in errors


@pytest.mark.parametrize("split", ["every_fourth_flash", "by_run"])
def test_neighbouring_flashes_of_an_oddball_are_not_divided(p300, own, split):
    oddball = ["data=oddball", *(a for a in own if not a.startswith("data."))]
    status, _, errors = p300("train", *oddball, f"split={split}")
    assert status == (split != "by_run"), errors
    assert ("every fourth flash: 3 runs on two sides; expected" in errors) is (status == 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "failed"),
    [
        (
            ["split=every_fourth_flash"],
            {"no character is on two sides", "no raw sample is read on two sides"},
        ),
        (
            ["split=every_third_character", "+data.read.pause_s=0"],
            {"no raw sample is read on two sides"},
        ),
        (["split=own", "+data.read.pause_s=0"], set()),
        (
            ["data.read._target_=leaky.the_same_eeg_twice"],
            {"no epoch of one side is a copy of one on another"},
        ),
        (
            [
                "split=validated_on_the_test_person",
                "data.read.subjects=2",
                "calibration=platt",
            ],
            {"validation comes from the training side"},
        ),
        (["protocol.monitor=test/auc"], {"nothing is chosen by a test value"}),
        (
            ["preprocessing._target_=leaky.FittedOnAll", "preprocessing.scaling=standardize"],
            {
                "preprocessing is fitted on training flashes",
                "test EEG does not influence training",
            },
        ),
        (
            ["preprocessing._target_=leaky.SeesLabels", "preprocessing.scaling=standardize"],
            {
                "preprocessing is fitted on training flashes",
                "test labels do not influence training",
            },
        ),
        (
            [
                "model={_target_: leaky.Remembers}",
                "data.read._target_=leaky.remembered",
                "audit.n_permutations=5",
            ],
            {"permuted training labels score at chance"},
        ),
    ],
)
def test_an_audit_ends_with_status_1_if_any_check_fails(p300, own, tmp_path, overrides, failed):
    n = [] if any("n_permutations" in o for o in overrides) else ["audit.n_permutations=0"]
    status, printed, errors = p300("audit", *own, *overrides, *n)
    (written,) = tmp_path.rglob("audit.json")
    checks = json.loads(written.read_text())
    assert {check["name"] for check in checks if check["passed"] is False} == failed
    assert all(check["passed"] in (True, False, None) for check in checks)
    assert status == bool(failed), errors
    assert printed.count("FAIL") == len(failed) and "Traceback" not in errors
    assert all(name in errors for name in failed)


@pytest.mark.slow
def test_an_honest_run_passes_every_check_of_an_audit(p300, own, tmp_path):
    honest = ["experiment=cnn3", "preprocessing.scaling=standardize"]
    status, printed, errors = p300("audit", *own, *honest)
    assert status == 0, errors
    (written,) = tmp_path.rglob("audit.json")
    checks = json.loads(written.read_text())
    assert len(checks) == 10 and all(check["passed"] is not False for check in checks)
    assert printed.count("PASS") == 9 and printed.count("NOTE") == 1  # the segments
    assert "at most 13 trainings follow" in printed and "at most 12 more" in printed


def test_choosing_by_the_test_result_fails_before_anything_is_trained(p300, own):
    status, printed, _ = p300("audit", "protocol.monitor=test/auc", *own)
    assert status == 1 and "FAIL  nothing is chosen by a test value" in printed
    assert "permuted" not in printed


@pytest.mark.parametrize("n", [1, 2, 4, -1])
def test_too_few_permutations_to_show_a_leak_are_refused(p300, own, n):
    status, printed, errors = p300("audit", *own, f"audit.n_permutations={n}")
    assert status == 1 and "PASS" not in printed
    assert (
        f"got audit.n_permutations={n}, which any training passes; expected at least 5" in errors
    )
