"""EEG-Conformer: convolutions compute the tokens, self-attention combines them.

Y. Song, Q. Zheng, B. Liu, X. Gao, "EEG Conformer: convolutional transformer for EEG decoding and
visualization", IEEE Trans. Neural Syst. Rehabil. Eng. 31:710-719, 2023, doi
10.1109/TNSRE.2022.3230250.
"""

from __future__ import annotations

from torch import Tensor, nn

from p300.models import _fast


class Conformer(nn.Module):
    """Filters in time and space, means of 100 ms, two blocks of self-attention, one layer.

    The paper uses 4 s at 250 Hz with 40 filters, means of 75 samples every 15 samples, six blocks
    with ten heads and full layers of 256 and 32 units. These are 0.8 million parameters, and
    filters and means together are longer than 78 samples. Here filters keep their 100 ms. Means
    are 100 ms long every 50 ms, which are 10 tokens from 78 samples at 120 Hz. Width, depth and
    the last layers are smaller, as the data are. No weight is bounded, so AdamW with weight decay
    is a good optimizer.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch.
    sfreq : float
        Sampling rate in Hz; sets kernel, pool and stride in samples.
    n_filters : int
        Filters in time, filters in space, and width of a token.
    n_heads, n_layers : int
        Attention heads; blocks.
    kernel_s, pool_s, stride_s : float
        Length of a temporal filter, length of a mean, and distance of the means, in seconds.
    drop_prob : float
        After the means, in the blocks and before the last layer.

    Examples
    --------
    >>> import torch
    >>> Conformer(64, 2, 78, 120.0)(torch.zeros(5, 64, 78)).shape
    torch.Size([5, 2])
    """

    engine = "fast"  # or "textbook"

    def __init__(
        self,
        n_chans: int,
        n_outputs: int,
        n_times: int,
        sfreq: float,
        *,
        n_filters: int = 16,
        n_heads: int = 4,
        n_layers: int = 2,
        kernel_s: float = 0.1,
        pool_s: float = 0.1,
        stride_s: float = 0.05,
        drop_prob: float = 0.25,
    ):
        super().__init__()
        kernel = min(max(1, round(kernel_s * sfreq)), n_times)
        pool = min(max(1, round(pool_s * sfreq)), n_times - kernel + 1)
        stride = max(1, round(stride_s * sfreq))
        n_tokens = (n_times - kernel + 1 - pool) // stride + 1
        self.temporal = nn.Conv2d(1, n_filters, (1, kernel))
        self.spatial = nn.Conv2d(n_filters, n_filters, (n_chans, 1))
        self.words = nn.Sequential(  # the tokens
            nn.BatchNorm1d(n_filters),
            nn.ELU(),
            nn.AvgPool1d(pool, stride),
            nn.Dropout(drop_prob),
            nn.Conv1d(n_filters, n_filters, 1),
        )
        sizes = n_filters, n_heads, 4 * n_filters
        block = nn.TransformerEncoderLayer(
            *sizes, drop_prob, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(
            block, n_layers, norm=nn.LayerNorm(n_filters), enable_nested_tensor=False
        )
        self.drop = nn.Dropout(drop_prob)
        self.final_layer = nn.Linear(n_filters * n_tokens, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (batch, n_outputs), of epochs (batch, n_chans, n_times)."""
        if self.engine == "textbook":
            x = self.spatial(self.temporal(x.unsqueeze(1))).squeeze(2)  # (batch, n_filters, …)
        else:
            x = _fast.time_and_space(self.temporal, self.spatial, x)  # the same
        x = self.words(x)  # (batch, n_filters, n_tokens)
        x = self.encoder(x.transpose(1, 2))  # (batch, n_tokens, n_filters)
        x = self.drop(x.flatten(1))  # (batch, n_tokens * n_filters)
        return self.final_layer(x)  # (batch, n_outputs)

    def temporal_kernels(self) -> Tensor:
        """Return the weights of each temporal filter: shape (n_filters, kernel)."""
        return self.temporal.weight.detach()[:, 0, 0]
