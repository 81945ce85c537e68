"""A finished run, as its folder holds it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from p300.detector import Detector
    from p300.preprocessing import Epochs


def load_run(folder: Path) -> Run:
    """Read a finished run."""
    from omegaconf import OmegaConf

    from p300.detector import Detector
    from p300.experiments.results import read_scores

    for name in ("config.yaml", "scores.csv"):
        if not (folder / name).exists():
            raise InputError(f"{folder}: {name} is missing; expected the folder of `p300 train`")
    return Run(
        folder,
        json.loads((folder / "results.json").read_text("utf-8")),
        OmegaConf.to_container(OmegaConf.load(folder / "config.yaml")),
        read_scores(folder),
        Detector.load(folder),
    )


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
    detector : Detector
        Of ``checkpoint.pt``.
    """

    folder: Path
    results: dict[str, Any]
    config: dict[str, Any]
    scores: pd.DataFrame
    detector: Detector

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

    from p300.experiments.prepare import read_recording
    from p300.storage.untrusted import restricted

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
