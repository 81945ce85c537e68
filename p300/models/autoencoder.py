"""A network whose layers first learn to reconstruct the epochs: a stacked denoising autoencoder.

G. E. Hinton, R. R. Salakhutdinov, "Reducing the dimensionality of data with neural networks",
Science 313:504-507, 2006, doi 10.1126/science.1127647; inputs set to zero: P. Vincent et al.,
"Stacked denoising autoencoders", Journal of Machine Learning Research 11:3371-3408, 2010; for the
P300: L. Vareka, P. Mautner, "Stacked autoencoders for the P300 component detection", Frontiers in
Neuroscience 11:302, 2017, doi 10.3389/fnins.2017.00302.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class StackedAutoencoder(nn.Module):
    """Means of 50 ms from every electrode, two layers of sigmoid units, pre-trained one by one.

    Each layer first learns without labels (:func:`learn_to_reconstruct`), the first from the
    epochs, the next from the units of the one before. Then the whole network is trained with
    labels as any other. Inputs are normalised over the batch, as in
    :class:`~p300.models.MLP`.

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
    zeroed, sparsity, sparsity_weight : float
        Of :func:`learn_to_reconstruct`.

    Examples
    --------
    >>> network = StackedAutoencoder(8, 2, 78, 120.0, n_unlabelled_epochs=1)
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
        zeroed: float = 0.25,
        sparsity: float = 0.2,
        sparsity_weight: float = 1.0,
    ):
        super().__init__()
        self.n_unlabelled_epochs = n_unlabelled_epochs
        self.zeroed, self.sparsity, self.sparsity_weight = zeroed, sparsity, sparsity_weight
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

    def learn_unlabelled(self, epochs: Tensor) -> dict[str, float]:
        """Let each layer learn to reconstruct its inputs; return what is left of their variance.

        Parameters
        ----------
        epochs : Tensor, shape (n_flashes, n_chans, n_times)
            Training epochs.
        """
        if not self.n_unlabelled_epochs:
            return {}
        errors = {}
        with torch.no_grad():
            x = self.bins(epochs).flatten(1)
        linear = [layer for layer in self.hidden if isinstance(layer, nn.Linear)]
        for number, layer in enumerate(linear, 1):
            errors[f"unlabelled/error_{number}"] = learn_to_reconstruct(
                nn.Sequential(layer, nn.Sigmoid()),
                x,
                n_epochs=self.n_unlabelled_epochs,
                zeroed=self.zeroed,
                sparsity=self.sparsity,
                sparsity_weight=self.sparsity_weight,
            )
            with torch.no_grad():
                x = layer(x).sigmoid()
        return errors


def learn_to_reconstruct(
    encoder: nn.Module,
    inputs: Tensor,
    *,
    n_epochs: int,
    zeroed: float = 0.0,
    sparsity: float = 0.2,
    sparsity_weight: float = 0.0,
    lr: float = 1e-3,
    batch_size: int = 64,
) -> float:
    """Train an encoder and a linear decoder to reconstruct inputs of which some are set to zero.

    The decoder is thrown away afterwards. The loss of a batch is the squared error, summed over
    inputs, plus ``sparsity_weight`` times the Kullback-Leibler divergence of each unit's mean
    activation from ``sparsity``, summed over units.

    Parameters
    ----------
    encoder : Module
        Computes units (batch, n_units) from inputs (batch, n_inputs); changed in place.
    inputs : Tensor, shape (n_flashes, n_inputs)
        What is to be reconstructed.
    n_epochs, batch_size : int
        Training epochs, and flashes per step.
    zeroed : float
        Probability with which the encoder sees a zero instead of an input.
    sparsity : float
        Wanted mean activation of a unit, in (0, 1).
    sparsity_weight : float
        0: any activation is as good; units may then be other than sigmoid.
    lr : float
        Learning rate of Adam.

    Returns
    -------
    float
        Squared error of the reconstruction of all inputs, none set to zero, as a fraction of their
        variance. 1 is as bad as their mean.
    """
    decoder = nn.Linear(encoder(inputs[:1]).shape[1], inputs.shape[1])
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=lr)
    for _ in range(n_epochs):
        for rows in torch.randperm(len(inputs)).split(batch_size):
            x = inputs[rows]
            units = encoder(x * (torch.rand_like(x) >= zeroed))
            loss = (decoder(units) - x).square().sum(1).mean()
            if sparsity_weight:
                loss = loss + sparsity_weight * divergence(units.mean(0), sparsity).sum()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    with torch.no_grad():
        left = (decoder(encoder(inputs)) - inputs).square().mean()
        return (left / inputs.var(0, correction=0).mean().clamp(min=1e-12)).item()


def divergence(activation: Tensor, wanted: float) -> Tensor:
    """Compute the Kullback-Leibler divergence of units that are on so often from the wanted.

    Examples
    --------
    >>> divergence(torch.tensor([0.2, 0.5]), 0.2)
    tensor([0.0000, 0.1927])
    """
    activation = activation.clamp(1e-6, 1 - 1e-6)
    on = wanted * (wanted / activation).log()
    return on + (1 - wanted) * ((1 - wanted) / (1 - activation)).log()
