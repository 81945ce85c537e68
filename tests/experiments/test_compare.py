import json
import sys

import pandas as pd
import pytest
import yaml

from p300.errors import InputError
from p300.experiments.compare import (
    collect_runs,
    collect_wandb_runs,
    compare_runs,
    comparison_table,
    write_comparison,
)

CHOICES = {"data": "d", "experiment": "cnn1", "model": "cecotti", "protocol": "modern"}


def configured(seed=0, **values):
    """Make a small resolved configuration."""
    config = {
        "data": {"root": "eeg"},
        "preprocessing": {"h_freq": 20.0},
        "split": {"_target_": "p300.splits.hold_out", "seed": seed},
        "model": {"_target_": "p300.models.CecottiCNN"},
        "protocol": {"optimizer": {"lr": 0.001}},
        "trainer": {"devices": 1},
        "seed": seed,
        "threads": 1,
    }
    for key, value in values.items():
        *groups, last = key.split("__")
        part = config
        for group in groups:
            part = part.setdefault(group, {})
        part[last] = value
    return config


def write_run(folder, auc, accuracy=0.5, *, seed=0, choices=None, people=(), **values):
    """Write what a finished run leaves, as far as it is compared."""
    folder.mkdir(parents=True)
    chosen = CHOICES | (choices or {})
    spelling = [{"n_repetitions": 1, "accuracy": accuracy}]
    test = {"detection": {"auc": auc}, "spelling": spelling}
    test["by_subject"] = {person: {"auc": auc} for person in people}
    results = {"choices": chosen, "seed": seed, "n_parameters": 1000, "fit_s": 2.0, "test": test}
    (folder / "results.json").write_text(json.dumps(results))
    config = configured(seed, **values) | {"choices": chosen}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return results


def compared(folder):
    return compare_runs(collect_runs([folder]))


def test_seeds_of_a_kind_are_one_row_and_the_best_kind_stands_first(tmp_path):
    write_run(tmp_path / "0", 0.6, 0.25, choices={"experiment": "weak"}, model__n_filters=1)
    for seed, (auc, accuracy) in enumerate([(0.8, 0.5), (0.9, 1.0)]):
        strong = {"experiment": "strong"}
        write_run(tmp_path / f"s{seed}", auc, accuracy, seed=seed, choices=strong)
    lines = comparison_table(collect_runs([tmp_path])).splitlines()
    assert lines[0] == (
        "| name | data | experiment | people | seeds | runs | AUC | ± seeds "
        "| 1 rep. (%) | ± seeds | parameters | fit (s) |"
    )
    assert lines[2] == (
        "| strong | d | strong | 1 | 2 | 2 | 0.850 | 0.071 | 75 | 35 | 1,000 | 2.0 |"
    )
    assert lines[3] == "| weak | d | weak | 1 | 1 | 1 | 0.600 | – | 25 | – | 1,000 | 2.0 |"


@pytest.mark.parametrize(
    ("key", "values", "column"),
    [
        ("preprocessing__h_freq", [15.0, 20.0], "h_freq"),
        ("protocol__optimizer__lr", [0.001, 0.1], "lr"),
        ("model___target_", ["mine.Net", "mine.Other"], "model._target_"),
        ("preprocessing__channels", [None, ["Cz", "Pz"]], "channels"),
        ("split___target_", ["p300.splits.hold_out", "mine.split"], "split._target_"),
        ("split__seed", [7, 8], "split.seed"),
        ("data__read__seed", [0, 1], "read.seed"),
        ("data__root", ["here", "there"], "root"),
        ("calibration", ["none", "platt"], "calibration"),
    ],
)
def test_what_differs_is_never_pooled_and_is_a_column(tmp_path, key, values, column):
    for k, value in enumerate(values):
        for seed in (0, 1):
            write_run(tmp_path / f"{k}{seed}", 0.6 + k / 10, seed=seed, **{key: value})
    table = compared(tmp_path)
    assert table["auc"].tolist() == [0.7, 0.6] and table["seeds"].tolist() == [2, 2]
    shown = [str(None if v == "null" else v).replace("'", "") for v in table[column]]
    assert shown == [str(v).replace("'", "") for v in reversed(values)]


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("fold 0 of 5, by run: train 400, validation 0, test 200 flashes", "run"),
        ("0.25 of the blocks held out, seed 0: train 4, validation 0, test 2 flashes", "block"),
        ("test subject 1 session 1 run 2: train 500, validation 0, test 100 flashes", "run"),
        ("test block 3, which LEAKS (1 run on two sides): train 5, test 1 flashes", "block"),
        ("my split: train 3, validation 0, test 3 flashes", "character"),
    ],
)
@pytest.mark.parametrize("is_pooled", [False, True])
def test_a_split_is_compared_by_the_unit_that_was_divided_in_fact(tmp_path, name, unit, is_pooled):
    found = {"folds": [{"split": name}], "split": "9 folds"} if is_pooled else {"split": name}
    results = write_run(tmp_path / "0", 0.6, split__by="character")
    (tmp_path / "0" / "results.json").write_text(json.dumps(results | found))
    write_run(tmp_path / "1", 0.5, split__by="session")
    assert compared(tmp_path)["by"].tolist() == [unit, "session"]


