"""Some jobs in one process: they share recordings and epochs, and seeds train side by side."""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import current_process
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.experiments.build import reason_of
from p300.experiments.configuration import Composer, as_config
from p300.experiments.folder import holds, value_of, write_failure
from p300.experiments.jobs.job import Job, read_jobs
from p300.experiments.prepare import Shared
from p300.experiments.run import Request
from p300.experiments.train import train_several
from p300.storage.files import write_text
from p300.terminal import console_handlers, quietly, step

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger("p300.experiments.jobs")

#: Most runs that are open at once; a process that is killed loses no more than these.
LARGEST = 16


def run_chunk(plan: Path, numbers: Sequence[int], device: int | None = None) -> None:
    """Run some jobs of a plan; the reason of a failure is in that run's folder.

    Parameters
    ----------
    plan : Path
        The file that :func:`~p300.experiments.jobs.job.write_jobs` wrote.
    numbers : sequence of int
        Positions in its plan.
    device : int or None
        The GPU to use, if this computer has several.
    """
    atexit.register(gc.freeze)  # as in a command; a worker is a process of its own
    planned, parent = read_jobs(plan), os.getppid()
    composer, shared = Composer(), Shared()
    with with_console(), step("runs", len(numbers), "done") as done:
        for group in alike([planned[k] for k in numbers]):
            for first in range(0, len(group), LARGEST):
                some = group[first : first + LARGEST]
                done.update(note=some[0].title)
                _run(some, composer, shared, device)
                done.advance(len(some))
                gc.collect()  # a trainer and its networks hold each other until then
    if os.getppid() != parent and current_process().name != "MainProcess":
        log.warning("the command was killed: its worker ends too")  # joblib would keep it for ever
        os._exit(0)


def alike(jobs: Sequence[Job]) -> list[list[Job]]:
    """Group jobs that differ in their seed only.

    Examples
    --------
    >>> chosen = (["seed=0"], ["seed=1"], ["seed=0", "model=mlp"], ["data.read.seed=1"])
    >>> jobs = [Job(k, overrides, Path(str(k))) for k, overrides in enumerate(chosen)]
    >>> [[job.number for job in group] for group in alike(jobs)]
    [[0, 1], [2], [3]]
    """
    groups: dict[tuple[str, ...], list[Job]] = {}
    for job in jobs:
        same = tuple(o for o in job.overrides if not o.startswith("seed="))
        groups.setdefault(same, []).append(job)
    return list(groups.values())


def _run(jobs: Sequence[Job], composer: Composer, shared: Shared, device: int | None) -> None:
    """Run some jobs that are alike, and say how each ended."""
    requests: dict[int, Request] = {}
    started = time.perf_counter()
    for k, job in enumerate(jobs):
        with _noted(job):
            cfg, choices = composed(composer, job)
            if holds(job.folder, as_config(cfg, {})):  # a batch system started the job twice
                continue
            job.folder.mkdir(parents=True, exist_ok=True)
            write_text(job.folder / "overrides.yaml", json.dumps(list(job.overrides)) + "\n")
            on_device(cfg, device)
            requests[k] = Request(cfg, job.folder, choices, pruning(job))
    waiting = list(requests)

    def call(k: int, work: Callable[[], Any]) -> Any:
        """Do the work of one run, with what it prints in its own log."""
        job = jobs[waiting[k]]
        with quietly(job.folder / "train.log", append=True):
            return work()

    found = train_several(list(requests.values()), shared, call)
    spent = (time.perf_counter() - started) / max(1, len(requests))
    for k, results in zip(waiting, found, strict=True):
        job = jobs[k]
        place = f"#{job.number} {job.title}"
        if isinstance(results, Exception):
            if type(results).__name__ == "TrialPruned":
                (job.folder / "pruned.txt").write_text(f"{results}\n", encoding="utf-8")
                log.info("%s: pruned", place)
                continue
            write_failure(job.folder, reason_of(results))
            log.warning("%s: failed: %s", place, reason_of(results))
        else:
            auc = value_of(results, "test.detection.auc")
            log.info("%s: test AUC %.3f, %.1f s", place, auc, spent)


@contextlib.contextmanager
def _noted(job: Job) -> Iterator[None]:
    """Write the error of the block into the folder of a job."""
    try:
        yield
    except Exception as error:  # of any kind: the other jobs can still run
        write_failure(job.folder, reason_of(error))
        log.warning("%s: failed: %s", job.title, reason_of(error))


def composed(composer: Composer, job: Job) -> tuple[DictConfig, dict[str, str]]:
    """Compose the configuration of a job, with the names of its W&B run."""
    from omegaconf import open_dict

    cfg, choices = composer.compose(job.overrides)
    if job.wandb and cfg.logger.wandb is not None:
        with open_dict(cfg):
            cfg.logger.wandb = job.wandb | dict(cfg.logger.wandb)  # configured wins
    return cfg, choices


def on_device(cfg: DictConfig, device: int | None) -> None:
    """Set the GPU of a run, if it asks for one and this computer has several."""
    if device is None or cfg.trainer.accelerator not in ("auto", "gpu", "cuda"):
        return
    import torch

    if cfg.trainer.devices == 1 and torch.cuda.device_count() > 1:
        cfg.trainer.devices = [device % torch.cuda.device_count()]


def pruning(job: Job) -> list[Any]:
    """Return the callback by which a search ends a trial without promise, if it is one."""
    if not job.trial:
        return []
    from p300.experiments.jobs.pruning import Pruning

    return [Pruning(**job.trial)]


@contextlib.contextmanager
def with_console() -> Iterator[None]:
    """Print messages while the block lasts, if nothing does yet; not those of launchers."""
    for name in ("hydra", "hydra_plugins"):
        logging.getLogger(name).setLevel(logging.WARNING)
    handler = None if console_handlers() else logging.StreamHandler(sys.stdout)
    if handler is not None:
        logging.root.addHandler(handler)  # its format is the message alone
        logging.root.setLevel(logging.INFO)
    try:
        yield
    finally:
        if handler is not None:
            logging.root.removeHandler(handler)
