"""Run jobs by any launcher of Hydra, and know which are finished already.

The command itself only plans. It writes the plan into ``FOLDER/.jobs/jobs.json``; each job of the
launcher is given some numbers of the plan (:mod:`p300.experiments.jobs.chunk`). What a run has
left in its folder tells how it ended, whichever process ran it.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.errors import InputError
from p300.experiments.build import reason_of
from p300.experiments.configuration import as_config
from p300.experiments.folder import can_go_on, free_folder, run_key
from p300.experiments.identity import fingerprint
from p300.experiments.jobs.chunk import LARGEST, alike, composed
from p300.experiments.jobs.finished import Finished
from p300.experiments.jobs.job import Job, write_jobs
from p300.experiments.jobs.slurm import launch_and_wait, wait_for_earlier
from p300.proposals import quoted
from p300.storage.files import LOCK, folder_lock

if TYPE_CHECKING:
    from hydra.plugins.launcher import Launcher
    from omegaconf import DictConfig

    from p300.experiments.configuration import Composer

log = logging.getLogger("p300.experiments.jobs")


class Runner:
    """Runs the jobs of a sweep or benchmark in its folder.

    Parameters
    ----------
    launcher : hydra.plugins.launcher.Launcher
        Set up by Hydra.
    config : DictConfig
        The configuration of the command, with Hydra's own part.
    folder : Path
        Of the sweep or benchmark. No other process may run jobs there; it is waited for.
    composer : Composer
        Composes the configurations of the runs.
    is_shared : bool
        Let other processes run jobs there too; each job needs another number.
    """

    def __init__(
        self,
        launcher: Launcher,
        config: DictConfig,
        folder: Path,
        composer: Composer,
        is_shared: bool = False,
    ) -> None:
        self.launcher, self.config, self.folder = launcher, config, folder
        self.composer, self.is_shared = composer, is_shared
        self.jobs: list[Job] = []
        self._n_launched = 0
        own = f"{socket.gethostname()}-{os.getpid()}"
        self._jobs_folder = f".jobs/{own}" if is_shared else ".jobs"

    def __enter__(self) -> Runner:
        """Lock the folder, and wait for what an earlier start of the same command left running."""
        self._locks = ExitStack()
        self._locks.enter_context(ended_by_sigterm())
        if self.is_shared:
            return self
        self._locks.enter_context(folder_lock(self.folder, log.info))
        if is_submitit(self.launcher):
            wait_for_earlier(self.launcher)
        # if the command's own process is killed, its workers still end the jobs they have begun
        for lock in sorted(self.folder.rglob(LOCK)):
            if lock.parent != self.folder:
                with folder_lock(lock.parent, log.info):
                    pass
        return self

    def __exit__(self, *_: object) -> None:
        """Unlock the folder."""
        self._locks.close()

    def run(self, jobs: Sequence[Job]) -> None:
        """Run those jobs that have no results yet; afterwards each has its outcome."""
        pending = self.sort_out(jobs)
        n_taken = sum(job.outcome == "taken from before" for job in jobs)
        if n_taken:
            log.info("%d of %d runs are finished, %d to do", n_taken, len(jobs), len(pending))
        self.jobs += jobs
        try:
            if pending:
                self._launch(pending)
        finally:
            for job in pending:
                job.settle()
            copy_outcomes(self.jobs)

    def sort_out(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs to run, each with a folder of its own; set the outcome of the others."""
        known = self._known  # a search asks again and again
        met = {job.key: job for job in reversed(self.jobs)}
        pending, taken = [], {job.folder for job in self.jobs}
        for job in jobs:
            try:
                cfg, choices = composed(self.composer, job)
                config = as_config(cfg, choices)
            except Exception as error:  # Hydra's message names what is wrong
                job.outcome, job.reason = "failed", reason_of(error)
                continue
            job.key = fingerprint(config)
            if job.key in met:
                continue  # `copy_outcomes` sets its outcome when that one is done
            met[job.key] = job
            if found := known.of(job.key, cfg, config):
                job.folder, job.outcome = found, "taken from before"
            else:
                pending.append(job)
        taken |= known.folders
        for job in pending:
            job.folder = resumable(job, taken) or free_folder(job.folder, taken)
            taken.add(job.folder)
        for line in known.reasons():
            log.warning("%s", line)
        return pending

    def _launch(self, pending: Sequence[Job]) -> None:
        """Run jobs to their ends; those that a killed process began are tried again alone."""
        write_jobs(self._plan, pending)
        position = {id(job): k for k, job in enumerate(pending)}

        def launch(chunks: Sequence[Sequence[Job]]) -> list[Job]:
            """Run some chunks at once; return the jobs that left nothing."""
            reasons = self._start([[position[id(job)] for job in chunk] for chunk in chunks])
            lost = []
            for chunk, reason in zip(chunks, reasons, strict=True):
                for job in chunk:
                    if not job.settle():
                        job.reason = reason
                        lost.append(job)
            return lost

        lost = launch(self.chunks(pending))
        if lost and not is_submitit(self.launcher):
            log.warning("a process was killed; the jobs it left are tried again one by one")
            lost = [job for alone in lost for job in launch([[alone]])]
        for job in lost:
            job.fail(job.reason or "it left neither results nor a reason")

    def chunks(self, jobs: Sequence[Job]) -> list[list[Job]]:
        """Divide jobs among the processes of the launcher; seeds of one run stay together."""
        size, n_processes = self.config.get("runs_per_job"), self.n_processes
        if size is not None and size < 1:
            raise InputError(f"got runs_per_job={size}; expected at least 1")
        if size is None:
            size = 1 if is_submitit(self.launcher) else len(jobs)
            if n_processes > 1:  # some for each, so that none waits long for the last
                size = min(LARGEST, math.ceil(len(jobs) / (2 * n_processes)))
        ordered = [job for group in alike(jobs) for job in group]
        return [ordered[first : first + size] for first in range(0, len(ordered), size)]

    @functools.cached_property
    def _known(self) -> Finished:
        """The runs that were finished when the command began."""
        return Finished(self.folder, self.config.get("reuse", "same_code"))

    @property
    def _plan(self) -> Path:
        return (self.folder / self._jobs_folder / "jobs.json").resolve()

    @property
    def n_processes(self) -> int:
        """How many processes the launcher runs at once, as far as it says."""
        n = self.config.hydra.launcher.get("n_jobs", 1) or 1
        return (os.cpu_count() or 1) + 1 + n if n < 0 else n

    def _start(self, chunks: Sequence[Sequence[int]]) -> list[str]:
        """Give each chunk to a job of the launcher; return why each ended, if that is known."""
        shown = ((key, bool(self.config.get(key))) for key in ("quiet", "progress"))
        also = [f"{key}={str(value).lower()}" for key, value in shown]
        if search := self.config.hydra.runtime.choices.get("search"):
            also.append(f"search={search}")  # hydra.sweeper.search may be overridden
        overrides = [
            [
                f"+jobs={list(chunk)}".replace(" ", ""),
                f"+plan={quoted(str(self._plan))}",
                f"+device={self._n_launched + k}",
                f"hydra.sweep.dir={quoted(str(self.folder.resolve()))}",
                "hydra/job_logging=none",
                "hydra.job.chdir=false",
                "hydra.output_subdir=null",
                f"hydra.sweep.subdir={self._jobs_folder}/{self._n_launched + k}",
                *also,
            ]
            for k, chunk in enumerate(chunks)
        ]
        first, self._n_launched = self._n_launched, self._n_launched + len(chunks)
        if is_submitit(self.launcher):
            return launch_and_wait(self.launcher, overrides, first)
        try:
            self.launcher.launch(overrides, initial_job_idx=first)
        except Exception as error:  # a process was killed, and with it those beside it
            return [killed(error)] * len(chunks)
        return [""] * len(chunks)


