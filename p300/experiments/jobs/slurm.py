"""Jobs through submitit: submit all as one array and wait for each, however it ends.

The launcher of Hydra's submitit plugin stops at the first job that the batch system ends, while
the others still run. It also asks only ``sacct``, which not every cluster has; without it, it
waits for ever for a job that was killed.
"""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from p300.errors import InputError

log = logging.getLogger("p300.experiments.jobs")

#: Seconds between two queries of the queue.
POLL_S = 5.0

#: Seconds to wait for the result on a shared disk after a job has left the queue.
GRACE_S = 15.0


def wait_for_earlier(launcher) -> None:
    """Wait for jobs that an earlier start of the same sweep left in SLURM's queue.

    They go on when the command that submitted them ends. Their results need not be computed
    twice.
    """
    folder = Path(launcher.params["submitit_folder"]).parent
    submitted = {path.name for path in folder.glob("[0-9]*") if not has_result(path)}
    is_first = True
    while submitted and (left := submitted & (queued_jobs() or set())):
        if is_first:
            log.warning(
                "%d jobs of this sweep are still in SLURM's queue and are waited for; "
                "`scancel %s` ends them",
                len(left),
                " ".join(sorted({name.partition("_")[0] for name in left})),
            )
        is_first = False
        time.sleep(POLL_S)


def has_result(folder: Path) -> bool:
    """Return whether a job has ended, though SLURM may have put it back into the queue."""
    return any(folder.glob("*_result.pkl"))


def launch_and_wait(launcher: Any, overrides: Sequence[Sequence[str]], first: int) -> list[str]:
    """Submit jobs as the submitit launcher would, and wait until the last one has ended.

    Parameters
    ----------
    launcher : BaseSubmititLauncher
        Set up by Hydra.
    overrides : sequence of sequence of str
        Of each job.
    first : int
        Number of the first job.

    Returns
    -------
    list of str
        For each job why it may have ended without results.
    """
    from hydra.core.singleton import Singleton

    state = Singleton.get_state()
    arguments = [
        (list(chosen), "hydra.sweep.dir", first + k, f"job_id_for_{first + k}", state)
        for k, chosen in enumerate(overrides)
    ]
    try:
        submitted = build_executor(launcher).map_array(launcher, *zip(*arguments, strict=True))
    except Exception as error:  # of submitit, with all that sbatch printed
        if "array" not in str(error).lower():
            raise
        raise InputError(
            f"SLURM refused an array of {len(overrides)} jobs; expected no more than its "
            f"MaxArraySize (scontrol show config); put more runs into each job: runs_per_job=…"
        ) from error
    numbers = f"{submitted[0].job_id} … {submitted[-1].job_id}"
    log.info("%d jobs submitted: %s", len(submitted), numbers)
    wait(submitted)
    end_pending(submitted)
    return [why_ended(handle) for handle in submitted]


def build_executor(launcher):
    """Build submitit's executor with the parameters of Hydra's launcher."""
    import submitit
    from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

    cluster, params = launcher._EXECUTOR, dict(launcher.params)
    first = {"folder": params.pop("submitit_folder")}
    if "max_num_timeout" in params:
        first[f"{cluster}_max_num_timeout"] = params.pop("max_num_timeout")
    executor = submitit.AutoExecutor(cluster=cluster, **first)
    shared = BaseQueueConf.__dataclass_fields__
    executor.update_parameters(
        **{k if k in shared else f"{cluster}_{k}": v for k, v in params.items()}
    )
    return executor


def wait(submitted: Sequence) -> None:
    """Wait until every job has its result or has been out of the queue for a while."""
    gone_since: dict[Any, float] = {}
    waiting, pause = list(submitted), 0.5
    while waiting:
        time.sleep(pause)
        pause = min(2 * pause, POLL_S)
        queue, now = queued_jobs(), time.monotonic()
        for handle in list(waiting):
            if handle.paths.result_pickle.exists():
                waiting.remove(handle)
            elif not is_gone(handle, queue):
                gone_since.pop(handle, None)  # put back into the queue
            elif now - gone_since.setdefault(handle, now) > GRACE_S:
                waiting.remove(handle)


def end_pending(submitted: Sequence) -> None:
    """End jobs that SLURM put back into the queue, if another start has finished them."""
    ids = {handle.job_id for handle in submitted if is_slurm(handle)}
    left = ids & (queued_jobs("--states=PENDING") or set())
    if left:
        _ask("scancel", "--state=PENDING", *sorted(left))


def is_gone(handle, queue: set[str] | None) -> bool:
    """Return whether a job is neither waiting nor running."""
    if not is_slurm(handle):
        return handle.done()  # a process of this computer
    return queue is not None and handle.job_id not in queue


def is_slurm(handle) -> bool:
    """Return whether a job is one of SLURM, not a process of this computer."""
    return type(handle).__name__ == "SlurmJob"


def queued_jobs(*which: str) -> set[str] | None:
    """List this user's jobs in SLURM's queue; return None if SLURM does not answer."""
    answer = _ask("squeue", "--me", "--noheader", "--array", "--format=%i", *which)
    return None if answer is None else set(answer.split())


def _ask(*command: str) -> str | None:
    """Return what a command of SLURM prints, or None if it fails or is missing."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None


def why_ended(handle) -> str:
    """Describe in one sentence why a job of submitit has no results."""
    messages = f"its messages are in {handle.paths.stderr}"
    if handle.paths.result_pickle.exists():
        trace = str(handle.exception() or "").strip() or "it gave no reason"
        return f"{' '.join(trace.splitlines()[-1].split())}; {messages}"
    if not is_slurm(handle):
        return f"its process ended before the run did; {messages}"
    shown = _ask("scontrol", "--oneliner", "show", "job", handle.job_id) or ""
    fields = dict(part.partition("=")[::2] for part in shown.split())
    state = fields.get("JobState", "state no longer known")
    return f"SLURM ended job {handle.job_id} ({state}) before the run did; {messages}"
