"""Integrated gradients: the contribution of each electrode and sample to the score of an epoch.

M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML 2017, arXiv
1703.01365. The package captum integrates the gradients; the extra ``explain`` installs it.
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

#: Baselines that the targets can be compared with.
BASELINES = ("nontarget", "zero")


@dataclass(frozen=True, eq=False)
class Attribution:
    """Integrated gradients, averaged over the target flashes.

    Parameters
    ----------
    values : ndarray, shape (n_chans, n_times)
        Contribution of each sample to the mean score of a target, in units of the score. Their
        sum is ``score - baseline_score - gap``.
    score, baseline_score : float
        Mean score of the targets, and score of the baseline.
    baseline : str
        Epoch that the targets were compared with: "nontarget", the mean nontarget epoch, or
        "zero".
    n_targets : int
        Target flashes averaged.
    gap : float
        Error of the sum, from the finite number of steps.
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
    """Compute the contribution of each electrode and sample to the mean score of the targets.

    Parameters
    ----------
    detector : Detector or Member
        With networks and linear detectors only; see :func:`integrated_gradients`.
    epochs : Epochs
        Preferably of flashes that it was not trained on; unlabelled ones are left out.
    baseline : {"nontarget", "zero"}
        Epoch to compare with: the mean over all nontarget flashes, or an epoch of zeros. The mean
        removes the evoked response that is common to targets and nontargets.
    n_steps : int
        Integration points between baseline and epoch.

    Returns
    -------
    Attribution
    """
    if baseline not in BASELINES:
        raise InputError(f"baseline {baseline!r}; expected one of {BASELINES}")
    data, is_target, _ = labelled(epochs)
    start = data[~is_target].mean(axis=0) if baseline == "nontarget" else np.zeros_like(data[0])
    contributions = integrated_gradients(detector, data[is_target], start, n_steps=n_steps)
    score_of = getattr(detector, "score_epochs", detector.score)
    score = float(score_of(data[is_target]).mean())
    start_score = float(score_of(start[np.newaxis])[0])
    values = contributions.mean(axis=0, dtype=np.float64)
    gap = score - start_score - float(values.sum())
    return Attribution(values, score, start_score, baseline, int(is_target.sum()), gap)


def integrated_gradients(
    detector: Detector | Member,
    epochs: np.ndarray,
    baseline: np.ndarray | None = None,
    *,
    n_steps: int = 50,
) -> np.ndarray:
    """Compute the integrated gradients of each epoch's score, from a baseline to the epoch.

    Parameters
    ----------
    detector : Detector or Member
        With networks and linear detectors only. For networks captum (extra ``explain``)
        integrates the gradients. In a linear detector the contribution of a sample is its weight
        times its difference from the baseline.
    epochs : ndarray, shape (n_flashes, n_chans, n_times)
        Preprocessed as the detector reads them.
    baseline : ndarray, shape (n_chans, n_times), or None
        Start of the integration for every epoch; None for zeros.
    n_steps : int
        Points of the Gauss-Legendre rule.

    Returns
    -------
    ndarray, shape (n_flashes, n_chans, n_times)
        Contributions to the score that :meth:`p300.detector.Detector.score_epochs` returns:
        the log odds of a target, or with the paper's loss its normalised P300 output. Their sum
        over an epoch is its score minus that of the baseline.

    Raises
    ------
    InputError
        If the shape of the baseline is wrong, a member has no gradient, or captum is missing.
    """
    from p300.detector import Detector

    epochs = np.asarray(epochs, np.float32)
    start = np.zeros_like(epochs[0]) if baseline is None else np.asarray(baseline, np.float32)
    if start.shape != epochs.shape[1:]:
        raise InputError(f"baseline of shape {start.shape}; expected {epochs.shape[1:]}")
    if not isinstance(detector, Detector):
        return _member_contributions(detector, epochs, start, n_steps)
    contributions = np.zeros(epochs.shape, np.float32)
    for member in detector.members:
        part = _member_contributions(member, epochs, start, n_steps)
        contributions += np.float32(detector.calibration[0] * member.weight) * part
    return contributions


def _member_contributions(
    member: Member, epochs: np.ndarray, start: np.ndarray, n_steps: int
) -> np.ndarray:
    """Compute the contributions to the unweighted scores of one member."""
    if hasattr(member.detector, "epoch_weights"):
        return ((epochs - start) * member.detector.epoch_weights()).astype(np.float32)
    if not member.is_network:
        raise InputError(
            f"{type(member.detector).__name__} has no gradient; expected a network or a linear "
            "detector; use p300.explain.occlude_electrodes"
        )
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise InputError(
            "captum is not installed; integrated gradients of a network need it: "
            "pip install 'p300[explain]'"
        ) from error
    import torch

    score, network = member.read_logits, member.detector.eval()
    integral = IntegratedGradients(lambda x: score(network(x)))
    found = [
        integral.attribute(
            part, torch.as_tensor(start)[None], n_steps=n_steps, internal_batch_size=2048
        )
        for part in torch.as_tensor(epochs).split(256)
    ]
    return torch.cat(found).float().numpy()
