"""Trainings that are refused, fail, are interrupted, and end."""

import functools
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch

from p300.errors import InputError
from p300.losses import CrossEntropy
from p300.metrics import roc_auc
from p300.models import CecottiCNN, EEGNet
from p300.training.curves import network_loggers
from p300.training.datamodule import EpochsDataModule
from p300.training.loop import SavedTraining, train_networks
from p300.training.module import NetworkFit

pytestmark = [  # Lightning's own, as the commands ignore them
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The `srun` command is available"),
]
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)

N_FLASHES = 240
IS_TARGET = np.arange(N_FLASHES) % 6 == 0
TRAIN, VALIDATION = np.arange(N_FLASHES) < 160, np.arange(N_FLASHES) >= 160


def make_epochs(size=0.7):
    """Noise of 4 electrodes that is larger for 0.1 s after a target."""
    epochs = np.random.default_rng(0).normal(size=(N_FLASHES, 4, 78)).astype("f4")
    epochs[IS_TARGET, :, 30:42] += size
    return epochs


def make_network_fit(seed=0, kind=CecottiCNN, lr=3e-3):
    torch.manual_seed(seed)
    network = kind(n_chans=4, n_outputs=2, n_times=78, sfreq=120.0)
    optimizer = functools.partial(torch.optim.Adam, lr=lr)
    return NetworkFit(network, CrossEntropy(IS_TARGET[TRAIN]), optimizer, TRAIN, VALIDATION, seed)


def train(
    folder, fits, epochs=None, *, callbacks=(), max_epochs=6, key="key", every_s=0.0, **more
):
    epochs = make_epochs() if epochs is None else epochs
    data = EpochsDataModule(
        epochs,
        IS_TARGET,
        [t.train for t in fits],
        [t.validation for t in fits],
        batch_size=32,
        seeds=[t.seed for t in fits],
    )
    folder.mkdir(exist_ok=True)
    (folder / "networks").mkdir(exist_ok=True)
    for k, fit in enumerate(fits):
        fit.loggers = network_loggers(folder, k + 1, None)

    def trainer(callbacks_of_training, **options):
        return pl.Trainer(
            max_epochs=max_epochs,
            accelerator="cpu",
            num_sanity_val_steps=0,
            enable_model_summary=False,
            callbacks=[*callbacks_of_training, *callbacks],
            **options,
        )

    return train_networks(
        fits,
        data,
        saved=SavedTraining(folder / "networks" / "1.ckpt", key, every_s),
        trainer=lambda callbacks, **options: trainer(callbacks, **options),
        **more,
    )


def logged_passes(folder, number=1):
    table = pd.read_csv(folder / "networks" / str(number) / "metrics.csv")
    return table["epoch"].tolist()


def weights_of(fit):
    return torch.cat([value.flatten() for value in fit.network.state_dict().values()])


class Passes(pl.Callback):
    """Counts the passes that are begun, and interrupts one."""

    def __init__(self, interrupt=None):
        self.n, self.interrupt = 0, interrupt

    def on_train_epoch_start(self, trainer, detector):
        if trainer.current_epoch == self.interrupt:
            raise ConnectionError  # of a kind that Lightning does not take for the user's wish
        self.n += 1


def test_the_kept_weights_are_those_of_the_best_pass(tmp_path):
    epochs, fit = make_epochs(), make_network_fit(lr=2e-2)
    (found,) = train(tmp_path, [fit], epochs, max_epochs=12)
    aucs = pd.read_csv(tmp_path / "networks" / "1" / "metrics.csv")["validation/auc"]
    assert found["best_epoch"] == aucs.argmax() + 1 < found["n_epochs"] == len(aucs)
    with torch.inference_mode():
        scores = fit.loss.score(fit.network(torch.as_tensor(epochs[VALIDATION])))
    assert roc_auc(IS_TARGET[VALIDATION], scores) == pytest.approx(found["validation/auc"])
    assert found["validation/auc"] == pytest.approx(aucs.max())
    assert not fit.network.training


def test_the_best_pass_can_be_that_of_the_least_loss(tmp_path):
    epochs, fit = make_epochs(size=0.2), make_network_fit(lr=2e-2)  # soon learned by heart
    (found,) = train(tmp_path, [fit], epochs, max_epochs=12, monitor="validation/loss")
    losses = pd.read_csv(tmp_path / "networks" / "1" / "metrics.csv")["validation/loss"]
    assert found["best_epoch"] == losses.argmin() + 1 < len(losses)
    assert found["validation/loss"] == pytest.approx(losses.min())


