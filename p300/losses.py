"""What a network is trained on, and the score of one flash that belongs to it.

A loss is made from the labels it will be trained on, so that rare targets can weigh as much
as frequent nontargets. Its ``score`` turns the network's two outputs into one number a flash,
0 where target and nontarget are equally likely by the network's own reckoning.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CrossEntropy(nn.Module):
    """Cross-entropy of the softmax; the score is the log odds of a target.

    A batch is averaged (``is_sum`` is False).

    Parameters
    ----------
    is_target : array-like of bool, shape (n_flashes,)
        Labels of the training part.
    balanced : bool
        Give both classes the same total weight.
    label_smoothing : float
        Share of each label that is spread evenly over both classes.
    """

    is_sum = False

    def __init__(self, is_target, balanced: bool = True, label_smoothing: float = 0.0):
        super().__init__()
        self.label_smoothing = label_smoothing
        self.register_buffer("weight", class_weights(is_target, balanced), persistent=False)

    def forward(self, logits: Tensor, is_target: Tensor) -> Tensor:
        """Average over a batch: logits (batch, 2) and labels (batch,) to one number."""
        weight = self.weight[is_target.long()]
        losses = F.cross_entropy(
            logits, is_target.long(), reduction="none", label_smoothing=self.label_smoothing
        )
        return (weight * losses).mean()

    @staticmethod
    def score(logits: Tensor) -> Tensor:
        """Return the log odds of a target: (batch, 2) to (batch,)."""
        return logits[:, 1] - logits[:, 0]


class LogisticSquareError(nn.Module):
    """The paper's mean square error on two logistic outputs with the desired values 1 and 0.

    The score is its normalised output x4(1) / (x4(0) + x4(1)), less one half.

    Parameters
    ----------
    is_target : array-like of bool, shape (n_flashes,)
        Labels of the training part.
    balanced : bool
        Give both classes the same total weight, as repeated P300 patterns would. The paper
        does not say; its recall of 0.67 is hard to reach without.

    Notes
    -----
    Cecotti & Graeser 2011, sections 3.2, 3.3 and 4.1. Each flash counts in full and a batch is
    summed, not averaged, since the paper's learning rates are rates for one pattern.
    """

    is_sum = True

    def __init__(self, is_target, balanced: bool = False):
        super().__init__()
        self.register_buffer("weight", class_weights(is_target, balanced), persistent=False)

    def forward(self, logits: Tensor, is_target: Tensor) -> Tensor:
        """Sum over a batch: logits (batch, 2) and labels (batch,) to one number."""
        desired = F.one_hot(is_target.long(), 2)
        errors = (torch.sigmoid(logits) - desired).square().sum(1) / 2
        return (self.weight[is_target.long()] * errors).sum()

    @staticmethod
    def score(logits: Tensor) -> Tensor:
        """Return the normalised P300 output less one half: (batch, 2) to (batch,)."""
        output = F.logsigmoid(logits)  # whose ratio is sound where both are nearly zero
        return torch.sigmoid(output[:, 1] - output[:, 0]) - 0.5


def class_weights(is_target, balanced: bool) -> Tensor:
    """Weigh nontargets and targets: (1, 1), or so that both classes have the same total.

    Examples
    --------
    >>> class_weights([True, False, False, False], balanced=True).tolist()
    [0.6666666865348816, 2.0]
    """
    n_targets = int(np.sum(is_target))
    counts = torch.tensor([len(is_target) - n_targets, n_targets], dtype=torch.float32)
    return len(is_target) / (2 * counts) if balanced else torch.ones(2)
