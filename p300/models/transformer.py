"""A small Transformer encoder whose words are 50 ms of EEG.

A. Vaswani et al., "Attention is all you need", 2017, arXiv 1706.03762; patches as words: A.
Dosovitskiy et al., "An image is worth 16x16 words", 2020, arXiv 2010.11929; normalisation
before each block: R. Xiong et al., 2020, arXiv 2002.04745.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TransformerEncoder(nn.Module):
    """Patches of 50 ms over all electrodes, one block of self-attention, all words classified.

    Sized for some thousand flashes of one person: 9,058 parameters for 64 channels and 78
    samples at 120 Hz, which are 13 patches of 6 samples; samples after the last whole patch are
    not read. Patches are normalised over the batch, and every word keeps weights of its own in
    the last layer: the mean over words forgets when the P300 came.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch.
    sfreq : float
        Sampling rate in Hz; with ``patch_s`` it sets how many samples make a patch.
    d_model, n_heads, n_layers, d_feedforward : int
        Width of a patch's vector, heads of attention, blocks, hidden units in a block.
    patch_s : float
        Length of a patch in seconds.
    drop_prob : float
        Before, in and after the blocks.

    Examples
    --------
    >>> TransformerEncoder(64, 2, 78, 120.0)(torch.zeros(5, 64, 78)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        n_chans: int,
        n_outputs: int,
        n_times: int,
        sfreq: float,
        *,
        d_model: int = 16,
        n_heads: int = 4,
        n_layers: int = 1,
        d_feedforward: int = 32,
        patch_s: float = 0.05,
        drop_prob: float = 0.25,
    ):
        super().__init__()
        patch = min(max(1, round(patch_s * sfreq)), n_times)
        n_words = n_times // patch
        self.patches = nn.Sequential(
            nn.Conv1d(n_chans, d_model, patch, stride=patch, bias=False),
            nn.BatchNorm1d(d_model),
            nn.Dropout(drop_prob),
        )
        self.position = nn.Parameter(0.02 * torch.randn(n_words, d_model))
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(
                d_model,
                n_heads,
                d_feedforward,
                drop_prob,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            ),
            n_layers,
            norm=nn.LayerNorm(d_model),
            enable_nested_tensor=False,
        )
        self.drop = nn.Dropout(drop_prob)
        self.final_layer = nn.Linear(n_words * d_model, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (batch, n_outputs), of epochs (batch, n_chans, n_times)."""
        x = self.patches(x)  # (batch, d_model, n_words)
        x = x.transpose(1, 2) + self.position  # (batch, n_words, d_model)
        x = self.encoder(x)  # (batch, n_words, d_model)
        x = self.drop(x).flatten(1)  # (batch, n_words * d_model)
        return self.final_layer(x)  # (batch, n_outputs)