@pytest.mark.parametrize("part", ["train", "validation"])
def test_training_on_one_class_only_is_refused(tmp_path, part):
    fit = make_network_fit()
    setattr(fit, part, getattr(fit, part) & ~IS_TARGET)
    n = getattr(fit, part).sum()
    with pytest.raises(InputError, match=f"the {part} part has 0 targets among {n} flashes"):
        train(tmp_path, [make_network_fit(), fit])


def test_choosing_the_best_pass_by_test_results_is_refused(tmp_path):
    with pytest.raises(InputError, match="test result"):
        train(tmp_path, [make_network_fit()], monitor="test/auc")


def test_a_network_that_diverges_says_so_and_the_one_beside_it_goes_on(tmp_path):
    fits = [make_network_fit(0), make_network_fit(1)]
    fits[0].optimizer = functools.partial(torch.optim.SGD, lr=float("inf"))
    diverged, found = train(tmp_path, fits, max_epochs=8)
    assert isinstance(diverged, InputError)
    words = (
        "training diverged: the network's output is not finite after training epoch 1; lower the"
    )
    assert words in str(diverged)
    other = make_network_fit(1)
    (alone,) = train(tmp_path / "alone", [other], max_epochs=8)
    assert found["n_epochs"] == alone["n_epochs"] == 8
    assert (weights_of(fits[1]) - weights_of(other)).abs().max() < 1e-4


@pytest.mark.parametrize("kind", [CecottiCNN, EEGNet])
def test_an_interrupted_training_ends_as_an_undisturbed_one(tmp_path, kind):
    undisturbed = [make_network_fit(k, kind) for k in range(2)]
    wanted = train(tmp_path / "whole", undisturbed)
    with pytest.raises(ConnectionError):
        callbacks = [Passes(interrupt=3)]
        train(
            tmp_path / "parts", [make_network_fit(k, kind) for k in range(2)], callbacks=callbacks
        )
    resumed, passes = [make_network_fit(k, kind) for k in range(2)], Passes()
    found = train(tmp_path / "parts", resumed, callbacks=[passes])
    assert passes.n == 3 and found == wanted
    for k in range(2):
        assert torch.equal(weights_of(resumed[k]), weights_of(undisturbed[k]))
        assert logged_passes(tmp_path / "parts", k + 1) == list(range(6))
        curves = [
            (tmp_path / part / "networks" / str(k + 1) / "metrics.csv").read_text()
            for part in ("whole", "parts")
        ]
        assert curves[0] == curves[1]


def test_a_network_that_had_stopped_before_an_interruption_stays_stopped(tmp_path):
    def make():
        fits = [make_network_fit(0), make_network_fit(1)]
        fits[1].optimizer = functools.partial(torch.optim.SGD, lr=0.0)
        return fits

    wanted = train(tmp_path / "whole", make(), patience=2)
    with pytest.raises(ConnectionError):
        train(tmp_path / "parts", make(), patience=2, callbacks=[Passes(interrupt=4)])
    assert train(tmp_path / "parts", make(), patience=2) == wanted
    assert wanted[1]["n_epochs"] == 3 and logged_passes(tmp_path / "parts", 2) == [0, 1, 2]


def test_a_training_that_has_ended_is_not_run_again(tmp_path):
    wanted, fit, passes = train(tmp_path, [make_network_fit()]), make_network_fit(), Passes()
    assert train(tmp_path, [fit], callbacks=[passes]) == wanted
    other = make_network_fit()
    train(tmp_path / "other", [other])
    assert passes.n == 0 and torch.equal(weights_of(fit), weights_of(other))
    assert logged_passes(tmp_path) == list(range(6))


@pytest.mark.parametrize("what", ["another training", "half a file", "nonsense", "a list"])
def test_a_file_that_is_not_of_this_training_is_not_used(tmp_path, what):
    key = "other" if what == "another training" else "key"
    with pytest.raises(ConnectionError):
        train(tmp_path, [make_network_fit(5)], callbacks=[Passes(interrupt=3)], key=key)
    path = tmp_path / "networks" / "1.ckpt"
    if what == "half a file":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif what == "nonsense":
        path.write_text("no file of PyTorch")
    elif what == "a list":
        torch.save([1, 2], path)
    fit, other, passes = make_network_fit(), make_network_fit(), Passes()
    train(tmp_path, [fit], callbacks=[passes])
    train(tmp_path / "other", [other])
    assert passes.n == 6 and torch.equal(weights_of(fit), weights_of(other))


