import json
import math
import pickle
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml
from sweeping import FATE, counts, written

from p300.experiments.configuration import conf_dir
from p300.experiments.folder import fingerprint, finished_runs, objective, run_job
from p300.experiments.sweep.jobs import Job, sort_out

needs_joblib = pytest.mark.skipif(
    not find_spec("hydra_plugins.hydra_joblib_launcher"),
    reason="hydra-joblib-launcher is not installed (extra sweep)",
)
needs_optuna = pytest.mark.skipif(
    not find_spec("hydra_plugins.hydra_optuna_sweeper"),
    reason="hydra-optuna-sweeper is not installed (extra sweep)",
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
    assert not finished_runs(tmp_path)  # without results it is not finished
    (run / "results.json").write_text('{"seed": 0}')
    assert (fingerprint(other) not in finished_runs(tmp_path)) == is_run_again
    assert (fingerprint(one) != fingerprint(other)) == is_run_again
    assert list(finished_runs(tmp_path).values()) == [run]


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
    (folder / "networks").mkdir(parents=True)
    (folder / "networks" / "1.ckpt").touch()
    (folder / "config.yaml").write_text("seed: 0")
    (folder / "error.txt").write_text("killed")
    job = Job(0, [], fingerprint({"seed": seed}), folder)
    assert sort_out([job], [], tmp_path) == [job] and job.folder == folder
    assert (folder / "networks" / "1.ckpt").exists() == (seed == 0)
    assert not (folder / "error.txt").exists()


def test_a_job_that_a_batch_system_starts_twice_begins_again_unless_it_was_finished(tmp_path):
    (tmp_path / ".hydra").mkdir()
    (tmp_path / "train.log").touch()
    (tmp_path / "networks").mkdir()
    (tmp_path / "config.yaml").write_text("remains")
    assert run_job(lambda: {"found": sorted(p.name for p in tmp_path.iterdir())}, tmp_path) == {
        "found": [".hydra", "train.log"]
    }
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "1.ckpt").touch()
    (tmp_path / "config.yaml").touch()
    assert len(run_job(lambda: {"found": list(tmp_path.iterdir())}, tmp_path)["found"]) == 4
    (tmp_path / "results.json").write_text('{"found": "before"}')
    assert run_job(lambda: pytest.fail("trained again"), tmp_path) == {"found": "before"}


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


class Odd(Exception):
    """One that cannot be sent from process to process, as many libraries have."""

    def __init__(self, what, where):
        super().__init__(f"{what} at {where}")


def test_whatever_fails_can_be_sent_from_process_to_process(tmp_path):
    def run():
        raise Odd("no signal", "Cz")

    with pytest.raises(RuntimeError) as caught:
        run_job(run, tmp_path)
    assert str(pickle.loads(pickle.dumps(caught.value))) == "Odd: no signal at Cz"


@needs_joblib
@pytest.mark.slow
def test_a_process_that_is_killed_costs_one_run_and_not_its_neighbours(typed, tmp_path):
    command = [*FATE, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    status, printed, errors = typed(*command, "+data.read.fate=none,killed,bug", "seed=0,1")
    assert status == 1
    assert counts(printed) == {"finished": 2, "taken from before": 0, "failed": 4}
    assert errors.count("its process was killed (SIGKILL)") == 2
    before = written(tmp_path / "sweep")
    status, printed, errors = typed(*command, "+data.read.fate=none", "seed=0,1,2")
    assert status == 0, errors
    assert counts(printed) == {"finished": 1, "taken from before": 2, "failed": 0}
    assert before.items() <= written(tmp_path / "sweep").items()


@needs_optuna
@pytest.mark.slow
def test_a_search_maximises_outlives_failures_and_goes_on(typed, tmp_path):
    space = ["protocol.optimizer.lr=interval(0.0001,0.01)", "preprocessing.h_freq=choice(20,130)"]
    search = ["hydra/sweeper=optuna", "experiment=cnn3", "quiet=true", *space]
    status, printed, _ = typed(*search, "hydra.sweeper.n_trials=6")
    before, once = written(tmp_path / "sweep"), counts(printed)
    assert once["finished"] > 0 and once["failed"] > 0 and sum(once.values()) == 6
    assert status == 1
    status, printed, errors = typed(*search, "hydra.sweeper.n_trials=7")
    assert "Error executing job" not in errors and "Traceback" not in errors
    assert counts(printed)["taken from before"] == once["finished"]
    assert before.items() <= written(tmp_path / "sweep").items()
    aucs = [
        json.loads((run / "results.json").read_text())["validation"]["detection"]["auc"]
        for run in runs(tmp_path / "sweep")
    ]
    best = yaml.safe_load((tmp_path / "sweep/optimization_results.yaml").read_text())
    assert best["best_value"] == max(aucs) > min(aucs)
    assert best["best_params"]["preprocessing.h_freq"] == 20


@pytest.mark.slow
@needs_optuna
def test_a_search_by_a_validation_part_that_is_not_there_ends_in_a_sentence(typed):
    options = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=1", *FATE]
    status, _, errors = typed(*options, "preprocessing.h_freq=interval(15,20)")
    assert status == 1 and "no validation AUC, so nothing to maximise" in errors
    assert "Traceback" not in errors


@needs_optuna
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(p.stem for p in (conf_dir() / "search").glob("*.yaml")))
def test_every_search_space_holds_values_that_train(typed, tmp_path, name):
    status, printed, errors = typed(f"search={name}", "hydra.sweeper.n_trials=1", "quiet=true")
    assert status == 0, errors
    (results, *_) = (tmp_path / "sweep").rglob("results.json")
    space = yaml.safe_load((conf_dir() / "search" / f"{name}.yaml").read_text())
    best = yaml.safe_load((tmp_path / "sweep/optimization_results.yaml").read_text())
    assert best["best_params"].keys() == space["hydra"]["sweeper"]["params"].keys()


@pytest.mark.slow
def test_a_folder_that_is_no_run_is_never_replaced(sweep, tmp_path):
    precious = tmp_path / "sweep" / "0" / "thesis.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("years of work")
    status, _, errors = sweep("seed=0,1")
    assert status == 0, errors
    assert precious.read_text() == "years of work" and sorted(written("sweep")) == ["1", "2"]


@pytest.mark.slow
def test_runs_that_another_version_made_are_taken_and_said(sweep, tmp_path):
    sweep("seed=0,1")
    path = tmp_path / "sweep" / "1" / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": "0.0.1"}))
    _, printed, _ = sweep("seed=0,1")
    assert counts(printed)["taken from before"] == 2
    assert "made by another version" in printed and "1 run(s) by 0.0.1" in printed


@pytest.mark.slow
def test_a_run_folder_named_by_its_overrides_is_found_again(sweep, tmp_path):
    named = "hydra.sweep.subdir=${hydra.job.override_dirname}"
    for _ in range(2):
        status, printed, errors = sweep(named, "seed=0,1", "+hydra.job.config={}")
        assert status == 0, errors
    assert counts(printed)["taken from before"] == 2
    assert all("seed=" in run.name for run in runs("sweep"))


def test_a_diverged_training_has_no_value():
    assert math.isnan(objective({"validation": {"detection": {"auc": None}}}))
    assert objective({"validation": {"detection": {"auc": np.float64(0.5)}}}) == 0.5


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
