"""Fit the detectors of configured runs.

A run is prepared (:mod:`p300.experiments.prepare`), its detectors are fitted here, and it is
finished (:mod:`p300.experiments.fitting.combine`). Networks of several runs are trained side by
side where that is possible (:mod:`p300.training.side_by_side`).
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from p300.experiments.build import build, plain
from p300.experiments.fitting.groups import fit_networks
from p300.experiments.fitting.networks import Fitted, PlannedNetwork
from p300.experiments.fitting.run import Run
from p300.experiments.fitting.teaching import Teacher, has_teacher
from p300.experiments.fitting.trainer import build_loggers
from p300.splits import inner_folds, unit_of
from p300.storage.memory import available_memory, check_memory
from p300.terminal import Step, step
from p300.training.members import is_network, labels, member_arguments
from p300.training.stacking import PlannedFit

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from p300.detector import Member
    from p300.preprocessing import Epochs


log = logging.getLogger("p300.experiments.fitting.fit")

#: Soft labels of a network, and what its record states about its teacher.
Lesson = tuple[np.ndarray, dict[str, float]]


def fit_all(runs: Sequence[Run]) -> None:
    """Fit all detectors that are planned in some runs; a run that fails keeps its error.

    The time for fitting, that of the teachers included, is divided evenly among the runs.
    """
    started = time.perf_counter()
    places = [
        (run, part, plan)
        for run in runs
        for part, planned in enumerate(run.planned)
        for plan in planned
    ]
    plans = [(run, plan) for run, _, plan in places]
    fitted = fit_plans(plans, teach(plans))
    for run in runs:
        run.fitted = [[] for _ in run.planned]
        run.fit_s = (time.perf_counter() - started) / len(runs)
    for (run, part, _), one in zip(places, fitted, strict=True):
        if isinstance(one, Exception):
            run.error = run.error or one
        else:
            run.fitted[part].append(one)


def teach(places: Sequence[tuple[Run, PlannedFit]]) -> dict[int, Lesson | Exception]:
    """Fit the teachers of planned networks, one for all networks with the same training flashes.

    Returns
    -------
    dict of int to (ndarray, dict) or Exception
        By the place of a network that has a teacher: its soft labels and what they are of, or the
        error that stopped its teacher.
    """
    teachers: dict[tuple[int, bytes], Teacher | Exception] = {}
    taught: dict[int, tuple[int, bytes]] = {}
    for place, (run, plan) in enumerate(places):
        if is_network(plan.model) and has_teacher(run.cfg):
            taught[place] = key = id(run), plan.train.tobytes()
            if key not in teachers:
                try:
                    teachers[key] = Teacher(run, plan.train)
                except Exception as error:  # of any kind: the other runs continue
                    teachers[key] = error
    ready = {key: one for key, one in teachers.items() if isinstance(one, Teacher)}
    plans = [(one.run, plan) for one in ready.values() for plan in one.planned]
    found = iter(fit_plans(plans, of_teacher=True))
    lessons: dict[tuple[int, bytes], Lesson | Exception] = {}
    for key, one in teachers.items():
        if isinstance(one, Exception):
            lessons[key] = one
            continue
        fitted = [next(found) for _ in one.planned]
        errors = [each for each in fitted if isinstance(each, Exception)]
        if errors:
            lessons[key] = errors[0]
            continue
        lessons[key] = lesson = one.teach(cast("list[Fitted]", fitted))
        log.info("teacher: AUC %.3f of left-out training flashes", lesson[1]["teacher_auc"])
    return {place: lessons[key] for place, key in taught.items()}


def fit_plans(
    places: Sequence[tuple[Run, PlannedFit]],
    lessons: Mapping[int, Lesson | Exception] | None = None,
    *,
    of_teacher: bool = False,
) -> list[Fitted | Exception]:
    """Fit planned detectors, networks side by side where that is possible.

    Parameters
    ----------
    places : sequence of (Run, PlannedFit)
    lessons : mapping of int to (ndarray, dict) or Exception, or None
        By place, soft labels of a network, as of :func:`teach`.
    of_teacher : bool
        Whether they are members of teachers, whose networks are logged nowhere.

    Returns
    -------
    list of (Member, dict) or Exception
        For each the detector and its record, or the error that stopped it.
    """
    lessons = lessons or {}
    networks: dict[int, PlannedNetwork] = {}
    numbers = {id(run): itertools.count(1) for run, _ in places}
    fitted: dict[int, Fitted | Exception] = {}
    several = len(places) > 1
    with step("detectors", len(places), "fitted") if several else nullcontext(Step()) as done:
        for place, (run, plan) in enumerate(places):
            lesson = lessons.get(place)
            if isinstance(lesson, Exception):
                fitted[place] = lesson
            elif is_network(plan.model):
                assert plan.stop is not None  # every network has flashes to validate on
                data, number = (run.epochs, plan.train, plan.stop), next(numbers[id(run)])
                loggers = [] if of_teacher else loggers_of(run, number)
                networks[place] = PlannedNetwork(
                    run.cfg,
                    plan.model,
                    *data,
                    number,
                    run.folder,
                    loggers=loggers,
                    callbacks=() if of_teacher else run.callbacks,
                    content=run.content,
                    soft_labels=None if lesson is None else lesson[0],
                    is_teacher=of_teacher,
                )
            else:
                try:
                    k = 5 if plan.left_out is None else 3  # a weight needs less care
                    fitted[place] = fit_classical(plan.model, run.epochs, plan.train, k), {}
                except Exception as error:  # of any kind: the other runs continue
                    fitted[place] = error
                done.skip()  # far quicker than a network
        found = fit_networks(list(networks.values()), done.advance)
    fitted |= dict(zip(networks, found, strict=True))
    for place, (_, stated) in ((k, v) for k, v in lessons.items() if isinstance(v, tuple)):
        if isinstance(one := fitted[place], tuple):
            one[1].update(stated)
    return [fitted[place] for place in range(len(places))]


def loggers_of(run: Run, number: int) -> list[Logger]:
    """Build the loggers of one network: that of the run's W&B run, and the configured others."""
    n_networks = sum(is_network(plan.model) for part in run.planned for plan in part)
    loggers = build_loggers(run.cfg, run.folder, number, n_networks)
    run.loggers[number] = tuple(loggers)
    if run.tracker is not None:
        from pytorch_lightning.loggers import WandbLogger

        prefix = f"network_{number}" if n_networks > 1 else ""
        run.tracker.define_metric("network_*", summary="none")  # that of the run has its results
        loggers.append(WandbLogger(experiment=run.tracker, prefix=prefix))
    return loggers


