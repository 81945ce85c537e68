import json

import pytest

from p300.compare import collect_runs, comparison_table
from p300.errors import InputError


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
