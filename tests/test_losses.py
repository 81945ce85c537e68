import math

import numpy as np
import pytest
import torch
from own_things import Derived, Focal, Summed, broken
from torch import nn
from torch.nn import functional as F

from p300.errors import InputError
from p300.losses import (
    AdaptedLoss,
    CrossEntropy,
    LogisticSquareError,
    describe_loss,
    labels_argument,
    make_loss,
    score_function,
)
from p300.storage.classes import call
from p300.training.side_by_side import BatchedNetworks

RARE = np.arange(12) < 2  # two targets among twelve flashes


def test_balanced_weights_give_both_classes_the_same_total():
    for loss in (CrossEntropy(RARE), LogisticSquareError(RARE, balanced=True)):
        weight = loss.weight[torch.as_tensor(RARE).long()]
        assert weight[RARE].sum() == pytest.approx(6) and weight[~RARE].sum() == pytest.approx(6)


def test_undecided_logits_cost_log_2_whatever_the_class():
    loss = CrossEntropy(RARE, balanced=False)
    assert loss(torch.zeros(3, 2), torch.tensor([1, 0, 0])) == pytest.approx(np.log(2))


def test_the_papers_error_is_half_the_squared_distance_to_one_and_zero():
    loss = LogisticSquareError(RARE)
    # outputs 0.5 and 0.5 against 0 and 1: (0.25 + 0.25) / 2 for each of three flashes
    assert loss(torch.zeros(3, 2), torch.tensor([1, 0, 0])) == pytest.approx(0.75)


def test_scores_are_positive_exactly_where_the_p300_output_is_larger():
    logits = torch.tensor([[0.0, 1.0], [2.0, -1.0], [0.3, 0.3]])
    for loss in (CrossEntropy, LogisticSquareError):
        assert torch.sign(loss.score(logits)).tolist() == [1, -1, 0]


def test_the_papers_score_is_its_normalised_output_less_one_half():
    logits = torch.logit(torch.tensor([[0.2, 0.6]]))
    assert LogisticSquareError.score(logits).item() == pytest.approx(0.6 / 0.8 - 0.5)


def test_softened_labels_make_the_surest_answer_cost_more_than_a_sure_one():
    logits, label = torch.tensor([[-9.0, 9.0]]), torch.tensor([1])
    hard, soft = (CrossEntropy(RARE, label_smoothing=s)(logits, label) for s in (0.0, 0.1))
    assert hard < 1e-6 < soft
    # 0.95 and 0.05 are then desired: log odds of log(19) cost least
    best = torch.tensor([[0.0, np.log(19)]], dtype=torch.float32)
    assert CrossEntropy(RARE, label_smoothing=0.1)(best, label) < soft


# -- losses that are not of p300 -----------------------------------------------------------------

LABELS = np.array([True, False, False, False])


def named(kind, **arguments):
    return {"_target_": f"{kind.__module__}.{kind.__name__}", "_partial_": True, **arguments}


def made(config, is_target=LABELS):
    """Build a loss as a configuration does."""
    return make_loss(call(config), is_target)


def test_losses_of_p300_stay_as_they_are():
    for kind in (CrossEntropy, LogisticSquareError):
        config = named(kind, balanced=True)
        assert type(made(config)) is kind
        assert describe_loss(config, LABELS) == kind.__name__
        assert score_function(kind.__name__) is kind.score


@pytest.mark.parametrize(
    ("config", "value", "is_sum"),
    [
        (named(nn.CrossEntropyLoss), math.log(2), False),
        (named(nn.CrossEntropyLoss, reduction="sum"), 4 * math.log(2), True),
        (named(nn.BCEWithLogitsLoss), math.log(2), False),
        (named(nn.MSELoss), 0.5, False),
        ({"_target_": "torch.nn.CrossEntropyLoss"}, math.log(2), False),
        (named(F.cross_entropy), math.log(2), False),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_loss_of_pytorch_gets_labels_as_it_wants_them_and_scores_log_odds(config, value, is_sum):
    loss = made(config)
    assert loss(torch.zeros(4, 2), torch.tensor(LABELS)).item() == pytest.approx(value)
    assert loss.is_sum is is_sum
    logits = torch.tensor([[1.0, 3.0], [0.0, -1.0]])
    assert loss.score(logits).tolist() == [2, -1]
    assert score_function(describe_loss(config, LABELS))(logits).tolist() == [2, -1]


def test_an_own_loss_gets_the_labels_and_keeps_its_score():
    config = named(Focal, gamma=2.0, temperature=2.0)
    loss = made(config)
    assert loss.loss.share == 0.25 and loss.is_sum is False
    uniform = loss(torch.zeros(4, 2), torch.tensor(LABELS)).item()
    assert uniform == pytest.approx(0.25 * math.log(2))
    described = describe_loss(config, LABELS)
    assert described["gamma"] == 2 and described["_target_"].endswith(".Focal")
    logits = torch.tensor([[1.0, 5.0]])
    assert loss.score(logits).item() == 1.75
    assert score_function(described)(logits).item() == 1.75


def test_a_static_score_is_read_without_the_labels():
    config = named(Summed)
    loss = made(config)
    assert loss.is_sum is True and loss(torch.ones(4, 2), torch.tensor(LABELS)) == 3
    assert describe_loss(config, LABELS) == {"_target_": config["_target_"]}
    assert score_function({"_target_": config["_target_"]})(torch.eye(2)).tolist() == [0, 1]


def test_the_labels_go_to_the_argument_that_takes_them():
    assert labels_argument(Focal) == "is_target" == labels_argument(Derived)
    assert labels_argument(Summed) is None and labels_argument(nn.MSELoss) is None

    class Other:
        def __init__(self, gamma, truth):
            pass

    assert labels_argument(Other) is None  # only an argument of that name gets them
    balanced = made(named(Derived, balanced=True))
    assert balanced.loss.weight.tolist() == CrossEntropy(LABELS, balanced=True).weight.tolist()


def test_a_loss_without_one_number_is_refused_in_a_sentence():
    with pytest.raises(InputError, match=r"CrossEntropyLoss returned no single number.*\[4\]"):
        made(named(nn.CrossEntropyLoss, reduction="none"))
    with pytest.raises(InputError, match="broken returned no single number.*forgot a bracket"):
        AdaptedLoss(broken)


def test_own_losses_are_computed_side_by_side_as_alone():
    torch.manual_seed(0)
    networks = [nn.Linear(3, 2) for _ in range(2)]
    losses = [made(named(nn.CrossEntropyLoss)) for _ in networks]
    x, y = torch.randn(2, 8, 3), torch.arange(16).reshape(2, 8) % 3 == 0
    alone = [loss(n(a), b).item() for loss, n, a, b in zip(losses, networks, x, y, strict=True)]
    pairs = dict(enumerate(zip(networks, losses, strict=True)))
    assert BatchedNetworks(pairs).losses(x, y).tolist() == pytest.approx(alone)