@contextlib.contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does, with the workers that joblib started."""

    def end(number: int, _: Any) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def resumable(job: Job, taken: set[Path]) -> Path | None:
    """Return the folder of a job if it holds a training of its configuration that can go on."""
    folder = job.folder
    if folder in taken or not can_go_on(folder) or (folder / "results.json").exists():
        return None
    return folder if run_key(folder) == job.key else None


def copy_outcomes(jobs: Sequence[Job]) -> None:
    """Copy the outcome of the first job of a configuration to the later ones."""
    first: dict[str, Job] = {}
    for job in jobs:
        if not job.key:
            continue
        other = first.setdefault(job.key, job)
        if other is not job:
            job.folder, job.reason = other.folder, other.reason
            job.outcome = "same as another" if other.has_results else other.outcome


def is_submitit(launcher: Launcher) -> bool:
    """Return whether a launcher gives its jobs to a batch system, or tries that out."""
    return type(launcher).__module__.startswith("hydra_plugins.hydra_submitit_launcher.")


def killed(error: BaseException) -> str:
    """Describe in one sentence that a process ended before its run did.

    Examples
    --------
    >>> killed(RuntimeError("The exit codes of the workers are {SIGKILL(-9)}"))
    'its process was killed (SIGKILL), as the system does when memory runs out'
    """
    if isinstance(error, OSError):  # of a training in this process, which could not be saved
        return reason_of(error)
    signals = re.findall(r"SIG[A-Z]+", str(error))
    if signals == ["SIGKILL"]:
        return "its process was killed (SIGKILL), as the system does when memory runs out"
    named = ", ".join(dict.fromkeys(signals)) or type(error).__name__
    return f"its process ended before the run did ({named})"
