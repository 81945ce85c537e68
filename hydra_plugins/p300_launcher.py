"""A launcher around the chosen one, so that sweeps continue after interruptions and failures.

It is here because Hydra takes launchers only from ``hydra_plugins``. ``hydra.callbacks`` of
``conf/train.yaml`` puts it around the launcher that was chosen.

Hydra imports this module for all of its commands, also those of other packages, so it imports
only light modules at its head.
"""

from __future__ import annotations

import copy
import logging
import math
import pickle
import re
from collections.abc import Sequence
from pathlib import Path

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException
from hydra.experimental.callback import Callback
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf, open_dict, read_write

from p300.experiments.folder import fingerprint, sentence
from p300.experiments.sweep import jobs as sweep_jobs
from p300.experiments.sweep.slurm import launch_and_wait, wait_for_earlier

log = logging.getLogger("p300.experiments.folder")


class SweepCallback(Callback):
    """Hydra's callback that puts :class:`SweepLauncher` around the chosen launcher."""

    def on_multirun_start(self, config, **_) -> None:
        """Change the launcher in the configuration when a sweep of trainings starts."""
        if config.hydra.job.name != "train":
            return  # another command with the same configuration
        sweep_jobs.current.folder = Path(config.hydra.sweep.dir)
        with read_write(config), open_dict(config):
            config.hydra.launcher = {
                "_target_": "hydra_plugins.p300_launcher.SweepLauncher",
                "_recursive_": False,
                "launcher": config.hydra.launcher,
            }
            if is_optuna(config):  # by default it minimises, and ends at the first failure
                config.hydra.sweeper.direction = "maximize"
                config.hydra.sweeper.max_failure_rate = 1.0
                sampler = config.hydra.sweeper.sampler
                if sampler.get("seed", 0) is None:  # a search can go on if it proposes the same
                    sampler.seed = 0


