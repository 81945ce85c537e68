"""Augmentations: random changes of training batches, on the device of the training.

Each augmentation is called with a batch of epochs and their labels and returns new epochs of the
same shape; labels stay. One with a method ``fit`` is fitted to the training flashes first. All
random numbers come from torch, so a run with the same random seed gives the same result.
"""

from p300.training.augmentation.changes import (
    AmplitudeScale,
    AverageFlashes,
    ChannelDropout,
    GaussianNoise,
    Mixup,
    TimeShift,
    partners,
)
from p300.training.augmentation.gan import GeneratedTargets

__all__ = [
    "AmplitudeScale",
    "AverageFlashes",
    "ChannelDropout",
    "GaussianNoise",
    "GeneratedTargets",
    "Mixup",
    "TimeShift",
    "partners",
]
