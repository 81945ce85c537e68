"""OCLNN: one convolution over all electrodes and pieces of time, then the last layer.

H. Shan, Y. Liu, T. Stefanov, "A simple convolutional neural network for accurate P300 detection
and character spelling in brain computer interface", IJCAI 2018, pp. 1604-1610, doi
10.24963/ijcai.2018/222.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

from p300.models import _fast


class OCLNN(nn.Module):
    """16 filters that read all electrodes during a fifteenth of a second, piece by piece.

    The paper cuts a second at 240 Hz into 15 pieces of 16 samples: 16,882 parameters for 64
    channels, which this class also has for that size. Pieces keep their duration, 8 samples at
    120 Hz. Zeros are added at both ends, so that 78 samples make 10 pieces and none is lost.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch.
    sfreq : float
        Sampling rate in Hz; with ``piece_s`` it sets the length of a piece.
    n_filters : int
        Maps of the one convolution.
    piece_s : float
        Length of a piece in seconds.
    drop_prob : float
        After the convolution.

    Examples
    --------
    >>> import torch
    >>> OCLNN(64, 2, 78, 120.0)(torch.zeros(5, 64, 78)).shape
    torch.Size([5, 2])
    """

    engine = "fast"  # or "textbook"
    reads_time_first = True  # a piece of all electrodes is then contiguous in memory
    trains_side_by_side = True

    def __init__(
        self,
        n_chans: int,
        n_outputs: int,
        n_times: int,
        sfreq: float,
        *,
        n_filters: int = 16,
        piece_s: float = 1 / 15,
        drop_prob: float = 0.25,
    ):
        super().__init__()
        piece = max(1, round(piece_s * sfreq))
        n_pieces = math.ceil(n_times / piece)
        n_zeros = n_pieces * piece - n_times
        self.zeros = (n_zeros // 2, n_zeros - n_zeros // 2)
        self.convolution = nn.Conv1d(n_chans, n_filters, piece, stride=piece)
        self.drop = nn.Dropout(drop_prob)
        self.final_layer = nn.Linear(n_filters * n_pieces, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (batch, n_outputs), of epochs (batch, n_chans, n_times)."""
        x = functional.pad(x.mT, (0, 0, *self.zeros)).mT  # (batch, n_chans, n_pieces * piece)
        if self.engine == "textbook":
            x = self.convolution(x)  # (batch, n_filters, n_pieces)
        else:
            x = _fast.pieces(self.convolution, x)  # the same
        x = self.drop(x.relu()).flatten(1)  # (batch, n_filters * n_pieces)
        return self.final_layer(x)  # (batch, n_outputs)
