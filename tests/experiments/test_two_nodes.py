"""What a sweep and one large training do on a SLURM of two nodes, of which one can be lost.

tests/slurm/two_nodes.sh makes the nodes out of this computer.
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from clusters import SCRIPTS, running, until
from sweeping import counts, written

pytestmark = pytest.mark.slow

#: A reader that notes where it reads the simulation, and may wait there until it may go on.
READER = """
import os, socket, time
from pathlib import Path
from p300.simulation import simulate_data_set

def read(notes, waits=False, **arguments):
    with Path(notes, socket.gethostname()).open("a") as file:
        print(os.environ["SLURM_JOB_ID"], file=file)
    may_go = Path(notes, "go"), Path(notes, "go-" + socket.gethostname())
    while waits and not any(file.exists() for file in may_go):
        time.sleep(0.1)
    return simulate_data_set(**arguments)
"""

ON_SLURM = [
    "hydra/launcher=submitit_slurm",
    "hydra.launcher.timeout_min=5",
    "hydra.launcher.cpus_per_task=1",
]

FOUR_RUNS = ["experiment=lda,cnn3", "seed=0,1"]


class Cluster:
    """Two nodes, node1 and node2, and what was noted of the recordings that are read there."""

    def __init__(self, folder, environment, notes):
        self.folder, self.environment, self.notes = folder, environment, notes

    def jobs_on(self, node):
        """Return the jobs that read a recording on a node."""
        file = self.notes / node
        return set(file.read_text().split()) if file.exists() else set()

    def do(self, what, node):
        """Lose a node, cut its network cable, or mend both."""
        subprocess.run([SCRIPTS / "two_nodes.sh", what, self.folder, node], check=True)

    def ask(self, *command):
        environment = {"PATH": "/usr/bin:/bin", **self.environment}
        return subprocess.run(command, capture_output=True, text=True, env=environment).stdout

    def lose_a_node(self, how):
        """Wait until both nodes read, lose node2, and wait until SLURM knows it."""
        until(lambda: self.jobs_on("node1") and self.jobs_on("node2"), 90, "both nodes")
        self.do(how, "node2")
        state = ["sinfo", "--noheader", "--nodes=node2", "--format=%T"]
        until(lambda: self.ask(*state).startswith("down"), 60, "SLURM to miss node2")

    def let_go(self, name="go"):
        """Let the runs go on that wait, or those of one node."""
        (self.notes / name).touch()


@pytest.fixture
def cluster(tmp_path_factory, tmp_path):
    (tmp_path / "noted.py").write_text(READER)
    (tmp_path / "notes").mkdir()
    folder = tmp_path_factory.mktemp("slurm")
    with running("two_nodes.sh", folder) as environment:
        yield Cluster(folder, environment, tmp_path / "notes")


@pytest.fixture
def sweep(typed, cluster, tmp_path):
    """Start a sweep on both nodes."""
    reader = ["data.read._target_=noted.read", f"+data.read.notes={tmp_path}/notes"]

    def start(*arguments):
        return typed(*ON_SLURM, *reader, "quiet=true", *arguments, **cluster.environment)

    return start


def test_a_sweep_uses_both_nodes(sweep, cluster):
    status, printed, errors = sweep(*FOUR_RUNS)
    assert status == 0, errors
    assert counts(printed) == {"finished": 4, "taken from before": 0, "failed": 0}
    jobs = cluster.jobs_on("node1"), cluster.jobs_on("node2")
    assert all(jobs) and not jobs[0] & jobs[1]


def test_the_run_of_a_lost_node_is_finished_by_the_other(sweep, cluster, tmp_path):
    command = [*FOUR_RUNS, "+data.read.waits=true"]
    with ThreadPoolExecutor() as pool:
        running_sweep = pool.submit(sweep, *command)
        cluster.lose_a_node("lose")
        cluster.let_go()
        status, printed, errors = running_sweep.result()
    assert status == 0, errors
    assert counts(printed) == {"finished": 4, "taken from before": 0, "failed": 0}
    assert len(cluster.jobs_on("node2")) == 1
    assert cluster.jobs_on("node2") < cluster.jobs_on("node1")  # begun here, and again there
    before = written(tmp_path / "sweep")
    status, printed, errors = sweep(*command)
    assert status == 0, errors
    assert counts(printed) == {"finished": 0, "taken from before": 4, "failed": 0}
    assert written(tmp_path / "sweep") == before


def test_a_run_that_slurm_does_not_start_anew_is_named_and_done_by_the_next_command(
    sweep, cluster, tmp_path
):
    command = [*FOUR_RUNS, "+data.read.waits=true"]
    once = "+hydra.launcher.additional_parameters={no-requeue:true}"
    with ThreadPoolExecutor() as pool:
        running_sweep = pool.submit(sweep, *command, once)
        cluster.lose_a_node("lose")
        cluster.let_go()
        status, printed, errors = running_sweep.result()
    assert status == 1, errors
    assert counts(printed) == {"finished": 3, "taken from before": 0, "failed": 1}
    assert "NODE_FAIL" in errors
    before = written(tmp_path / "sweep")
    assert len(before) == 3
    status, printed, errors = sweep(*command)
    assert status == 0, errors
    assert counts(printed) == {"finished": 1, "taken from before": 3, "failed": 0}
    assert before.items() <= written(tmp_path / "sweep").items()


# The command that finds a job in the queue waits for it, even if its run is finished.
@pytest.mark.xfail(
    reason="a job that SLURM put back into the queue stays there when its run is done"
)
def test_what_a_node_without_network_finishes_is_taken_and_not_done_again(
    sweep, cluster, tmp_path
):
    command = ["experiment=lda", "seed=0,1", "+data.read.waits=true"]
    with ThreadPoolExecutor() as pool:
        running_sweep = pool.submit(sweep, *command)
        cluster.lose_a_node("cut")
        (job,) = cluster.jobs_on("node2")
        cluster.ask("scontrol", "hold", job)  # as SLURM does if it meets the job on the node
        cluster.let_go("go-node2")
        until(lambda: written(tmp_path / "sweep"), 60, "node2 to finish its run")
        cluster.let_go()
        status, printed, errors = running_sweep.result()
    assert status == 0, errors
    assert counts(printed) == {"finished": 2, "taken from before": 0, "failed": 0}
    assert not cluster.ask("squeue", "--noheader")
    before = written(tmp_path / "sweep")
    cluster.do("mend", "node2")
    status, printed, errors = sweep(*command)
    assert status == 0, errors
    assert counts(printed) == {"finished": 0, "taken from before": 2, "failed": 0}
    assert written(tmp_path / "sweep") == before
