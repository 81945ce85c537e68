"""A search for the best values by Optuna: it is asked for trials and told what they reached.

The study is a journal file in the folder of the search. Several processes and computers may search
in one folder, each with its own trials, and a search that was interrupted goes on.
"""

from __future__ import annotations

import difflib
import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.errors import InputError
from p300.experiments.folder import read_results
from p300.experiments.identity import flatten
from p300.experiments.jobs.job import Job
from p300.experiments.jobs.sweep import expand_sweeps, sweep_jobs
from p300.storage.files import write_text
from p300.terminal import show

if TYPE_CHECKING:
    import optuna

    from p300.experiments.jobs.runner import Runner

log = logging.getLogger("p300.experiments.jobs")

#: The file of a study in its folder, and its name there.
JOURNAL, STUDY = "study.journal", "p300"

DIRECTIONS = ("maximize", "minimize")


def run_search(runner: Runner, arguments: Sequence[str], search: Mapping[str, Any]) -> float:
    """Search for the values with the best objective; write ``best.yaml``.

    Parameters
    ----------
    runner : Runner
        Of the search's folder.
    arguments : sequence of str
        What was typed, for every run; a sweep such as ``model.n_filters=5,10`` or
        ``preprocessing.h_freq=interval(10,30)`` is searched too.
    search : mapping
        As in ``conf/search``: ``n_trials``, ``params``, ``objective``, ``direction``, ``pruner``,
        ``sampler``.

    Returns
    -------
    float
        The best value.

    Raises
    ------
    InputError
        If the search cannot be used, or no trial has a value.
    """
    check_search(search)
    fixed, searched = divided(arguments)
    searched = {**search["params"], **searched}
    spaces = {key: distribution(key, text) for key, text in searched.items()}
    study = open_study(str(runner.folder / JOURNAL), STUDY, search)
    while (left := search["n_trials"] - n_told(study)) > 0:
        trials = [study.ask(spaces) for _ in range(min(left, max(1, runner.n_processes)))]
        jobs = plan_trials(runner, fixed, trials, search)
        runner.run(jobs)
        for trial, job in zip(trials, jobs, strict=True):
            check_objective(job, search["objective"])
            tell(study, trial, job, search["objective"])
    return write_best(study, runner.folder, search)


def check_search(search: Mapping[str, Any]) -> None:
    """Check the settings of a search.

    Raises
    ------
    InputError
        If the objective is of the test part, or a setting is not known.
    """
    if search["objective"].split(".")[0] == "test":
        raise InputError(
            f"got the objective {search['objective']}, a test result; expected a value of the "
            f"validation part, such as validation.detection.auc"
        )
    if search["direction"] not in DIRECTIONS:
        raise InputError(f"got direction={search['direction']}; expected maximize or minimize")
    if search["n_trials"] < 1:
        raise InputError(f"got n_trials={search['n_trials']}; expected at least 1")


def check_objective(job: Job, objective: str) -> None:
    """Check that the results of a finished trial have the objective: no other will have it.

    Raises
    ------
    InputError
        If they do not.
    """
    if not job.has_results:
        return
    found = flatten(read_results(job.folder))
    numbers = [key for key, value in found.items() if isinstance(value, int | float)]
    allowed = [key for key in numbers if not key.startswith(("test.", "seed"))]
    if objective not in found:
        near = difflib.get_close_matches(objective, allowed, n=3, cutoff=0.3) or allowed
        raise InputError(
            f"got the objective {objective}, which is not in {os.path.relpath(job.folder)}/"
            f"results.json; expected a number of it, such as {', '.join(near)}"
        )


