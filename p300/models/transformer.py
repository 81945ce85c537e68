"""A small Transformer encoder whose tokens are 50 ms of EEG.

A. Vaswani et al., "Attention is all you need", 2017, arXiv 1706.03762; patches as tokens: A.
Dosovitskiy et al., "An image is worth 16x16 words", 2020, arXiv 2010.11929; normalisation
before each block: R. Xiong et al., 2020, arXiv 2002.04745.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TransformerEncoder(nn.Module):
    """Patches of 50 ms over all electrodes, one block of self-attention, all tokens classified.

    Its size is for some thousand flashes of one person: 9,058 parameters for 64 channels and 78
    samples at 120 Hz, which are 13 patches of 6 samples. Samples after the last whole patch are
    not used. Patches are normalised over the batch. Every token has weights of its own in the last
    layer, because the mean over tokens would lose the latency of the P300.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch.
    sfreq : float
        Sampling rate in Hz; with ``patch_s`` it sets the samples per patch.
    d_model, n_heads, n_layers, d_feedforward : int
        Width of a token, attention heads, blocks, hidden units in a block.
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
        n_tokens = n_times // patch
        self.patches = nn.Sequential(
            nn.Conv1d(n_chans, d_model, patch, stride=patch, bias=False),
            nn.BatchNorm1d(d_model),
            nn.Dropout(drop_prob),
        )
        self.position = nn.Parameter(0.02 * torch.randn(n_tokens, d_model))
        block = nn.TransformerEncoderLayer(
            d_model, n_heads, d_feedforward, drop_prob, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(
            block, n_layers, norm=nn.LayerNorm(d_model), enable_nested_tensor=False
        )
        self.drop = nn.Dropout(drop_prob)
        self.final_layer = nn.Linear(n_tokens * d_model, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (batch, n_outputs), of epochs (batch, n_chans, n_times)."""
        x = self.patches(x)  # (batch, d_model, n_tokens)
        x = x.transpose(1, 2) + self.position  # (batch, n_tokens, d_model)
        x = self.encoder(x)  # (batch, n_tokens, d_model)
        x = self.drop(x).flatten(1)  # (batch, n_tokens * d_model)
        return self.final_layer(x)  # (batch, n_outputs)
