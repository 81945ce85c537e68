"""Training flashes made more various, batch by batch, on the device they are trained on.

Each augmentation is called with a batch of epochs and their labels and returns new epochs of the
same shape; labels stay. All random numbers are torch's own, so a seeded run repeats itself.
"""

from __future__ import annotations

import torch
from torch import Tensor


class TimeShift:
    """Shift each epoch by up to some seconds, as a P300's latency varies from flash to flash.

    Parameters
    ----------
    max_s : float
        Largest shift, either way; the end samples are repeated into the gap.
    sfreq : float
        Rate of the epochs in Hz.
    """

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
    """Multiply each epoch by a random factor around 1.

    Parameters
    ----------
    spread : float
        Standard deviation of the factor's logarithm.
    """

    def __init__(self, spread: float = 0.1):
        self.spread = spread

    def __call__(self, epochs: Tensor, is_target: Tensor) -> Tensor:
        """Scale epochs (batch, n_chans, n_times), all channels of one by the same factor."""
        factor = torch.exp(self.spread * torch.randn(len(epochs), 1, 1))
        return epochs * factor.to(epochs.device)


class GaussianNoise:
    """Add white noise.

    Parameters
    ----------
    spread : float
        Standard deviation, as a share of the batch's own.
    """

    def __init__(self, spread: float = 0.1):
        self.spread = spread

    def __call__(self, epochs: Tensor, is_target: Tensor) -> Tensor:
        """Add noise to epochs (batch, n_chans, n_times)."""
        return epochs + self.spread * epochs.std() * torch.randn_like(epochs)


class ChannelDropout:
    """Silence random channels of each epoch, as an electrode that loses contact.

    Parameters
    ----------
    probability : float
        Of each channel; the others are scaled up so that sums over channels keep their size.
    """

    def __init__(self, probability: float = 0.1):
        self.probability = probability

    def __call__(self, epochs: Tensor, is_target: Tensor) -> Tensor:
        """Silence channels of epochs (batch, n_chans, n_times)."""
        n, n_chans, _ = epochs.shape
        kept = (torch.rand(n, n_chans, 1) >= self.probability).to(epochs)
        return epochs * kept / (1 - self.probability)


class Mixup:
    """Mix each epoch with another of its class.

    Parameters
    ----------
    alpha : float
        The share of the epoch itself is drawn from Beta(alpha, alpha).

    Notes
    -----
    H. Zhang et al., "mixup: Beyond empirical risk minimization", arXiv 1710.09412, kept within a
    class so that labels stay what they are.
    """

    def __init__(self, alpha: float = 0.4):
        self.alpha = alpha

    def __call__(self, epochs: Tensor, is_target: Tensor) -> Tensor:
        """Mix epochs (batch, n_chans, n_times) of one class pairwise."""
        share = torch.distributions.Beta(self.alpha, self.alpha).sample((len(epochs), 1, 1))
        share = share.to(epochs)
        return share * epochs + (1 - share) * epochs[partners(is_target)]


class AverageFlashes:
    """Average each epoch with others of its class, which raises the signal-to-noise ratio.

    Parameters
    ----------
    n_flashes : int
        Epochs that make one, itself included.
    probability : float
        Of each epoch to be averaged at all, so that single flashes are still seen.
    """

    def __init__(self, n_flashes: int = 2, probability: float = 0.5):
        self.n_flashes, self.probability = n_flashes, probability

    def __call__(self, epochs: Tensor, is_target: Tensor) -> Tensor:
        """Average epochs (batch, n_chans, n_times) within their class."""
        total = epochs + sum(epochs[partners(is_target)] for _ in range(self.n_flashes - 1))
        chosen = torch.rand(len(epochs), 1, 1).to(epochs.device) < self.probability
        return torch.where(chosen, total / self.n_flashes, epochs)


def partners(is_target: Tensor) -> Tensor:
    """Draw for each flash another of its class at random; it may be itself: (batch,) indices."""
    drawn = torch.empty(len(is_target), dtype=torch.long, device=is_target.device)
    for label in (False, True):
        rows = torch.nonzero(is_target.bool() == label)[:, 0]
        drawn[rows] = rows[torch.randperm(len(rows)).to(rows.device)]
    return drawn
