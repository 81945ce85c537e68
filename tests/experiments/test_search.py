"""Searches by Optuna: asked, run, told, shared, resumed and pruned."""

import re
from importlib.util import find_spec

import pytest
import yaml
from sweeping import FATE, counts, written

from p300.errors import InputError
from p300.experiments.configuration import conf_dir

pytestmark = pytest.mark.skipif(
    not find_spec("optuna"), reason="optuna is not installed (extra sweep)"
)


def values_of(folder):
    """The value of each trial in the journal of a search; None for those without one."""
    from p300.experiments.jobs.search import open_study

    return [
        t.values and t.values[0] for t in open_study(str(folder / "study.journal"), "p300").trials
    ]


@pytest.fixture
def search(typed):
    """Search a small network, in a process of its own."""

    def run(*arguments, n_trials=4, **environment):
        settings = [f"hydra.sweeper.search.n_trials={n_trials}"]
        return typed(
            "search=cnn", "experiment=cnn3", "quiet=true", *settings, *arguments, **environment
        )

    return run


@pytest.mark.slow
def test_a_search_finds_the_best_value_outlives_failures_and_goes_on(search, tmp_path):
    space = ["preprocessing.h_freq=20,130", "hydra.sweeper.search.pruner=null"]
    status, printed, errors = search(*space, n_trials=5)
    before, once = written(tmp_path / "sweep"), counts(printed)
    assert once["finished"] > 0 and once["failed"] > 0 and sum(once.values()) == 5, errors
    assert status == 1 and "Traceback" not in errors
    status, printed, errors = search(*space, n_trials=6)
    assert before.items() <= written(tmp_path / "sweep").items()
    assert len(values_of(tmp_path / "sweep")) == 6 and sum(counts(printed).values()) == 1
    best = yaml.safe_load((tmp_path / "sweep" / "best.yaml").read_text())
    aucs = [value for value in values_of(tmp_path / "sweep") if value is not None]
    assert best["value"] == max(aucs) and best["params"]["preprocessing.h_freq"] == 20


@pytest.mark.slow
def test_any_number_of_the_results_is_an_objective_but_no_test_result(search, tmp_path):
    options = ["hydra.sweeper.search.direction=minimize"]
    status, printed, errors = search(*options, "hydra.sweeper.search.objective=n_parameters")
    assert status == 0, errors
    best = yaml.safe_load((tmp_path / "sweep" / "best.yaml").read_text())
    assert best["objective"] == "n_parameters" and best["value"] == min(
        values_of(tmp_path / "sweep")
    )
    status, _, errors = search("hydra.sweeper.search.objective=test.detection.auc")
    assert status == 1 and "a test result; expected a value of the validation part" in errors


@pytest.mark.slow
def test_a_trial_that_is_worse_than_most_is_pruned(search, tmp_path):
    options = ["protocol.max_epochs=6", "trainer.limit_train_batches=null"]
    pruner = "hydra.sweeper.search.pruner.n_startup_trials=1"
    warm = "hydra.sweeper.search.pruner.n_warmup_steps=1"
    status, printed, errors = search(pruner, warm, *options, n_trials=8)
    assert status == 0, errors
    found = counts(printed)
    assert found["pruned"] > 0 and found["finished"] > 0
    pruned = [path.parent for path in (tmp_path / "sweep").rglob("pruned.txt")]
    assert len(pruned) == found["pruned"]
    assert not any((folder / "results.json").exists() for folder in pruned)


@pytest.mark.slow
def test_a_search_for_a_value_that_is_not_there_ends_in_a_sentence(typed):
    options = ["search=filter", "hydra.sweeper.search.n_trials=1", *FATE]
    status, _, errors = typed(*options)
    assert status == 1 and "got the objective validation.detection.auc, which is not in" in errors
    assert "Traceback" not in errors


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(p.stem for p in (conf_dir() / "search").glob("*.yaml")))
def test_every_search_space_holds_values_that_train(typed, tmp_path, name):
    n_trials = "hydra.sweeper.search.n_trials=1"
    text = (conf_dir() / "search" / f"{name}.yaml").read_text()
    experiment = re.findall(r"^# p300 train .*\b(experiment=\w+)", text, re.MULTILINE)
    overrides = [f"search={name}", n_trials, "quiet=true"]
    status, printed, errors = typed(*overrides, *experiment)
    assert status == 0, errors
    space = yaml.safe_load(text)
    best = yaml.safe_load((tmp_path / "sweep" / "best.yaml").read_text())
    assert best["params"].keys() == space["hydra"]["sweeper"]["search"]["params"].keys()


def test_two_processes_share_one_study(tmp_path):
    from p300.experiments.jobs.search import distribution, n_told, open_study

    settings = {"direction": "maximize"}
    first = open_study(str(tmp_path / "study.journal"), "p300", settings)
    spaces = {"lr": distribution("lr", "interval(0.0,1.0)")}
    trial = first.ask(spaces)
    second = open_study(str(tmp_path / "study.journal"), "p300", settings)
    other = second.ask(spaces)
    assert {trial.number, other.number} == {0, 1}
    first.tell(trial, 0.25)
    second.tell(other, 0.75)
    assert n_told(first) == n_told(second) == 2
    assert first.best_value == second.best_value == 0.75


@pytest.mark.parametrize("text", ["3", "nonsense(1,2)"])
def test_what_is_no_space_is_refused(text):
    from p300.experiments.jobs.search import distribution

    with pytest.raises((InputError, ValueError, Exception), match="to search|nonsense"):
        distribution("lr", text)
