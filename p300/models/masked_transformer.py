"""A Transformer encoder that first learns to reconstruct masked parts of the epochs.

Masked tokens: J. Devlin et al., "BERT", 2018, arXiv 1810.04805; of patches: K. He et al., "Masked
autoencoders are scalable vision learners", 2021, arXiv 2111.06377; of EEG: H.-Y. S. Chien et al.,
"MAEEG: masked auto-encoder for EEG representation learning", 2022, arXiv 2211.02625.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from p300.models.transformer import TransformerEncoder


class MaskedTransformer(TransformerEncoder):
    """A :class:`~p300.models.TransformerEncoder` that first learns to predict hidden patches.

    Without labels, some 50 ms patches of each flash are hidden: their tokens are set to zero
    before the positions are added. A linear layer predicts the samples of the hidden patches from
    the tokens that attention computes. It is thrown away afterwards, and the network is trained
    with labels as any other. With ``pretrained=RUN`` it has seen the flashes of that run instead.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch.
    sfreq : float
        Sampling rate in Hz.
    n_unlabelled_epochs : int
        Training epochs without labels; 0: the network is the ``TransformerEncoder`` that has the
        same random weights.
    masked : float
        Share of the patches that are hidden.

    Examples
    --------
    >>> network = MaskedTransformer(8, 2, 78, 120.0, n_unlabelled_epochs=1)
    >>> epochs = torch.zeros(5, 8, 78)
    >>> list(network.learn_unlabelled(epochs))
    ['unlabelled/error']
    >>> network(epochs).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        n_chans: int,
        n_outputs: int,
        n_times: int,
        sfreq: float,
        *,
        n_unlabelled_epochs: int = 60,
        masked: float = 0.5,
    ):
        super().__init__(n_chans, n_outputs, n_times, sfreq)
        self.n_unlabelled_epochs, self.masked = n_unlabelled_epochs, masked

    def learn_unlabelled(self, epochs: Tensor) -> dict[str, float]:
        """Learn to predict hidden patches; return what is left of their variance.

        Parameters
        ----------
        epochs : Tensor, shape (n_flashes, n_chans, n_times)
            Training epochs.

        Returns
        -------
        dict of str to float
            Squared error of the prediction, with other hidden patches than those learned from, as
            a fraction of the variance of the samples. 1 is as bad as their mean.
        """
        if not self.n_unlabelled_epochs:
            return {}
        decoder = nn.Linear(self.position.shape[1], self.patch_samples(epochs[:1]).shape[2])
        optimizer = torch.optim.Adam([*self.parameters(), *decoder.parameters()], lr=5e-3)
        self.eval()  # without dropout: what is hidden is noise enough
        self.patches[1].train()  # the normalisation over the batch
        for _ in range(self.n_unlabelled_epochs):
            for rows in torch.randperm(len(epochs)).split(64):
                self.errors(epochs[rows], decoder).mean().backward()
                optimizer.step()
                optimizer.zero_grad()
        self.eval()
        with torch.no_grad():
            left = torch.cat([self.errors(part, decoder) for part in epochs.split(512)]).mean()
        self.train()
        variance = self.patch_samples(epochs).var(0, correction=0).mean()
        return {"unlabelled/error": (left / variance.clamp(min=1e-12)).item()}

    def errors(self, x: Tensor, decoder: nn.Module) -> Tensor:
        """Hide random patches, and compute the squared errors of the samples predicted for them.

        Parameters
        ----------
        x : Tensor, shape (batch, n_chans, n_times)
            Epochs.
        decoder : Module
            Predicts the samples of a patch, (…, n_chans * n_samples), from a token.

        Returns
        -------
        Tensor, shape (n_hidden, n_chans * n_samples)
        """
        tokens = self.patches(x).transpose(1, 2)  # (batch, n_tokens, d_model)
        n_hidden = max(1, round(self.masked * tokens.shape[1]))
        hidden = torch.rand(tokens.shape[:2]).argsort(1) < n_hidden  # (batch, n_tokens)
        tokens = tokens.masked_fill(hidden[..., None], 0.0) + self.position
        predicted = decoder(self.encoder(tokens)[hidden])
        return (predicted - self.patch_samples(x)[hidden]).square()

    def patch_samples(self, x: Tensor) -> Tensor:
        """Cut epochs into patches, shape (batch, n_tokens, n_chans * n_samples)."""
        convolution: Any = self.patches[0]
        (size,) = convolution.kernel_size
        return x.unfold(2, size, size).transpose(1, 2).flatten(2)
