"""The area under the ROC curve as a metric of torchmetrics."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from p300.metrics import roc_auc


class RocAuc(Metric):
    """Exact area under the ROC curve of all batches since the last reset.

    torchmetrics' own ``BinaryAUROC`` passes scores beyond 0 and 1 through a sigmoid, in which
    large ones become equal; this one compares them as they are.

    Examples
    --------
    >>> auc = RocAuc()
    >>> auc.update(torch.tensor([30.0, 20.0]), torch.tensor([True, False]))
    >>> auc.update(torch.tensor([-1.0, 25.0]), torch.tensor([False, False]))
    >>> auc.compute().item()
    1.0
    """

    is_differentiable, higher_is_better, full_state_update = False, True, False
    scores: list[Tensor]
    is_target: list[Tensor]

    def __init__(self):
        super().__init__()
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("is_target", [], dist_reduce_fx="cat")

    def update(self, scores: Tensor, is_target: Tensor) -> None:
        """Add scores and labels, each of shape (batch,)."""
        self.scores.append(scores.detach().float())
        self.is_target.append(is_target.bool())

    def compute(self) -> Tensor:
        """Return the AUC; nan if all flashes are of one class."""
        scores, is_target = dim_zero_cat(self.scores), dim_zero_cat(self.is_target)
        return torch.tensor(roc_auc(is_target.cpu(), scores.cpu()), device=scores.device)
