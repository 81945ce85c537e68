"""A finished run, as its folder holds it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from p300.errors import InputError
from p300.experiments.configuration import shipped_configuration
from p300.experiments.folder import read_results
from p300.experiments.identity import flatten
from p300.experiments.results import SESSION
from p300.proposals import in_hydra
from p300.storage.untrusted import restricted

if TYPE_CHECKING:
    import pandas as pd

    from p300.detector import Detector
    from p300.recording import Recording

#: Groups of the configuration that do not change the results.
UNCHANGING = ("logger", "name", "progress", "trainer")

#: Choices of ``data`` that say by what a recording is read, and not which one.
READERS = ("file", "bids", "moabb")


def load_run(folder: Path, detector: Detector | None = None) -> Run:
    """Read a finished run, with its detector unless that is read already."""
    from omegaconf import OmegaConf

    from p300.detector import Detector
    from p300.experiments.results import read_scores

    for name in ("config.yaml", "scores.csv"):
        if not (folder / name).exists():
            raise InputError(f"{folder}: {name} is missing; expected a folder of `p300 train`")
    results = read_results(folder)
    first = folder / results["folds"][0]["folder"] if "folds" in results else folder
    return Run(
        folder,
        results,
        cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))),
        read_scores(folder),
        detector or Detector.load(first),
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
        Read from ``checkpoint.pt``; of a cross-validation, that of its first fold.
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
        return recording_of(self.results)

    @property
    def folds(self) -> list[dict[str, Any]]:
        """Results of each fold of a cross-validation; empty for a single run."""
        return self.results.get("folds", [])

    @property
    def shown(self) -> str | None:
        """The part whose results are shown: test, else validation, else None.

        Of a detector that knows nothing as it was trained, it is the session.
        """
        if knows_nothing(self.results):
            return SESSION
        return next((p for p in ("test", "validation") if p in self.results), None)


def knows_nothing(results: Mapping[str, Any]) -> bool:
    """Return whether a run reads from nothing: it has a session, and no member that was trained.

    Examples
    --------
    >>> knows_nothing({"session": {}, "n_parameters": 0})
    True
    """
    return SESSION in results and results.get("n_parameters") == 0


def recording_of(results: Mapping[str, Any]) -> str:
    """Return the name of a run's recording: the choice of ``data``, or its own.

    Examples
    --------
    >>> recording_of({"choices": {"data": "file"}, "recording": "oddball"})
    'oddball'
    >>> recording_of({"choices": {"data": "bnci"}, "recording": "bnci_003_2015"})
    'bnci'
    """
    choice = results["choices"]["data"]
    return str(results.get("recording", choice) if choice in READERS else choice)


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
            recording = read_recording(data, Path(folder), steps)
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


def overrides_of(config: Mapping[str, Any]) -> list[str]:
    """Find the overrides that compose a run's configuration: its choices, then single values.

    Values that follow from other values are left out.
    """
    from hydra import compose
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    chosen = {k: v for k, v in config["choices"].items() if v is not None}
    overrides = [f"{group}={chosen[group]}" for group in ("data", "experiment") if group in chosen]
    with shipped_configuration():
        try:
            plain = compose("train", overrides=overrides, return_hydra_config=True)
            choices = plain.hydra.runtime.choices
            overrides += [f"{k}={v}" for k, v in chosen.items() if choices.get(k) != v]
            composed = compose("train", overrides=overrides)
        except HydraException:  # a choice of another version, or of the user's own
            return [f"{k}={v}" for k, v in chosen.items()] + [f"seed={config['seed']}"]
    have = flatten(cast(dict[str, Any], OmegaConf.to_container(composed, resolve=False)))
    want = flatten({k: v for k, v in config.items() if k != "choices"})
    return overrides + _differences(have, want)


def _differences(have: Mapping[str, Any], want: Mapping[str, Any]) -> list[str]:
    overrides = []
    for key, value in want.items():
        default = have.get(key, ...)
        follows = default == value or "${" in str(default)
        if not follows and key.split(".")[0] not in UNCHANGING:
            overrides.append(f"{'' if default is not ... else '+'}{key}={in_hydra(value)}")
    return overrides + [
        f"~{key}" for key in have if key not in want and "${" not in str(have[key])
    ]
