"""EEGNet behind a graph convolution: it knows where the electrodes are, and takes any of them.

T. N. Kipf, M. Welling, "Semi-supervised classification with graph convolutional networks", ICLR
2017, arXiv 1609.02907 (normalised adjacency, section 2.2); polynomials of it: M. Defferrard,
X. Bresson, P. Vandergheynst, NIPS 2016, arXiv 1606.09375; the layers after it:
:class:`~p300.models.EEGNet`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from p300.electrodes import find_positions, standard_montage
from p300.errors import InputError
from p300.models.eegnet import EEGNet

#: Regions of the scalp: the surroundings of the 19 electrodes of the 10-20 system.
REGIONS = (
    *("Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T7", "C3", "Cz", "C4", "T8"),
    *("P7", "P3", "Pz", "P4", "P8", "O1", "O2"),
)

#: Standard deviation in m of the Gaussians over distance; electrodes of the 10-10 system are
#: about 0.035 m from their neighbours.
WIDTH_M = 0.03


class GraphEEGNet(EEGNet):
    """A graph convolution over electrodes, 19 regions of the scalp, then EEGNet-8,2.

    The graph joins electrodes that are near each other. The convolution is a polynomial of its
    normalised adjacency A: w0 x + w1 A x + w2 A² x. Its three weights are learned. They say
    whether an electrode is averaged with its neighbours or compared with them. Then each of 19
    regions is a mean of the electrodes around it. So no weight belongs to an electrode: a network
    that was trained on 64 electrodes starts a training on 8 (``pretrained=RUN``).

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch.
    sfreq : float
        Sampling rate in Hz; sets the lengths of EEGNet's kernels.
    ch_names : sequence of str or None
        Names of the electrodes, which say where they are. None takes names at equal steps from
        the list of the 10-05 system, from the front of the head to its back, to try the network
        out alone.
    adjacency : {"near", "random"}
        "random" gives each electrode the place of another one in the graph. The graph has the
        same weights, degrees and eigenvalues, but does not join neighbours. The regions stay.
    degree : int
        Of the polynomial; 0 is no graph convolution.

    Raises
    ------
    InputError
        If the position of an electrode is not known.

    Examples
    --------
    >>> GraphEEGNet(3, 2, 78, 120.0, ch_names=["Fz", "Cz", "Pz"])(torch.zeros(5, 3, 78)).shape
    torch.Size([5, 2])
    """

    reads_positions = True
    powers: Tensor
    pooling: Tensor

    def __init__(
        self,
        n_chans: int,
        n_outputs: int,
        n_times: int,
        sfreq: float,
        *,
        ch_names: Sequence[str] | None = None,
        adjacency: str = "near",
        degree: int = 2,
    ):
        super().__init__(len(REGIONS), n_outputs, n_times, sfreq)
        if adjacency not in ("near", "random"):
            raise ValueError(f"GraphEEGNet: adjacency {adjacency!r}; expected 'near' or 'random'")
        names = _spread_names(n_chans) if ch_names is None else list(ch_names)
        positions = _positions(names)
        matrix = normalised_adjacency(positions)
        if adjacency == "random":
            places = _other_places(names)
            matrix = matrix[np.ix_(places, places)]
        powers = np.stack([np.linalg.matrix_power(matrix, k) for k in range(degree + 1)])
        regions = pooling(positions, _positions(REGIONS))
        # not persistent: a checkpoint has no tensor whose size depends on the electrodes
        self.register_buffer("powers", torch.tensor(powers, dtype=torch.float32), persistent=False)
        self.register_buffer("pooling", torch.tensor(regions).float(), persistent=False)
        self.graph_weight = nn.Parameter(torch.full((degree + 1,), 1 / (degree + 1)))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (batch, n_outputs), of epochs (batch, n_chans, n_times)."""
        x = self.regions_of_electrodes() @ x  # (batch, 19, n_times)
        return super().forward(x)  # (batch, n_outputs)

    def regions_of_electrodes(self) -> Tensor:
        """Compute the graph convolution and the pooling as one matrix: shape (19, n_chans)."""
        polynomial = torch.tensordot(self.graph_weight, self.powers, 1)  # (n_chans, n_chans)
        return self.pooling @ polynomial

    def spatial_filters(self) -> Tensor:
        """Return the weights of electrodes, by all layers before: (f1 * depth, n_chans)."""
        return super().spatial_filters() @ self.regions_of_electrodes().detach()


def normalised_adjacency(positions: np.ndarray) -> np.ndarray:
    """Compute the adjacency of electrodes, normalised on both sides by the degrees.

    Weights are Gaussians of the distance. The diagonal is 1 before the normalisation, which is
    the connection of a node with itself in Kipf & Welling. The largest eigenvalue is 1.

    Parameters
    ----------
    positions : ndarray, shape (n_chans, 3)
        In m.

    Returns
    -------
    ndarray, shape (n_chans, n_chans)

    Examples
    --------
    >>> normalised_adjacency(np.zeros((2, 3)))
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    weights = np.exp(-_squared_distances(positions, positions) / (2 * WIDTH_M**2))
    scale = 1 / np.sqrt(weights.sum(axis=0))
    return scale[:, None] * weights * scale


def pooling(positions: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Compute the weights by which each region is a mean of electrodes.

    The weights are Gaussians of the distance, divided by their sum. A region without an electrode
    nearby is about the nearest one.

    Parameters
    ----------
    positions : ndarray, shape (n_chans, 3)
        In m.
    regions : ndarray, shape (n_regions, 3)

    Returns
    -------
    ndarray, shape (n_regions, n_chans)
        Rows add up to 1.
    """
    squared = _squared_distances(regions, positions)
    squared -= squared.min(axis=1, keepdims=True)  # not all weights of a far region are 0
    weights = np.exp(-squared / (2 * WIDTH_M**2))
    return weights / weights.sum(axis=1, keepdims=True)


def _squared_distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return ((one[:, None] - other) ** 2).sum(axis=-1)


def _positions(ch_names: Sequence[str]) -> np.ndarray:
    """Return x, y and z in m of electrodes: shape (n_chans, 3)."""
    known = find_positions(ch_names)
    unknown = [name for name in ch_names if name not in known]
    if unknown:
        raise InputError(
            f"GraphEEGNet: got {len(unknown)} of {len(ch_names)} channels without a known "
            f"position ({', '.join(unknown[:5])}); expected names of the 10-05 system or of "
            "BioSemi; leave the others out by preprocessing.channels=[…]"
        )
    return np.array([known[name] for name in ch_names])


def _spread_names(n_chans: int) -> list[str]:
    names = standard_montage().ch_names
    return [names[k] for k in np.linspace(0, len(names) - 1, n_chans).astype(int)]


def _other_places(names: Sequence[str]) -> np.ndarray:
    """Draw which electrode's place each one takes, never its own; the order has no effect."""
    circle = np.argsort(names)[np.random.default_rng(0).permutation(len(names))]
    places = np.empty_like(circle)
    places[circle] = np.roll(circle, 1)
    return places
