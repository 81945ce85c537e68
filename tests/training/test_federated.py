"""Federated averaging: people train one network and give away its weights alone."""

import functools
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fits import (
    EPOCHS,
    IS_TARGET,
    LIGHTNING,
    N_FLASHES,
    NUMBERS,
    TRAIN,
    VALIDATION,
    Interrupt,
    logged,
    make_fit,
    scores_of,
    train_alone,
    weights_of,
)
from torch import nn

from p300.errors import InputError
from p300.experiments.train import train as run_training
from p300.losses import CrossEntropy
from p300.metrics import roc_auc
from p300.models import OCLNN, EEGNet
from p300.training.callbacks import FederatedAveraging
from p300.training.callbacks.federated import mean_weights

pytestmark = LIGHTNING

PLAIN = functools.partial(CrossEntropy, balanced=False)
SGD = functools.partial(torch.optim.SGD, lr=0.1)
SHARES = {"A": 40, "B": 80, "C": 120}  # training flashes of three people; 360 others follow
PERSON = np.array([*itertools.chain(*([name] * n for name, n in SHARES.items())), *["A"] * 240])


class Linear(nn.Module):
    """One linear layer: what it learns can be computed by hand."""

    def __init__(self, n_chans, n_outputs, n_times, sfreq):
        super().__init__()
        self.final_layer = nn.Linear(n_chans * n_times, n_outputs)

    def forward(self, x):
        return self.final_layer(x.flatten(1))


def make(folder=None, *, person=PERSON, kind=Linear, optimizer=SGD, **options):
    """The fit of a network to the flashes of three people."""
    fit = make_fit(folder, kind=kind, optimizer=optimizer, loss=PLAIN, **options)
    fit.data.person = torch.as_tensor(np.unique(person, return_inverse=True)[1])
    return fit


def train(folder, fit, federated=True, **options):
    callbacks = [FederatedAveraging()] if federated else []
    more = options.pop("callbacks", [])
    return train_alone(folder, fit, callbacks=[*callbacks, *more], **options)


def last_layer(fit):
    return fit.module.network.final_layer.weight.detach().clone()


def test_the_mean_of_weights_counts_every_flash_once():
    states = [(1, {"w": torch.tensor([0.0, 4.0])}), (3, {"w": torch.tensor([4.0, 8.0])})]
    assert mean_weights(states)["w"].tolist() == [3.0, 7.0]


def test_one_full_step_of_everybody_is_one_step_on_the_pooled_flashes(tmp_path):
    """The gradient of a mean over flashes is the mean of the people's gradients."""
    whole = {"batch_size": N_FLASHES}
    shared, pooled = make(**whole), make(**whole)
    start = last_layer(pooled)
    train(tmp_path / "shared", shared, max_epochs=1)
    train(tmp_path / "pooled", pooled, federated=False, max_epochs=1)
    torch.testing.assert_close(last_layer(shared), last_layer(pooled), rtol=0, atol=1e-6)
    # by hand, in float64: the gradient of cross-entropy is (probability - label) times the input
    x = torch.as_tensor(EPOCHS[TRAIN]).flatten(1).double()
    torch.manual_seed(0)
    first = Linear(4, 2, 78, 120.0).final_layer
    torch.testing.assert_close(start, first.weight)
    probability = (x @ first.weight.double().T + first.bias.double()).softmax(1)
    error = probability - torch.nn.functional.one_hot(torch.as_tensor(IS_TARGET[TRAIN]).long(), 2)
    wanted = first.weight.double() - 0.1 * error.T @ x / len(x)
    torch.testing.assert_close(last_layer(shared).double(), wanted, rtol=0, atol=1e-5)


def test_several_local_steps_are_the_mean_of_people_who_trained_alone(tmp_path):
    shared = make(batch_size=20)
    train(tmp_path / "shared", shared, max_epochs=1, defaults=False)
    total = torch.zeros_like(last_layer(shared))
    for name, n in SHARES.items():
        own = make(batch_size=20)
        order = own.data.order(0)
        own.data.order = lambda epoch, rows=order[PERSON[order] == name]: rows
        train(tmp_path / name, own, federated=False, max_epochs=1, defaults=False)
        total += n * last_layer(own)
    torch.testing.assert_close(last_layer(shared), total / 240, rtol=0, atol=1e-6)


def test_no_batch_mixes_two_people_and_every_flash_comes_once():
    data = make(batch_size=16).data
    data.trainer = SimpleNamespace(global_rank=0, world_size=1, current_epoch=3)
    data.by_person = True
    batches = [rows.numpy() for _, rows in data.train_dataloader()]
    assert all(len(set(PERSON[rows])) == 1 for rows in batches)
    assert sorted(np.concatenate(batches)) == list(NUMBERS[TRAIN])
    assert len(batches) == len(data.train_dataloader()) == 3 + 5 + 8


