"""What a user might write: losses, networks, estimators and preprocessings."""

import numpy as np
import torch
from torch import nn

from p300.losses import CrossEntropy


class Focal(nn.Module):
    """An own loss with a score that depends on its constructor."""

    def __init__(self, is_target, gamma, temperature=1.0):
        super().__init__()
        self.share = float(np.mean(is_target))
        self.gamma, self.temperature = gamma, temperature

    def forward(self, logits, is_target):
        p = torch.softmax(logits, 1)[torch.arange(len(logits)), is_target.long()]
        return (-((1 - p) ** self.gamma) * p.log()).mean()

    def score(self, logits):
        return (logits[:, 1] - logits[:, 0]) / self.temperature - self.share


class Summed(nn.Module):
    is_sum = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)

    def forward(self, logits, is_target):
        return (logits[:, 1] * ~is_target).sum()  # booleans only

    @staticmethod
    def score(logits):
        return logits[:, 1]


class Derived(CrossEntropy):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


def broken(logits, is_target):
    raise ZeroDivisionError("forgot a\nbracket")
