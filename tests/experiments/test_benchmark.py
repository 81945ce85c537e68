import json
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import yaml

from p300.errors import InputError
from p300.experiments.benchmark.cells import Cell, check_files, plan_cells, run_labels
from p300.experiments.benchmark.findings import Finding, condition
from p300.experiments.benchmark.running import job_of, started
from p300.experiments.benchmark.summary import summarize
from p300.experiments.benchmark.tables import accuracy_figure, auc_figure, markdown, panels
from p300.experiments.benchmark.twins import compare_twins, named_experiments, twins_table
from p300.experiments.configuration import Composer, conf_dir
from p300.experiments.jobs.chunk import composed
from p300.experiments.jobs.sweep import expand_sweeps
from p300.metrics import auc_interval, roc_auc, wilson_interval
from p300.recording import flash_table
from p300.terminal import quietly

needs_joblib = pytest.mark.skipif(
    not find_spec("hydra_plugins.hydra_joblib_launcher"),
    reason="hydra-joblib-launcher is not installed (extra sweep)",
)


@pytest.fixture
def small_benchmark(p300, small):
    """Run a small benchmark of LDA on the simulation; later arguments win."""

    def run(*arguments, also=()):
        overrides = ",".join(repr(o) for o in [*small, *also])
        given = ["experiments=[lda]", "seeds=[0]", "only=[own]", "reference=lda", "folder=out"]
        return p300("benchmark", *given, f"overrides=[{overrides}]", *arguments)

    return run


def standardised(scores):
    return (scores - scores.mean()) / scores.std(ddof=0)


@pytest.mark.slow
def test_folds_are_pooled_per_subject_and_every_cell_keeps_its_own_auc(small_benchmark, tmp_path):
    status, printed, errors = small_benchmark("only=[by_run,own]", "experiments=[lda,cnn3]")
    assert status == 0, errors
    out = tmp_path / "out"
    cells = pd.read_csv(out / "cells.csv")
    assert len(cells) == 2 * (3 + 1)
    for row in cells.to_dict("records"):
        label = row["cell"] if isinstance(row["cell"], str) else ""
        run = out / row["task"] / row["experiment"] / label / "seed-0"
        results = json.loads((run / "results.json").read_text())
        assert row["auc"] == pytest.approx(results["test"]["detection"]["auc"])
        assert row["accuracy_02"] == results["test"]["spelling"][1]["accuracy"]
        assert row["score_ms"] > 0 and row["calibration_error"] < 1

    folds = [pd.read_csv(p) for p in sorted((out / "by_run" / "lda").rglob("scores.csv"))]
    tests = [f[f["part"] == "test"] for f in folds]
    pooled = np.concatenate([standardised(t["score"].to_numpy()) for t in tests])
    truth = np.concatenate([t["is_target"].to_numpy(bool) for t in tests])
    summary = pd.read_csv(out / "summary.csv").set_index(["task", "experiment"])
    found = summary.loc[("by_run", "lda")]
    assert found["auc"] == pytest.approx(roc_auc(truth, pooled))
    assert found["low"] <= found["auc"] <= found["high"]
    assert found["n_units"] == 12
    n_right = cells.query("task == 'by_run' and experiment == 'lda'")["accuracy_02"] * [5, 5, 2]
    assert found["accuracy_02"] == pytest.approx(n_right.sum() / 12)

    text = (out / "summary.md").read_text()
    assert "no p-value is given" in text and "| lda | " in text and text.strip() in printed
    assert {"auc.png", "accuracy.png"} <= {p.name for p in out.iterdir()}


