import dataclasses
import os

import numpy as np
import pytest
import yaml

from p300.experiments.configuration import conf_dir
from p300.report import provenance
from p300.simulation import simulate_recording


def recording(**changes):
    return dataclasses.replace(simulate_recording("P3", n_repetitions=2, seed=0), **changes)


def test_the_checksum_is_that_of_the_content_and_of_nothing_else():
    own = recording().checksum
    assert len(own) == 64 and own == recording(name="another").checksum
    turned = [np.asfortranarray(segment) for segment in recording().segments]
    assert recording(segments=turned).checksum == own
    assert recording(sfreq=256.0).checksum != own
    flashes = recording().flashes
    later = flashes.assign(onset=flashes["onset"] + 1e-4)
    assert recording(flashes=later).checksum != own
    for edit in (lambda s: s.__setitem__((0, 7), s[0, 7] + 1), lambda s: s.__imul__(-1)):
        segments = [segment.copy() for segment in recording().segments]
        edit(segments[0])
        assert recording(segments=segments).checksum != own


@pytest.mark.parametrize(
    "path", sorted((conf_dir() / "data").glob("*.yaml")), ids=lambda p: p.stem
)
def test_every_published_data_set_knows_what_to_cite(path, tmp_path):
    data = yaml.safe_load(path.read_text("utf-8"))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"data": data}))
    texts = provenance.citations([tmp_path, tmp_path])
    if path.stem in ("file", "bids", "simulation"):
        assert data["cite"] is None and not texts
    else:
        assert len(data["cite"]) > 15
        (text,) = texts
        assert data["cite"] in text.text and not text.is_note


def test_an_own_data_set_without_a_citation_is_told_where_to_write_it(tmp_path):
    (tmp_path / "config.yaml").write_text("data: {read: {_target_: lab.read}}")
    (text,) = provenance.citations([tmp_path])
    assert text.is_note and "`data.cite`" in text.text


def test_the_times_of_runs_are_those_of_their_results(tmp_path):
    for k in (0, 1):
        (tmp_path / str(k)).mkdir()
        (tmp_path / str(k) / "results.json").touch()
        os.utime(tmp_path / str(k) / "results.json", (0, 86_400 * (k + 1)))
    text = provenance.finished_text([tmp_path / "0", tmp_path / "1"]).text
    assert text.startswith("Finished from 1970-01-0") and " to 1970-01-0" in text


def test_the_commit_of_the_code_is_told_only_from_a_checkout(monkeypatch, tmp_path):
    commit = "0123456789ab"
    answers = {"rev-parse": commit, "status": ""}
    monkeypatch.setattr(provenance, "_git", lambda folder, name, *_: answers[name])
    assert provenance.code_commit() in ("", commit)
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(provenance.p300, "__file__", str(tmp_path / "p300" / "__init__.py"))
    assert provenance.code_commit() == commit
    answers["status"] = " M p300/recording.py"
    assert provenance.code_commit() == f"{commit} with changes"
    (tmp_path / ".git").rmdir()
    assert provenance.code_commit() == ""
