"""Stacks of small kernels and pools, as in the networks that made deep learning known.

A. Krizhevsky, I. Sutskever, G. E. Hinton, "ImageNet classification with deep convolutional neural
networks", NIPS 2012, doi 10.1145/3065386 (rectifiers, dropout); K. Simonyan, A. Zisserman, "Very
deep convolutional networks for large-scale image recognition", ICLR 2015, arXiv 1409.1556 (kernels
of 3, twice the maps after a pool). Batch normalisation: S. Ioffe, C. Szegedy, ICML 2015, arXiv
1502.03167; dropout: N. Srivastava et al., J. Mach. Learn. Res. 15:1929-1958, 2014; first weights:
K. He et al., ICCV 2015, arXiv 1502.01852.
"""

from __future__ import annotations

from torch import Tensor, nn


class VGG(nn.Module):
    """Three pairs of convolutions of 3 samples, each pair followed by a pool of 2 samples.

    An electrode is what a colour is in an image: one of the maps that the first layer reads. So
    kernels are one-dimensional, and the order of the electrodes has no effect. 78 samples become
    39, 19 and 9, while 16 maps become 32 and 64.

    Parameters
    ----------
    n_chans, n_outputs, n_times : int
        Electrodes, classes, samples of an epoch.
    sfreq : float
        Sampling rate in Hz; not used, kernels are counted in samples as in the papers.
    batch_norm : bool
        Whether each convolution is followed by batch normalisation, which replaces its bias.
    drop_prob : float
        Before the hidden and the last layer; 0 is no dropout.

    Examples
    --------
    >>> import torch
    >>> VGG(64, 2, 78, 120.0)(torch.zeros(5, 64, 78)).shape
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
        batch_norm: bool = True,
        drop_prob: float = 0.5,
    ):
        super().__init__()
        if n_times < 8:
            raise ValueError(f"VGG: {n_times} samples; expected at least 8, for three pools of 2")
        layers: list[nn.Module] = []
        n_maps = n_chans
        for n_filters in (16, 32, 64):
            for _ in range(2):
                layers.append(nn.Conv1d(n_maps, n_filters, 3, padding=1, bias=not batch_norm))
                layers += [nn.BatchNorm1d(n_filters)] if batch_norm else []
                layers.append(nn.ReLU())
                n_maps = n_filters
            layers.append(nn.MaxPool1d(2))
        self.convolutions = nn.Sequential(*layers)
        self.hidden = nn.Sequential(
            nn.Dropout(drop_prob),
            nn.Linear(n_maps * (n_times // 8), 64),
            nn.ReLU(),
            nn.Dropout(drop_prob),
        )
        self.final_layer = nn.Linear(64, n_outputs)
        for layer in self.convolutions:
            if isinstance(layer, nn.Conv1d):  # else eight layers without norms hardly learn
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (batch, n_outputs), of epochs (batch, n_chans, n_times)."""
        x = self.convolutions(x)  # (batch, 64, n_times // 8)
        x = x.flatten(1)  # (batch, 64 * (n_times // 8))
        x = self.hidden(x)  # (batch, 64)
        return self.final_layer(x)  # (batch, n_outputs)
