"""The recording behind a run, read and preprocessed again, and what its EEG looks like."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.report.page import Section, Text, sentence, try_picture

if TYPE_CHECKING:
    import pandas as pd

    from p300.checkpoint import TrainedDetector
    from p300.preprocessing import Epochs


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run, as its folder holds it.

    Parameters
    ----------
    folder : Path
        The run folder.
    results, config : dict
        Of ``results.json`` and ``config.yaml``.
    scores : DataFrame
        The flash table with ``part`` and ``score``.
    detector : TrainedDetector
        Of ``checkpoint.pt``.
    """

    folder: Path
    results: dict[str, Any]
    config: dict[str, Any]
    scores: pd.DataFrame
    detector: TrainedDetector

    @property
    def name(self) -> str:
        """The detector, by its experiment."""
        choices = self.results["choices"]
        return str(choices.get("experiment") or choices.get("model"))

    @property
    def data(self) -> str:
        """The recording."""
        return str(self.results["choices"]["data"])

    @property
    def shown(self) -> str | None:
        """The part whose results count: test, else validation, else none."""
        return next((p for p in ("test", "validation") if p in self.results), None)


def read_epochs(run: Run) -> Epochs:
    """Read a run's recording and preprocess it as its detector does.

    Raises
    ------
    InputError
        If it is not there any more, or is not what the run read.
    """
    from hydra.errors import InstantiationException
    from omegaconf import OmegaConf

    from p300.results import read_recording
    from p300.untrusted import restricted

    data, steps = OmegaConf.create(restricted(run.config)["data"]), run.detector.preprocessor
    try:
        with tempfile.TemporaryDirectory() as folder:
            recording = read_recording(data, Path(folder), steps.tmin, steps.tmax)
    except (InstantiationException, OSError) as error:
        cause = error.__cause__ or error
        raise InputError(f"the recording could not be read again: {cause}") from error
    found, scored = recording.flashes, run.scores
    if len(found) != len(scored) or not np.allclose(found["onset"], scored["onset"]):
        raise InputError(
            f"the recording read now has {len(found)} flashes, not the {len(scored)} that the "
            "run scored, or has them at other times"
        )
    return run.detector.epochs(recording)


def take(epochs: Epochs, rows: np.ndarray) -> Epochs:
    """Take some of the flashes; ``rows`` is a mask or numbers."""
    rejected = epochs.is_rejected
    return dataclasses.replace(
        epochs,
        data=epochs.data[rows],
        flashes=epochs.flashes.iloc[np.arange(len(epochs.flashes))[rows]].reset_index(drop=True),
        is_rejected=None if rejected is None else rejected[rows],
    )


def signal_section(epochs: Epochs | None, why_not: str) -> Section:
    """Draw what the EEG does after a flash, or say why that cannot be drawn."""
    from p300.figures import draw_averages, draw_difference_image, draw_scalp_series

    section = Section("What the EEG does after a flash")
    if epochs is None:
        section.blocks.append(Text(f"The signal is not shown. {sentence(why_not)}", is_note=True))
        return section
    n_flashes, n_chans, n_times = epochs.data.shape
    section.blocks += [
        Text(
            f"All labelled flashes of the recording, read again and preprocessed as the detector "
            f"reads them: {n_flashes:,} flashes, {n_chans} channels, {n_times} samples at "
            f"{epochs.sfreq:g} Hz."
        ),
        try_picture(
            "Averages",
            lambda: draw_averages(epochs),
            "Average EEG after target and nontarget flashes. Where the bands part, the two can "
            "be told apart. Bands resample characters, or blocks of 30 s where there are none.",
        ),
        try_picture(
            "Scalp maps",
            lambda: draw_scalp_series(epochs),
            "The same averages on the head, seen from above with the nose upwards, in windows "
            "of time after the flash. All maps share one scale.",
            as_pixels=True,
        ),
        try_picture(
            "Difference wave",
            lambda: draw_difference_image(epochs),
            "Targets minus nontargets at every channel. Red where targets are more positive.",
        ),
    ]
    return section
