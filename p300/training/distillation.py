"""Distillation: a small network learns what a larger detector, its teacher, says of each flash.

G. Hinton, O. Vinyals, J. Dean, "Distilling the knowledge in a neural network", arXiv 1503.02531,
2015. The teacher is a stack (:class:`~p300.training.stacking.Stack`). It says of each training
flash what its members said that were not trained on the character of that flash. So a teacher that
knows its own training flashes by heart passes on nothing of this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from p300.errors import InputError


@dataclass(frozen=True)
class Teaching:
    """How much of a teacher's answers become labels.

    Parameters
    ----------
    weight : float
        Share of the teacher's probability in a label, from 0 to 1; the rest is the hard label.
    temperature : float
        The teacher's log odds are divided by it: above 1 its probabilities are less sure.
    """

    weight: float
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise InputError(
                f"got teacher.weight={self.weight}; expected 0 to 1; set 0.5 for half"
            )
        if not 0 < self.temperature < np.inf:
            raise InputError(
                f"got teacher.temperature={self.temperature}; expected more than 0; set 1 for the "
                "teacher's own probabilities"
            )


def soft_labels(scores: np.ndarray, is_target: np.ndarray, teaching: Teaching) -> np.ndarray:
    """Mix hard labels with a teacher's probabilities of a target.

    A label is ``weight * expit(score / temperature + prior) + (1 - weight) * is_target``. The
    scores are log odds among equally many targets and nontargets; ``prior``, the log odds of a
    target among these flashes, makes them probabilities among these flashes, as the hard labels
    are. A loss that weighs the classes equally is right for both.

    Parameters
    ----------
    scores : ndarray, shape (n_flashes,)
        Of the left-out training flashes (:meth:`~p300.training.stacking.Stack.combine`).
    is_target : ndarray of bool, shape (n_flashes,)
        Their labels, of both classes.
    teaching : Teaching

    Returns
    -------
    ndarray of float32, shape (n_flashes,)
        From 0 to 1.

    Notes
    -----
    Hinton et al. soften the student's output by the same temperature in a loss of its own. Here a
    batch carries one label per flash, so only the teacher is softened, and a student of a teacher
    alone learns ``score / temperature``: other probabilities, the same order of the flashes.

    Examples
    --------
    >>> is_target = np.array([True, False, False, False])
    >>> soft_labels(np.zeros(4), is_target, Teaching(0.5)).tolist()  # one in four is a target
    [0.625, 0.125, 0.125, 0.125]
    """
    prior = logit(is_target.mean())
    probability = expit(np.asarray(scores, float) / teaching.temperature + prior)
    mixed = teaching.weight * probability + (1 - teaching.weight) * is_target
    return mixed.astype(np.float32)
