"""Loss functions of the networks, each with its score of one flash.

A loss is built from the labels of the training part, so that rare targets can have the same
total weight as frequent nontargets. Its ``score`` turns the network's two outputs into one number
per flash. A score of 0 means: the network finds target and nontarget equally likely. Its
``log_odds`` turns scores into the log odds of a target that the loss asks for, among flashes as
frequent as in training; :mod:`p300.experiments.fitting.probability` adds what class weights
change.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F


class CrossEntropy(nn.Module):
    """Cross-entropy of the softmax; the score is the log odds of a target.

    A batch is averaged (``is_sum`` is False). It takes soft labels, which are floats from 0 to 1:
    a flash of label q costs ``q`` times the loss of a target and ``1 - q`` times that of a
    nontarget, each with the weight of its class.

    Parameters
    ----------
    is_target : array-like of bool, shape (n_flashes,)
        Labels of the training part.
    balanced : bool
        Give both classes the same total weight.
    label_smoothing : float
        Fraction of each label that is distributed evenly over both classes.
    """

    is_sum = False
    takes_soft_labels = True
    weight: Tensor

    def __init__(self, is_target, balanced: bool = True, label_smoothing: float = 0.0):
        super().__init__()
        self.label_smoothing = label_smoothing
        self.register_buffer("weight", class_weights(is_target, balanced), persistent=False)

    def forward(self, logits: Tensor, is_target: Tensor) -> Tensor:
        """Return the mean loss of a batch, from logits (batch, 2) and labels (batch,)."""
        if is_target.is_floating_point():
            as_target, as_nontarget = torch.ones_like(is_target), torch.zeros_like(is_target)
            wrong = (1 - is_target) * self._losses(logits, as_nontarget)
            return (is_target * self._losses(logits, as_target) + wrong).mean()
        return self._losses(logits, is_target).mean()

    def _losses(self, logits: Tensor, is_target: Tensor) -> Tensor:
        """Compute the weighted loss of each flash, from hard labels."""
        labels, smoothing = is_target.long(), self.label_smoothing
        losses = F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
        return self.weight[labels] * losses

    @staticmethod
    def score(logits: Tensor) -> Tensor:
        """Return the log odds of a target: (batch, 2) to (batch,)."""
        return log_odds(logits)

    @staticmethod
    def log_odds(score: ArrayLike, label_smoothing: float = 0.0) -> np.ndarray:
        """Return the log odds of a target, without what smoothed labels take from them.

        Parameters
        ----------
        score : array-like of float, shape (n_flashes,)
            As of :meth:`score`.
        label_smoothing : float
            That of the training. The loss is then least at the probability
            ``(1 - label_smoothing) * p + label_smoothing / 2`` for a flash that is a target with
            probability p.

        Examples
        --------
        >>> CrossEntropy.log_odds([-2.0, 1.5]).tolist()
        [-2.0, 1.5]
        >>> round(float(CrossEntropy.log_odds(np.log(0.86 / 0.14), label_smoothing=0.1)), 3)
        2.197
        """
        score = np.asarray(score, float)
        if not label_smoothing:
            return score
        probability = 1 / (1 + np.exp(-score))
        return _logit((probability - label_smoothing / 2) / (1 - label_smoothing))


class LogisticSquareError(nn.Module):
    """The paper's mean squared error on two logistic outputs with the desired values 1 and 0.

    The score is its normalised output x4(1) / (x4(0) + x4(1)), less one half.

    Parameters
    ----------
    is_target : array-like of bool, shape (n_flashes,)
        Labels of the training part.
    balanced : bool
        Give both classes the same total weight, as repeating the P300 patterns would do. The
        paper does not state it; its recall of 0.67 is hard to reach without.

    Notes
    -----
    Cecotti & Graeser 2011, sections 3.2, 3.3 and 4.1. Each flash counts in full and a batch is
    summed, not averaged, since the paper's learning rates are rates for one pattern.
    """

    is_sum = True
    weight: Tensor

    def __init__(self, is_target, balanced: bool = False):
        super().__init__()
        self.register_buffer("weight", class_weights(is_target, balanced), persistent=False)

    def forward(self, logits: Tensor, is_target: Tensor) -> Tensor:
        """Return the summed loss of a batch, from logits (batch, 2) and labels (batch,)."""
        labels = is_target.long()
        errors = (torch.sigmoid(logits) - F.one_hot(labels, 2)).square().sum(1) / 2
        return (self.weight[labels] * errors).sum()

    @staticmethod
    def score(logits: Tensor) -> Tensor:
        """Return the normalised P300 output less one half: (batch, 2) to (batch,)."""
        output = F.logsigmoid(logits)  # their ratio stays accurate where both are nearly zero
        return torch.sigmoid(output[:, 1] - output[:, 0]) - 0.5

    @staticmethod
    def log_odds(score: ArrayLike) -> np.ndarray:
        """Return the log odds of a target: a score is its probability less one half.

        Parameters
        ----------
        score : array-like of float, shape (n_flashes,)
            As of :meth:`score`, from -0.5 to 0.5.

        Examples
        --------
        >>> LogisticSquareError.log_odds([0.0, 0.4]).round(3).tolist()
        [0.0, 2.197]
        """
        return _logit(np.asarray(score, float) + 0.5)


def _logit(probability: np.ndarray) -> np.ndarray:
    """Return log odds; probabilities that round to 0 or 1 get those of one in a million."""
    p = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def class_weights(is_target, balanced: bool) -> Tensor:
    """Compute the weights of nontarget and target: (1, 1), or the same total for both classes.

    Examples
    --------
    >>> class_weights([True, False, False, False], balanced=True).tolist()
    [0.6666666865348816, 2.0]
    """
    n_targets = int(np.sum(is_target))
    counts = torch.tensor([len(is_target) - n_targets, n_targets], dtype=torch.float32)
    return len(is_target) / (2 * counts) if balanced else torch.ones(2)


def log_odds(logits: Tensor) -> Tensor:
    """Return the log odds of a target, from logits of nontarget and target.

    Examples
    --------
    >>> log_odds(torch.tensor([[1.0, 3.0]]))
    tensor([2.])
    """
    return logits[:, 1] - logits[:, 0]
