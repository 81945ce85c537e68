"""The probability of a target that a detector's scores stand for, whatever it was trained by."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError

if TYPE_CHECKING:
    from p300.detector import Detector


def log_odds_of(detector: Detector, scores: np.ndarray, target_rate: float) -> np.ndarray:
    """Compute the log odds of a target from the scores of a detector.

    A calibrated score is its log odds already (``calibration=platt``, ``temperature``). The score
    of a network is turned into log odds by its loss. Those hold among flashes as the training
    counted them; class weights, repeated targets and an ensemble's share of the nontargets make
    targets more frequent there, and :func:`added_log_odds` takes that back.

    Parameters
    ----------
    detector : Detector
        With the configuration of its run.
    scores : ndarray, shape (n_flashes,)
        Its scores.
    target_rate : float
        Fraction of targets among the training flashes.

    Returns
    -------
    ndarray, shape (n_flashes,)

    Raises
    ------
    InputError
        If the loss is one's own and has no ``log_odds``.
    """
    scores = counted_log_odds(detector, scores)
    if detector.config.get("calibration", "none") != "none":
        return scores
    return scores + added_log_odds(detector, target_rate)


def counted_log_odds(detector: Detector, scores: np.ndarray) -> np.ndarray:
    """Compute the log odds of a target among flashes as the training counted them.

    They have the sign of the scores. Those of a calibrated detector hold among all flashes.
    Parameters and errors as of :func:`log_odds_of`.
    """
    scores = np.asarray(scores, float)
    is_calibrated = detector.config.get("calibration", "none") != "none"
    if is_calibrated or detector.is_classical or _is_stack(detector):
        return scores
    return _of_loss(detector, scores)


def added_log_odds(detector: Detector, target_rate: float) -> float:
    """Compute what to add to log odds that hold among flashes as the training counted them.

    Parameters
    ----------
    detector : Detector
        With the configuration of its run; not calibrated.
    target_rate : float
        Fraction of targets among the training flashes.

    Returns
    -------
    float
        The log odds of a target among the training flashes less those as the training counted
        them. Classical detectors and stacks count both classes the same. A network counts
        flashes as they are, unless classes are weighted, targets repeated, or its part of an
        ensemble lacks nontargets; a weighted loss of repeated targets counts them twice over.
    """
    prior = math.log(target_rate / (1 - target_rate))
    if detector.is_classical or _is_stack(detector):
        return prior
    protocol = detector.config["protocol"]
    ensemble: Mapping[str, Any] = detector.config.get("ensemble", {})
    of_member = prior
    if ensemble.get("share") == "nontarget_fifths":
        of_member += math.log(ensemble["n_members"])
    times = _has_weights(detector, protocol["loss"]) + bool(protocol.get("repeat_targets"))
    return prior - of_member * (1 - times)


def _is_stack(detector: Detector) -> bool:
    """Return whether members were weighted so that their sum is log odds among equal classes."""
    return str(detector.config.get("model", {}).get("_target_")).endswith(".Stack")


def _of_loss(detector: Detector, scores: np.ndarray) -> np.ndarray:
    loss = _loss_class(detector)
    if not hasattr(loss, "log_odds"):
        name = detector.members[0].loss
        raise InputError(
            f"got scores of the loss {name}, which has no log_odds; expected a static method "
            "log_odds(score) that returns the log odds of a target"
        )
    arguments = inspect.signature(loss.log_odds).parameters
    configured = detector.config["protocol"]["loss"]
    return loss.log_odds(scores, **{k: v for k, v in configured.items() if k in arguments})


def _has_weights(detector: Detector, configured: Mapping[str, Any]) -> bool:
    default = inspect.signature(_loss_class(detector)).parameters.get("balanced")
    return bool(configured.get("balanced", default is not None and default.default))


def _loss_class(detector: Detector) -> Any:
    from p300 import losses
    from p300.detector import import_class

    own = getattr(losses, str(detector.members[0].loss), None)
    return own or import_class(detector.config["protocol"]["loss"]["_target_"])
