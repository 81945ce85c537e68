"""What a sweep and one large training do on a SLURM of two nodes, of which one can be lost.

tests/slurm/two_nodes.sh makes the nodes out of this computer.
"""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
import torch
from clusters import SCRIPTS, running, until
from forks import ROOT
from sweeping import counts, written

pytestmark = pytest.mark.slow

#: A reader that notes where it reads the simulation, and may wait there until it may go on.
READER = """
import os, socket, time
from pathlib import Path
from p300.simulation import simulate_data_set

def read(notes, waits=False, **arguments):
    with Path(notes, socket.gethostname()).open("a") as file:
        print(os.environ.get("SLURM_JOB_ID"), file=file)
    may_go = Path(notes, "go"), Path(notes, "go-" + socket.gethostname())
    while waits and not any(file.exists() for file in may_go):
        time.sleep(0.1)
    return simulate_data_set(**arguments)
"""

#: A data set of one's own: simulated people, who differ.
PEOPLE = """
from p300.simulation import simulate_data_set

def read(subject, **arguments):
    recording = simulate_data_set(seed=int(subject), **arguments)
    recording.flashes["subject"] = str(subject)
    return recording
"""
LAB = """
read: {_target_: lab.read, subject: "${oc.select:subject,1}", train_text: A, test_text: A,
  n_repetitions: 1, ch_names: null}
test: {session: [test]}
"""

P300 = [sys.executable, "-c", "from p300.cli import main; main()"]

ON_SLURM = [
    "hydra/launcher=submitit_slurm",
    "hydra.launcher.timeout_min=5",
    "hydra.launcher.cpus_per_task=1",
]

#: One for each node, and one that waits.
THREE_RUNS = ["experiment=lda", "seed=0,1,2"]


class Cluster:
    """Two nodes, node1 and node2, and what was noted of the recordings that are read there."""

    def __init__(self, folder, environment, notes):
        self.folder, self.environment, self.notes = folder, environment, notes
        self.reader = ["data.read._target_=noted.read", f"+data.read.notes={notes}"]

    def jobs_on(self, node):
        """Return the jobs that read a recording on a node."""
        file = self.notes / node
        return set(file.read_text().split()) if file.exists() else set()

    def do(self, what, node):
        """Lose a node, cut its network cable, or mend both."""
        subprocess.run([SCRIPTS / "two_nodes.sh", what, self.folder, node], check=True)

    def run(self, *command):
        """Run a command with SLURM, in the folder of the test, where its modules are."""
        folder = self.notes.parent
        paths = [str(folder), str(Path(__file__).parents[2]), os.getenv("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": ":".join(paths), **self.environment}
        return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)

    def ask(self, *command):
        """Return what a command of SLURM prints."""
        return self.run(*command).stdout

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

    def start(*arguments):
        return typed(*ON_SLURM, *cluster.reader, "quiet=true", *arguments, **cluster.environment)

    return start


def test_the_run_of_a_lost_node_is_finished_by_the_other(sweep, cluster, tmp_path):
    command = [*THREE_RUNS, "+data.read.waits=true"]
    with ThreadPoolExecutor() as pool:
        running_sweep = pool.submit(sweep, *command)
        cluster.lose_a_node("lose")
        cluster.let_go()
        status, printed, errors = running_sweep.result()
    assert status == 0, errors
    assert counts(printed) == {"finished": 3, "taken from before": 0, "failed": 0}
    assert len(cluster.jobs_on("node2")) == 1
    assert cluster.jobs_on("node2") < cluster.jobs_on("node1")  # begun here, and again there
    before = written(tmp_path / "sweep")
    status, printed, errors = sweep(*command)
    assert status == 0, errors
    assert counts(printed) == {"finished": 0, "taken from before": 3, "failed": 0}
    assert written(tmp_path / "sweep") == before


def test_a_run_that_slurm_does_not_start_anew_is_named_and_done_by_the_next_command(
    sweep, cluster, tmp_path
):
    command = [*THREE_RUNS, "+data.read.waits=true"]
    once = "+hydra.launcher.additional_parameters={no-requeue:true}"
    with ThreadPoolExecutor() as pool:
        running_sweep = pool.submit(sweep, *command, once)
        cluster.lose_a_node("lose")
        cluster.let_go()
        status, printed, errors = running_sweep.result()
    assert status == 1, errors
    assert counts(printed) == {"finished": 2, "taken from before": 0, "failed": 1}
    assert "NODE_FAIL" in errors
    before = written(tmp_path / "sweep")
    assert len(before) == 2
    status, printed, errors = sweep(*command)
    assert status == 0, errors
    assert counts(printed) == {"finished": 1, "taken from before": 2, "failed": 0}
    assert before.items() <= written(tmp_path / "sweep").items()


@pytest.mark.slow
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
    # the jobs have written their results, and end a moment later
    until(lambda: not cluster.ask("squeue", "--noheader"), 60, "the queue to be empty")
    before = written(tmp_path / "sweep")
    cluster.do("mend", "node2")
    status, printed, errors = sweep(*command)
    assert status == 0, errors
    assert counts(printed) == {"finished": 0, "taken from before": 2, "failed": 0}
    assert written(tmp_path / "sweep") == before


