"""Stacking: detectors of several kinds, weighted by their scores of left-out flashes.

D. H. Wolpert, "Stacked generalization", Neural Networks 5:241-259, 1992; weights that are never
negative: L. Breiman, "Stacked regressions", Machine Learning 24:49-64, 1996.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from p300.splits import inner_folds, shares_samples
from p300.training.members import is_network

if TYPE_CHECKING:
    from p300.detector import Member
    from p300.preprocessing import Epochs


@dataclass(frozen=True)
class PlannedFit:
    """One detector that is to be fitted.

    Parameters
    ----------
    model : mapping
        Its ``_target_`` and arguments.
    train : ndarray of bool, shape (n_flashes,)
        The flashes that it is fitted to.
    left_out : ndarray of bool, shape (n_flashes,), or None
        The flashes for the early stopping of a network, and for the weight of a member of a stack.
    """

    model: Mapping[str, Any]
    train: np.ndarray
    left_out: np.ndarray | None = None


@dataclass(frozen=True)
class Stack:
    """Detectors of several kinds, combined by their scores of left-out training flashes.

    The training part is cut into folds of whole characters (:func:`p300.splits.inner_folds`).
    Every detector scores each fold after training on the others. A network uses that fold for
    early stopping, so its scores of the fold are slightly too good. All networks are kept, one per
    fold. A classical detector is trained once more on the whole training part.

    Parameters
    ----------
    members : mapping of str to mapping
        Name to ``_target_`` and arguments of each detector.
    n_folds : int
        Largest number of folds; with fewer than three folds the detectors get equal weights.
    penalty : float
        See :func:`fit_weights`.
    """

    members: Mapping[str, Mapping[str, Any]]
    n_folds: int = 5
    penalty: float = 0.03

    def plan(self, epochs: Epochs, rows: np.ndarray) -> list[PlannedFit]:
        """List the detectors to fit, for :meth:`combine`.

        Parameters
        ----------
        epochs : Epochs
            The epochs of the whole recording.
        rows : ndarray of bool, shape (n_flashes,)
            The training part.
        """
        folds, planned = left_out_folds(epochs, rows, self.n_folds), []
        for model in self.members.values():
            planned += [PlannedFit(model, *fold) for fold in folds]
            if not is_network(model):
                planned.append(PlannedFit(model, rows))
        return planned

    def combine(
        self,
        epochs: Epochs,
        rows: np.ndarray,
        planned: Sequence[PlannedFit],
        fitted: Sequence[tuple[Member, dict[str, Any]]],
    ) -> tuple[list[tuple[Member, dict[str, Any]]], float, np.ndarray]:
        """Compute the weights of the detectors that were fitted as planned.

        Returns
        -------
        members : list of (Member, dict)
            With their weights; what ``results.json`` states about each member, with its name.
        offset : float
            Added to the weighted sum, which then is the log odds of a target among equally many
            nontargets.
        left_out_scores : ndarray, shape (n_flashes,)
            Scores of the training flashes by members that were not fitted to them; NaN elsewhere.
        """
        done = list(zip(planned, fitted, strict=True))
        scores = np.full((len(rows), len(self.members)), np.nan)
        kept: list[list[tuple[Member, dict[str, Any]]]] = []
        n_folds = 0
        for column, model in zip(scores.T, self.members.values(), strict=True):
            own = [(plan, found) for plan, found in done if plan.model is model]
            for plan, (member, _) in own:
                if plan.left_out is not None:
                    column[plan.left_out] = member.score(epochs.data, plan.left_out)
            whole = [found for plan, found in own if plan.left_out is None]
            kept.append(whole or [found for _, found in own])
            n_folds = len(own) - len(whole)
        is_target = epochs.flashes["is_target"][rows].to_numpy(bool)
        penalty = self.penalty if n_folds > 2 else math.inf
        weights, offset = fit_weights(scores[rows], is_target, penalty)
        members: list[tuple[Member, dict[str, Any]]] = []
        for name, same, weight in zip(self.members, kept, weights, strict=True):
            for member, record in same:
                member.weight = float(weight) / len(same)
                members.append((member, {"name": name, **record}))
        return members, offset, scores @ weights + offset


def left_out_folds(
    epochs: Epochs, rows: np.ndarray, n_folds: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut some flashes into folds: for each the others, which share no sample with it, and it."""
    folds = inner_folds(epochs.flashes, rows, n_folds)
    window_s = (epochs.tmin, epochs.tmin + epochs.data.shape[-1] / epochs.sfreq)
    left_out = [folds == k for k in range(folds.max() + 1)]
    return [(rows & ~shares_samples(epochs.flashes, out, window_s), out) for out in left_out]


def fit_weights(
    scores: np.ndarray, is_target: np.ndarray, penalty: float = 0.03
) -> tuple[np.ndarray, float]:
    """Find the weights and the offset with which a sum of scores is the log odds of a target.

    Parameters
    ----------
    scores : ndarray, shape (n_flashes, n_members)
        Scores of flashes that the members were not trained on.
    is_target : ndarray of bool, shape (n_flashes,)
        Their labels; both classes count the same.
    penalty : float
        Factor of the squared differences between the weights of standardised scores and their
        mean; with infinity all weights are equal.

    Returns
    -------
    weights : ndarray, shape (n_members,)
        Weights of the scores before standardising; never negative.
    offset : float

    Examples
    --------
    >>> scores = np.random.default_rng(0).normal(size=(600, 2))
    >>> is_target = np.arange(600) % 6 == 0
    >>> weights, offset = fit_weights(scores + [3, 9] + np.outer(is_target, [1, 1]), is_target)
    >>> weights.round().tolist()
    [1.0, 1.0]
    """
    mean, std = scores.mean(axis=0), scores.std(axis=0)
    std = np.where(std > 0, std, 1.0)
    inputs = (scores - mean) / std
    n_members = inputs.shape[1]
    if math.isinf(penalty):
        inputs, penalty = inputs.mean(axis=1, keepdims=True), 0.0
    # smoothed like Platt's targets, so that separable scores have finite weights
    n = np.where(is_target, is_target.sum(), (~is_target).sum())
    wanted = np.where(is_target, n + 1, 1) / (n + 2)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights, offset = parameters[:-1], parameters[-1]
        logits = inputs @ weights + offset
        error, uneven = (expit(logits) - wanted) / (2 * n), weights - weights.mean()
        value = np.sum((np.logaddexp(0, logits) - wanted * logits) / (2 * n))
        slopes = inputs.T @ error + 2 * penalty * uneven
        return value + penalty * np.sum(uneven**2), np.append(slopes, error.sum())

    n_weights = inputs.shape[1]
    bounds = [(0, None)] * n_weights + [(None, None)]
    found = minimize(loss, [0.5] * n_weights + [0.0], jac=True, method="L-BFGS-B", bounds=bounds)
    weights = np.broadcast_to(found.x[:-1] * n_weights / n_members, n_members) / std
    return weights, float(found.x[-1] - weights @ mean)