def open_study(journal: str, name: str, search: Mapping[str, Any] | None = None) -> optuna.Study:
    """Open a study, or make it as a search configures it."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    from p300.experiments.build import build

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(journal))
    made: dict[str, Any] = {}
    if search is not None:
        made = {part: build(search[part]) for part in ("sampler", "pruner") if search.get(part)}
        made["direction"] = search["direction"]
    study = optuna.create_study(study_name=name, storage=storage, load_if_exists=True, **made)
    if len(study.get_trials(deepcopy=False)):  # or it would propose again what it proposed first
        study.sampler.reseed_rng()
    return study


def n_told(study: optuna.Study) -> int:
    """Count the trials that have ended; those of a killed process are asked for again."""
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def divided(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Divide what was typed into overrides of every run, and spaces to search.

    Examples
    --------
    >>> divided(["data=bnci", "model.n_filters=5,10", "tmax=interval(0.5,1)", "search=cnn"])
    (['data=bnci'], {'model.n_filters': 'choice(5,10)', 'tmax': 'interval(0.5,1)'})
    """
    fixed, searched = [], {}
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key == "search" or key.startswith("hydra"):
            continue
        if value.startswith(("interval(", "choice(", "tag(", "range(", "int(")):
            searched[key] = value
        elif len(runs := expand_sweeps([argument])) > 1:
            searched[key] = f"choice({','.join(run[0].partition('=')[2] for run in runs)})"
        else:
            fixed.append(argument)
    return fixed, searched


def distribution(key: str, text: str) -> optuna.distributions.BaseDistribution:
    """Read a space in the words of Hydra's sweeps.

    Examples
    --------
    >>> distribution("lr", "tag(log, interval(1.0e-4, 1.0e-2))")
    FloatDistribution(high=0.01, log=True, low=0.0001, step=None)
    >>> distribution("n", "choice(1, 5)"), distribution("k", "int(interval(1, 8))")
    (CategoricalDistribution(choices=(1, 5)), IntDistribution(high=8, log=False, low=1, step=1))
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, RangeSweep
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    (override,) = OverridesParser.create().parse_overrides([f"{key}={text}"])
    space: Any = override.value()
    if isinstance(space, IntervalSweep):
        is_log = "log" in space.tags
        if isinstance(space.start, int) and isinstance(space.end, int):
            return IntDistribution(space.start, space.end, log=is_log)
        return FloatDistribution(float(space.start or 0), float(space.end or 0), log=is_log)
    if isinstance(space, RangeSweep):
        return CategoricalDistribution(list(space.range()))
    if isinstance(space, ChoiceSweep):
        return CategoricalDistribution([_plain(value) for value in space.list])
    raise InputError(f"got {key}={text} to search; expected choice(…), interval(…) or range(…)")


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def plan_trials(
    runner: Runner,
    fixed: Sequence[str],
    trials: Sequence[optuna.trial.Trial],
    search: Mapping[str, Any],
) -> list[Job]:
    """Plan a job for each trial; with a pruner, a training tells its trial how it goes."""
    journal, jobs = str((runner.folder / JOURNAL).resolve()), []
    for trial in trials:
        typed = [f"{key}={value}" for key, value in trial.params.items()]
        (job,) = sweep_jobs(runner.config, runner.folder, [[*fixed, *typed]], trial.number)
        job.label = " ".join(typed)
        if search.get("pruner"):
            job.trial = {"journal": journal, "study": STUDY, "number": trial.number}
        jobs.append(job)
    return jobs


def tell(study: optuna.Study, trial: optuna.trial.Trial, job: Job, objective: str) -> None:
    """Tell the study the value of a trial, or why it has none."""
    from optuna.trial import TrialState

    value = job.value(objective)
    if job.outcome == "pruned":
        study.tell(trial, state=TrialState.PRUNED)
    elif math.isnan(value):
        if job.has_results:
            job.outcome, job.reason = "failed", f"its results have no {objective}"
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, value)


def write_best(study: optuna.Study, folder: Path, search: Mapping[str, Any]) -> float:
    """Write the best values into ``best.yaml``, and show them.

    Raises
    ------
    InputError
        If no trial has a value.
    """
    from omegaconf import OmegaConf

    try:
        best = study.best_trial
    except ValueError as error:
        raise InputError(
            f"no run of the search has a value of {search['objective']}, so nothing is best"
        ) from error
    content = {"objective": search["objective"], "value": best.value, "params": dict(best.params)}
    write_text(folder / "best.yaml", OmegaConf.to_yaml(OmegaConf.create(content)))
    typed = " ".join(f"{key}={value}" for key, value in best.params.items())
    show(f"best {search['objective']}: {best.value:.4f} of {len(study.trials)} trials, by {typed}")
    log.info("best values: %s", os.path.relpath(folder / "best.yaml"))
    return float(best.value or math.nan)