@pytest.mark.slow
def test_finished_cells_are_not_run_again_and_changed_or_half_ones_are(small_benchmark, tmp_path):
    def written():
        return {p.parent.name: p.stat().st_mtime_ns for p in tmp_path.rglob("results.json")}

    small_benchmark("seeds=[0,1]")
    first = written()
    (tmp_path / "out" / "own" / "lda" / "seed-1" / "results.json").unlink()
    _, printed, _ = small_benchmark("seeds=[0,1]")
    assert "1 of 2 runs are finished, 1 to do" in printed
    second = written()
    assert second["seed-0"] == first["seed-0"] and second["seed-1"] != first["seed-1"]
    small_benchmark("seeds=[0,1]", also=["preprocessing.h_freq=15"])
    third = written()
    assert second.items() <= third.items() and len(third) == 4  # nothing was deleted
    config = yaml.safe_load((tmp_path / "out/own/lda/seed-0_2/config.yaml").read_text())
    assert config["preprocessing"]["h_freq"] == 15
    cells = pd.read_csv(tmp_path / "out" / "cells.csv")
    results = json.loads((tmp_path / "out/own/lda/seed-0_2/results.json").read_text())
    assert cells["auc"][0] == results["test"]["detection"]["auc"]


def test_networks_start_from_a_first_run_that_several_cells_share(tmp_path):
    task = {
        "protocol": "new-person",
        "pretrained_by": "split.n_own=0 split.n_people=null",
        "runs": ["data=bnci split=new_person split.fold=0,1 split.n_own=2,5 split.n_people=0"],
    }
    cells = plan_cells({"bnci": task}, ["eegnet"], [0, 1], ["logger=csv"], tmp_path)
    assert len(cells) == 2 * 2 * 2
    firsts = {cell.first for cell in cells}
    assert len(firsts) == 2 * 2  # people and seeds
    for cell in cells:
        fold = next(o for o in cell.overrides if o.startswith("split.fold="))
        assert {fold, "split.n_own=0", "split.n_people=null"} <= set(cell.first.overrides)
        assert cell.first.seed == cell.seed
        found = started(cell, {first: tmp_path / first.label for first in firsts})
        label = f"pretrained_{fold.removeprefix('split.').replace('=', '-')}"
        assert found.overrides[-1] == f"pretrained={tmp_path / label}"


@pytest.mark.slow
def test_a_pretrained_network_is_another_than_one_from_random_weights(small_benchmark, tmp_path):
    new = "data=simulation data.read.subjects=3 split=new_person split.fold=0 split.n_own=3"
    runs = f"runs:['{new} split.n_people=0 protocol.max_epochs=2']"
    by = "pretrained_by:'split.n_own=0 split.n_people=2'"
    chained = f"+tasks.chained={{protocol:new-person,{by},{runs}}}"
    plain = f"+tasks.plain={{protocol:new-person,{runs}}}"
    status, _, errors = small_benchmark(
        chained, plain, "only=[chained,plain]", "experiments=[cnn3]", "reference=cnn3"
    )
    assert status == 0, errors
    out = tmp_path / "out"
    cells = pd.read_csv(out / "cells.csv").set_index("task")
    assert list(cells.index) == ["chained", "plain"]  # the first run has no row
    first = json.loads((out / "chained/cnn3/pretrained/seed-0/results.json").read_text())
    assert "2 other people" in first["split"]
    assert cells["auc"]["chained"] != cells["auc"]["plain"]


BAD = "+tasks.bad={protocol:within,runs:['data=simulation split=leave_one_out split.fold=0,99']}"


@pytest.mark.slow
def test_a_failing_cell_costs_only_itself_and_is_named(small_benchmark, tmp_path):
    status, printed, errors = small_benchmark(BAD, "only=[bad,own]")
    assert status == 1
    assert "1 of 3 runs failed" in errors and "got fold=99 of 3 runs" in errors
    cell = tmp_path / "out" / "bad" / "lda" / "fold-99" / "seed-0"
    assert "expected one of 0 to 2" in (cell / "error.txt").read_text()
    assert "Traceback" in (cell / "train.log").read_text() and "Traceback" not in errors
    cells = pd.read_csv(tmp_path / "out" / "cells.csv")
    assert sorted(cells["task"]) == ["bad", "own"]
    assert list(pd.read_csv(tmp_path / "out" / "summary.csv")["task"]) == ["own"]  # bad lacks one
    assert "fold-99" in (tmp_path / "out" / "summary.md").read_text()


