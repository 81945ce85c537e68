import numpy as np
import pytest
import torch

from p300.losses import CrossEntropy, LogisticSquareError

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
