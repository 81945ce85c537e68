"""``p300 train``: from a recording to a trained detector and the text it reads."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.cli import conf_dir, run_with_hydra
from p300.errors import InputError
from p300.splits import Split, check_monitor

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.recording import Recording

log = logging.getLogger("p300.train")


def main() -> None:
    """Run the command with the arguments of the command line."""
    run_with_hydra("train", train)


def train(cfg: DictConfig) -> float:
    """Train as configured into Hydra's output folder.

    Returns
    -------
    float
        The validation AUC (``nan`` without a validation part), for a hyper-parameter search.
    """
    from hydra.core.hydra_config import HydraConfig

    hydra = HydraConfig.get()
    results = train_run(cfg, Path(hydra.runtime.output_dir), hydra.runtime.choices)
    return results.get("validation", {}).get("detection", {}).get("auc", float("nan"))


def run_training(folder: str | Path, *overrides: str) -> dict[str, Any]:
    """Train from Python, as ``p300 train OVERRIDES hydra.run.dir=FOLDER`` does.

    Parameters
    ----------
    folder : path
        The run folder, made here; it must not hold a run yet.
    *overrides : str
        As on the command line: ``"data=bci2_iib"``, ``"experiment=cnn1"``, ``"seed=1"``.

    Returns
    -------
    dict
        What ``results.json`` holds.

    Raises
    ------
    InputError
        As :func:`train_run`, or if the folder already holds a run.

    Examples
    --------
    >>> run_training("runs/mine", "experiment=cnn3", "seed=1")  # doctest: +SKIP
    """
    from hydra import initialize_config_dir

    folder = Path(folder)
    if (folder / "config.yaml").exists():
        raise InputError(f"{folder} already holds a run; expected a new folder")
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg, choices = compose_training(overrides)
    folder.mkdir(parents=True, exist_ok=True)
    return train_run(cfg, folder, choices)


def compose_training(overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """Compose the configuration of a run, and which file was chosen of each group.

    Hydra must know the configuration files already (``initialize_config_dir``).
    """
    from hydra import compose
    from omegaconf import OmegaConf, open_dict

    cfg = compose("train", overrides=list(overrides), return_hydra_config=True)
    choices = OmegaConf.to_container(cfg.hydra.runtime.choices)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg, choices


def train_run(cfg: DictConfig, folder: Path, choices: Mapping[str, str]) -> dict[str, Any]:
    """Train one detector as configured and write its run folder.

    Parameters
    ----------
    cfg : DictConfig
        As composed from ``conf/train.yaml``.
    folder : Path
        The run folder, empty.
    choices : mapping of str to str
        Which file was chosen of each configuration group.

    Returns
    -------
    dict
        What ``results.json`` holds.

    Raises
    ------
    InputError
        If recording, split or configuration cannot be used. ``results.json`` is then missing
        from the run folder, and no other command takes it for a finished run.
    """
    from omegaconf import OmegaConf

    from p300.fitting import configured_split, fit_and_score
    from p300.results import read_recording, write_json
    from p300.tracking import log_run, start_tracking

    check_monitor(cfg.protocol.monitor)
    config = OmegaConf.to_container(cfg, resolve=True)
    config["choices"] = {k: v for k, v in choices.items() if not k.startswith("hydra/")}
    OmegaConf.save(OmegaConf.create(config), folder / "config.yaml")

    steps = cfg.preprocessing
    recording = read_recording(cfg.data, folder, steps.tmin, steps.tmax)
    split = configured_split(cfg, recording.flashes)
    check_labels(recording, split)
    log.info("%r", recording)
    log.info("%s", split)
    tracker = start_tracking(cfg, config, folder)
    try:
        results = fit_and_score(cfg, config, recording, split, folder, tracker)
        if tracker is not None:
            log_run(tracker, cfg, results, recording.speller, folder)
    finally:
        if tracker is not None:
            tracker.finish()
    write_json(folder / "results.json", results)
    log.info("run folder: %s", os.path.relpath(folder))
    return results


def check_labels(recording: Recording, split: Split) -> None:
    """Refuse to train or validate on flashes without a label.

    Raises
    ------
    InputError
        With their number.
    """
    used = split.train | split.validation
    unknown = int((recording.flashes["is_target"].isna().to_numpy() & used).sum())
    if unknown:
        raise InputError(
            f"{recording.name}: {unknown} of the {used.sum()} flashes to train on have no label"
        )
