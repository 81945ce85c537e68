"""A generator of epochs, learned against a critic (Wasserstein GAN), as an augmentation.

I. Goodfellow et al., "Generative adversarial nets", 2014, arXiv 1406.2661; with a gradient
penalty: I. Gulrajani et al., "Improved training of Wasserstein GANs", 2017, arXiv 1704.00028; for
EEG: K. G. Hartmann, R. T. Schirrmeister, T. Ball, "EEG-GAN", 2018, arXiv 1806.01875.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from p300.errors import InputError

#: A critic: epochs (n, n_chans, n_times) and labels (n,) to numbers (n,).
Critic = Callable[[Tensor, Tensor], Tensor]

#: Factor of the gradient penalty in the critic's loss, as in its paper.
PENALTY = 10.0

#: Steps of the critic for each step of the generator.
N_CRITIC_STEPS = 3

#: Flashes in a step, half of them targets.
BATCH_SIZE = 64

#: Most passes of the critic over the training flashes: a small recording is not learned by heart.
N_PASSES = 80


class EpochGenerator(nn.Module):
    """Epochs of a class from random numbers: time courses, each with a pattern on the scalp.

    Time courses are filtered noise plus a response, which differs between the classes, and are
    then bent by a small network. Their number is the rank of all epochs, so 64 electrodes need
    few weights.

    Parameters
    ----------
    n_chans, n_times : int
        Electrodes, samples of an epoch.
    n_courses : int
        Time courses; at most the number of electrodes.

    Examples
    --------
    >>> generator = EpochGenerator(8, 78)
    >>> generator(torch.tensor([True, False, False])).shape
    torch.Size([3, 8, 78])
    """

    def __init__(self, n_chans: int, n_times: int, n_courses: int = 16):
        super().__init__()
        n_courses = min(n_courses, n_chans)
        self.noise = nn.Linear(n_times, n_times)
        self.response = nn.Parameter(torch.zeros(2, n_courses, n_times))
        self.bend = nn.Linear(n_courses, n_courses)
        self.scalp = nn.Linear(n_courses, n_chans)

    def forward(self, is_target: Tensor) -> Tensor:
        """Draw an epoch for each label (n,): shape (n, n_chans, n_times)."""
        x = torch.randn(len(is_target), *self.response.shape[1:]).to(self.response)
        x = self.noise(x)  # (n, n_courses, n_times)
        x = x + self.response[is_target.long()]  # (n, n_courses, n_times)
        x = x.mT  # (n, n_times, n_courses)
        x = x + self.bend(F.leaky_relu(x, 0.2))  # (n, n_times, n_courses)
        return self.scalp(x).mT  # (n, n_chans, n_times)


class EpochCritic(nn.Module):
    """Numbers that are large for real epochs of a class, and small for generated ones.

    Parameters
    ----------
    n_chans, n_times : int
        Electrodes, samples of an epoch.

    Examples
    --------
    >>> critic = EpochCritic(8, 78)
    >>> critic(torch.zeros(3, 8, 78), torch.tensor([True, False, False])).shape
    torch.Size([3])
    """

    def __init__(self, n_chans: int, n_times: int):
        super().__init__()
        self.n_samples = min(3, n_times)  # of a patch: 25 ms at 120 Hz
        self.n_patches = n_times // self.n_samples
        self.scalp = nn.Linear(n_chans, 16)
        self.patch = nn.Linear(16 * self.n_samples, 16)
        self.hidden = nn.Linear(16 * self.n_patches, 24)
        self.final_layer = nn.Linear(24, 2)

    def forward(self, epochs: Tensor, is_target: Tensor) -> Tensor:
        """Judge epochs (n, n_chans, n_times), each as one of its class: shape (n,)."""
        x = epochs[..., : self.n_patches * self.n_samples].mT  # (n, n_times, n_chans)
        x = self.scalp(x)  # (n, n_times, 16)
        x = x.reshape(len(x), self.n_patches, -1)  # (n, n_patches, 16 * n_samples)
        x = F.leaky_relu(self.patch(x), 0.2)  # (n, n_patches, 16)
        x = F.leaky_relu(self.hidden(x.flatten(1)), 0.2)  # (n, 24)
        x = self.final_layer(x)  # (n, 2): as a nontarget, as a target
        return x.gather(1, is_target.long()[:, None])[:, 0]


class GeneratedTargets:
    """Replace some targets of a batch by generated ones; nontargets and all labels stay.

    :meth:`fit` learns the generator from the training flashes and their labels. Before it, no
    epoch is changed.

    Parameters
    ----------
    probability : float
        Probability that a target is replaced.
    n_steps : int
        Steps in which the generator learns, fewer for few flashes (:data:`N_PASSES`).
    lr : float
        Learning rate of generator and critic.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> epochs, is_target = torch.randn(60, 4, 78), torch.arange(60) % 6 == 0
    >>> augment = GeneratedTargets(probability=1.0, n_steps=2)
    >>> sorted(augment.fit(epochs, is_target))
    ['generated_copies', 'generated_distance']
    >>> (augment(epochs, is_target) != epochs).any(2).any(1).equal(is_target)
    True
    """

    generator: EpochGenerator | None = None

    def __init__(self, probability: float = 0.5, n_steps: int = 400, lr: float = 2e-3):
        self.probability, self.n_steps, self.lr = probability, n_steps, lr

    def fit(self, epochs: Tensor, is_target: Tensor) -> dict[str, float]:
        """Learn the generator from training epochs (n_flashes, n_chans, n_times) and labels.

        Returns
        -------
        dict of str to float
            ``generated_distance``: the critic's mean of real epochs minus that of generated
            ones. ``generated_copies``: :func:`share_of_copies` among targets.

        Raises
        ------
        InputError
            If there are fewer than two flashes of a class.
        """
        is_target = is_target.bool()
        n_targets = int(is_target.sum())
        if min(n_targets, len(epochs) - n_targets) < 2:
            raise InputError(
                f"GeneratedTargets: got {n_targets} targets among {len(epochs)} training flashes; "
                "expected two flashes of each class or more; train with augmentation=none"
            )
        self.scale = epochs.std(dim=(0, 2), keepdim=True).clamp(min=1e-12)  # (1, n_chans, 1)
        scaled = epochs / self.scale
        self.generator = EpochGenerator(*epochs.shape[1:]).to(epochs.device)
        critic = EpochCritic(*epochs.shape[1:]).to(epochs.device)
        n_steps = min(self.n_steps, N_PASSES * len(epochs) // (N_CRITIC_STEPS * BATCH_SIZE) + 1)
        distance = learn(self.generator, critic, scaled, is_target, n_steps, self.lr)
        real = epochs[is_target]
        copies = share_of_copies(self.generate(is_target[is_target]), real)
        return {"generated_distance": distance, "generated_copies": copies}

    @torch.no_grad()
    def generate(self, is_target: Tensor) -> Tensor:
        """Draw an epoch for each label (n,), in the unit of those fitted to."""
        assert self.generator is not None
        generator = self.generator.to(is_target.device)
        return generator(is_target) * self.scale.to(is_target.device)

    def __call__(self, epochs: Tensor, is_target: Tensor) -> Tensor:
        """Replace targets among epochs (batch, n_chans, n_times)."""
        if self.generator is None:
            return epochs
        replaced = is_target.bool() & (torch.rand(len(epochs)) < self.probability).to(
            epochs.device
        )
        changed = epochs.clone()
        changed[replaced] = self.generate(is_target[replaced].bool()).to(epochs.dtype)
        return changed


def learn(
    generator: EpochGenerator,
    critic: EpochCritic,
    epochs: Tensor,
    is_target: Tensor,
    n_steps: int,
    lr: float,
) -> float:
    """Let a generator and its critic learn in turns; both classes are equally frequent.

    Returns
    -------
    float
        Mean of the last tenth of steps: the critic's number of real epochs minus that of
        generated ones.
    """
    classes = [torch.nonzero(is_target == label)[:, 0] for label in (False, True)]
    labels = torch.arange(BATCH_SIZE, device=epochs.device) % 2 == 1
    optimizers = [
        torch.optim.Adam(part.parameters(), lr=lr, betas=(0.5, 0.9))
        for part in (generator, critic)
    ]
    gaps = []
    for _ in range(n_steps):
        for _ in range(N_CRITIC_STEPS):
            drawn = [rows[torch.randint(len(rows), (BATCH_SIZE // 2,))] for rows in classes]
            real = epochs[torch.stack(drawn, 1).flatten()]  # in the order of the labels
            with torch.no_grad():
                made = generator(labels)
            gap = (critic(real, labels) - critic(made, labels)).mean()
            penalty = gradient_penalty(critic, real, made, labels)
            step(optimizers[1], PENALTY * penalty - gap)
        step(optimizers[0], -critic(generator(labels), labels).mean())
        gaps.append(gap.item())
    last = gaps[-max(1, n_steps // 10) :]
    return sum(last) / len(last)


def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Change the weights of one optimizer so that a loss falls."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def gradient_penalty(critic: Critic, real: Tensor, made: Tensor, is_target: Tensor) -> Tensor:
    """Compute how far the critic's slope is from 1 between real and generated epochs.

    Parameters
    ----------
    critic : callable
    real, made : Tensor, shape (n, n_chans, n_times)
        Epochs of the same classes.
    is_target : Tensor of bool, shape (n,)

    Returns
    -------
    Tensor
        Mean of (|slope| - 1)² at random points on the lines between the pairs.

    Examples
    --------
    >>> flat = lambda epochs, is_target: 0 * epochs.sum((1, 2))
    >>> gradient_penalty(flat, torch.ones(3, 2, 4), torch.zeros(3, 2, 4), torch.ones(3)).item()
    1.0
    """
    share = torch.rand(len(real), 1, 1).to(real)
    between = (share * real + (1 - share) * made).requires_grad_()
    judged = critic(between, is_target).sum()
    (slope,) = torch.autograd.grad(judged, between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()


def share_of_copies(generated: Tensor, real: Tensor) -> float:
    """Compute which share of generated epochs is closer to a real one than real ones usually are.

    Parameters
    ----------
    generated, real : Tensor, shape (n, n_chans, n_times)
        Epochs of one class; the real ones are those that the generator learned from.

    Returns
    -------
    float
        Share whose nearest real epoch is closer than the median distance of a real epoch to its
        nearest other one: 1 for copies, about 0.5 for new real epochs.

    Examples
    --------
    >>> real = torch.arange(5.0).reshape(5, 1, 1)
    >>> share_of_copies(real, real), share_of_copies(real + 10, real)
    (1.0, 0.0)
    """
    real = real.flatten(1)
    among = torch.cdist(real, real).fill_diagonal_(torch.inf).amin(1)
    nearest = torch.cdist(generated.flatten(1), real).amin(1)
    return (nearest < among.median()).float().mean().item()
