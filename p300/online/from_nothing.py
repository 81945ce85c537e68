"""A live session without a trained detector: what takes the place of one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from p300.description import DescribedDetector
from p300.errors import InputError
from p300.learning.unsupervised import SURE
from p300.online.streams.format import StreamFormat
from p300.preprocessing import Preprocessor, recording_from_arrays
from p300.speller import Speller
from p300.spelling import PosteriorThreshold, ScoreLikelihood

#: Most repetitions of a character.
MOST_REPETITIONS = 15


class NothingTrained(DescribedDetector):
    """The preprocessing of the paper for a stream, and a screen; every score is 0.

    Parameters
    ----------
    stream : StreamFormat
        Of the EEG.
    speller : Speller
        The screen.
    channels : sequence of str or None
        Those that are read; None for all of the stream.

    Raises
    ------
    InputError
        If the stream has no unit, or no such channel.
    """

    alignment = levels = source = None

    def __init__(
        self, stream: StreamFormat, speller: Speller, channels: Sequence[str] | None = None
    ) -> None:
        kept = list(stream.ch_names) if channels is None else list(channels)
        if missing := [name for name in kept if name not in stream.ch_names]:
            raise InputError(
                f"got channels={kept}; expected some of the stream's {list(stream.ch_names)}; "
                f"it has no {missing}"
            )
        units = {stream.units[stream.ch_names.index(name)] for name in kept}
        unit = units.pop() if len(units) == 1 else None
        if unit is None:
            raise InputError(
                f"stream {stream.name!r}: its channels have no unit, or several; expected one; "
                "set eeg.unit, such as eeg.unit=uV"
            )
        blank = np.zeros((len(kept), int(4 * stream.sfreq)), np.float32)
        example = recording_from_arrays(
            blank, [1.0], sfreq=stream.sfreq, ch_names=kept, unit=unit, speller=None
        )
        self.preprocessor = Preprocessor(phase="causal", scaling="median_epoch").fit(example)
        self.speller = speller
        self.likelihood = ScoreLikelihood(1.0, 0.0)
        rule = PosteriorThreshold(threshold=SURE, max_repetitions=MOST_REPETITIONS)
        self.stopping = {"posterior": rule}

    def score_epochs(self, epochs: np.ndarray) -> np.ndarray:
        """Return 0 for every flash."""
        return np.zeros(len(epochs))

    def score_and_inputs(self, epochs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return 0 for every flash, and the epochs."""
        return self.score_epochs(epochs), epochs

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the preprocessing and the screen."""
        return hashlib.sha256(json.dumps(self.describe(), sort_keys=True).encode()).hexdigest()
