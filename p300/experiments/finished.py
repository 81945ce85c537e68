"""A finished run, as its folder holds it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from p300.errors import InputError
from p300.storage.untrusted import restricted

if TYPE_CHECKING:
    import pandas as pd

    from p300.detector import Detector
    from p300.recording import Recording


def load_run(folder: Path) -> Run:
    """Read a finished run."""
    from omegaconf import OmegaConf

    from p300.detector import Detector
    from p300.experiments.results import read_scores

    for name in ("config.yaml", "scores.csv"):
        if not (folder / name).exists():
            raise InputError(f"{folder}: {name} is missing; expected a folder of `p300 train`")
    return Run(
        folder,
        json.loads((folder / "results.json").read_text("utf-8")),
        cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))),
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
        The content of ``results.json`` and of ``config.yaml``.
    scores : DataFrame
        The flash table with ``part`` and ``score``.
    detector : Detector
        Read from ``checkpoint.pt``.
    """

    folder: Path
    results: dict[str, Any]
    config: dict[str, Any]
    scores: pd.DataFrame
    detector: Detector

    @property
    def name(self) -> str:
        """Its experiment, or else its model, and what deviates from it."""
        return str(self.results["name"])

    @property
    def data(self) -> str:
        """Name of the recording."""
        return str(self.results["choices"]["data"])

    @property
    def shown(self) -> str | None:
        """The part whose results are shown: test, else validation, else None."""
        return next((p for p in ("test", "validation") if p in self.results), None)


def read_again(run: Run) -> tuple[Recording, str]:
    """Read a run's recording again, with its integrity report.

    Raises
    ------
    InputError
        If the recording cannot be read any more, or is not the one that the run read.
    """
    from hydra.errors import InstantiationException
    from omegaconf import OmegaConf

    from p300.experiments.build import reason_of
    from p300.experiments.prepare import read_recording

    steps, read = run.detector.preprocessor, run.config["data"]
    if run.detector.config.get("data") != read:  # that of the checkpoint has been checked
        read = restricted(run.config)["data"]
    data = OmegaConf.create(read)
    try:
        with tempfile.TemporaryDirectory() as folder:
            recording = read_recording(data, Path(folder), steps.tmin, steps.tmax)
            report = (Path(folder) / "integrity.txt").read_text("utf-8")
    except (InstantiationException, InputError, OSError) as error:
        reason = reason_of(error)
        raise InputError(f"the recording could not be read again: {reason}") from error
    found, scored = recording.flashes, run.scores
    if len(found) != len(scored) or not np.allclose(found["onset"], scored["onset"]):
        raise InputError(
            f"got a recording with {len(found)} flashes; expected the {len(scored)} flashes that "
            "the run scored, at the same times: the recording was changed after the run"
        )
    return recording, report
