"""Loss functions of the networks, each with its score of one flash; any other is adapted."""

from p300.losses.adapted import (
    AdaptedLoss,
    adapted,
    describe_loss,
    labels_argument,
    make_loss,
    score_function,
)
from p300.losses.losses import CrossEntropy, LogisticSquareError, class_weights, log_odds

__all__ = [
    "AdaptedLoss",
    "CrossEntropy",
    "LogisticSquareError",
    "adapted",
    "class_weights",
    "describe_loss",
    "labels_argument",
    "log_odds",
    "make_loss",
    "score_function",
]
