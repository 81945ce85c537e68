"""Fit the networks of one run or of several, side by side where that changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from p300.experiments.fitting.networks import (
    Fitted,
    PlannedNetwork,
    make_network_fit,
    train_plan,
    train_together,
)
from p300.experiments.fitting.trainer import needs_own_trainer

if TYPE_CHECKING:
    from torch import Tensor

    from p300.detector import Member  # noqa: F401  (part of Fitted, for the reference)

log = logging.getLogger("p300.experiments.fitting.fit")

#: Megabytes of epochs in one step of networks that train side by side on a CPU; more would not
#: fit into its cache.
STEP_MB = 16


def fit_networks(
    planned: Sequence[PlannedNetwork], on_fitted: Callable[[int], None] | None = None
) -> list[Fitted | Exception]:
    """Train networks as configured, those of one kind side by side.

    Parameters
    ----------
    planned : sequence of PlannedNetwork
        The plans of one run or of several.
    on_fitted : callable or None
        Called with the number of networks that were fitted since its last call.

    Returns
    -------
    list of (Member, dict) or Exception
        For each plan: the network and its record in ``results.json``, or the error that stopped
        it. Networks that cannot be trained side by side are trained one by one.
    """
    from p300.training.batched import ViewsLost

    fitted: dict[int, Fitted | Exception] = {}
    waiting = divided(planned)
    while waiting:
        some, epochs = waiting.pop(0)
        found: Sequence[Fitted | Exception]
        try:
            if len(some) > 1:
                found = train_together([planned[k] for k in some], epochs)
            else:
                found = [train_plan(planned[some[0]], epochs)]
        except Exception as error:  # of any kind: the other networks continue
            if len(some) > 1:
                if isinstance(error, ViewsLost):
                    log.info("networks are trained one by one: %s", error)
                waiting = [([k], epochs) for k in some] + waiting
                continue
            found = [error]
        fitted |= dict(zip(some, found, strict=True))
        if on_fitted is not None:
            on_fitted(len(some))
    return [fitted[k] for k in range(len(planned))]


def divided(planned: Sequence[PlannedNetwork]) -> list[tuple[list[int], Tensor]]:
    """Divide plans into groups that train side by side; return their numbers and epochs."""
    kinds: dict[tuple, list[int]] = {}
    for k, plan in enumerate(planned):
        kinds.setdefault((plan.kind, id(plan.epochs)), []).append(k)
    groups = []
    for numbers in kinds.values():
        plans, epochs = [planned[k] for k in numbers], laid_out(planned[numbers[0]])
        n_groups = -(-len(plans) // largest_group(plans, epochs))
        groups += [(list(some), epochs) for some in np.array_split(numbers, n_groups)]
    return groups


def fit_network(plan: PlannedNetwork) -> Fitted:
    """Train the network of one plan.

    Raises
    ------
    InputError
        If it cannot be trained.
    """
    return train_plan(plan, laid_out(plan))


def laid_out(plan: PlannedNetwork) -> Tensor:
    """Return the epochs of a plan, laid out in memory as its network reads them."""
    import torch

    from p300.detector import import_class
    from p300.training.datamodule import time_first

    is_time_first = getattr(import_class(plan.model["_target_"]), "reads_time_first", False)
    return time_first(plan.epochs.data) if is_time_first else torch.as_tensor(plan.epochs.data)


def largest_group(plans: Sequence[PlannedNetwork], epochs: Tensor) -> int:
    """Return how many networks of one kind train side by side; 1 and the reason in the log."""
    from p300.training.batched import why_alone

    if len(plans) < 2:
        return 1
    reason = "they have callbacks of their own" if plans[0].callbacks else ""
    reason = reason or needs_own_trainer(plans[0].cfg)
    if not reason:
        try:
            networks = [make_network_fit(p, epochs).module.network for p in plans[:2]]
        except Exception:  # one cannot be built; it raises its error again, on its own
            return 1
        reason = why_alone(networks)
    if reason:
        log.info("%d networks are trained one by one: %s", len(plans), reason)
        return 1
    step_mb = plans[0].cfg.protocol.batch_size * epochs[0].nbytes / 1e6
    return max(2, int(STEP_MB / step_mb))