@pytest.mark.slow
def test_a_cell_is_a_wandb_run(small_benchmark, tmp_path):
    small_benchmark(also=["logger=default"])
    assert len(list((tmp_path / "out" / "own").rglob("*.wandb"))) == 1


@pytest.mark.slow
def test_a_folder_that_is_no_cell_is_left_alone(small_benchmark, tmp_path):
    precious = tmp_path / "out" / "own" / "lda" / "seed-0" / "thesis.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("years of work")
    status, _, errors = small_benchmark()
    assert status == 0, errors
    assert precious.read_text() == "years of work"
    assert (tmp_path / "out" / "own" / "lda" / "seed-0_2" / "results.json").exists()


@needs_joblib
@pytest.mark.slow
def test_all_cores_find_what_one_finds(small_benchmark, tmp_path):
    tasks = ["only=[by_run]", "experiments=[lda,cnn3]"]
    for folder, options in (
        ("one", []),
        ("two", ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]),
        ("three", ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "runs_per_job=1"]),
    ):
        status, _, errors = small_benchmark(*tasks, f"folder={folder}", *options)
        assert status == 0, errors
    one, two, three = (pd.read_csv(tmp_path / f / "cells.csv") for f in ("one", "two", "three"))
    timed = ["fit_s", "score_ms"]
    pd.testing.assert_frame_equal(one.drop(columns=timed), two.drop(columns=timed))
    pd.testing.assert_frame_equal(one.drop(columns=timed), three.drop(columns=timed))


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        ("only=[mine]", "unknown task 'mine'; expected one of"),
        ("experiments=[cnn9]", "unknown experiment 'cnn9'; expected one of"),
        ("tasks.own.protocol=honest", "unknown protocol 'honest'; expected one of"),
        ("tasks.own.runs=['seed=0','seed=0']", "are the same"),
    ],
)
def test_what_is_not_there_is_refused_before_anything_runs(small_benchmark, tmp_path, ask, words):
    status, _, errors = small_benchmark(ask)
    assert status == 1 and words in errors and "Traceback" not in errors
    assert not list(tmp_path.rglob("results.json"))


def test_a_sweep_is_expanded_as_hydra_would_and_a_deletion_stays_one():
    runs = expand_sweeps("data=muse subject=2 ~data.test.session split.fold=range(0,2)")
    assert [run[3] for run in runs] == ["split.fold=0", "split.fold=1"]
    assert all(run[2] == "~data.test.session" for run in runs)
    labels = run_labels([["subject=1"], ["subject=2", "~data.test.session", "+data.test.run=[4]"]])
    assert labels == ["subject-1", "subject-2_session_run-4"]
    assert run_labels([["data=bci2_iib"]]) == [""]


def test_all_recordings_that_are_missing_are_named_with_their_source(tmp_path):
    (tmp_path / "there").mkdir()
    tasks = {
        "old": {},
        "there": {"files": f"{tmp_path}/there", "source": "https://a.example"},
        "first": {"files": f"{tmp_path}/first", "source": "https://b.example"},
        "second": {"files": f"{tmp_path}/second"},
    }
    check_files(tasks, ["old", "there"])
    with pytest.raises(InputError) as refused:
        check_files(tasks)
    text = str(refused.value)
    assert "of 2 of 4 tasks: first:" in text and "(from https://b.example)" in text
    assert f"second: {tmp_path}/second" in text and "only=[old,there]" in text
    with pytest.raises(InputError, match="1 of 1 tasks.*or get one of them"):
        check_files(tasks, ["first"])


def test_nothing_is_trained_while_a_published_data_set_is_missing(p300, tmp_path, monkeypatch):
    monkeypatch.setenv("P300_DATA_ROOT", str(tmp_path / "eeg"))
    (tmp_path / "eeg/epfl_p300").mkdir(parents=True)
    status, _, errors = p300("benchmark", "tasks=public", "folder=out")
    assert status != 0 and "no recordings of 4 of 5 tasks" in errors and "only=[epfl]" in errors
    assert "Traceback" not in errors and not list(tmp_path.rglob("seed-*"))


