"""What of a trained detector can learn while it spells, and what it learns from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.experiments.fitting.probability import is_stack
from p300.learning.linear import PENALTY_PER_CHANNEL, scaled_covariance, usual_basis
from p300.learning.source import Source
from p300.learning.sums import EpochSums
from p300.models.last_layer import without_last_layer
from p300.training.members import labels

if TYPE_CHECKING:
    from p300.detector import Detector, Member
    from p300.preprocessing import Epochs

#: Ridge penalty of the last layer of networks, relative to the mean variance of its inputs.
LAYER_PENALTY = 0.1

#: Flashes whose features are computed at once.
AT_ONCE = 1024


def source_of(detector: Detector, epochs: Epochs, rows: np.ndarray) -> Source:
    """Sum the training flashes of a detector, so that its linear part can be computed again.

    The linear part is the ridge of a stack, a linear detector, or the last layer of networks.

    Parameters
    ----------
    detector : Detector
    epochs : Epochs
        Those it was trained on, and others.
    rows : ndarray of bool, shape (n_flashes,)
        The training flashes.

    Raises
    ------
    InputError
        If it has no part that is linear.
    """
    from p300.baselines import GaussianProcessRidge

    ridges = [m for m in detector.members if isinstance(m.detector, GaussianProcessRidge)]
    if ridges:
        return _source_of_ridges(detector, ridges, epochs, rows)
    if all(hasattr(member.detector, "epoch_weights") for member in detector.members):
        return _source_of_linear(detector, epochs, rows)
    for member in detector.members:
        _check_layer(member)
    return _source_of_layers(detector, epochs, rows)


def inputs_of(detector: Detector, source: Source, epochs: np.ndarray) -> np.ndarray:
    """Return what a source's linear part takes: the epochs, or the last layers' inputs."""
    return epochs if source.centre is None else features_of(detector, epochs)


def features_of(detector: Detector, epochs: np.ndarray) -> np.ndarray:
    """Compute the inputs of the last layers of all networks: shape (n_flashes, n_features, 1)."""
    import torch

    bodies = [without_last_layer(member.detector)[0] for member in detector.members]
    found = []
    for start in range(0, len(epochs), AT_ONCE):
        some = torch.as_tensor(np.asarray(epochs[start : start + AT_ONCE]))
        with torch.inference_mode():
            parts = [body(some).flatten(1).double().numpy() for body in bodies]
        found.append(np.concatenate(parts, axis=1))
    return np.concatenate(found)[:, :, np.newaxis]


def last_layer_weights(detector: Detector) -> np.ndarray:
    """Compute the weight of each feature of :func:`features_of` in the score: (n_features,)."""
    found = []
    for member in detector.members:
        weights = without_last_layer(member.detector)[1].weight.detach().double().numpy()
        found.append(detector.calibration[0] * member.weight * (weights[1] - weights[0]))
    return np.concatenate(found)


def _check_layer(member: Member) -> None:
    if not member.is_network:
        raise InputError(
            f"got a {type(member.detector).__name__}, which has no linear part; expected a ridge, "
            "a stack with a ridge, a linear detector, or networks; set learning=none"
        )
    without_last_layer(member.detector)
    if member.loss != "CrossEntropy":
        raise InputError(
            f"got networks trained by {member.loss}, whose scores are not the log odds of a "
            "target; expected CrossEntropy; train with protocol=modern, or set learning=none"
        )


def _training(epochs: Epochs, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    subject = epochs.flashes["subject"].to_numpy(str)
    return epochs.data[rows], labels(epochs)[rows], subject[rows]


def _source_of_ridges(
    detector: Detector, ridges: list[Member], epochs: Epochs, rows: np.ndarray
) -> Source:
    ridge = ridges[0].detector
    data, is_target, subject = _training(epochs, rows)
    source = Source.of_epochs(
        data,
        is_target,
        subject,
        basis=usual_basis(data.shape[1], data.shape[2], ridge.sfreq, ridge.length_scale_s),
        penalty=ridge.penalty_,
        toeplitz=ridge.toeplitz,
    )
    weight = detector.calibration[0] * sum(member.weight for member in ridges)
    if len(ridges) == len(detector.members) or is_stack(detector):
        return replace(source, weight=weight)
    return replace(source, weight=weight, log_odds=1 / max(weight, 1e-12))


def _source_of_linear(detector: Detector, epochs: Epochs, rows: np.ndarray) -> Source:
    """Sum for a ridge beside a linear detector of another kind, on one scale with its scores."""
    data, is_target, subject = _training(epochs, rows)
    n_chans, n_times = data.shape[1:]
    basis = usual_basis(n_chans, n_times, epochs.sfreq)
    penalty = PENALTY_PER_CHANNEL * n_chans
    source = Source.of_epochs(data, is_target, subject, basis=basis, penalty=penalty)
    whole = source.whole()
    weights = source.discriminants(whole).of(np.diff(whole.means, axis=0))[0]
    ridge = source.centred(data).reshape(len(data), -1) @ weights.ravel()
    static = detector.score_epochs(data)
    covariance = np.cov(ridge, static)
    weight = max(covariance[0, 1] / covariance[0, 0], 1e-12)
    return replace(source, weight=weight, log_odds=1 / weight)


def _source_of_layers(detector: Detector, epochs: Epochs, rows: np.ndarray) -> Source:
    """Sum the features of networks, with class means that give the weights of their layers.

    The features separate the training flashes too well, so that their true means would not do.
    """
    data, is_target, subject = _training(epochs, rows)
    features = features_of(detector, data)
    centre = features.mean(axis=0)
    basis, ones = np.ones((1, 1)), np.ones(len(features))
    people = {
        name: EpochSums.of(features[own] - centre, is_target[own], ones[own], basis)
        for name in dict.fromkeys(subject.tolist())
        for own in [subject == name]
    }
    source = Source(people, LAYER_PENALTY, toeplitz=0.0, centre=centre)
    whole = source.whole()
    covariance, scale = scaled_covariance(whole, 0.0)
    covariance[np.diag_indices_from(covariance)] += (
        LAYER_PENALTY * np.trace(covariance) / len(covariance)
    )
    implied = (covariance @ (last_layer_weights(detector) / scale) / scale)[:, np.newaxis]
    middle = whole.means.mean(axis=0)
    means = np.stack([middle - implied / 2, middle + implied / 2])
    return replace(source, people={k: _with_means(sums, means) for k, sums in people.items()})


def _with_means(sums: EpochSums, means: np.ndarray) -> EpochSums:
    """Move the class means of sums, and keep the covariance within the classes."""

    def between(means: np.ndarray) -> np.ndarray:
        return (means[:, :, 0].T * sums.n) @ means[:, :, 0]

    products = sums.products - between(sums.means) + between(means)
    return replace(sums, epochs=means * sums.n[:, np.newaxis, np.newaxis], products=products)
