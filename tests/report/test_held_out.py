import json

import numpy as np
import pandas as pd
import pytest
import yaml

from p300.metrics import roc_auc
from p300.recording import flash_table
from p300.report.held_out import add_held_out, best_by_held_out, what_was_held_out
from p300.report.sweep import collect_sweep


def a_run(folder, experiment, signal, *, flashes=None, test_auc=0.5, seed=0, overrides=()):
    """A finished run whose held-out scores hold a signal; ``flashes``: those held out, or None."""
    folder.mkdir(parents=True)
    choices = {"data": "simulation", "experiment": experiment, "model": "m"}
    results = {"choices": choices, "seed": seed, "n_parameters": 1, "fit_s": 1.0}
    results["test"] = {"by_subject": {"1": {}}, "detection": {"auc": test_auc}}
    if flashes is not None:
        is_target = np.arange(240) % 12 < 2
        noise = np.random.default_rng(0).normal(size=240)
        table = flash_table(onset=np.arange(240.0), is_target=is_target)
        table = table.assign(score=noise + signal * is_target)
        table.iloc[flashes].to_csv(folder / "held_out.csv", index=False)
        if len(flashes) < 240:
            results["validation"] = {}
    (folder / "results.json").write_text(json.dumps(results))
    config = {"split": {"fold": 0}, "seed": seed}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / ".hydra").mkdir()
    typed = [f"experiment={experiment}", f"seed={seed}", *overrides]
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(typed))


def test_a_detector_without_a_validation_part_is_ranked_by_its_left_out_flashes(tmp_path):
    a_run(tmp_path / "0", "cnn1", 0.8, flashes=range(120, 240), test_auc=0.99)
    a_run(tmp_path / "1", "lda", 1.5, flashes=range(240), test_auc=0.6)
    runs = collect_sweep(tmp_path).set_index("configuration")
    assert runs["held_out_on"].to_dict() == {"cnn1": "validation part", "lda": "left-out folds"}
    assert best_by_held_out(runs.reset_index()) == {"simulation": "lda"}  # not by the test part
    text = what_was_held_out(runs.reset_index())
    assert "Held-out AUC alone chooses lda for simulation." in text
    assert "on their validation part: cnn1." in text and "left out in turn: lda." in text


def test_all_are_measured_on_the_flashes_that_all_held_out(tmp_path):
    a_run(tmp_path / "0", "cnn1", 1.0, flashes=range(120, 240))
    a_run(tmp_path / "1", "lda", 1.0, flashes=range(240))
    runs = collect_sweep(tmp_path)
    assert runs["n_held_out"].tolist() == [120, 120]
    table = pd.read_csv(tmp_path / "1" / "held_out.csv").iloc[120:]
    expected = roc_auc(table["is_target"].to_numpy(), table["score"])
    assert runs["held_out_auc"].tolist() == pytest.approx([expected, expected])


def test_a_run_without_held_out_scores_is_not_ranked_and_the_others_are(tmp_path):
    a_run(tmp_path / "0", "cnn1", 1.0, flashes=range(120, 240))
    a_run(tmp_path / "1", "lda", 1.0, test_auc=0.99)
    runs = collect_sweep(tmp_path)
    assert best_by_held_out(runs) == {"simulation": "cnn1"}
    assert "These have no held-out scores and cannot be chosen: lda." in what_was_held_out(runs)
    none = add_held_out(runs.iloc[1:])
    assert best_by_held_out(none) == {} and "nothing can be chosen" in what_was_held_out(none)


def test_a_fold_is_no_configuration(tmp_path):
    for fold in (0, 1):
        held_out = range(120 * fold, 120 * fold + 120)
        override = f"split.fold={fold}"
        a_run(tmp_path / str(fold), "cnn1", 1.0, flashes=held_out, overrides=[override])
    assert collect_sweep(tmp_path)["configuration"].unique().tolist() == ["cnn1"]
