import math
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from sweeping import FATE, counts, written

from p300.errors import InputError
from p300.experiments.configuration import Composer, conf_dir
from p300.experiments.folder import (
    MARKER,
    begin_folder,
    can_be_used,
    finished_runs,
    value_of,
    write_failure,
)
from p300.experiments.identity import fingerprint
from p300.experiments.jobs.finished import Finished
from p300.experiments.jobs.job import Job
from p300.experiments.jobs.runner import resumable

needs_joblib = pytest.mark.skipif(
    not find_spec("hydra_plugins.hydra_joblib_launcher"),
    reason="hydra-joblib-launcher is not installed (extra sweep)",
)


@pytest.fixture
def sweep(p300, small):
    """Sweep a small LDA into the folder "sweep" in this process."""

    def run(*arguments):
        options = ["experiment=lda", "quiet=true", "hydra.sweep.dir=sweep"]
        return p300("train", "-m", *options, *small, *arguments)

    return run


def config_of(run):
    return yaml.safe_load((Path(run) / "config.yaml").read_text())


def test_finished_runs_are_known_by_their_configuration_wherever_they_lie(sweep, tmp_path):
    status, printed, errors = sweep("seed=0,1")
    assert status == 0, errors
    assert counts(printed) == {"finished": 2, "taken from before": 0, "failed": 0}
    assert "p300 compare sweep" in printed
    before = written("sweep")
    (tmp_path / "sweep/0").rename(tmp_path / "sweep/a_person_moved_this")
    status, printed, _ = sweep("seed=1,0,2")
    assert status == 0
    assert counts(printed) == {"finished": 1, "taken from before": 2, "failed": 0}
    after = written("sweep")
    assert after["a_person_moved_this"] == before["0"] and after["1"] == before["1"]
    assert sorted(config_of(tmp_path / "sweep" / run)["seed"] for run in after) == [0, 1, 2]


@pytest.mark.slow
def test_a_sweep_that_grows_writes_over_no_finished_run(sweep, tmp_path):
    sweep("seed=0,1")
    before = written("sweep")
    _, printed, _ = sweep("preprocessing.h_freq=18,20", "seed=0,1")  # the numbers are others now
    assert counts(printed)["taken from before"] == 2
    after = written("sweep")
    assert len(after) == 4 and all(after[run] == before[run] for run in before)
    found = {(c["preprocessing"]["h_freq"], c["seed"]) for c in map(config_of, runs("sweep"))}
    assert found == {(18, 0), (18, 1), (20.0, 0), (20.0, 1)}


def runs(folder):
    return [path.parent for path in Path(folder).rglob("results.json")]


@pytest.mark.parametrize(
    ("override", "is_run_again"),
    [
        ("threads=2", False),
        ("progress=false", False),
        ("cache.folder=kept", False),
        ("logger=default", False),
        ("preprocessing.h_freq=20", False),  # 20.0 is configured
        ("model=lda", False),  # what was chosen by another name
        ("preprocessing.h_freq=20.5", True),
        ("data.read.seed=1", True),
        ("calibration=temperature", True),
    ],
)
def test_what_cannot_change_a_result_makes_no_other_run(override, is_run_again, small, tmp_path):
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf

    from p300.experiments.configuration import compose_training

    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        one, other = (
            OmegaConf.to_container(compose_training(["experiment=lda", *small, *o])[0])
            for o in ([], [override])
        )
    run = tmp_path / "anywhere" / "run"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump(one))
    assert not list(finished_runs(tmp_path))  # without results it is not finished
    (run / "results.json").write_text('{"seed": 0}')
    assert (fingerprint(other) not in Finished(tmp_path, "any_code").runs) == is_run_again
    assert (fingerprint(one) != fingerprint(other)) == is_run_again
    assert list(finished_runs(tmp_path)) == [run]


@pytest.mark.slow
def test_a_half_finished_run_is_made_anew_without_its_remains(sweep, tmp_path):
    sweep("seed=0,1")
    half = tmp_path / "sweep" / "1"
    (half / "results.json").unlink()
    (half / "networks/7").mkdir(parents=True)
    (half / "networks/7/metrics.csv").write_text("remains")
    before = written("sweep")
    status, printed, _ = sweep("seed=0,1")
    assert status == 0 and counts(printed)["taken from before"] == 1
    assert written("sweep")["0"] == before["0"] and (half / "results.json").exists()
    assert not (half / "networks").exists()


