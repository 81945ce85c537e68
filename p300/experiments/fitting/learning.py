"""What of a trained detector can learn while it spells, and what it learns from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.experiments.build import build
from p300.learning.learner import check_backspace
from p300.learning.linear import PENALTY_PER_CHANNEL, scaled_covariance, usual_basis
from p300.learning.source import Source, check_person
from p300.learning.sums import EpochSums
from p300.models.last_layer import without_last_layer
from p300.storage.classes import import_class
from p300.training.members import is_network, labels, shape_arguments

if TYPE_CHECKING:
    from p300.detector import Detector, Member
    from p300.experiments.fitting.run import Run
    from p300.preprocessing import Epochs

#: Ridge penalty of the last layer of networks, relative to the mean variance of its inputs.
LAYER_PENALTY = 0.1

#: Flashes whose features are computed at once.
AT_ONCE = 1024


def source_of(detector: Detector, epochs: Epochs, rows: np.ndarray) -> Source:
    """Sum the training flashes of a detector, so that its linear part can be computed again.

    The linear part is a linear detector, the linear members of a stack, or the last layer of
    networks.

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
    linear = [member for member in detector.members if hasattr(member.detector, "epoch_weights")]
    if linear:
        return _source_of_linear(detector, linear, epochs, rows)
    for member in detector.members:
        if not member.is_network:
            raise InputError(_no_linear_part(type(member.detector).__name__))
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


def check_can_learn(run: Run) -> None:
    """Check, before anything is trained, that what is planned can learn while it spells.

    Raises
    ------
    InputError
        If the recording has no speller, or nothing planned has a linear part.
    """
    if run.recording.speller is None:
        raise InputError(
            "got learning while spelling of an oddball, whose flashes belong to no character; "
            "expected a speller; set learning=none"
        )
    from p300.baselines import Untrained

    settings = build(run.cfg.learning)
    people = dict.fromkeys(run.epochs.flashes["subject"][run.split.train].astype(str))
    if settings.person is not None:
        check_person(settings.person, people)
    check_backspace(settings.backspace, run.recording.speller.symbols)
    models = [plan.model for part in run.planned for plan in part]
    kinds = {import_class(str(model["_target_"])) for model in models}
    if kinds == {Untrained}:
        raise InputError(
            "got a detector that knows nothing, with learning=while_spelling, which begins with "
            "what is known; expected learning=from_nothing"
        )
    if any(hasattr(kind, "epoch_weights") for kind in kinds):
        return
    for model in models:
        if not is_network(model):
            raise InputError(_no_linear_part(import_class(str(model["_target_"])).__name__))
        without_last_layer(build(model, **shape_arguments(model, run.epochs)))
    loss = str(run.cfg.protocol.loss["_target_"]).rpartition(".")[2]
    if loss != "CrossEntropy":
        raise InputError(
            f"got networks trained by {loss}, whose scores are not the log odds of a target; "
            "expected CrossEntropy to learn while spelling; train with protocol=modern, or set "
            "learning=none"
        )


def _no_linear_part(name: str) -> str:
    return (
        f"got a {name}, which has no linear part to learn while spelling; expected a ridge, a "
        "stack with a ridge, a linear detector, or networks; set learning=none"
    )


def _training(epochs: Epochs, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    subject = epochs.flashes["subject"].to_numpy(str)
    return epochs.data[rows], labels(epochs)[rows], subject[rows]


def _source_of_linear(
    detector: Detector, linear: list[Member], epochs: Epochs, rows: np.ndarray
) -> Source:
    """Sum for a ridge in place of the linear members, on one scale with their weighted scores."""
    from p300.baselines import GaussianProcessRidge

    ridges = [m.detector for m in linear if isinstance(m.detector, GaussianProcessRidge)]
    data, is_target, subject = _training(epochs, rows)
    n_chans, n_times = data.shape[1:]
    scale = ridges[0].length_scale_s if ridges else None
    source = Source.of_epochs(
        data,
        is_target,
        subject,
        basis=usual_basis(n_chans, n_times, epochs.sfreq, scale),
        penalty=ridges[0].penalty_ if ridges else PENALTY_PER_CHANNEL * n_chans,
        toeplitz=ridges[0].toeplitz if ridges else 0.5,
    )
    slope = detector.calibration[0]
    if len(ridges) == len(linear):
        weight = slope * sum(member.weight for member in linear)
    else:
        whole = source.whole()
        weights = source.discriminants(whole).of(np.diff(whole.means, axis=0))[0]
        ridge = source.centred(data).reshape(len(data), -1) @ weights.ravel()
        static = slope * np.sum([member.weight * member.score(data) for member in linear], axis=0)
        covariance = np.cov(ridge, static)
        weight = max(covariance[0, 1] / covariance[0, 0], 1e-12)
    # on the scale of a linear discriminant: the log odds of a stack of few characters are so small
    # that it would learn from hardly anything
    return replace(source, weight=weight, log_odds=1 / max(weight, 1e-12))


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
