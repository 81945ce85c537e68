"""How pages name a recording, and what they say to cite."""

import json

import pytest

from p300.readers.write import write_bids, write_fif
from p300.report.sweep import collect_sweep
from p300.report.write import write_report
from p300.simulation import simulate_recording

LDA = ["experiment=lda", "logger=csv", "quiet=true"]


def oddball(seed):
    return simulate_recording(speller=None, n_flashes=400, ch_names=["Cz", "Pz"], seed=seed)


def test_a_run_on_files_is_named_by_them_and_a_sweep_does_not_pool_two(p300, tmp_path):
    for name, seed in (("ada", 0), ("bob", 1)):
        write_fif(oddball(seed), tmp_path / f"{name}-raw.fif")
    files = "data.path=ada-raw.fif,bob-raw.fif"
    status, _, errors = p300("train", "-m", "data=file", files, *LDA, "hydra.sweep.dir=two")
    assert status == 0, errors
    runs = collect_sweep(tmp_path / "two")
    assert sorted(runs["data"]) == ["ada-raw", "bob-raw"]
    for folder, name in zip(runs["folder"], runs["data"], strict=True):
        page = write_report(folder).read_text("utf-8")
        assert f"<h1>lda on {name}</h1>" in page and f"was trained on {name} with" in page
        assert "Cite for" not in page and "names no citation" not in page


@pytest.mark.parametrize(
    ("typed", "cite"),
    [([], "P. Lab (2026); Tones of a lab"), (["data.cite='Our paper.'"], "Our paper")],
)
def test_a_run_on_bids_cites_what_the_data_set_asks_for(p300, tmp_path, typed, cite):
    write_bids(oddball(0), tmp_path / "tones")
    about = {
        "Name": "Tones of a lab",
        "BIDSVersion": "1.9.0",
        "HowToAcknowledge": "P. Lab (2026).",
    }
    (tmp_path / "tones" / "dataset_description.json").write_text(json.dumps(about))
    bids = ["data=bids", "data.root=tones"]
    status, _, errors = p300("train", *bids, *LDA, *typed, "hydra.run.dir=run")
    assert status == 0, errors
    page = write_report(tmp_path / "run").read_text("utf-8")
    assert f"<p>Cite for the recording: {cite}.</p>" in page and "<h1>lda on tones</h1>" in page