def fit_classical(
    model: Mapping[str, Any], epochs: Epochs, rows: np.ndarray, n_folds: int = 5
) -> Member:
    """Fit one classical detector.

    A detector that divides the flashes itself gets ``n_folds`` folds or the characters of the
    flashes, so that it keeps each of them whole. BLAS computes with one thread: several give
    other bits, and on a busy machine take ten times as long.

    Raises
    ------
    InputError
        If its training epochs do not fit into the memory.
    """
    from sklearn.utils.validation import has_fit_parameter
    from threadpoolctl import threadpool_limits

    from p300.baselines import SklearnDetector
    from p300.detector import ESTIMATOR, Member

    detector, arguments = build_classical(model), member_arguments(model, epochs)
    is_wrapped = isinstance(detector, SklearnDetector)
    fitting, whole = detector.estimator if is_wrapped else detector, {}
    if has_fit_parameter(fitting, "groups"):
        whole["groups"] = inner_folds(epochs.flashes, rows, n_folds)[rows]
    if has_fit_parameter(fitting, "characters"):
        whole["characters"] = unit_of(epochs.flashes, "character")[rows]
    n_bytes = int(rows.sum()) * epochs.data[0].nbytes
    name = type(fitting).__name__
    check_memory(
        n_bytes,
        f"the {int(rows.sum())} training epochs of {name}, which needs all at once",
        "use a network, which needs a batch at once, or fewer training flashes",
    )
    if 2 * n_bytes > (left := available_memory()):
        log.warning(
            "%s needs all its training epochs in memory at once, %.2f GB, and usually as much "
            "again to work on; %.2f GB are free",
            name,
            n_bytes / 1e9,
            left / 1e9,
        )
    with step(name), threadpool_limits(1, user_api="blas"):
        detector.fit(epochs.data[rows], labels(epochs)[rows], **whole)
    if is_wrapped and arguments["_target_"] != ESTIMATOR:
        flatten = detector.is_flat_
        arguments = {"_target_": ESTIMATOR, "estimator": arguments, "flatten": flatten}
    return Member(detector, arguments)


def build_classical(model: Mapping[str, Any]) -> Any:
    """Build a classical detector; an estimator of another kind becomes a SklearnDetector.

    The latter gets ``flatten`` of the configuration, which the estimator does not know.
    """
    from p300.baselines import SklearnDetector
    from p300.storage.classes import accepts, import_class

    kind = import_class(str(model["_target_"]))
    if hasattr(kind, "from_state"):
        return build(model)
    flatten, estimator = "auto", model
    if "flatten" in model and not accepts(kind, "flatten"):
        flatten = model["flatten"]
        estimator = {k: v for k, v in plain(model).items() if k != "flatten"}
    return SklearnDetector(build(estimator), flatten)