def test_validation_sees_the_common_weights_and_the_best_of_them_are_kept(tmp_path):
    fit = make(tmp_path, kind=OCLNN, optimizer=functools.partial(torch.optim.Adam, lr=1e-2))
    found = train(tmp_path, fit, max_epochs=8)
    aucs = logged(tmp_path)["validation/auc"]
    assert found["best_epoch"] == aucs.argmax() + 1
    auc = roc_auc(IS_TARGET[VALIDATION], scores_of(fit, VALIDATION))
    assert auc == pytest.approx(aucs.max()) and auc > 0.8


def test_statistics_of_batch_normalisation_are_averaged_too(tmp_path):
    fit = make(kind=EEGNet, batch_size=N_FLASHES)
    norm = next(m for m in fit.module.network.modules() if isinstance(m, nn.BatchNorm2d))
    train(tmp_path, fit, max_epochs=1, defaults=False)
    assert norm.num_batches_tracked == 1  # each person had one batch
    means = [one_batch_mean(tmp_path / name, name) for name in SHARES]
    wanted = sum(n * mean for n, mean in zip(SHARES.values(), means, strict=True)) / 240
    torch.testing.assert_close(norm.running_mean, wanted)


def one_batch_mean(folder, name):
    """The running mean after one batch of a person who trains alone."""
    fit = make(kind=EEGNet, batch_size=N_FLASHES)
    fit.data.train = fit.data.train[PERSON[fit.data.train] == name]
    norm = next(m for m in fit.module.network.modules() if isinstance(m, nn.BatchNorm2d))
    train(folder, fit, federated=False, max_epochs=1, defaults=False)
    return norm.running_mean


def test_a_round_that_was_interrupted_is_made_anew_with_the_same_end(tmp_path):
    def start(name):
        return make(tmp_path / name, kind=OCLNN, optimizer=torch.optim.Adam)

    undisturbed, resumed, passes = start("whole"), start("parts"), Interrupt()
    wanted = train(tmp_path / "whole", undisturbed)
    with pytest.raises(ConnectionError):
        train(tmp_path / "parts", start("parts"), callbacks=[Interrupt(at=3)])
    assert train(tmp_path / "parts", resumed, callbacks=[passes]) == wanted and passes.n == 3
    assert torch.equal(weights_of(resumed), weights_of(undisturbed))


def test_one_person_trains_as_usual_if_the_optimizer_remembers_nothing(tmp_path):
    fits = [make(person=np.repeat("A", N_FLASHES)) for _ in range(2)]
    train(tmp_path / "federated", fits[0], max_epochs=3, defaults=False)
    train(tmp_path / "usual", fits[1], federated=False, max_epochs=3, defaults=False)
    assert torch.equal(weights_of(fits[0]), weights_of(fits[1]))


def test_people_whom_a_shortened_round_does_not_reach_have_no_part_in_the_mean(tmp_path):
    shared, alone = make(batch_size=20), make(batch_size=20)
    few = {"max_epochs": 1, "defaults": False, "limit_train_batches": 2}  # those of person A
    train(tmp_path / "shared", shared, **few)
    order = alone.data.order(0)
    alone.data.order = lambda epoch: order[PERSON[order] == "A"]
    train(tmp_path / "alone", alone, federated=False, max_epochs=1, defaults=False)
    torch.testing.assert_close(weights_of(shared), weights_of(alone))


@pytest.mark.parametrize("option", [{"accumulate_grad_batches": 2}, {"val_check_interval": 0.5}])
def test_a_trainer_that_mixes_people_is_refused(tmp_path, option):
    with pytest.raises(InputError, match=f"got a trainer with .*{next(iter(option))}.*expected"):
        train(tmp_path, make(), **option)


@pytest.mark.slow
def test_the_subjects_of_a_recording_are_the_people(small, tmp_path, monkeypatch):
    people = []

    def look(callback, trainer, module):
        people.append(trainer.datamodule.n_flashes_of_people)

    monkeypatch.setattr(FederatedAveraging, "on_train_end", look)
    options = ["split=leave_one_out", "split.by=subject", "split.fold=0", "data.read.subjects=3"]
    run_training(tmp_path / "run", *small, *options, "experiment=federated")
    # 12 characters of 24 flashes; the validation part has some of the characters of both
    assert len(people[-1]) == 2 and sum(people[-1]) < 2 * 12 * 24
