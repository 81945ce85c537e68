"""Augmentations that need no fitting: of single epochs, or among those of one class.

Those with ``changes_single_epochs`` make each epoch of the epoch in its place alone, and never
read a label. So they are right for soft labels too.
"""

from __future__ import annotations

import torch
from torch import Tensor


class TimeShift:
    """Random shift of each epoch in time, as the latency of a P300 varies from flash to flash.

    Parameters
    ----------
    max_s : float
        Largest shift in seconds, in both directions; the first or last sample fills the gap.
    sfreq : float
        Sampling rate of the epochs in Hz.
    """

    changes_single_epochs = True

    def __init__(self, max_s: float = 0.025, sfreq: float = 120.0):
        self.max_samples = round(max_s * sfreq)

    def __call__(self, epochs: Tensor, is_target: Tensor) -> Tensor:
        """Shift epochs (batch, n_chans, n_times), each by its own whole number of samples."""
        n, n_chans, n_times = epochs.shape
        shift = torch.randint(-self.max_samples, self.max_samples + 1, (n, 1))
        source = (torch.arange(n_times) - shift).clamp(0, n_times - 1)
        source = (source + n_times * torch.arange(n)[:, None]).flatten().to(epochs.device)
        samples = epochs.mT.reshape(n * n_times, n_chans)  # whole samples move
        return samples.index_select(0, source).view(n, n_times, n_chans).mT


class AmplitudeScale:
    """Random factor around 1 for each epoch.

    Parameters
    ----------
    spread : float
        Standard deviation of the factor's logarithm.
    """

    changes_single_epochs = True

    def __init__(self, spread: float = 0.1):
        self.spread = spread

    def __call__(self, epochs: Tensor, is_target: Tensor) -> Tensor:
        """Scale epochs (batch, n_chans, n_times), all channels of one by the same factor."""
        factor = torch.exp(self.spread * torch.randn(len(epochs), 1, 1))
        return epochs * factor.to(epochs.device)


class GaussianNoise:
    """White noise, added to each epoch.

    Parameters
    ----------
    spread : float
        Standard deviation of the noise, as a fraction of that of the batch.
    """

    changes_single_epochs = True

    def __init__(self, spread: float = 0.1):
        self.spread = spread

    def __call__(self, epochs: Tensor, is_target: Tensor) -> Tensor:
        """Add noise to epochs (batch, n_chans, n_times)."""
        return epochs + self.spread * epochs.std() * torch.randn_like(epochs)


class ChannelDropout:
    """Random channels of each epoch set to zero, like an electrode that loses contact.

    Parameters
    ----------
    probability : float
        Probability for each channel; the other channels are scaled up, so that sums over channels
        keep their size on average.
    """

    changes_single_epochs = True

    def __init__(self, probability: float = 0.1):
        self.probability = probability

    def __call__(self, epochs: Tensor, is_target: Tensor) -> Tensor:
        """Set channels of epochs (batch, n_chans, n_times) to zero."""
        n, n_chans, _ = epochs.shape
        kept = (torch.rand(n, n_chans, 1) >= self.probability).to(epochs)
        return epochs * kept / (1 - self.probability)


class Mixup:
    """Random mixture of each epoch with another epoch of its class.

    Parameters
    ----------
    alpha : float
        The weight of the epoch itself is drawn from Beta(alpha, alpha).

    Notes
    -----
    H. Zhang et al., "mixup: Beyond empirical risk minimization", arXiv 1710.09412; here within a
    class, so that labels do not change.
    """

    def __init__(self, alpha: float = 0.4):
        self.alpha = alpha

    def __call__(self, epochs: Tensor, is_target: Tensor) -> Tensor:
        """Mix epochs (batch, n_chans, n_times) of one class pairwise."""
        weight = torch.distributions.Beta(self.alpha, self.alpha).sample((len(epochs), 1, 1))
        weight = weight.to(epochs)
        return weight * epochs + (1 - weight) * epochs[partners(is_target)]


class AverageFlashes:
    """Mean of each epoch and others of its class, which has a higher signal-to-noise ratio.

    Parameters
    ----------
    n_flashes : int
        Number of epochs that are averaged, the epoch itself included.
    probability : float
        Probability that an epoch is averaged; the others stay single flashes.
    """

    def __init__(self, n_flashes: int = 2, probability: float = 0.5):
        self.n_flashes, self.probability = n_flashes, probability

    def __call__(self, epochs: Tensor, is_target: Tensor) -> Tensor:
        """Average epochs (batch, n_chans, n_times) within their class."""
        total = epochs + sum(epochs[partners(is_target)] for _ in range(self.n_flashes - 1))
        chosen = torch.rand(len(epochs), 1, 1).to(epochs.device) < self.probability
        return torch.where(chosen, total / self.n_flashes, epochs)


def partners(is_target: Tensor) -> Tensor:
    """Draw for each flash a random one of its class, perhaps itself: indices, shape (batch,)."""
    drawn = torch.empty(len(is_target), dtype=torch.long, device=is_target.device)
    for label in (False, True):
        rows = torch.nonzero(is_target.bool() == label)[:, 0]
        drawn[rows] = rows[torch.randperm(len(rows)).to(rows.device)]
    return drawn
