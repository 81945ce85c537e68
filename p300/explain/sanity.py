"""A sanity check of explanations: whether a map changes when the weights it explains are lost.

J. Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018, arXiv 1810.03292. The layers of
a network get random weights, one after another from the last to the first. An explanation of what
the network learned must become another one. One that stays shows the epochs and not the network.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.explain.attribution import integrated_gradients
from p300.explain.occlusion import labelled

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from p300.detector import Detector
    from p300.preprocessing import Epochs

#: A map that still correlates as much after all weights are random does not show the network.
SAME = 0.5

#: Random weights of each layer that a correlation is the mean over.
N_DRAWS = 5

#: Integration points of a map: enough to see which map it is.
N_STEPS = 10


@dataclass(frozen=True, eq=False)
class Sanity:
    """How alike the maps of a network are before and after its layers get random weights.

    Parameters
    ----------
    layers : tuple of str
        In the order in which they became random: the last layer first. With each, all before it
        in this order are random too.
    signed, absolute : ndarray, shape (n_layers,)
        Spearman's correlation of the map with that of the trained network, and of their absolute
        values; means over draws of random weights.
    """

    layers: tuple[str, ...]
    signed: np.ndarray
    absolute: np.ndarray

    @property
    def shows_the_network(self) -> bool:
        """Whether the map is another one once all weights are random."""
        return bool(max(abs(self.signed[-1]), self.absolute[-1]) < SAME)

    @property
    def verdict(self) -> str:
        """What the map shows, in words.

        Integrated gradients multiply by the difference between two epochs. So their absolute
        values may stay large where that is large, although their signs change with the weights.
        """
        if self.shows_the_network:
            return "shows the network"
        if abs(self.signed[-1]) < SAME:
            return "shows the network by its signs alone"
        return "does not show the network"


def check_attribution(detector: Detector, epochs: Epochs, *, n_draws: int = N_DRAWS) -> Sanity:
    """Check the integrated gradients of the first network of a detector.

    Parameters
    ----------
    detector : Detector
        With a network among its members.
    epochs : Epochs
        Of flashes that it was not trained on; the map is the mean over their targets, against the
        mean nontarget epoch.
    n_draws : int
        Random weights of each layer.

    Returns
    -------
    Sanity

    Raises
    ------
    InputError
        If no member is a network, or captum is missing.
    """
    members = [member for member in detector.members if member.is_network]
    if not members:
        kinds = ", ".join(type(member.detector).__name__ for member in detector.members)
        raise InputError(f"got {kinds}, without layers; expected a network; check one, as cnn1")
    data, is_target, _ = labelled(epochs)
    start, member = data[~is_target].mean(axis=0), copy.copy(members[0])

    def explain(network: nn.Module) -> np.ndarray:
        member.detector = network
        return integrated_gradients(member, data[is_target], start, n_steps=N_STEPS).mean(axis=0)

    return check_sanity(members[0].detector, explain, n_draws=n_draws)


def check_sanity(
    network: nn.Module,
    explain: Callable[[nn.Module], np.ndarray],
    *,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> Sanity:
    """Compare the map of a network with its maps when its layers get random weights.

    A weight is drawn from a normal distribution around 0, with the root mean square of the trained
    weights of its tensor. The network itself is not changed.

    Parameters
    ----------
    network : nn.Module
        Trained; its layers are taken in the order in which it registered their weights.
    explain : callable
        Computes the map of a network: an array of any shape.
    n_draws : int
        Random weights of each layer.
    seed : int
        Of the random weights.

    Returns
    -------
    Sanity

    Examples
    --------
    >>> from torch import nn
    >>> network = nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 2))
    >>> found = check_sanity(network, lambda network: np.arange(8.0))  # which ignores the weights
    >>> found.layers, found.absolute.round(6).tolist(), found.shows_the_network
    (('1', '0'), [1.0, 1.0], False)
    """
    import torch

    trained = explain(copy.deepcopy(network).eval())
    names = list(_layers(network))[::-1]
    signed, absolute = np.empty((2, n_draws, len(names)))
    generator = torch.Generator().manual_seed(seed)
    for draw in range(n_draws):
        changed = copy.deepcopy(network).eval()
        layers = _layers(changed)
        for k, name in enumerate(names):
            for weight in layers[name]:
                _randomise(weight, generator)
            found = explain(changed)
            signed[draw, k] = _correlation(trained, found)
            absolute[draw, k] = _correlation(np.abs(trained), np.abs(found))
    return Sanity(tuple(names), signed.mean(axis=0), absolute.mean(axis=0))


def _layers(network: nn.Module) -> dict[str, list[Tensor]]:
    """Group the weights of a network by layer, in its order.

    Weights of the network itself, such as ``spatial_weight`` and ``spatial_bias``, are grouped by
    their first words.
    """
    layers: dict[str, list[Tensor]] = {}
    for name, weight in network.named_parameters():
        owner, _, last = name.rpartition(".")
        layers.setdefault(owner or last.rpartition("_")[0] or last, []).append(weight)
    return layers


def _randomise(weight: Tensor, generator: torch.Generator) -> None:
    import torch

    with torch.no_grad():
        drawn = torch.randn(weight.shape, generator=generator)
        weight.copy_(weight.square().mean().sqrt() * drawn)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Compute Spearman's correlation of two maps; 0 if one is the same everywhere."""
    from scipy.stats import spearmanr

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(spearmanr(one.ravel(), other.ravel()).statistic)
