"""BN3: Cecotti's two convolutions with batch normalisation, ReLU and dropout.

M. Liu, W. Wu, Z. Gu, Z. Yu, F. Qi, Y. Li, "Deep learning based on batch normalization for P300
signal detection", Neurocomputing 275:288-297, 2018, doi 10.1016/j.neucom.2017.08.039. The sizes
are those of the re-implementation by M. Alvarado-Gonzalez et al., 2021, arXiv 1909.06970.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional


class BN3(nn.Module):
    """Normalised input, 16 spatial filters, 16 maps over pieces of time, 128 and 128 units.

    The paper's pieces are 20 samples at 240 Hz. They keep this duration of a twelfth of a second,
    10 samples at 120 Hz. Zeros fill the last piece, so that 78 samples make 8 pieces and none is
    lost. We know of no published count of parameters.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch.
    sfreq : float
        Sampling rate in Hz; with ``piece_s`` it sets the length of a piece.
    n_filters : int
        Spatial filters, and maps in time.
    n_units : int
        Of each of the two full layers.
    piece_s : float
        Length of a piece in seconds.
    drop_prob : float
        After each full layer.

    Examples
    --------
    >>> import torch
    >>> BN3(64, 2, 78, 120.0)(torch.zeros(5, 64, 78)).shape
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
        n_filters: int = 16,
        n_units: int = 128,
        piece_s: float = 1 / 12,
        drop_prob: float = 0.8,
    ):
        super().__init__()
        piece = max(1, round(piece_s * sfreq))
        n_pieces = math.ceil(n_times / piece)
        self.n_zeros = n_pieces * piece - n_times
        self.input_norm = nn.BatchNorm1d(n_chans)
        self.spatial = nn.Conv1d(n_chans, n_filters, 1)
        self.temporal = nn.Sequential(
            nn.Conv1d(n_filters, n_filters, piece, stride=piece),
            nn.BatchNorm1d(n_filters),
            nn.ReLU(),
        )
        self.hidden = nn.Sequential(
            nn.Linear(n_filters * n_pieces, n_units),
            nn.Tanh(),
            nn.Dropout(drop_prob),
            nn.Linear(n_units, n_units),
            nn.Tanh(),
            nn.Dropout(drop_prob),
        )
        self.final_layer = nn.Linear(n_units, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (batch, n_outputs), of epochs (batch, n_chans, n_times)."""
        x = self.input_norm(x)  # (batch, n_chans, n_times)
        x = self.spatial(x)  # (batch, n_filters, n_times)
        x = functional.pad(x, (0, self.n_zeros))  # (batch, n_filters, n_pieces * piece)
        x = self.temporal(x)  # (batch, n_filters, n_pieces)
        x = self.hidden(x.flatten(1))  # (batch, n_units)
        return self.final_layer(x)  # (batch, n_outputs)

    def spatial_filters(self) -> Tensor:
        """Return the spatial filters as they act on epochs: shape (n_filters, n_chans).

        The normalisation of the input multiplies each electrode by a factor, which is included.
        """
        norm = self.input_norm
        assert norm.running_var is not None
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()  # (n_chans,)
        return (self.spatial.weight[..., 0] * scale).detach()