@pytest.mark.parametrize(("tasks", "n_protocols"), [("simulation", 4), ("real", 4), ("public", 2)])
def test_every_task_composes_and_their_protocols_are_all_there(tmp_path, tasks, n_protocols):
    from hydra import initialize_config_dir

    tasks = yaml.safe_load((conf_dir() / "tasks" / f"{tasks}.yaml").read_text())
    cells = plan_cells(tasks, ["lda"], [0], [], tmp_path)
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        for cell in {cell.task: cell for cell in cells}.values():
            cfg, choices = composed(Composer(), job_of(cell, 0))
            assert choices["experiment"] == "lda" and "hydra" not in cfg
            assert cfg.logger.wandb.group == f"{tmp_path.name}/{cell.task}"
    assert len({cell.protocol for cell in cells}) == n_protocols
    assert len({cell.folder for cell in cells}) == len(cells)


def test_what_a_cell_prints_goes_into_its_log_and_nowhere_else(tmp_path, capsys):
    with pytest.raises(ValueError), quietly(tmp_path / "train.log"):
        print("a table")
        raise ValueError("bug")
    assert capsys.readouterr().out == ""
    assert "a table" in (tmp_path / "train.log").read_text()
    assert "ValueError: bug" in (tmp_path / "train.log").read_text()


# -- pooling and statistics on made-up scores ------------------------------------------------


def finding(experiment, subject, signal, *, seed=0, label=None, n_characters=4, task="made_up"):
    """Scores of one person: noise that is the same for every experiment, plus a target signal."""
    is_target = np.tile(np.arange(12) < 2, n_characters)
    flashes = flash_table(
        onset=np.arange(12.0 * n_characters),
        character=np.repeat(np.arange(n_characters) + 1, 12),
        is_target=is_target,
        subject=subject,
    )
    noise = np.random.default_rng(int(subject)).normal(size=len(flashes))
    label = f"subject-{subject}" if label is None else label
    cell = Cell(task, "within", experiment, label, seed, (), None)
    numbers = {"n_parameters": 1, "fit_s": 1.0, "score_ms": 1.0}
    measures = dict.fromkeys(("balanced_accuracy", "calibration_error", "brier"), 0.5)
    flashes = flashes.assign(score=noise + signal * is_target)
    return Finding(cell, numbers | measures, flashes, None)


def people(n, *, seeds=(0,), better=1.0):
    return [
        finding(experiment, str(k), signal, seed=seed)
        for experiment, signal in (("old", 1.0), ("new", 1.0 + better))
        for seed in seeds
        for k in range(n)
    ]


def labels_of(findings):
    return list(dict.fromkeys(f.cell.label for f in findings))


def test_the_auc_is_the_mean_over_subjects_and_a_perfect_detector_has_no_interval():
    findings = [*people(3), *(finding("perfect", str(k), 99.0) for k in range(3))]
    summary = summarize(findings, labels_of(findings), reference="old")
    assert list(summary["experiment"]) == ["perfect", "new", "old"]
    perfect, _, old = summary.to_dict("records")
    assert perfect["auc"] == 1 and np.isnan([perfect["low"], perfect["high"]]).all()
    assert "1.000 [–]" in markdown(summary, "old", {})
    aucs = [roc_auc(f.flashes["is_target"], f.flashes["score"]) for f in findings[:3]]
    assert old["auc"] == pytest.approx(np.mean(aucs))
    assert old["auc_subject_2"] == pytest.approx(aucs[2])
    assert perfect["difference"] == pytest.approx(1 - np.mean(aucs))
    assert perfect["difference_low"] < perfect["difference"] < perfect["difference_high"]


def test_the_interval_of_a_benchmark_is_that_of_the_page_of_its_run():
    (found,) = findings = [finding("old", "1", 1.0, n_characters=12)]
    (row,) = summarize(findings, ["subject-1"], reference="old").to_dict("records")
    page = auc_interval(found.flashes)
    assert [row["low"], row["high"], row["n_units"]] == pytest.approx([*page, page.n])