def test_an_interrupted_writing_leaves_the_one_before(tmp_path, monkeypatch):
    with pytest.raises(ConnectionError):
        train(tmp_path, [make_network_fit()], callbacks=[Passes(interrupt=3)])
    before = (tmp_path / "networks" / "1.ckpt").read_bytes()

    def killed(source, target):
        raise ConnectionError

    with monkeypatch.context() as patched, pytest.raises(ConnectionError):
        patched.setattr(os, "replace", killed)
        train(tmp_path, [make_network_fit()])
    assert (tmp_path / "networks" / "1.ckpt").read_bytes() == before


def test_a_training_is_not_written_more_often_than_asked(tmp_path):
    with pytest.raises(ConnectionError):
        train(tmp_path, [make_network_fit()], callbacks=[Passes(interrupt=3)], every_s=1e9)
    assert not list(tmp_path.rglob("*.ckpt*"))


#: As typed, and killed after its third pass.
KILLED = """
import os, signal, sys
from p300.cli import main
from p300.training.loop import SavedTraining
written = SavedTraining.on_train_epoch_end
def kill(self, trainer, detector):
    written(self, trainer, detector)
    if trainer.current_epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)
SavedTraining.on_train_epoch_end = kill
sys.argv = ["p300", *sys.argv[1:]]
main()
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_in_its_folder_and_ends_bit_for_bit_as_another(p300, small, tmp_path):
    arguments = ["train", *small, "experiment=mcnn3", "protocol.max_epochs=5", "save_every_s=0"]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments, "hydra.run.dir=killed"],
        cwd=tmp_path,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert list(Path("killed").glob("networks/*.ckpt"))
    assert not Path("killed", "results.json").exists()
    for folder in ("killed", "whole"):
        status, _, errors = p300(*arguments, f"hydra.run.dir={folder}")
        assert status == 0, errors
        assert not list(Path(folder).rglob("*.ckpt*"))
        for number in (1, 2, 3):
            assert logged_passes(Path(folder), number) == list(range(5))
    one, other = (
        [member["state"] for member in torch.load(f"{f}/checkpoint.pt")["members"]]
        for f in ("killed", "whole")
    )
    for weights, same in zip(one, other, strict=True):
        assert all(torch.equal(weights[name], same[name]) for name in weights)
    assert Path("killed/scores.csv").read_text() == Path("whole/scores.csv").read_text()


#: As typed, but the second process believes that its file was written just now.
OTHER_CLOCK = """
import sys
from p300.cli import main
from p300.training.loop import SavedTraining
written = SavedTraining.on_train_epoch_end
def other_clock(self, trainer, detector):
    self.every_s = 1e9 if trainer.global_rank else 0.0
    written(self, trainer, detector)
SavedTraining.on_train_epoch_end = other_clock
sys.argv = ["p300", *sys.argv[1:]]
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["modern", "paper"])
def test_two_processes_train_what_one_does(p300, tmp_path, protocol):
    # of an even number of flashes: both processes have equal shares of every step
    arguments = ["train", "experiment=cnn3", "logger=csv", "protocol.max_epochs=2"]
    arguments += [f"protocol={protocol}", "data.read.n_repetitions=2", "trainer.accelerator=cpu"]
    status, _, errors = p300(*arguments, "hydra.run.dir=one")
    assert status == 0, errors
    parallel = ["trainer.devices=2", "trainer.strategy=ddp_fork", "hydra.run.dir=two"]
    done = subprocess.run(
        [sys.executable, "-c", OTHER_CLOCK, *arguments, *parallel],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert logged_passes(Path("one")) == logged_passes(Path("two")) == [0, 1]
    assert not list(Path("two").rglob("*.ckpt*"))
    one, two = (
        torch.load(f"{folder}/checkpoint.pt")["members"][0]["state"] for folder in ("one", "two")
    )
    largest = max((one[name] - two[name]).abs().max().item() for name in one)
    assert largest < 1e-5  # of weights up to 1; one step of Adam moves them by 1e-3


def test_the_first_of_several_processes_says_how_good_a_pass_was(tmp_path, monkeypatch):
    def from_the_first(self, found, src=0):
        return {**found, "validation/auc": 0.5} if isinstance(found, dict) else found

    monkeypatch.setattr(pl.strategies.SingleDeviceStrategy, "broadcast", from_the_first)
    (found,) = train(tmp_path, [make_network_fit()], patience=2)
    assert found == {"best_epoch": 1, "n_epochs": 3, "validation/auc": 0.5}


def test_every_process_draws_its_own_dropout(tmp_path, monkeypatch):
    first, second = make_network_fit(kind=EEGNet), make_network_fit(kind=EEGNet)
    train(tmp_path / "first", [first], max_epochs=1)
    monkeypatch.setattr(pl.Trainer, "global_rank", 1)
    train(tmp_path / "second", [second], max_epochs=1)
    assert not torch.equal(weights_of(first), weights_of(second))
