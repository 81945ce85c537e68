import json

import pytest

from p300.errors import InputError
from p300.experiments.compare import collect_runs, collect_wandb_runs, comparison_table


def write_run(folder, experiment, seed, auc, accuracy):
    folder.mkdir(parents=True)
    spelling = [{"n_repetitions": 1, "accuracy": accuracy}]
    results = {
        "choices": {"data": "d", "experiment": experiment, "protocol": "modern"},
        "seed": seed,
        "n_parameters": 1000,
        "fit_s": 2.0,
        "test": {"detection": {"auc": auc}, "spelling": spelling},
    }
    (folder / "results.json").write_text(json.dumps(results))


def test_runs_of_a_kind_are_averaged_over_seeds_and_the_best_stands_first(tmp_path):
    write_run(tmp_path / "0", "weak", 0, 0.6, 0.25)
    write_run(tmp_path / "1", "strong", 0, 0.8, 0.5)
    write_run(tmp_path / "2", "strong", 1, 0.9, 1.0)
    lines = comparison_table(collect_runs([tmp_path])).splitlines()
    assert lines[2].startswith("| d | strong | modern | 2 | 0.850 ± 0.071 | 75 ± 35 | 1,000 |")
    assert lines[3].startswith("| d | weak | modern | 1 | 0.600 | 25 |")


def test_a_run_without_results_does_not_count(tmp_path):
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "checkpoint.pt").touch()
    with pytest.raises(InputError, match="no finished run"):
        collect_runs([tmp_path])
    with pytest.raises(InputError, match="no such folder"):
        collect_runs([tmp_path / "nowhere"])


class Run:
    """What W&B's server gives of a run."""

    def __init__(self, name, state="finished", **summary):
        self.name, self.state, self.summary = name, state, summary
        self.config = {"choices": {"data": "d", "experiment": "cnn1"}, "seed": 3}


@pytest.mark.slow
def test_runs_of_a_wandb_project_make_the_same_table_as_run_folders(monkeypatch, tmp_path):
    import wandb

    numbers = {"fit_s": 2.0, "n_parameters": 1000, "test/auc": 0.9, "test/accuracy_01": 0.5}
    table = {"test/accuracy_by_repetition": {"_type": "table-file"}}
    runs = [Run("a", **numbers, **table), Run("b", "crashed", **numbers), Run("c")]
    asked = []
    api = type("Api", (), {"runs": lambda self, project: asked.append(project) or runs})
    monkeypatch.setattr(wandb, "Api", api)
    found = collect_wandb_runs("me/p300")
    assert asked == ["me/p300"] and found["folder"].tolist() == ["a"]
    write_run(tmp_path / "0", "cnn1", 3, 0.9, 0.5)
    local = collect_runs([tmp_path])
    shared = ["data", "experiment", "seed", "n_parameters", "fit_s", "auc", "accuracy_01"]
    assert found[shared].equals(local[shared])
    assert set(found) < set(local) and "subjects" not in found
    runs[:] = runs[1:]
    with pytest.raises(InputError, match="got no finished run in the W&B project me/p300; exp"):
        collect_wandb_runs("me/p300")


def test_the_table_of_runs_names_the_people_of_the_test_part(tmp_path):
    write_run(tmp_path / "0", "lda", 0, 0.6, 0.25)
    results = json.loads((tmp_path / "0" / "results.json").read_text())
    results["test"]["by_subject"] = {"6": {"auc": 0.5}, "7": {"auc": 0.7}}
    (tmp_path / "0" / "results.json").write_text(json.dumps(results))
    assert collect_runs([tmp_path])["subjects"].tolist() == ["6+7"]
