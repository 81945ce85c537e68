"""A network of your own: epochs in, two logits out; model/mine.yaml names it."""

from torch import nn


class Network(nn.Sequential):
    """Spatial filters, averages over 50 ms, and one weight for each of both."""

    def __init__(self, n_chans, n_outputs, n_times, sfreq, n_filters=4):
        n_averaged = round(0.05 * sfreq)  # samples
        super().__init__(  # (n_flashes, n_chans, n_times)
            nn.Conv1d(n_chans, n_filters, kernel_size=1),  # (n_flashes, n_filters, n_times)
            nn.AvgPool1d(n_averaged),  # (n_flashes, n_filters, n_times // n_averaged)
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(n_filters * (n_times // n_averaged), n_outputs),  # (n_flashes, 2)
        )