class SweepLauncher(Launcher):
    """A launcher that runs the unfinished jobs, and returns a result for every job.

    Parameters
    ----------
    launcher : DictConfig
        Configuration of the chosen launcher.
    """

    def __init__(self, launcher) -> None:
        self.launcher = launcher

    def setup(self, *, hydra_context, task_function, config) -> None:
        """Build the chosen launcher."""
        self.config, self.context = config, hydra_context
        self.loader = hydra_context.config_loader
        config = copy.deepcopy(config)
        with read_write(config), open_dict(config):
            config.hydra.launcher = self.launcher
        self.inner = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Launch the jobs whose configuration has no finished run in the sweep's folder."""
        if self._is_submitit():
            wait_for_earlier(self.inner)
        sweep_jobs.current.keep_others_out()
        jobs = [self._plan(initial_job_idx + k, list(o)) for k, o in enumerate(job_overrides)]
        all_jobs = sweep_jobs.current.jobs
        pending = sweep_jobs.sort_out(jobs, all_jobs, Path(self.config.hydra.sweep.dir))
        all_jobs += jobs
        n_taken = sum(job.outcome == "taken from before" for job in jobs)
        if n_taken:
            log.info("%d of %d runs are finished, %d to do", n_taken, len(jobs), len(pending))
        try:
            if pending:
                self._run(pending)
        finally:
            sweep_jobs.settle(pending)
            sweep_jobs.copy_outcomes(all_jobs)
        returned = [self._returned(job) for job in jobs]
        if is_optuna(self.config):
            self._check_search(all_jobs)
        return returned

    def _plan(self, number: int, overrides: list[str]):
        """Compose a job as its launcher will, to know its configuration and folder."""
        config = self.loader.load_sweep_config(self.config, overrides)
        with open_dict(config):
            config.hydra.job.num, config.hydra.job.id = number, str(number)
        HydraConfig.instance().set_config(config)
        folder = Path(config.hydra.sweep.dir) / config.hydra.sweep.subdir
        composed = pickle.dumps(config)
        with open_dict(config):
            del config["hydra"]
        key = fingerprint(OmegaConf.to_container(config, resolve=True))
        return sweep_jobs.Job(number, overrides, key, folder, composed)

    def _run(self, pending) -> None:
        """Run every job to its end; set a reason for those that leave no results and no reason."""
        if self._is_submitit():
            launch_and_wait(self.inner, pending, [self._overrides(job) for job in pending])
            return
        waiting = list(pending)
        while waiting:
            try:
                self._launch(waiting)
                break
            except Exception as error:  # a process was killed, and with it those beside it
                lost = sweep_jobs.settle(waiting)
                begun = [job for job in lost if job.folder.exists()]
                if not begun:
                    raise
                log.warning("a process was killed; the jobs it stopped are tried again one by one")
                died = error
            for job in begun:
                try:
                    self._launch([job])
                except Exception as error:
                    died = error
                if sweep_jobs.settle([job]):
                    job.lose(killed(died))
            waiting = [job for job in lost if job not in begun]
        for job in sweep_jobs.settle(pending):
            job.lose("it left neither results nor a reason")

    def _is_submitit(self) -> bool:
        return type(self.inner).__module__.startswith("hydra_plugins.hydra_submitit_launcher.")

    def _launch(self, jobs) -> None:
        if isinstance(self.inner, BasicLauncher):
            from p300.experiments.sweep.batches import train_here  # heavy: it trains

            train_here(jobs, self._composed, self.context, self.config)
        else:
            self.inner.launch([self._overrides(job) for job in jobs], jobs[0].number)

    def _composed(self, job):
        """Return the whole configuration of a job, with the folder that was found for it."""
        config = pickle.loads(job.composed)
        with read_write(config.hydra):
            config.hydra.sweep.subdir = self._subfolder(job)
        return config

    def _subfolder(self, job) -> str:
        return job.folder.relative_to(Path(self.config.hydra.sweep.dir)).as_posix()

    def _overrides(self, job) -> list[str]:
        return [*job.overrides, f"hydra.sweep.subdir={quoted(self._subfolder(job))}"]

    def _returned(self, job) -> JobReturn:
        """Build the result of a job, with which a sweeper can go on."""
        if not (is_optuna(self.config) and math.isnan(job.value)):
            returned = JobReturn(overrides=list(job.overrides), status=JobStatus.COMPLETED)
            returned.return_value = job.value
            return returned
        if not job.reason:
            job.fail("it has no validation AUC, so nothing to maximise")
        return NoValue(job.reason)  # a value of nan would end Optuna's sweeper

    def _check_search(self, jobs) -> None:
        """End a search that found nothing with one sentence; Optuna would show a traceback."""
        if len(jobs) >= self.config.hydra.sweeper.n_trials and all(
            math.isnan(job.value) for job in jobs
        ):
            raise CompactHydraException("p300 train: no run of the search has a validation AUC")


class NoValue(JobReturn):
    """A result that Optuna's sweeper takes for a failed run."""

    def __init__(self, reason: str) -> None:
        super().__init__(status=JobStatus.FAILED)
        self.reason = reason

    @property
    def return_value(self):
        """Raise the reason."""
        raise RuntimeError(self.reason)


def is_optuna(config) -> bool:
    """Return whether Optuna's sweeper was chosen."""
    return config.hydra.sweeper._target_.startswith("hydra_plugins.hydra_optuna_sweeper.")


def killed(error: BaseException) -> str:
    """Describe in one sentence that a process ended before its run did.

    Examples
    --------
    >>> killed(RuntimeError("The exit codes of the workers are {SIGKILL(-9)}"))
    'its process was killed (SIGKILL), as the system does when memory runs out'
    """
    if isinstance(error, OSError):  # of a training in this process, which could not be saved
        return sentence(error)
    signals = re.findall(r"SIG[A-Z]+", str(error))
    if signals == ["SIGKILL"]:
        return "its process was killed (SIGKILL), as the system does when memory runs out"
    named = ", ".join(dict.fromkeys(signals)) or type(error).__name__
    return f"its process ended before the run did ({named})"


def quoted(text: str) -> str:
    """Quote a value for Hydra's command line.

    Examples
    --------
    >>> print(quoted("seed=1,lr=0.1"))
    'seed=1,lr=0.1'
    """
    return "'" + text.replace("'", "\\'") + "'"
