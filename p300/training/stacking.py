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

from p300.errors import InputError
from p300.splits import inner_folds, shares_samples
from p300.training.members import is_network

if TYPE_CHECKING:
    from p300.detector import Member
    from p300.preprocessing import Epochs

#: Smallest factor of a member of a stack.
SMALLEST = 0.01


@dataclass(frozen=True)
class PlannedFit:
    """One detector that is to be fitted.

    Parameters
    ----------
    model : mapping
        Its ``_target_`` and arguments.
    train : ndarray of bool, shape (n_flashes,)
        The flashes that it is fitted to.
    stop : ndarray of bool, shape (n_flashes,), or None
        The flashes for the early stopping of a network.
    left_out : ndarray of bool, shape (n_flashes,), or None
        The flashes that it scores for the weight of a member of a stack.
    """

    model: Mapping[str, Any]
    train: np.ndarray
    stop: np.ndarray | None = None
    left_out: np.ndarray | None = None


@dataclass(frozen=True)
class Stack:
    """Detectors of several kinds, combined by their scores of left-out training flashes.

    The training part is cut into folds of whole characters (:func:`p300.splits.inner_folds`).
    Every detector scores each fold after training on the others. A network stops early by one of
    these others, which it is not trained on: scores of the fold that stops it are too good. All
    networks are kept, one per fold. A classical detector is trained once more on the whole
    training part.

    Parameters
    ----------
    members : mapping of str to mapping
        Name to ``_target_`` and arguments of each detector.
    n_folds : int
        Largest number of folds; with fewer than three, networks are left out.
    penalty : float
        See :func:`fit_weights`.
    network_targets : int
        Networks are left out where fewer targets train them: they take the longest, and learn
        little.
    """

    members: Mapping[str, Mapping[str, Any]]
    n_folds: int = 5
    penalty: float = 0.3
    network_targets: int = 0

    def plan(self, epochs: Epochs, rows: np.ndarray) -> list[PlannedFit]:
        """List the detectors to fit, for :meth:`combine`.

        Parameters
        ----------
        epochs : Epochs
            The epochs of the whole recording.
        rows : ndarray of bool, shape (n_flashes,)
            The training part.

        Raises
        ------
        InputError
            If only networks could be planned, and there is too little to train them.
        """
        folds, planned = left_out_folds(epochs, rows, self.n_folds), []
        n_targets = int(epochs.flashes["is_target"][rows].sum())
        for model in self.members.values():
            if not is_network(model):
                planned += [PlannedFit(model, train, left_out=out) for train, out in folds]
                planned.append(PlannedFit(model, rows))
            elif len(folds) > 2 and n_targets >= self.network_targets:
                for (train, out), (others, stop) in zip(folds, folds[1:] + folds[:1], strict=True):
                    planned.append(PlannedFit(model, train & others, stop, out))
        if not planned:
            raise InputError(
                f"got {len(folds)} folds with {n_targets} targets for a stack of networks alone; "
                f"expected at least 3 folds and {self.network_targets} targets; add a classical "
                "detector to model.members"
            )
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
        names, columns, kept = [], [], []
        for name, model in self.members.items():
            own = [(plan, found) for plan, found in done if plan.model is model]
            folds = [(plan.left_out, m) for plan, (m, _) in own if plan.left_out is not None]
            if folds:
                scores = np.full(len(rows), np.nan)
                for out, member in folds:
                    scores[out] = member.score(epochs.data, out)
                whole = [found for plan, found in own if plan.left_out is None]
                names.append(name)
                columns.append(scores)
                kept.append(whole or [found for _, found in own])
        is_target = epochs.flashes["is_target"][rows].to_numpy(bool)
        scores = np.column_stack(columns)
        weights, offset = fit_weights(scores[rows], is_target, self.penalty)
        members: list[tuple[Member, dict[str, Any]]] = []
        for name, same, weight in zip(names, kept, weights, strict=True):
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
    scores: np.ndarray, is_target: np.ndarray, penalty: float = 0.3
) -> tuple[np.ndarray, float]:
    """Find the weights and the offset with which a sum of scores is the log odds of a target.

    Each standardised score is first multiplied by the distance between its class means, which is
    its best factor if the scores are independent: one without information counts next to nothing,
    whatever is fitted. A distance below its standard error counts as that, since few flashes tell
    little. Then logistic regression finds a further factor for each, the more equal the fewer
    targets there are.

    Parameters
    ----------
    scores : ndarray, shape (n_flashes, n_members)
        Scores of flashes that the members were not trained on.
    is_target : ndarray of bool, shape (n_flashes,)
        Their labels; both classes count the same.
    penalty : float
        How much the squared differences between the factors and their mean count against them,
        beside one target; with infinity all factors are equal.

    Returns
    -------
    weights : ndarray, shape (n_members,)
        Weights of the scores before standardising; all positive, so that members that are no
        better than chance on few flashes still make a detector.
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
    inputs = (scores - mean) / (std := np.where(std > 0, std, 1.0))
    n_targets, n_nontargets = is_target.sum(), (~is_target).sum()
    apart = inputs[is_target].mean(axis=0) - inputs[~is_target].mean(axis=0)
    apart = np.maximum(apart, math.sqrt(1 / n_targets + 1 / n_nontargets))
    inputs *= apart
    if math.isinf(penalty):
        inputs, penalty = inputs.sum(axis=1, keepdims=True), 0.0
    # smoothed like Platt's targets, so that separable scores have finite weights
    n = np.where(is_target, n_targets, n_nontargets)
    wanted = np.where(is_target, n + 1, 1) / (n + 2)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        factors, offset = parameters[:-1], parameters[-1]
        logits = inputs @ factors + offset
        error, uneven = (expit(logits) - wanted) / (2 * n), factors - factors.mean()
        value = np.sum((np.logaddexp(0, logits) - wanted * logits) / (2 * n))
        slopes = inputs.T @ error + 2 * penalty / n_targets * uneven
        return value + penalty / n_targets * np.sum(uneven**2), np.append(slopes, error.sum())

    start, bounds = [0.5] * inputs.shape[1] + [0.0], [(SMALLEST, None)] * inputs.shape[1]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[*bounds, (None, None)])
    weights = found.x[:-1] * apart / std
    return weights, float(found.x[-1] - weights @ mean)