@pytest.mark.parametrize("seed", [0, 1])
def test_what_a_training_saved_is_kept_for_the_same_configuration_alone(tmp_path, seed):
    folder = tmp_path / "0"
    begin_folder(folder, {"seed": 0})
    (folder / "networks").mkdir()
    (folder / "networks" / "1.ckpt").touch()
    (folder / "error.txt").write_text("killed")
    job = Job(0, [], folder, key=fingerprint({"seed": seed}))
    assert resumable(job, set()) == (folder if seed == 0 else None)
    if seed == 0:
        begin_folder(folder, {"seed": seed})
        assert (folder / "networks" / "1.ckpt").exists()
        assert not (folder / "error.txt").exists()
    else:
        with pytest.raises(InputError, match="unfinished run with another configuration"):
            begin_folder(folder, {"seed": seed})


def test_of_an_unfinished_run_only_what_runs_write_is_removed(tmp_path):
    begin_folder(tmp_path, {"seed": 0})
    for name in ("thesis.txt", "scores.csv", "train.log", "results.json.1.partial"):
        (tmp_path / name).write_text("years of work")
    begin_folder(tmp_path, {"seed": 1})
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {MARKER, "config.yaml", "thesis.txt", "train.log"}


@pytest.mark.parametrize("name", [MARKER, "overrides.yaml"])
def test_a_run_killed_before_its_folder_was_marked_begins_anew_and_can_go_on(tmp_path, name):
    (tmp_path / f"{name}.12-ab.partial").touch()
    assert can_be_used(tmp_path)
    for _ in range(2):
        begin_folder(tmp_path, {"seed": 0})
        assert {path.name for path in tmp_path.iterdir()} == {MARKER, "config.yaml"}


def test_a_run_that_failed_before_it_began_can_begin_in_the_same_folder(tmp_path):
    write_failure(tmp_path, "no such subject")
    begin_folder(tmp_path, {"seed": 0})
    assert {path.name for path in tmp_path.iterdir()} == {MARKER, "config.yaml"}


