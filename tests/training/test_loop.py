"""Trainings that are refused, fail, are interrupted, and end."""

import functools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fits import (
    IS_TARGET,
    LIGHTNING,
    VALIDATION,
    Interrupt,
    logged,
    make_fit,
    scores_of,
    train_alone,
    train_together,
    weights_of,
)

from p300.errors import InputError
from p300.metrics import roc_auc
from p300.models import OCLNN, CecottiCNN, EEGNet

pytestmark = LIGHTNING


def test_the_kept_weights_are_those_of_the_best_training_epoch(tmp_path):
    fit = make_fit(tmp_path, optimizer=functools.partial(torch.optim.Adam, lr=2e-2))
    found = train_alone(tmp_path, fit, max_epochs=12)
    aucs = logged(tmp_path)["validation/auc"]
    assert found["best_epoch"] == aucs.argmax() + 1 < found["n_epochs"] == len(aucs)
    auc = roc_auc(IS_TARGET[VALIDATION], scores_of(fit, VALIDATION))
    assert auc == pytest.approx(found["validation/auc"]) == pytest.approx(aucs.max())
    assert not fit.module.network.training


def test_the_best_training_epoch_can_be_that_of_the_least_loss(tmp_path):
    fit = make_fit(tmp_path, optimizer=functools.partial(torch.optim.Adam, lr=2e-2))
    found = train_alone(tmp_path, fit, max_epochs=12, monitor="validation/loss")
    losses = logged(tmp_path)["validation/loss"]
    assert found["best_epoch"] == losses.argmin() + 1
    assert found["validation/loss"] == pytest.approx(losses.min())


@pytest.mark.parametrize("part", ["train", "validation"])
def test_training_on_one_class_only_is_refused(tmp_path, part):
    fit = make_fit()
    rows = getattr(fit.data, part)
    setattr(fit.data, part, rows[~torch.as_tensor(IS_TARGET)[rows]])
    words = f"the {part} part has 0 targets among {len(getattr(fit.data, part))} flashes"
    with pytest.raises(InputError, match=words):
        train_alone(tmp_path, fit)
    with pytest.raises(InputError, match=words):
        train_together(tmp_path, [make_fit(), fit])


def test_a_part_without_flashes_is_refused(tmp_path):
    fit = make_fit()
    fit.data.validation = fit.data.validation[:0]
    with pytest.raises(InputError, match="the validation part has no flash; expected a split"):
        train_alone(tmp_path, fit)


def test_a_network_that_diverges_says_so(tmp_path):
    fit = make_fit(optimizer=functools.partial(torch.optim.SGD, lr=float("inf")))
    words = "training diverged: the network's output is not finite after training epoch 1; lower"
    with pytest.raises(InputError, match=words):
        train_alone(tmp_path, fit)


@pytest.mark.parametrize("kind", [CecottiCNN, EEGNet, OCLNN])
def test_an_interrupted_training_ends_as_an_undisturbed_one(tmp_path, kind):
    def make(name):
        return make_fit(tmp_path / name, kind=kind)

    undisturbed, resumed, passes = make("whole"), make("parts"), Interrupt()
    wanted = train_alone(tmp_path / "whole", undisturbed)
    with pytest.raises(ConnectionError):
        train_alone(tmp_path / "parts", make("parts"), callbacks=[Interrupt(at=3)])
    found = train_alone(tmp_path / "parts", resumed, callbacks=[passes])
    assert passes.n == 3 and found == wanted
    assert torch.equal(weights_of(resumed), weights_of(undisturbed))
    curves = [(tmp_path / f / "networks/1/metrics.csv").read_text() for f in ("whole", "parts")]
    assert curves[0] == curves[1]


def test_patience_goes_on_counting_after_an_interruption(tmp_path):
    hopeless = {"optimizer": functools.partial(torch.optim.SGD, lr=0.0)}
    wanted = train_alone(tmp_path / "whole", make_fit(tmp_path / "whole", **hopeless), patience=4)
    with pytest.raises(ConnectionError):
        fit = make_fit(tmp_path / "parts", **hopeless)
        train_alone(tmp_path / "parts", fit, patience=4, callbacks=[Interrupt(at=3)])
    fit = make_fit(tmp_path / "parts", **hopeless)
    assert train_alone(tmp_path / "parts", fit, patience=4) == wanted
    assert wanted["n_epochs"] == 5


def test_a_training_that_has_ended_is_not_run_again(tmp_path):
    wanted = train_alone(tmp_path, make_fit(tmp_path))
    fit, passes = make_fit(tmp_path), Interrupt()
    assert train_alone(tmp_path, fit, callbacks=[passes]) == wanted
    other = make_fit()
    train_alone(tmp_path / "other", other)
    assert passes.n == 0 and torch.equal(weights_of(fit), weights_of(other))
    assert logged(tmp_path)["epoch"].tolist() == list(range(6))


