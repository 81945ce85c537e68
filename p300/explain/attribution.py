"""Integrated gradients: the score of an epoch shared out among its electrodes and samples.

M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML 2017, arXiv
1703.01365. Gradients are integrated by captum, which the extra ``explain`` installs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.explain.occlusion import labelled

if TYPE_CHECKING:
    from p300.detector import Detector, Member
    from p300.preprocessing import Epochs

#: What the targets may be compared with.
BASELINES = ("nontarget", "zero")


@dataclass(frozen=True, eq=False)
class Attribution:
    """Integrated gradients, averaged over the target flashes.

    Parameters
    ----------
    values : ndarray, shape (n_chans, n_times)
        What each sample adds to the mean score of a target, in units of the score. They sum to
        ``score - baseline_score`` but for ``gap``.
    score, baseline_score : float
        Mean score of the targets, and score of the baseline.
    baseline : str
        What the targets were compared with: "nontarget", the mean nontarget epoch, or "zero".
    n_targets : int
        Flashes averaged.
    gap : float
        What the sum misses, through the finite number of steps.
    """

    values: np.ndarray
    score: float
    baseline_score: float
    baseline: str
    n_targets: int
    gap: float


def attribute_targets(
    detector: Detector | Member,
    epochs: Epochs,
    *,
    baseline: str = "nontarget",
    n_steps: int = 50,
) -> Attribution:
    """Share out the mean score of the target flashes among electrodes and samples.

    Parameters
    ----------
    detector : Detector or Member
        Of networks and linear detectors; see :func:`integrated_gradients`.
    epochs : Epochs
        Best of flashes that it was not trained on; unlabelled ones are left out.
    baseline : {"nontarget", "zero"}
        The epoch that is compared with: the mean over all nontarget flashes, which leaves the
        answer to any flash out of the account, or an epoch of zeros.
    n_steps : int
        Points between baseline and epoch.

    Returns
    -------
    Attribution
    """
    if baseline not in BASELINES:
        raise InputError(f"baseline {baseline!r}; expected one of {BASELINES}")
    data, is_target, _ = labelled(epochs)
    start = np.zeros_like(data[0])
    if baseline == "nontarget":
        start = data[~is_target].mean(axis=0)
    shares = integrated_gradients(detector, data[is_target], start, n_steps=n_steps)
    score = float(_score(detector, data[is_target]).mean())
    start_score = float(_score(detector, start[np.newaxis])[0])
    values = shares.mean(axis=0, dtype=np.float64)
    gap = score - start_score - float(values.sum())
    return Attribution(values, score, start_score, baseline, int(is_target.sum()), gap)


def integrated_gradients(
    detector: Detector | Member,
    epochs: np.ndarray,
    baseline: np.ndarray | None = None,
    *,
    n_steps: int = 50,
) -> np.ndarray:
    """Share out each epoch's score among its samples, by gradients on the way from a baseline.

    Parameters
    ----------
    detector : Detector or Member
        Of networks, whose gradients captum integrates (extra ``explain``), and linear detectors,
        of which a sample's share is weight times difference.
    epochs : ndarray, shape (n_flashes, n_chans, n_times)
        Preprocessed as the detector reads them.
    baseline : ndarray, shape (n_chans, n_times), or None
        Where every way starts; None for zeros.
    n_steps : int
        Points of the Gauss-Legendre rule on the way.

    Returns
    -------
    ndarray, shape (n_flashes, n_chans, n_times)
        Shares of the flash's score, that of :meth:`p300.detector.Detector.score_epochs`:
        the log odds of a target, or with the paper's loss its normalised P300 output. Over an
        epoch they sum to its score less the baseline's.

    Raises
    ------
    InputError
        If a member has no gradient, or captum is missing.
    """
    epochs = np.asarray(epochs, np.float32)
    start = np.zeros_like(epochs[0]) if baseline is None else np.asarray(baseline, np.float32)
    if start.shape != epochs.shape[1:]:
        raise InputError(f"baseline of shape {start.shape}; expected {epochs.shape[1:]}")
    slope, members = 1.0, getattr(detector, "members", [detector])
    if hasattr(detector, "calibration"):
        slope = detector.calibration[0]
    shares = np.zeros(epochs.shape, np.float32)
    for member in members:
        weight = slope * member.weight if hasattr(detector, "members") else 1.0
        shares += np.float32(weight) * _member_shares(member, epochs, start, n_steps)
    return shares


def _member_shares(member, epochs, start, n_steps) -> np.ndarray:
    """Share out one member's own, unweighted scores."""
    if hasattr(member.detector, "epoch_weights"):
        return ((epochs - start) * member.detector.epoch_weights()).astype(np.float32)
    if not member.is_network:
        raise InputError(
            f"{type(member.detector).__name__} has no gradient to integrate; "
            "use p300.explain.occlude_electrodes"
        )
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise InputError(
            "integrated gradients of a network need captum: pip install 'p300[explain]'"
        ) from error
    import torch

    from p300 import losses

    score, network = getattr(losses, member.loss).score, member.detector.eval()
    integral = IntegratedGradients(lambda x: score(network(x)))
    found = [
        integral.attribute(
            part, torch.as_tensor(start)[None], n_steps=n_steps, internal_batch_size=2048
        )
        for part in torch.as_tensor(epochs).split(256)
    ]
    return torch.cat(found).float().numpy()


def _score(detector, data):
    return detector.score_epochs(data) if hasattr(detector, "members") else detector.score(data)
