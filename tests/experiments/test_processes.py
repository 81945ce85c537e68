"""Several processes that train one network write one run."""

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hydra import initialize_config_dir

from p300.errors import InputError
from p300.experiments.configuration import compose_training, conf_dir
from p300.experiments.processes import check_shared

SMALL = [
    "experiment=cnn3",
    "data.read.ch_names=[Fz,Cz,Pz,P3,P4,PO7,PO8,Oz]",
    "data.read.train_text=ABCDEFGH",
    "data.read.test_text=P3",
    "data.read.n_repetitions=2",
    "protocol.max_epochs=2",
    "trainer.accelerator=cpu",
    "trainer.devices=2",
    "logger.figures=never",
]
COMMAND = [sys.executable, "-m", "p300", "train", *SMALL]


def run(command, folder, **environment):
    root = str(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, [root, os.getenv("PYTHONPATH")]))
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_one_run(folder):
    """One folder with results, one W&B run, nothing beside it; return its weights."""
    (results,) = folder.rglob("results.json")
    assert len(list(folder.rglob("*.wandb"))) == 1
    for name in ("integrity.txt", "train.log", "scores.csv", ".hydra"):
        assert len(list(folder.rglob(name))) == 1
    assert not list(folder.rglob("*ddp_process*"))
    state = torch.load(results.parent / "checkpoint.pt")["members"][0]["state"]
    return torch.cat([value.flatten() for value in state.values()])


@pytest.mark.slow
def test_two_processes_cross_validate_and_the_first_writes(tmp_path):
    command = [*COMMAND, "split=k_fold", "split.n_folds=2", "hydra.run.dir=cv"]
    printed = run(command, tmp_path)
    assert printed.count("run folder:") == 1 and "No such file" not in printed
    assert (tmp_path / "cv" / "results.json").exists()


@pytest.mark.slow
def test_two_processes_of_every_kind_write_one_run_and_learn_the_same(tmp_path):
    seen, port = tmp_path / "seen", free_port()
    seen.mkdir()
    (tmp_path / "watching.py").write_text(WATCHING)
    watched = ["--config-dir", str(tmp_path), "+callbacks.watching._target_=watching.Watching"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    kinds = {
        "shipped": [*COMMAND, *watched],
        "spawn": [*COMMAND, "trainer.strategy=ddp_spawn"],
        "torchrun": [*torchrun, f"--master-port={port}", *COMMAND[1:]],
    }
    weights = {}
    for kind, command in kinds.items():
        (tmp_path / kind).mkdir()
        printed = run(command, tmp_path / kind, SEEN=str(seen))
        assert printed.count("run folder:") == 1
        weights[kind] = check_one_run(tmp_path / kind)
    for kind in kinds:
        torch.testing.assert_close(weights[kind], weights["shipped"], rtol=1e-4, atol=1e-5)
    sums = [path.read_text() for path in sorted(seen.iterdir())]
    assert len(sums) == 2 and sums[0] == sums[1]  # both processes end with the same


@pytest.mark.parametrize(
    ("rank", "typed", "is_refused"),
    [
        ({"SLURM_PROCID": "2"}, [], True),
        ({"LOCAL_RANK": "1"}, ["trainer.devices=[0]"], True),
        ({"SLURM_PROCID": "0"}, [], False),
        ({"SLURM_PROCID": "2"}, ["trainer.devices=4"], False),
        ({"SLURM_PROCID": "1"}, ["trainer.num_nodes=2"], False),
    ],
)
def test_a_process_that_has_no_run_to_help_with_says_so(monkeypatch, rank, typed, is_refused):
    for name, value in rank.items():
        monkeypatch.setenv(name, value)
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose_training(typed)[0]
    refused = pytest.raises(InputError, match="env -u SLURM_PROCID")
    with refused if is_refused else contextlib.nullcontext():
        check_shared(cfg)


def test_srun_of_a_run_on_one_device_ends_the_other_tasks_with_one_sentence(
    p300, small, monkeypatch, tmp_path
):
    monkeypatch.setenv("SLURM_PROCID", "3")
    status, _, errors = p300("train", "experiment=lda", *small)
    assert status != 0 and "trainer.num_nodes above 1" in errors
    assert not list(tmp_path.rglob("results.json"))


WATCHING = """
import os
from pathlib import Path
import pytorch_lightning as pl

class Watching(pl.Callback):
    def on_fit_end(self, trainer, module):
        total = sum(value.double().sum().item() for value in module.network.state_dict().values())
        (Path(os.environ["SEEN"]) / str(trainer.global_rank)).write_text(repr(total))
"""


def free_port():
    with socket.socket() as found:
        found.bind(("", 0))
        return found.getsockname()[1]