def test_networks_typed_without_an_experiment_of_their_own_are_rows_of_their_own(tmp_path):
    for network in ("cecotti", "mlp", "lda"):
        target = {"model": {"_target_": network}}
        write_run(tmp_path / network, 0.8, choices={"model": network}, **target)
    assert sorted(compared(tmp_path)["model"]) == ["cecotti", "lda", "mlp"]


def test_what_cannot_change_a_result_does_not_divide_seeds(tmp_path):
    write_run(tmp_path / "0", 0.8, threads=1, trainer__devices=1)
    write_run(
        tmp_path / "1", 0.9, seed=1, threads=8, trainer__devices=2, choices={"logger": "csv"}
    )
    table = compared(tmp_path)
    assert len(table) == 1 and table["seeds"].tolist() == [2]
    assert not {"threads", "devices", "logger", "seed"} & set(table)


def test_people_and_seeds_are_spreads_of_their_own(tmp_path):
    found = {"6": [0.5, 0.7], "7": [0.8, 0.8], "8": [0.9, 1.0]}
    for person, aucs in found.items():
        for seed, auc in enumerate(aucs):
            at = {"subject": person, "data__subject": person, "people": [person]}
            write_run(tmp_path / f"{person}-{seed}", auc, auc, seed=seed, **at)
    (row,) = compared(tmp_path).to_dict("records")
    assert (row["people"], row["seeds"], row["runs"]) == (3, 2, 6)
    for measure in ("auc", "accuracy_01"):
        assert row[measure] == pytest.approx((0.6 + 0.8 + 0.95) / 3)
        sd_seeds = (0.2 / 2**0.5 + 0 + 0.1 / 2**0.5) / 3
        assert row[f"{measure}_sd_seeds"] == pytest.approx(sd_seeds)
        sd_people = pd.Series([0.6, 0.8, 0.95]).std()
        assert row[f"{measure}_sd_people"] == pytest.approx(sd_people)


def test_each_person_counts_the_same_however_many_seeds_there_are(tmp_path):
    for seed in range(3):
        write_run(tmp_path / f"6-{seed}", 0.6, seed=seed, people=["6"], subject=6)
    write_run(tmp_path / "7-0", 0.8, people=["7"], subject=7)
    assert compared(tmp_path)["auc"].tolist() == [pytest.approx(0.7)]


def test_one_detector_of_all_people_is_not_pooled_with_one_of_each(tmp_path):
    write_run(tmp_path / "6", 0.6, people=["6"], subject=6)
    write_run(tmp_path / "all", 0.9, people=["6", "7"], subject="all")
    table = compared(tmp_path)
    assert table["subject"].tolist()[0] == "all" and table["auc"].tolist() == [0.9, 0.6]
    assert table["people"].tolist() == [2, 1]
    assert collect_runs([tmp_path])["auc_subject_7"].tolist()[1] == 0.9


def test_a_run_that_is_there_twice_is_no_second_seed(tmp_path):
    for folder in ("first", "copy"):
        write_run(tmp_path / folder, 0.7)
    (row,) = compared(tmp_path).to_dict("records")
    assert (row["seeds"], row["runs"]) == (1, 2) and "auc_sd_seeds" not in row
    twice = collect_runs([tmp_path, tmp_path / "first"])
    assert len(twice) == 2  # a folder named twice is read once


@pytest.mark.parametrize(("n_folds", "shown"), [(2, ["mean of all 2"]), (3, ["1", "0"])])
def test_folds_are_a_row_each_unless_all_of_them_are_there(tmp_path, n_folds, shown):
    for fold in (0, 1):
        for seed in (0, 1):
            at = {"split__fold": fold, "split__n_folds": n_folds, "people": ["6"]}
            write_run(tmp_path / f"{fold}-{seed}", 0.6 + 0.2 * fold, seed=seed, **at)
    table = compared(tmp_path)
    assert table["fold"].tolist() == shown
    assert table["auc"].tolist() == ([pytest.approx(0.7)] if n_folds == 2 else [0.8, 0.6])
    assert set(table["seeds"]) == {2}