#: A callback that keeps, from every process, what it is and the weights that it ends with.
CALLBACK = """
import socket
from pathlib import Path
import pytorch_lightning as pl
import torch

class KeepWeights(pl.Callback):
    def __init__(self, folder):
        self.folder = Path(folder)

    def on_train_start(self, trainer, module):
        self.first = [p.detach().clone() for p in module.parameters()]

    def on_train_end(self, trainer, module):
        kept = {
            "host": socket.gethostname(),
            "size": trainer.world_size,
            "first": self.first,
            "last": [p.detach().clone() for p in module.parameters()],
        }
        torch.save(kept, self.folder / f"rank-{trainer.global_rank}.pt")
"""


def test_two_nodes_train_one_network_together_into_one_run_folder(cluster, small, tmp_path):
    (tmp_path / "keeping.py").write_text(CALLBACK)
    done = cluster.run(
        *["srun", "--nodes=2", "--ntasks-per-node=1", "--time=5", *P300, "train", *small],
        *["experiment=cnn3", "trainer.accelerator=cpu", "trainer.strategy=ddp"],
        *["trainer.num_nodes=2", "trainer.devices=1"],
        *["+callbacks.keep._target_=keeping.KeepWeights", f"+callbacks.keep.folder={tmp_path}"],
    )
    assert done.returncode == 0, done.stderr
    ranks = [torch.load(tmp_path / f"rank-{k}.pt") for k in (0, 1)]
    assert [rank["host"] for rank in ranks] == ["node1", "node2"]
    assert [rank["size"] for rank in ranks] == [2, 2]
    for last in zip(*(rank["last"] for rank in ranks), strict=True):
        assert torch.equal(*last)  # though each saw the flashes of its half alone
    trained = zip(ranks[0]["first"], ranks[0]["last"], strict=True)
    assert not all(torch.equal(first, last) for first, last in trained)
    (folder,) = (tmp_path / "runs").glob("*/*/*")
    assert (folder / "results.json").exists() and (folder / "checkpoint.pt").exists()


def test_a_benchmark_that_loses_a_node_finishes_every_cell(cluster, small, tmp_path, forks):
    overrides = [*small, *cluster.reader, "+data.read.waits=true"]
    command = [
        *["benchmark", *ON_SLURM, "folder=benchmark", "quiet=true"],
        *["only=[own]", "experiments=[lda,cnn3]", "reference=lda", "seeds=[0]"],
        "overrides=[" + ",".join(f"'{override}'" for override in overrides) + "]",
    ]
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    environment = {"PYTHONPATH": paths, **cluster.environment}
    with ThreadPoolExecutor() as pool:
        benchmark = pool.submit(forks.run, command, tmp_path, environment)
        cluster.lose_a_node("lose")
        cluster.let_go()
        status, _, errors = benchmark.result()
    assert status == 0, errors
    cells = pd.read_csv(tmp_path / "benchmark/cells.csv")
    assert sorted(zip(cells["experiment"], cells["seed"], strict=True)) == [
        ("cnn3", 0),
        ("lda", 0),
    ]
    results = sorted((tmp_path / "benchmark").rglob("results.json"))
    before = {path: path.stat().st_mtime_ns for path in results}
    assert len(before) == 2
    status, _, errors = forks.run(command, tmp_path, environment)
    assert status == 0, errors
    assert {path: path.stat().st_mtime_ns for path in results} == before


def test_the_job_script_of_the_page_runs_a_study(cluster, small, tmp_path):
    page = (Path(__file__).parents[2] / "docs/cluster.md").read_text("utf-8")
    task, script = (
        re.findall(rf"^```{kind}\n(.*?)^```$", page, re.M | re.S)[0] for kind in ("yaml", "sh")
    )
    for folder in ("data", "tasks"):
        (tmp_path / "mine" / folder).mkdir(parents=True)
    (tmp_path / "mine/lab.py").write_text(PEOPLE)
    (tmp_path / "mine/data/lab.yaml").write_text(LAB)
    (tmp_path / "mine/tasks/people.yaml").write_text(task.replace("range(1,268)", "range(1,4)"))
    fewer = {  # the cluster of the page is larger
        "/scratch/$USER": str(tmp_path),
        "experiments=all seeds=[0,1,2]": "experiments=[lda,cnn3] seeds=[0,1]",
        "'logger=csv'": ",".join(f"'{override}'" for override in small),
        "--mem=8G": "--mem=1G",
    }
    for old, new in fewer.items():
        assert old in script
        script = script.replace(old, new)
    script = re.sub(r"^(module|source) .*\n", "", script, flags=re.M)
    (tmp_path / "study.sh").write_text(script)
    job = cluster.ask("sbatch", "--parsable", "study.sh").strip()
    until(lambda: not cluster.ask("squeue", "--noheader"), 200, "the study to end")
    log = (tmp_path / f"study-{job}.log").read_text()
    assert "12 runs: 12 finished" in (tmp_path / "study/benchmark.log").read_text(), log
    assert len(pd.read_csv(tmp_path / "study/cells.csv")) == 3 * 2 * 2
