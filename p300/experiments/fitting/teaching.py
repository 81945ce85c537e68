"""Teachers of networks: which to fit to which training flashes, and the soft labels they give."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.experiments.build import build, plain
from p300.experiments.fitting.run import Run
from p300.metrics import roc_auc
from p300.training.distillation import Teaching, soft_labels
from p300.training.members import labels
from p300.training.stacking import PlannedFit, Stack

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.detector import Member


@dataclass
class Teacher:
    """The configured teacher of the networks that train on some flashes of a run.

    Parameters
    ----------
    run : Run
    train : ndarray of bool, shape (n_flashes,)
        The flashes that the networks train on; the teacher sees no others.

    Attributes
    ----------
    planned : list of PlannedFit
        The detectors to fit.
    """

    run: Run
    train: np.ndarray
    stack: Stack = field(init=False)
    planned: list[PlannedFit] = field(init=False)

    def __post_init__(self) -> None:
        self.stack, self.teaching = build_teacher(self.run.cfg)
        self.planned = self.stack.plan(self.run.epochs, self.train)

    def teach(
        self, fitted: list[tuple[Member, dict[str, Any]]]
    ) -> tuple[np.ndarray, dict[str, float]]:
        """Compute the soft labels of the training flashes, and what to state about the teacher.

        Returns
        -------
        soft_labels : ndarray of float32, shape (n_flashes,)
            NaN for flashes that are not trained on.
        stated : dict of str to float
            ``teacher_auc``: AUC of the teacher on the left-out training flashes.
        """
        epochs, train = self.run.epochs, self.train
        _, _, scores = self.stack.combine(epochs, train, self.planned, fitted)
        is_target, soft = labels(epochs)[train], np.full(len(train), np.nan, np.float32)
        soft[train] = soft_labels(scores[train], is_target, self.teaching)
        return soft, {"teacher_auc": float(roc_auc(is_target, scores[train]))}


def has_teacher(cfg: DictConfig) -> bool:
    """Return whether the networks of a run learn from a teacher."""
    return cfg.teacher.model is not None


def build_teacher(cfg: DictConfig) -> tuple[Stack, Teaching]:
    """Build the configured teacher; a detector that is not a stack becomes one of itself alone.

    Raises
    ------
    InputError
        If it cannot be built, or its weight or temperature is out of range.
    """
    teacher: dict[str, Any] = plain(cfg.teacher)
    teaching = Teaching(teacher["weight"], teacher.get("temperature", 1.0))
    model = teacher["model"]
    is_stack = model["_target_"].rpartition(".")[2] == Stack.__name__
    return (build(model) if is_stack else Stack({"teacher": model})), teaching
