"""A multilayer perceptron: without a model of space or time, for comparison with the others.

D. E. Rumelhart, G. E. Hinton, R. J. Williams, "Learning representations by back-propagating
errors", Nature 323:533-536, 1986, doi 10.1038/323533a0.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

#: Functions between the layers, by name.
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
}


class MLP(nn.Module):
    """Means of 50 ms from every electrode, one hidden layer.

    At 120 Hz a mean is 6 samples, so 64 electrodes and 78 samples make 832 inputs instead of
    4,992. Little below 20 Hz is lost, and six times fewer inputs reduce overfitting. Inputs are
    normalised over the batch, hidden units over the layer.

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
        After each hidden layer.
    activation : {"relu", "tanh", "elu", "gelu", "sigmoid"}
        The function that each hidden unit applies.

    Examples
    --------
    >>> import torch
    >>> MLP(64, 2, 78, 120.0)(torch.zeros(5, 64, 78)).shape
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
        hidden_sizes: Sequence[int] = (32,),
        bin_s: float = 0.05,
        drop_prob: float = 0.5,
        activation: str = "relu",
    ):
        super().__init__()
        if activation not in ACTIVATIONS:
            expected = f"expected one of {list(ACTIVATIONS)}"
            raise ValueError(f"MLP: activation {activation!r}; {expected}")
        n_samples_per_bin = min(max(1, round(bin_s * sfreq)), n_times)
        self.bins = nn.Sequential(nn.AvgPool1d(n_samples_per_bin), nn.BatchNorm1d(n_chans))
        layers: list[nn.Module] = []
        n_inputs = n_chans * (n_times // n_samples_per_bin)
        for size in hidden_sizes:
            layers += [nn.Linear(n_inputs, size), nn.LayerNorm(size), ACTIVATIONS[activation]()]
            layers += [nn.Dropout(drop_prob)]
            n_inputs = size
        self.hidden = nn.Sequential(*layers)
        self.final_layer = nn.Linear(n_inputs, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (batch, n_outputs), of epochs (batch, n_chans, n_times)."""
        x = self.bins(x)  # (batch, n_chans, n_bins)
        x = x.flatten(1)  # (batch, n_chans * n_bins)
        x = self.hidden(x)  # (batch, hidden_sizes[-1])
        return self.final_layer(x)  # (batch, n_outputs)