def test_four_characters_have_no_interval_and_the_table_says_why():
    findings = [finding(e, "1", 1.0, n_characters=4) for e in ("old", "new")]
    summary = summarize(findings, ["subject-1"], reference="old")
    assert summary[["low", "high", "difference_low"]].isna().all(axis=None)
    text = markdown(summary, "old", {})
    assert "nan" not in text and "fewer than 5 characters" in text
    assert "too few for intervals" in auc_figure(summary).axes[0].get_title(loc="left")


def test_a_character_counts_once_however_many_seeds_read_it():
    spelled = pd.DataFrame({"subject": "1", "session": "1", "run": 1, "character": range(8)})
    spelled = spelled.assign(n_repetitions=1, is_right=np.arange(8) < 6)
    flashes = finding("old", "1", 1.0, n_characters=8).flashes
    cells = [
        Finding(f.cell, f.record, flashes, spelled)
        for f in (finding("old", "1", 1.0, seed=seed) for seed in (0, 1, 2))
    ]
    (row,) = summarize(cells, ["subject-1"], reference="old").to_dict("records")
    ends = [row["accuracy_01_low"], row["accuracy_01_high"]]
    assert row["accuracy_01"] == 0.75 and ends == pytest.approx([*wilson_interval(6, 8)])


def test_people_are_tested_only_where_there_are_six():
    for n, p in ((5, None), (6, 2 / 2**6)):
        findings = people(n)
        summary = summarize(findings, labels_of(findings), reference="old")
        found = summary.set_index("experiment")["p"]["new"]
        assert np.isnan(found) if p is None else found == pytest.approx(p)
        text = markdown(summary, "old", {})
        assert ("no p-value is given" in text) == (p is None)
        assert ("Wilcoxon" in text) == (p is not None)


def test_equal_seeds_have_no_spread_and_leave_the_interval_as_it_was():
    one, three = (
        summarize(found, labels_of(found), reference="old")
        for found in (people(2), people(2, seeds=(0, 1, 2)))
    )
    assert (three["seed_sd"] == 0).all() and one["seed_sd"].isna().all()
    for column in ("auc", "low", "high"):
        assert three[column].to_numpy() == pytest.approx(one[column].to_numpy())


def test_a_seed_that_lacks_a_fold_is_left_out():
    findings = [f for f in people(2, seeds=(0, 1)) if f.cell != people(2, seeds=(0, 1))[3].cell]
    summary = summarize(findings, ["subject-0", "subject-1"], reference="old")
    assert summary.set_index("experiment")["n_seeds"].to_dict() == {"old": 1, "new": 2}
    assert not len(summarize(findings, ["subject-7"], reference="old"))


def test_a_flash_that_is_tested_twice_or_only_by_some_is_refused():
    twice = [finding("old", "1", 1.0, label=label) for label in ("a", "b")]
    with pytest.raises(InputError, match="48 of 96 flashes are tested in two"):
        summarize(twice, ["a", "b"], reference="old")
    other = [finding("old", "1", 1.0), finding("new", "1", 1.0, n_characters=5)]
    with pytest.raises(InputError, match="tested on other flashes"):
        summarize(other, ["subject-1"], reference="old")


def test_points_of_a_learning_curve_are_not_pooled():
    cells = [
        Cell("t", "learning-curve", "lda", "", 0, (f"split.n_characters={n}",), None)
        for n in (3, 12)
    ]
    assert [condition(cell) for cell in cells] == [("t", "split.n_characters", n) for n in (3, 12)]


