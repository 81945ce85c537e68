"""A restricted Boltzmann machine, which learns the distribution of its inputs.

G. E. Hinton, "Training products of experts by minimizing contrastive divergence", Neural
Computation 14:1771-1800, 2002, doi 10.1162/089976602760128018. Inputs that are real numbers: G. E.
Hinton, R. R. Salakhutdinov, Science 313:504-507, 2006, doi 10.1126/science.1127647.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RestrictedBoltzmannMachine:
    """Visible and hidden units; the weights between them are those of a linear layer.

    Hidden units are 0 or 1. Visible units are 0 or 1 (Bernoulli), or real numbers of variance 1
    (Gaussian). The probability of visible units v is proportional to ``exp(-free_energy(v))``.

    Parameters
    ----------
    layer : Linear
        From visible to hidden units. It learns in place.
    gaussian : bool
        Whether visible units are real numbers of mean 0 and variance 1 over the training flashes.

    Attributes
    ----------
    visible_bias : Tensor, shape (n_visible,)
        The layer has none of these; zero at first.

    Examples
    --------
    >>> machine = RestrictedBoltzmannMachine(nn.Linear(6, 3), gaussian=False)
    >>> machine.hidden_probability(torch.zeros(5, 6)).shape
    torch.Size([5, 3])
    """

    def __init__(self, layer: nn.Linear, *, gaussian: bool):
        self.gaussian = gaussian
        self.weight, self.hidden_bias = layer.weight.data, layer.bias.data
        self.visible_bias = torch.zeros_like(self.weight[0])

    def hidden_probability(self, visible: Tensor) -> Tensor:
        """Compute how probably each hidden unit is 1: (batch, n_visible) to (batch, n_hidden)."""
        return (visible @ self.weight.T + self.hidden_bias).sigmoid()

    def visible_mean(self, hidden: Tensor) -> Tensor:
        """Compute the mean of each visible unit: (batch, n_hidden) to (batch, n_visible)."""
        mean = hidden @ self.weight + self.visible_bias
        return mean if self.gaussian else mean.sigmoid()

    def sample_visible(self, hidden: Tensor) -> Tensor:
        """Draw visible units, (batch, n_visible), given the hidden ones, (batch, n_hidden)."""
        mean = self.visible_mean(hidden)
        return mean + torch.randn_like(mean) if self.gaussian else mean.bernoulli()

    def sample(self, visible: Tensor, n_steps: int) -> Tensor:
        """Draw visible units by steps of Gibbs sampling that start from others."""
        for _ in range(n_steps):
            visible = self.sample_visible(self.hidden_probability(visible).bernoulli())
        return visible

    def free_energy(self, visible: Tensor) -> Tensor:
        """Compute the free energy of visible units: (batch, n_visible) to (batch,)."""
        hidden = nn.functional.softplus(visible @ self.weight.T + self.hidden_bias).sum(1)
        if self.gaussian:
            return 0.5 * (visible - self.visible_bias).square().sum(1) - hidden
        return -visible @ self.visible_bias - hidden

    def learn(
        self,
        inputs: Tensor,
        *,
        n_epochs: int,
        lr: float,
        momentum: float = 0.5,
        batch_size: int = 64,
    ) -> float:
        """Learn the distribution of inputs by contrastive divergence of one step (CD-1).

        A step of Gibbs sampling starts at each input. What is then less probable than before
        becomes more so.

        Parameters
        ----------
        inputs : Tensor, shape (n_flashes, n_visible)
            Visible units; probabilities if the units are Bernoulli.
        n_epochs, batch_size : int
            Training epochs, and flashes per step.
        lr, momentum : float
            Of the steps.

        Returns
        -------
        float
            Squared error of ``visible_mean(hidden_probability(inputs))`` as a fraction of the
            variance of the inputs.
        """
        changed = (self.weight, self.hidden_bias, self.visible_bias)
        velocities = [torch.zeros_like(value) for value in changed]
        for _ in range(n_epochs):
            for rows in torch.randperm(len(inputs)).split(batch_size):
                given = inputs[rows]
                hidden = self.hidden_probability(given)
                drawn = self.sample_visible(hidden.bernoulli())
                after = self.hidden_probability(drawn)
                steps = (
                    (hidden.T @ given - after.T @ drawn) / len(rows),
                    (hidden - after).mean(0),
                    (given - drawn).mean(0),
                )
                for value, velocity, step in zip(changed, velocities, steps, strict=True):
                    value += velocity.mul_(momentum).add_(step, alpha=lr)
        left = (self.visible_mean(self.hidden_probability(inputs)) - inputs).square().mean()
        return (left / inputs.var(0, correction=0).mean().clamp(min=1e-12)).item()
