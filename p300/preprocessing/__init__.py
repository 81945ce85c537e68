"""From a recording to epochs: filter, resample, cut, scale; offline and live the same.

This package can be used on its own. It needs NumPy, SciPy, pandas for the flash table, and MNE
only for MNE objects and for the interpolation of bad channels. pandas and MNE are imported only
when they are needed.

:class:`Preprocessor` chains the steps. Each step is also a plain function that leaves its
arguments unchanged.
"""

from p300.preprocessing._engine.clock import SampleClock
from p300.preprocessing.alignment import AlignmentStream, EuclideanAlignment, aligned
from p300.preprocessing.cache import EpochsCache
from p300.preprocessing.channels import (
    find_bad_channels,
    interpolate_channels,
    pick_channels,
    rereference,
)
from p300.preprocessing.epochs import Epochs, concatenate_epochs, epochs_from_mne
from p300.preprocessing.filters import design_bandpass, filter_segment
from p300.preprocessing.inputs import as_recording, recording_from_arrays
from p300.preprocessing.preprocessor import Preprocessor
from p300.preprocessing.resampling import resample, resample_recording
from p300.preprocessing.scaling import (
    center_epochs,
    channel_statistics,
    median_epochs,
    rms_epochs,
    scale_channels,
    zscore_epochs,
)
from p300.preprocessing.steps import (
    clip_amplitude,
    cut_epochs,
    find_rejected,
    subtract_baseline,
)
from p300.preprocessing.streaming import StreamingPreprocessor

__all__ = [
    "AlignmentStream",
    "Epochs",
    "EpochsCache",
    "EuclideanAlignment",
    "Preprocessor",
    "SampleClock",
    "StreamingPreprocessor",
    "aligned",
    "as_recording",
    "center_epochs",
    "channel_statistics",
    "clip_amplitude",
    "concatenate_epochs",
    "cut_epochs",
    "design_bandpass",
    "epochs_from_mne",
    "filter_segment",
    "find_bad_channels",
    "find_rejected",
    "interpolate_channels",
    "median_epochs",
    "pick_channels",
    "recording_from_arrays",
    "rereference",
    "resample",
    "resample_recording",
    "scale_channels",
    "rms_epochs",
    "zscore_epochs",
    "subtract_baseline",
]
