import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import logit

from p300 import losses
from p300.errors import InputError
from p300.experiments.fitting.probability import log_odds_of
from p300.metrics import brier_score, calibration_error

#: Fraction of targets in three kinds of flashes, and the number of flashes of each kind.
RATE, N = np.array([0.04, 0.2, 0.7]), 1000


def detector(loss="CrossEntropy", *, classical=False, model="p300.models.MLP", **config):
    """What of a detector says how it was trained."""
    protocol = {"loss": {"_target_": f"p300.losses.{loss}", **config.pop("arguments", {})}}
    protocol["repeat_targets"] = config.pop("repeated", False)
    config = {"protocol": protocol, "model": {"_target_": model}, **config}
    member = SimpleNamespace(loss=None if classical else loss)
    return SimpleNamespace(config=config, members=[member], is_classical=classical)


def best_scores(loss, kind, is_target):
    """Scores of a network that is free to answer each kind of flash as the loss likes best."""
    logits = torch.zeros(len(RATE), 2, requires_grad=True, dtype=torch.float64)
    optimizer = torch.optim.LBFGS([logits], max_iter=500, line_search_fn="strong_wolfe")

    def step():
        optimizer.zero_grad()
        value = loss(logits[kind], torch.as_tensor(is_target)) / (len(kind) if loss.is_sum else 1)
        value.backward()
        return value

    for _ in range(20):
        optimizer.step(step)
    return loss.score(logits.detach()).numpy()


@pytest.mark.parametrize(
    ("name", "arguments", "repeated", "n_members"),
    [
        *(
            (name, {"balanced": balanced}, repeated, n_members)
            for name, balanced, repeated, n_members in itertools.product(
                ("CrossEntropy", "LogisticSquareError"), (False, True), (False, True), (1, 5)
            )
        ),
        ("CrossEntropy", {"balanced": True, "label_smoothing": 0.1}, False, 1),
        ("CrossEntropy", {"balanced": False, "label_smoothing": 0.05}, False, 1),
        ("CrossEntropy", {}, False, 1),  # balanced by default
        ("LogisticSquareError", {}, False, 1),  # not balanced by default
    ],
)
def test_a_network_that_the_loss_likes_best_tells_the_true_probability_of_a_target(
    name, arguments, repeated, n_members
):
    n_targets = (RATE * N).round().astype(int)
    counts = [np.repeat([True, False], [n, (N - n) // n_members]) for n in n_targets]
    kind = np.repeat(np.arange(3), list(map(len, counts)))
    is_target = np.concatenate(counts)
    loss = getattr(losses, name)(is_target, **arguments).double()
    if repeated:
        times = np.where(is_target, (~is_target).sum() / is_target.sum(), 1.0)
        n = np.round(20 * times).astype(int)  # a twentieth of a flash is enough
        kind, is_target = np.repeat(kind, n), np.repeat(is_target, n)
    share = {"n_members": n_members, "share": "nontarget_fifths" if n_members > 1 else "all"}
    trained = detector(name, arguments=arguments, repeated=repeated, ensemble=share)
    found = log_odds_of(trained, best_scores(loss, kind, is_target), n_targets.sum() / (3 * N))
    assert found == pytest.approx(logit(RATE), abs=0.03)

    truth = np.concatenate([np.repeat([True, False], [n, N - n]) for n in n_targets])
    log_odds = np.repeat(found, N)
    assert calibration_error(truth, log_odds) < 0.005
    assert brier_score(truth, log_odds) == pytest.approx((RATE * (1 - RATE)).mean(), abs=1e-3)


def test_classical_detectors_and_stacks_count_both_classes_the_same():
    prior = np.log(1 / 5)
    for one in (
        detector(classical=True),
        detector(model="p300.training.stacking.Stack", arguments={"balanced": False}),
        detector("LogisticSquareError", model="p300.training.stacking.Stack"),
    ):
        assert log_odds_of(one, np.array([0.0, 2.0]), 1 / 6) == pytest.approx([prior, prior + 2])


@pytest.mark.parametrize("calibration", ["platt", "temperature"])
def test_calibrated_scores_are_log_odds_whatever_the_loss(calibration):
    for loss in ("CrossEntropy", "LogisticSquareError"):
        one = detector(loss, calibration=calibration)
        assert log_odds_of(one, np.array([-3.0, 0.2]), 1 / 6).tolist() == [-3.0, 0.2]


def test_the_papers_sure_scores_stay_finite():
    log_odds = log_odds_of(detector("LogisticSquareError"), np.array([-0.5, 0.5]), 1 / 6)
    assert log_odds == pytest.approx([-np.log(999_999), np.log(999_999)])


def test_an_own_loss_without_log_odds_is_named(monkeypatch):
    monkeypatch.setattr(losses, "Own", type("Own", (), {}), raising=False)
    with pytest.raises(InputError, match="the loss Own, which has no log_odds; expected a static"):
        log_odds_of(detector("Own"), np.zeros(2), 1 / 6)


@pytest.mark.slow
def test_the_papers_protocol_and_the_modern_one_are_about_as_well_calibrated(p300, tmp_path):
    import pandas as pd

    errors = {}
    for protocol in ("paper", "modern"):
        overrides = (
            "overrides=['data.read.ch_names=[Cz,Pz,Oz,PO7]','data.read.n_repetitions=2',"
            f"'logger=csv','protocol={protocol}','protocol.max_epochs=30']"
        )
        arguments = ["only=[own]", "experiments=[cnn3]", "seeds=[0]", "reference=cnn3"]
        status, _, failed = p300("benchmark", *arguments, overrides, f"folder={protocol}")
        assert status == 0, failed
        (row,) = pd.read_csv(tmp_path / protocol / "cells.csv").to_dict("records")
        errors[protocol] = row["calibration_error"]
        assert row["brier"] < 5 / 36  # better than always saying one sixth
    assert errors["paper"] < 0.1 and errors["modern"] < 0.1