@pytest.mark.parametrize("what", ["another training", "half a file", "nonsense", "a list"])
def test_a_file_that_is_not_of_this_training_is_not_used(tmp_path, what):
    key = "other" if what == "another training" else "key"
    with pytest.raises(ConnectionError):
        train_alone(tmp_path, make_fit(seed=5), callbacks=[Interrupt(at=3)], key=key)
    path = tmp_path / "networks" / "1.ckpt"
    if what == "half a file":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif what == "nonsense":
        path.write_text("no file of PyTorch")
    elif what == "a list":
        torch.save([1, 2], path)
    fit, other, passes = make_fit(), make_fit(), Interrupt()
    train_alone(tmp_path, fit, callbacks=[passes])
    train_alone(tmp_path / "other", other)
    assert passes.n == 6 and torch.equal(weights_of(fit), weights_of(other))


def test_an_interrupted_writing_leaves_the_one_before(tmp_path, monkeypatch):
    with pytest.raises(ConnectionError):
        train_alone(tmp_path, make_fit(), callbacks=[Interrupt(at=3)])
    before = (tmp_path / "networks" / "1.ckpt").read_bytes()

    def killed(source, target):
        raise ConnectionError

    with monkeypatch.context() as patched, pytest.raises(ConnectionError):
        patched.setattr(os, "replace", killed)
        train_alone(tmp_path, make_fit())
    assert (tmp_path / "networks" / "1.ckpt").read_bytes() == before


def test_a_training_is_not_written_more_often_than_asked(tmp_path):
    with pytest.raises(ConnectionError):
        train_alone(tmp_path, make_fit(), callbacks=[Interrupt(at=3)], every_s=1e9)
    assert not (tmp_path / "networks" / "1.ckpt").exists()


#: A training that is ended from outside, as a batch system does before its time is over.
ENDED = """
import os, signal
from pathlib import Path
import pytorch_lightning as pl
from fits import make_fit, train_alone
class Ended(pl.Callback):
    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == 2:
            os.kill(os.getpid(), signal.SIGTERM)
train_alone(Path("run"), make_fit(), callbacks=[Ended()])
"""


@pytest.mark.slow
def test_a_training_that_is_ended_by_a_signal_does_not_end_well(tmp_path):
    tests = Path(__file__).parents[1]
    path = os.pathsep.join(filter(None, [str(tests), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", ENDED], cwd=tmp_path, env=environment)
    assert done.returncode == 128 + signal.SIGTERM


#: As typed, and killed after its third pass.
KILLED = """
import os, signal, sys
from p300.cli import main
from p300.training.callbacks.resuming import SavedTraining
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
def test_a_killed_run_goes_on_in_its_folder_and_ends_bit_for_bit_as_another(
    p300, small, tmp_path, forks
):
    arguments = ["train", *small, "experiment=mcnn3", "protocol.max_epochs=5", "save_every_s=0"]
    killed = ["-c", KILLED, *arguments, "hydra.run.dir=killed"]
    status, _, errors = forks.run(killed, tmp_path)
    assert status == -signal.SIGKILL, errors
    assert list(Path("killed").glob("networks/*.ckpt"))
    assert not Path("killed", "results.json").exists()
    for folder in ("killed", "whole"):
        status, _, errors = p300(*arguments, f"hydra.run.dir={folder}")
        assert status == 0, errors
        assert {path.name for path in Path(folder).rglob("*.ckpt*")} <= {"best.ckpt"}
        for number in (1, 2, 3):
            assert logged(Path(folder), number)["epoch"].tolist() == list(range(5))
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
from p300.training.callbacks.resuming import SavedTraining
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
def test_two_processes_train_what_one_does(p300, tmp_path, forks, protocol):
    # of an even number of flashes: both processes have equal shares of every step
    arguments = ["train", "experiment=cnn3", "logger=csv", "protocol.max_epochs=2"]
    arguments += [f"protocol={protocol}", "data.read.n_repetitions=2", "trainer.accelerator=cpu"]
    status, _, errors = p300(*arguments, "hydra.run.dir=one")
    assert status == 0, errors
    parallel = ["trainer.devices=2", "trainer.strategy=ddp_fork", "hydra.run.dir=two"]
    status, _, errors = forks.run(["-c", OTHER_CLOCK, *arguments, *parallel], tmp_path)
    assert status == 0, errors
    assert [logged(Path(f))["epoch"].tolist() for f in ("one", "two")] == 2 * [[0, 1]]
    assert [path.name for path in Path("two").rglob("*.ckpt*")] == ["best.ckpt"]
    one, two = (
        torch.load(f"{folder}/checkpoint.pt")["members"][0]["state"] for folder in ("one", "two")
    )
    largest = max((one[name] - two[name]).abs().max().item() for name in one)
    assert largest < 1e-5  # of weights up to 1; one step of Adam moves them by 1e-3


def test_every_process_draws_its_own_dropout(tmp_path, monkeypatch):
    first, second = make_fit(kind=EEGNet), make_fit(kind=EEGNet)
    train_alone(tmp_path / "first", first, max_epochs=1)
    monkeypatch.setattr("p300.training.datamodule.step_seed", lambda *numbers: 7)
    train_alone(tmp_path / "second", second, max_epochs=1)
    assert not torch.equal(weights_of(first), weights_of(second))