def test_a_failure_in_a_folder_of_somebody_else_marks_nothing(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    write_failure(tmp_path, "no such subject")
    assert not (tmp_path / MARKER).exists()


@pytest.mark.parametrize("name", ["config.yaml", "scores.csv", "checkpoint.pt"])
def test_a_file_of_somebody_else_is_not_written_over(tmp_path, name):
    (tmp_path / name).write_text("years of work")
    assert not can_be_used(tmp_path)
    with pytest.raises(InputError, match=f"holds {name}, not of a run"):
        begin_folder(tmp_path, {"seed": 0})
    assert (tmp_path / name).read_text() == "years of work"


@pytest.mark.slow
def test_a_run_is_made_anew_if_its_recording_or_its_code_changed(typed, tmp_path):
    command = [*FATE, "seed=0"]
    assert typed(*command)[0] == 0
    first = written(tmp_path / "sweep")
    _, printed, _ = typed(*command)
    assert counts(printed)["taken from before"] == 1

    reader = tmp_path / "doomed.py"
    reader.write_text(reader.read_text() + "# a change\n")
    status, printed, errors = typed(*command)
    assert status == 0 and counts(printed)["finished"] == 1, errors
    assert "1 finished run: made by other code" in printed + errors
    after = written(tmp_path / "sweep")
    assert first.items() <= after.items() and len(after) == 2  # nothing was deleted

    status, printed, errors = typed(*command, "reuse=any_code")
    assert status == 0 and counts(printed)["taken from before"] == 1, errors


def test_configurations_that_differ_in_values_are_composed_as_hydra_composes_them(small):
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    cases = [
        ["experiment=cnn1", "seed=3", "model.n_filters=5"],
        ["experiment=lda", "data=simulation", "preprocessing.channels=[Cz,Pz]"],
        ["experiment=mlp", "+data.read.duration_s=1", "~test_this_is_not=1"][:2],
        ["experiment=best", "protocol.optimizer.lr=1e-2", "logger.wandb=null"],
    ]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        composer = Composer()
        for case in [*cases, *cases]:
            cfg, choices = composer.compose([*small, *case])
            wanted = compose("train", overrides=[*small, *case])
            found = OmegaConf.to_container(cfg)
            assert {**found, "name": None} == OmegaConf.to_container(wanted)
            assert f"experiment={choices['experiment']}" in case


@pytest.mark.slow
def test_jobs_of_one_configuration_are_run_once(sweep, tmp_path):
    status, printed, _ = sweep("preprocessing.h_freq=20,20.0,21")
    assert status == 0
    assert counts(printed)["finished"] == 2 and counts(printed)["same as another"] == 1
    assert sorted(written("sweep")) == ["0", "2"]


@pytest.mark.slow
def test_a_run_that_fails_costs_only_itself_and_is_tried_again(sweep, tmp_path):
    status, printed, errors = sweep("preprocessing.h_freq=130,20", "seed=0,1")
    assert status == 1
    assert counts(printed) == {"finished": 2, "taken from before": 0, "failed": 2}
    assert "2 of 4 runs failed" in errors and "Traceback" not in errors
    for k in (0, 1):
        assert (
            f"sweep/{k}: got h_freq=130 Hz at a rate of 240 Hz; expected less than 120 Hz"
            in errors
        )
        assert "expected less than 120 Hz" in (tmp_path / f"sweep/{k}/error.txt").read_text()
    before = written("sweep")
    status, printed, _ = sweep("preprocessing.h_freq=130,20", "seed=0,1")
    assert status == 1 and written("sweep") == before
    assert counts(printed) == {"finished": 0, "taken from before": 2, "failed": 2}


@pytest.mark.slow
def test_a_bug_costs_one_run_and_its_traceback_is_in_that_runs_log(typed, tmp_path):
    status, printed, errors = typed(*FATE, "+data.read.fate=bug,none")
    assert status == 1 and counts(printed)["finished"] == 1
    assert "sweep/0: KeyError: 'electrode 65'" in errors and "Traceback" not in errors
    assert "Traceback" in (tmp_path / "sweep/0/train.log").read_text()


@pytest.mark.slow
def test_a_sweep_that_was_killed_goes_on_where_it_stopped(typed, tmp_path):
    command = [*FATE, "+data.read.fate=none,killed at first", "seed=0,1"]
    status, _, _ = typed(*command, FIRST="1")
    assert status == -9
    before = written(tmp_path / "sweep")
    assert before.keys() == {"0", "1"}
    status, printed, errors = typed(*command)
    assert status == 0, errors
    assert counts(printed) == {"finished": 2, "taken from before": 2, "failed": 0}
    after = written(tmp_path / "sweep")
    assert len(after) == 4 and before.items() <= after.items()


@needs_joblib
@pytest.mark.slow
def test_a_process_that_is_killed_costs_one_run_and_not_its_neighbours(typed, tmp_path):
    joblib = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    status, printed, errors = typed(*FATE, *joblib, "+data.read.fate=none,killed,bug", "seed=0")
    assert status == 1
    assert counts(printed) == {"finished": 1, "taken from before": 0, "failed": 2}
    assert errors.count("its process was killed (SIGKILL)") == 1
    before = written(tmp_path / "sweep")
    status, printed, errors = typed(*FATE, "+data.read.fate=none", "seed=0,1")
    assert status == 0, errors
    assert counts(printed) == {"finished": 1, "taken from before": 1, "failed": 0}
    assert before.items() <= written(tmp_path / "sweep").items()


@pytest.mark.slow
def test_a_folder_that_is_no_run_is_never_replaced(sweep, tmp_path):
    precious = tmp_path / "sweep" / "0" / "thesis.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("years of work")
    status, _, errors = sweep("seed=0,1")
    assert status == 0, errors
    assert precious.read_text() == "years of work" and sorted(written("sweep")) == ["1", "2"]


@pytest.mark.slow
def test_a_run_folder_named_by_its_overrides_is_found_again(sweep, tmp_path):
    named = "hydra.sweep.subdir=${hydra.job.override_dirname}"
    for _ in range(2):
        status, printed, errors = sweep(named, "seed=0,1", "+hydra.job.config={}")
        assert status == 0, errors
    assert counts(printed)["taken from before"] == 2
    assert all("seed=" in run.name for run in runs("sweep"))


def test_a_diverged_training_has_no_value():
    assert math.isnan(value_of({"validation": {"detection": {"auc": None}}}))
    assert value_of({"validation": {"detection": {"auc": 0.5}}}) == 0.5


def test_the_sweep_of_wandb_gives_arguments_that_compose(p300):
    page = Path(__file__).parents[2] / "docs" / "wandb_sweep.yaml"
    asked = yaml.safe_load(page.read_text("utf-8"))
    assert asked["metric"] == {"name": "validation/auc", "goal": "maximize"}
    chosen = {k: v.get("min", v.get("values", [0])[0]) for k, v in asked["parameters"].items()}
    program, command, *given, last = asked["command"]
    assert (program, command, last) == ("p300", "train", "${args_no_hyphens}")
    status, printed, errors = p300(
        "train", *given, *(f"{k}={v}" for k, v in chosen.items()), "--cfg", "job"
    )
    assert status == 0, errors
    composed = yaml.safe_load(printed)
    for key, value in chosen.items():
        found = composed
        for name in key.split("."):
            found = found[name]
        assert float(found) == value