def test_a_detector_without_an_auc_of_single_flashes_is_ranked_last_and_compared_with_none():
    findings = [replace(f, has_auc=f.cell.experiment == "old") for f in people(2)]
    summary = summarize(findings, ["subject-0", "subject-1"], reference="old")
    assert summary["experiment"].tolist() == ["old", "new"]
    assert np.isfinite(summary["auc"][0])
    columns = ["auc", "low", "high", "auc_subject_0"]
    assert summary.loc[1, columns].isna().all() and "difference" not in summary
    text = markdown(summary, "old", {})
    assert "new reads from nothing" in text and "nan" not in text
    (axis,) = auc_figure(summary).axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["old"]
    alone = summarize(findings[2:], ["subject-0", "subject-1"], reference="new")
    assert alone["experiment"].tolist() == ["new"] and "| new | 8 | – |" in markdown(
        alone, "new", {}
    )
    auc_figure(alone)


def test_a_row_is_compared_with_its_twin_on_the_seeds_that_both_have():
    findings = [
        f for f in people(2, seeds=(0, 1)) if (f.cell.experiment, f.cell.seed) != ("new", 1)
    ]
    conditions = {"one": (findings, ["subject-0", "subject-1"])}
    compared = compare_twins(conditions, {"new": ["old", "absent"]})
    (row,) = compared.to_dict("records")
    own = [f for f in findings if f.cell.seed == 0]
    aucs = {
        e: np.mean(
            [
                roc_auc(f.flashes["is_target"].to_numpy(bool), f.flashes["score"])
                for f in own
                if f.cell.experiment == e
            ]
        )
        for e in ("old", "new")
    }
    assert row["n_seeds"] == 1
    assert row["difference"] == pytest.approx(aucs["new"] - aucs["old"])
    assert row["difference_low"] < row["difference"] < row["difference_high"]
    head, _, line = twins_table(compared).splitlines()
    assert head.startswith("| row − twin | made_up |") and line.startswith("| new − old | +0.")


def test_experiments_of_pairs_are_named_or_refused():
    assert named_experiments("twins", {"a": ["b"], "c": ["b"]}) == ["a", "b", "c"]
    assert named_experiments(["lda"], {}) == ["lda"]
    with pytest.raises(InputError, match="lacks b"):
        named_experiments(["a"], {"a": ["b"]})
    with pytest.raises(InputError, match="expected twins=primers"):
        named_experiments("twins", {})


def test_every_twin_is_an_experiment():
    experiments = {path.stem for path in (conf_dir() / "experiment").glob("*.yaml")}
    for path in (conf_dir() / "twins").glob("*.yaml"):
        twins = yaml.safe_load(path.read_text("utf-8"))
        assert {*twins, *(t for given in twins.values() for t in given)} <= experiments
        assert not any(one in given for one, given in twins.items())


def test_every_task_has_its_panel_in_both_figures():
    findings = people(2)
    one = summarize(findings, labels_of(findings), reference="old")
    summary = pd.concat([one, one.assign(task="another", accuracy_01=0.5, accuracy_02=1.0)])
    assert len(list(panels(summary))) == 2
    figure = auc_figure(summary)
    assert [axis.get_title(loc="left") for axis in figure.axes] == [
        "made_up: within (n = 8 characters)",
        "another: within (n = 8 characters)",
    ]
    (line, *_) = accuracy_figure(summary).axes[0].lines
    assert line.get_ydata().tolist() == [50, 100]


@pytest.mark.slow
@pytest.mark.real_data
def test_lda_on_real_eeg_reaches_the_auc_that_peers_reach(p300, tmp_path, data_root):
    status, _, errors = p300(
        "benchmark",
        "tasks=real",
        "only=[iib,bnci]",
        "experiments=[lda]",
        "seeds=[0]",
        "overrides=['logger=csv']",
        "folder=out",
    )
    assert status == 0, errors
    summary = pd.read_csv(tmp_path / "out" / "summary.csv").set_index("task")
    assert summary["auc"]["iib"] == pytest.approx(0.930, abs=0.005)  # accuracy.md, sLDA-c
    assert summary["low"]["iib"] == pytest.approx(0.895, abs=0.01)  # t over six characters
    assert summary["accuracy_05"]["bnci"] == pytest.approx(0.68, abs=0.05)
