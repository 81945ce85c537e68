"""A sweep in one process: runs share recording and epochs, and seeds train side by side."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.experiments.configuration import messages_of
from p300.experiments.folder import make_ready, noting_failure, sentence
from p300.experiments.prepare import Shared
from p300.experiments.run import train_runs

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.experiments.sweep.jobs import Job

log = logging.getLogger("p300.experiments.folder")

#: Most runs that are open at once; a sweep that is killed loses no more than these.
LARGEST = 16


def train_here(
    jobs: Sequence[Job], composed: Callable[[Job], DictConfig], hydra_context, sweep_config
) -> None:
    """Train the jobs of a sweep in this process.

    Parameters
    ----------
    jobs : sequence of Job
        Their folders do not exist.
    composed : callable
        Returns the configuration of a job, with Hydra's own part.
    hydra_context, sweep_config
        As Hydra passes them to a launcher.
    """
    from hydra.core.utils import configure_log, setup_globals

    setup_globals()
    shared = Shared()
    for batch in alike(jobs):
        configs = [composed(job) for job in batch]
        for job in batch:
            log.info("\t#%d : %s", job.number, " ".join(job.overrides))
        _train(batch, configs, shared, hydra_context)
        configure_log(sweep_config.hydra.hydra_logging, sweep_config.hydra.verbose)
        gc.collect()  # a trainer and its networks hold each other until then


def alike(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Group jobs that differ in their seed only, up to :data:`LARGEST`.

    Examples
    --------
    >>> from p300.experiments.sweep.jobs import Job
    >>> chosen = (["seed=0"], ["seed=1"], ["seed=0", "model=mlp"])
    >>> jobs = [Job(k, overrides, "", Path(str(k))) for k, overrides in enumerate(chosen)]
    >>> [[job.number for job in group] for group in alike(jobs)]
    [[0, 1], [2]]
    """
    groups: dict[tuple[str, ...], list[Job]] = {}
    for job in jobs:
        groups.setdefault(tuple(o for o in job.overrides if "seed=" not in o), []).append(job)
    for group in groups.values():
        for first in range(0, len(group), LARGEST):
            yield group[first : first + LARGEST]


def _train(batch: Sequence[Job], configs: Sequence[DictConfig], shared, hydra_context) -> None:
    """Train some runs together; write the reason of a failure into the run's folder."""
    from hydra.core.utils import run_job
    from omegaconf import OmegaConf

    def call(k: int, work: Callable[[], Any]) -> Any:
        """Run the work of one run as Hydra does: with its log, its files and its folder."""
        folder = batch[k].folder

        def task(cfg) -> tuple[Any, Exception | None]:
            if not (folder / "config.yaml").exists():
                make_ready(folder)
            try:
                with messages_of(cfg), noting_failure(folder):
                    return work(), None
            except Exception as error:  # reported at the end of the sweep, not by Hydra now
                return None, error

        done = run_job(task, configs[k], "hydra.sweep.dir", "hydra.sweep.subdir", hydra_context)
        result, error = done.return_value
        if error is not None:
            raise error
        return result

    requests = []
    for job, config in zip(batch, configs, strict=True):
        cfg = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        requests.append((cfg, Path(job.folder), config.hydra.runtime.choices))
    with messages_of(configs[0]):
        found = train_runs(requests, shared, call)
    for job, results in zip(batch, found, strict=True):
        if isinstance(results, Exception):  # on a full disk it is written nowhere else
            job.fail(sentence(results))
