"""A network whose layers first learn as restricted Boltzmann machines: a deep belief network.

G. E. Hinton, S. Osindero, Y.-W. Teh, "A fast learning algorithm for deep belief nets", Neural
Computation 18:1527-1554, 2006, doi 10.1162/neco.2006.18.7.1527.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from p300.models.rbm import RestrictedBoltzmannMachine


class DeepBeliefNet(nn.Module):
    """Means of 50 ms from every electrode, two layers of sigmoid units, pre-trained one by one.

    Its layers are those of :class:`~p300.models.StackedAutoencoder`. Without labels each learns as
    a restricted Boltzmann machine (:class:`~p300.models.rbm.RestrictedBoltzmannMachine`): the
    first has real numbers as inputs, the next the probabilities of the units before. Then the
    whole network is trained with labels as any other.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch.
    sfreq : float
        Sampling rate in Hz; with ``bin_s`` it sets the samples per mean.
    hidden_sizes : sequence of int
        Units of each hidden layer.
    bin_s : float
        Seconds averaged into one input.
    drop_prob : float
        After each hidden layer, in the training with labels.
    n_unlabelled_epochs : int
        Training epochs of each layer without labels; 0: the layers keep their random weights.
    gaussian_lr, bernoulli_lr : float
        Learning rate of the first machine, and of the others.

    Examples
    --------
    >>> network = DeepBeliefNet(8, 2, 78, 120.0, n_unlabelled_epochs=1)
    >>> epochs = torch.zeros(5, 8, 78)
    >>> sorted(network.learn_unlabelled(epochs))
    ['unlabelled/error_1', 'unlabelled/error_2']
    >>> network(epochs).shape
    torch.Size([5, 2])
    """

    trains_side_by_side = True

    def __init__(
        self,
        n_chans: int,
        n_outputs: int,
        n_times: int,
        sfreq: float,
        *,
        hidden_sizes: Sequence[int] = (64, 32),
        bin_s: float = 0.05,
        drop_prob: float = 0.25,
        n_unlabelled_epochs: int = 30,
        gaussian_lr: float = 1e-3,
        bernoulli_lr: float = 1e-2,
    ):
        super().__init__()
        self.n_unlabelled_epochs = n_unlabelled_epochs
        self.gaussian_lr, self.bernoulli_lr = gaussian_lr, bernoulli_lr
        n_samples_per_bin = min(max(1, round(bin_s * sfreq)), n_times)
        self.bins = nn.Sequential(nn.AvgPool1d(n_samples_per_bin), nn.BatchNorm1d(n_chans))
        layers: list[nn.Module] = []
        n_inputs = n_chans * (n_times // n_samples_per_bin)
        for size in hidden_sizes:
            layers += [nn.Linear(n_inputs, size), nn.Sigmoid(), nn.Dropout(drop_prob)]
            n_inputs = size
        self.hidden = nn.Sequential(*layers)
        self.final_layer = nn.Linear(n_inputs, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (batch, n_outputs), of epochs (batch, n_chans, n_times)."""
        x = self.bins(x)  # (batch, n_chans, n_bins)
        x = x.flatten(1)  # (batch, n_chans * n_bins)
        x = self.hidden(x)  # (batch, hidden_sizes[-1])
        return self.final_layer(x)  # (batch, n_outputs)

    @torch.no_grad()
    def learn_unlabelled(self, epochs: Tensor) -> dict[str, float]:
        """Let each layer learn the distribution of its inputs.

        Parameters
        ----------
        epochs : Tensor, shape (n_flashes, n_chans, n_times)
            Training epochs.

        Returns
        -------
        dict of str to float
            Squared error of each layer's reconstruction as a fraction of the inputs' variance.
        """
        if not self.n_unlabelled_epochs:
            return {}
        errors = {}
        x = self.bins(epochs).flatten(1)
        linear = [layer for layer in self.hidden if isinstance(layer, nn.Linear)]
        for number, layer in enumerate(linear, 1):
            first = number == 1
            machine = RestrictedBoltzmannMachine(layer, gaussian=first)
            errors[f"unlabelled/error_{number}"] = machine.learn(
                x,
                n_epochs=self.n_unlabelled_epochs,
                lr=self.gaussian_lr if first else self.bernoulli_lr,
            )
            x = layer(x).sigmoid()
        return errors
