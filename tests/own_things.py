"""What a user might write: losses, networks, estimators and preprocessings."""

import numpy as np
import pytorch_lightning as pl
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from p300.losses import CrossEntropy
from p300.preprocessing import EuclideanAlignment, Preprocessor


class Doubtful(CrossEntropy):
    """A loss whose log odds have a fault."""

    @staticmethod
    def log_odds(score):
        """Fail."""
        return score * (1 // 0)


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


class OverFlashes(Preprocessor):
    """Standardises over the flashes that are cut together."""

    def finish(self, epochs, *, scaling=None):
        is_rejected = super().finish(epochs, scaling=scaling)
        epochs -= epochs.mean(axis=0)
        return is_rejected


class Holey(Preprocessor):
    def finish(self, epochs, *, scaling=None):
        is_rejected = super().finish(epochs, scaling=scaling)
        epochs[0, 0, 0] = np.nan
        return is_rejected


class Unsavable(Doubled):
    def fit(self, recording, y=None, *, rows=None):
        super().fit(recording, rows=rows)
        self.rule = lambda epochs: epochs
        return self


class Nearest:
    """An estimator without scikit-learn's base classes, on epochs with two axes."""

    def fit(self, X, y):
        self.mean_ = X[y].mean(axis=0)
        assert self.mean_.ndim == 2
        return self

    def predict_proba(self, X):
        p = 1 / (1 + np.square(X - self.mean_).mean(axis=(1, 2)))
        return np.stack([1 - p, p], axis=1)


class Centred(Nearest):
    """Its scores depend on what is scored together."""

    def predict_proba(self, X):
        p = super().predict_proba(X)
        return p - p.mean(axis=0) + 0.5


class Silent:
    """An estimator that predicts classes alone."""

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.zeros(len(X), bool)


class Unpicklable(Nearest):
    def fit(self, X, y):
        self.rule_ = lambda x: x
        return super().fit(X, y)


# -- networks, optimizers and augmentations ------------------------------------------------------


class Linear(nn.Module):
    """Takes two of the four sizes, and computes with numbers in its constructor."""

    def __init__(self, n_chans, n_times, n_outputs=2, width=100_000):
        super().__init__()
        self.layer = nn.Linear(n_chans * n_times, n_outputs)
        self.scale = float(self.layer.weight.detach().square().mean()) * 0 + width / 100_000

    def forward(self, epochs):
        return self.layer(epochs.flatten(1)) * self.scale


class OneLogit(Linear):
    def __init__(self, n_chans, n_times):
        super().__init__(n_chans, n_times, n_outputs=1)


class OtherNames(Linear):
    def __init__(self, n_channels, n_samples):
        super().__init__(n_channels, n_samples)


class Constant(Linear):
    """Its output does not depend on its weights."""

    def forward(self, epochs):
        return epochs[:, :2, 0].requires_grad_()


class Remembering(Linear):
    """Keeps a learned number where no checkpoint finds it."""

    def forward(self, epochs):
        if self.training:
            self.scale = float(epochs.std()) + 2
        return super().forward(epochs)


class Failing(Linear):
    def forward(self, epochs):
        raise RuntimeError("mat1 and mat2\nshapes cannot be multiplied")


class InPlace(Linear):
    def forward(self, epochs):
        epochs -= epochs.mean()
        return super().forward(epochs)


class Noisy(Linear):
    def forward(self, epochs):
        return super().forward(epochs) + torch.randn(len(epochs), 2)


class OfTheBatch(Linear):
    """The score of a flash depends on those beside it."""

    def forward(self, epochs):
        return super().forward(epochs - epochs.mean(0))


class OneWhenEvaluated(Linear):
    def forward(self, epochs):
        return super().forward(epochs)[:, : 2 if self.training else 1]


class NotFinite(Linear):
    def forward(self, epochs):
        return super().forward(epochs) * float("nan")


class Detached(Linear):
    def forward(self, epochs):
        return super().forward(epochs).detach()


class WithoutConstructor(nn.Module):
    """Has nothing to learn from, so it is refused, but not for an argument."""

    def forward(self, epochs):
        return epochs[:, :2, 0]


class Tempered(nn.Module):
    """Its constructor wants a number that is not the labels."""

    def __init__(self, temperature):
        super().__init__()
        self.temperature = temperature

    def forward(self, logits, is_target):
        return nn.functional.cross_entropy(logits / self.temperature, is_target.long())


class Reversed(nn.Module):
    """Its score is larger for nontargets."""

    def forward(self, logits, is_target):
        return nn.functional.cross_entropy(logits, is_target.long())

    @staticmethod
    def score(logits):
        return logits[:, 0] - logits[:, 1]


class TwoScores(Summed):
    @staticmethod
    def score(logits):
        return logits


class Rule:
    """No callback."""


class Counting(pl.Callback):
    """Counts the steps of the training, which a rehearsal must not change."""

    counted: list[int] = []

    def __init__(self):
        self.n_steps = 0

    def on_train_batch_end(self, *args):
        self.n_steps += 1

    def on_fit_end(self, trainer, pl_module):
        self.counted.append(self.n_steps)


class FailingAtTheEnd(pl.Callback):
    def on_validation_end(self, trainer, pl_module):
        raise ZeroDivisionError("no flash")


class Perceptron(torch.optim.Optimizer):
    """An own optimizer, without fused."""

    def __init__(self, params, lr=0.01):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        if closure is not None:  # as Lightning calls it
            with torch.enable_grad():
                closure()
        for group in self.param_groups:
            for weight in group["params"]:
                weight -= group["lr"] * weight.grad.sign()


class Stuck(Perceptron):
    def step(self, closure=None):
        raise KeyError("momentum")


class NoClosure(Perceptron):
    def step(self):
        super().step()


class Squeeze:
    def __call__(self, epochs, is_target):
        return epochs.mean(dim=1)


class RandomScore(Focal):
    """Its score is drawn anew whenever it is built."""

    def __init__(self, is_target, gamma):
        super().__init__(is_target, gamma, temperature=float(np.random.default_rng().random() + 1))


class Regression(LogisticRegression):
    """An own estimator by the name of none of scikit-learn's."""


class Unfitting(Preprocessor):
    def fit(self, recording, y=None, *, rows=None):
        raise ZeroDivisionError("no channel")


class Aligned(EuclideanAlignment):
    pass
