"""Sweeps on a real SLURM of one node, started here; tests/slurm/slurm.sh says how."""

import pytest
from clusters import running
from sweeping import FATE, counts, written

from p300.experiments.jobs import slurm


@pytest.fixture
def cluster(tmp_path_factory):
    with running("slurm.sh", tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


@pytest.mark.slow
def test_a_sweep_on_slurm_names_the_job_that_was_killed_and_goes_on(
    cluster,
    typed,  # noqa: F811
    tmp_path,
):
    options = ["hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=5"]
    command = [*FATE, *options, "hydra.launcher.cpus_per_task=1"]
    status, printed, errors = typed(*command, "+data.read.fate=none,killed,bug", **cluster)
    assert status == 1, errors
    assert counts(printed) == {"finished": 1, "taken from before": 0, "failed": 2}
    assert "sweep/1: SLURM ended job" in errors and "(FAILED) before the run did" in errors
    assert "sweep/2: KeyError: 'electrode 65'" in errors
    before = written(tmp_path / "sweep")
    status, printed, errors = typed(*command, "+data.read.fate=none", "seed=0,1", **cluster)
    assert status == 0, errors
    assert counts(printed) == {"finished": 1, "taken from before": 1, "failed": 0}
    assert before.items() <= written(tmp_path / "sweep").items()
    submitted = list((tmp_path / "sweep/.submitit").glob("*/*_submitted.pkl"))
    assert len(submitted) == 3 + 1  # what was finished was not submitted again


class Handle:
    """What submitit knows of a job."""

    def __init__(self, job_id, folder):
        self.job_id = job_id
        self.paths = type("Paths", (), {"result_pickle": folder / "result", "stderr": "err"})()


SlurmJob = type("SlurmJob", (Handle,), {})


def test_jobs_that_an_interrupted_command_left_in_the_queue_are_waited_for(tmp_path, monkeypatch):
    for name in ("7_0", "7_1", "9"):
        (tmp_path / name).mkdir()
    queue = [{"7_1", "8"}, {"7_1", "8"}, {"8"}, {"8"}]  # 8 is of another sweep
    slept = []
    monkeypatch.setattr(slurm, "queued_jobs", lambda: queue.pop(0))
    monkeypatch.setattr(slurm.time, "sleep", slept.append)
    launcher = type("Launcher", (), {"params": {"submitit_folder": str(tmp_path / "%j")}})
    slurm.wait_for_earlier(launcher)
    assert len(slept) == 2 and queue == [{"8"}]


def test_a_queue_that_does_not_answer_ends_no_job(tmp_path, monkeypatch):
    job = SlurmJob("7_0", tmp_path)
    assert slurm.is_gone(job, {"8"}) and not slurm.is_gone(job, {"7_0"})
    assert not slurm.is_gone(job, None)
    monkeypatch.setenv("PATH", str(tmp_path))  # no squeue, no scontrol
    assert slurm.queued_jobs() is None
    assert "SLURM ended job 7_0 (state no longer known)" in slurm.why_ended(job)