def test_folds_of_an_own_split_may_have_names(tmp_path):
    for fold in ("morning", "evening"):
        write_run(tmp_path / fold, 0.6, split__fold=fold, split__n_folds=2)
    assert sorted(compared(tmp_path)["fold"]) == ["evening", "morning"]


def test_a_fold_that_one_seed_lacks_keeps_the_folds_apart(tmp_path):
    for fold, seed in ((0, 0), (1, 0), (0, 1)):
        at = {"split__fold": fold, "split__n_folds": 2}
        write_run(tmp_path / f"{fold}-{seed}", 0.6, seed=seed, **at)
    assert sorted(compared(tmp_path)["fold"]) == ["0", "1"]


@pytest.mark.slow
def test_a_left_out_person_is_a_fold_and_people_are_the_spread(p300, small, tmp_path):
    people = ["data.read.subjects=2", "split=leave_one_out", "split.by=subject"]
    status, _, errors = p300(
        "train", "-m", "experiment=lda", *small, *people, "split.fold=0,1", "hydra.sweep.dir=sweep"
    )
    assert status == 0, errors
    (row,) = compared(tmp_path).to_dict("records")
    assert row["fold"] == "mean of all 2" and row["people"] == 2 and row["seeds"] == 1
    assert row["auc_sd_people"] > 0 and "auc_sd_seeds" not in row
    assert row["name"] == "lda_split-leave_one_out_max_epochs-1_by-subject_limit_train_batches-16"


def test_a_configured_name_is_that_of_the_row(tmp_path):
    write_run(tmp_path / "0", 0.7, name="first idea")
    write_run(tmp_path / "1", 0.8, seed=1, name="first idea")
    table = compared(tmp_path)
    assert table["name"].tolist() == ["first idea"] and table["seeds"].tolist() == [2]


def test_what_was_typed_names_a_row(tmp_path):
    write_run(tmp_path / "0", 0.7)
    (tmp_path / "0" / ".hydra").mkdir()
    typed = ["experiment=cnn1", "seed=3", "model=eegnet"]
    (tmp_path / "0" / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(typed))
    assert compared(tmp_path)["name"].tolist() == ["cnn1_model-eegnet"]


def test_an_old_run_without_configuration_and_people_is_still_read(tmp_path):
    results = write_run(tmp_path / "0", 0.7, choices={"experiment": "old"})
    (tmp_path / "0" / "config.yaml").unlink()
    del results["test"]["by_subject"], results["n_parameters"]
    (tmp_path / "0" / "results.json").write_text(json.dumps(results))
    write_run(tmp_path / "1", 0.8)
    text = comparison_table(collect_runs([tmp_path]))
    assert "| old | d | old | 1 | 1 | 1 | 0.700 | 50 | – | 2.0 |" in text
    assert "| cnn1 | d | cnn1 | 1 | 1 | 1 | 0.800 | 50 | 1,000 | 2.0 |" in text


def test_unlabelled_test_parts_leave_a_dash(tmp_path):
    results = write_run(tmp_path / "0", 0.7)
    results["test"] = {}
    (tmp_path / "0" / "results.json").write_text(json.dumps(results))
    write_run(tmp_path / "1", 0.8, preprocessing__h_freq=9)
    only = comparison_table(collect_runs([tmp_path / "0"])).splitlines()[-1]
    assert only == "| cnn1 | d | 1 | 1 | 1 | 1,000 | 2.0 |"
    last = comparison_table(collect_runs([tmp_path])).splitlines()[-1]
    assert last == "| cnn1 | d | 20.0 | 1 | 1 | 1 | – | – | 1,000 | 2.0 |"


def test_a_run_without_results_does_not_count(tmp_path):
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "checkpoint.pt").touch()
    with pytest.raises(InputError, match="no finished run"):
        collect_runs([tmp_path])
    with pytest.raises(InputError, match="no such folder"):
        collect_runs([tmp_path / "nowhere"])


