"""What a user might write: losses, networks, estimators and preprocessings."""

import numpy as np
import torch
from torch import nn

from p300.losses import CrossEntropy
from p300.preprocessing import Preprocessor


class Focal(nn.Module):
    """An own loss with a score that depends on its constructor."""

    def __init__(self, is_target, gamma, temperature=1.0):
        super().__init__()
        self.share = float(np.mean(is_target))
        self.gamma, self.temperature = gamma, temperature

    def forward(self, logits, is_target):
        p = torch.softmax(logits, 1)[torch.arange(len(logits)), is_target.long()]
        return (-((1 - p) ** self.gamma) * p.log()).mean()

    def score(self, logits):
        return (logits[:, 1] - logits[:, 0]) / self.temperature - self.share


class Summed(nn.Module):
    is_sum = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)

    def forward(self, logits, is_target):
        return (logits[:, 1] * ~is_target).sum()  # booleans only

    @staticmethod
    def score(logits):
        return logits[:, 1]


class Derived(CrossEntropy):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


def broken(logits, is_target):
    raise ZeroDivisionError("forgot a\nbracket")


class Doubled(Preprocessor):
    """Overrides transform alone, and keeps a number that is no parameter."""

    def __init__(self, gain=2.0, **parameters):
        super().__init__(**parameters)
        self.gain = gain

    def transform(self, recording):
        return self.gain * super().transform(recording)


class Projected(Preprocessor):
    """Learns a matrix from the training flashes, and applies it after the cut."""

    def fit(self, recording, y=None, *, rows=None):
        super().fit(recording, rows=rows)
        self.matrix_ = np.linspace(0.5, 1.5, len(self.ch_names_), dtype=np.float32)[:, None]
        return self

    def finish(self, epochs, *, scaling=None):
        is_rejected = super().finish(epochs, scaling=scaling)
        epochs *= self.matrix_
        return is_rejected


class Whole:
    """A preprocessing of its own: every second channel, unfiltered."""

    def __init__(self, tmin, tmax, sfreq=120.0, **ignored):
        self.steps = {"tmin": tmin, "tmax": tmax, "sfreq": sfreq}
        self.tmin, self.tmax, self.n_times = tmin, tmax, round((tmax - tmin) * sfreq)

    def _chain(self, recording):
        plain = Preprocessor(l_freq=None, channels=recording.ch_names[::2], **self.steps)
        return plain.fit(recording)

    def fit(self, recording, rows=None):
        self.ch_names_ = tuple(recording.ch_names[::2])
        return self

    def epochs(self, recording, *, on_cut=None):
        return self._chain(recording).epochs(recording)


class Forgetful(Preprocessor):
    """Keeps what it learned where no checkpoint finds it."""

    gains: dict[int, float] = {}

    def fit(self, recording, y=None, *, rows=None):
        super().fit(recording, rows=rows)
        self.gains[id(self)] = 3.0
        return self

    def finish(self, epochs, *, scaling=None):
        is_rejected = super().finish(epochs, scaling=scaling)
        epochs *= self.gains.get(id(self), 1.0)
        return is_rejected


class Unsavable(Doubled):
    def fit(self, recording, y=None, *, rows=None):
        super().fit(recording, rows=rows)
        self.rule = lambda epochs: epochs
        return self