def test_the_table_is_written_as_its_suffix_says(p300, tmp_path, monkeypatch):
    for seed, auc in enumerate((0.7, 0.8)):
        write_run(tmp_path / "runs" / str(seed), auc, seed=seed)
    assert p300("compare", "runs", "out=table.csv")[0] == 0
    read = pd.read_csv(tmp_path / "table.csv")
    pd.testing.assert_frame_equal(read, compared(tmp_path / "runs"), check_dtype=False)
    assert p300("compare", "runs", "out=table.md")[0] == 0
    printed = p300("compare", "runs")[1]
    assert (tmp_path / "table.md").read_text() == printed
    status, _, errors = p300("compare", "runs", "out=table.xlsx")
    assert status == 1 and "got the suffix '.xlsx'; expected .md, .csv or .parquet" in errors
    for missing in ("pyarrow", "fastparquet"):
        monkeypatch.setitem(sys.modules, missing, None)
    status, _, errors = p300("compare", "runs", "out=table.parquet")
    assert status == 1 and "expected pyarrow or fastparquet" in errors
    assert "Traceback" not in errors and not (tmp_path / "table.parquet").exists()


def test_a_parquet_file_holds_one_type_per_column(tmp_path):
    pytest.importorskip("pyarrow")
    write_run(tmp_path / "0", 0.7, preprocessing__channels=None, preprocessing__l_freq=0.1)
    write_run(tmp_path / "1", 0.8, preprocessing__channels=["Cz"], preprocessing__l_freq=None)
    write_comparison(collect_runs([tmp_path]), tmp_path / "table.parquet")
    assert len(pd.read_parquet(tmp_path / "table.parquet")) == 2


class Run:
    """What W&B's server gives of a run."""

    def __init__(self, name, state="finished", seed=3, lr=0.001, **summary):
        self.name, self.state, self.summary = name, state, summary
        self.config = configured(seed, protocol__optimizer__lr=lr) | {"choices": CHOICES}


def test_runs_of_a_wandb_project_make_the_same_table_as_run_folders(monkeypatch, tmp_path):
    wandb = pytest.importorskip("wandb")
    numbers = {"fit_s": 2.0, "n_parameters": 1000, "test/auc": 0.9, "test/accuracy_01": 0.5}
    table = {"test/accuracy_by_repetition": {"_type": "table-file"}}
    runs = [Run("a", **numbers, **table), Run("b", "crashed", **numbers), Run("c")]
    runs.append(Run("d", **(numbers | {"test/auc": 0.8}), lr=0.1))
    asked = []
    api = type("Api", (), {"runs": lambda self, project: asked.append(project) or runs})
    monkeypatch.setattr(wandb, "Api", api)
    found = collect_wandb_runs("me/p300")
    assert asked == ["me/p300"] and found["folder"].tolist() == ["a", "d"]
    write_run(tmp_path / "0", 0.9, 0.5, seed=3)
    write_run(tmp_path / "1", 0.8, 0.5, seed=3, protocol__optimizer__lr=0.1)
    assert comparison_table(found) == comparison_table(collect_runs([tmp_path]))
    assert compare_runs(found)["lr"].tolist() == [0.001, 0.1]
    runs[:] = [Run("c")]
    with pytest.raises(InputError, match="got no finished run in the W&B project me/p300; exp"):
        collect_wandb_runs("me/p300")


def test_recordings_whose_configuration_was_not_shared_are_not_pooled(monkeypatch):
    wandb = pytest.importorskip("wandb")
    runs = [
        Run("a", **{"fit_s": 1.0, "test/auc": 0.9}),
        Run("b", **{"fit_s": 1.0, "test/auc": 0.6}),
    ]
    for run, data in zip(runs, ("bnci", "muse"), strict=True):
        run.config |= {"choices": CHOICES | {"data": data}, "data": {"subject": 6}}
    monkeypatch.setattr(wandb, "Api", type("Api", (), {"runs": lambda self, project: runs}))
    assert compare_runs(collect_wandb_runs("me/p300"))["auc"].tolist() == [0.9, 0.6]


def test_the_table_of_runs_names_the_people_of_the_test_part(tmp_path):
    write_run(tmp_path / "0", 0.6, people=["6", "7"])
    assert collect_runs([tmp_path])["subjects"].tolist() == ["6+7"]


def test_a_subject_that_nobody_typed_makes_no_other_kind(tmp_path):
    write_run(tmp_path / "0", 0.7, subject="???", data__subject="all")
    write_run(tmp_path / "1", 0.8, seed=1, data__subject="all")
    runs = collect_runs([tmp_path])
    assert runs["kind"].nunique() == 1 and "subject" not in runs
