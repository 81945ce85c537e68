"""``p300 train``: from a recording to a trained detector and the text it reads."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.cli import run_with_hydra
from p300.errors import InputError
from p300.splits import PARTS, Split, check_monitor

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
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    from p300.fitting import fit_and_score, needs_validation
    from p300.results import read_recording, write_json

    check_monitor(cfg.protocol.monitor)
    config = OmegaConf.to_container(cfg, resolve=True)
    config["choices"] = {k: v for k, v in choices.items() if not k.startswith("hydra/")}
    OmegaConf.save(OmegaConf.create(config), folder / "config.yaml")

    steps = cfg.preprocessing
    recording = read_recording(cfg.data, folder, steps.tmin, steps.tmax)
    split = instantiate(cfg.split, recording.flashes, _convert_="all")
    if not needs_validation(cfg):
        split = split.without_validation()
    check_labels(recording, split)
    log.info("%r", recording)
    log.info("%s", split)
    tracker = start_tracking(cfg, config, folder)
    try:
        results = fit_and_score(cfg, config, recording, split, folder, tracker)
        if tracker is not None:
            tracker.summary.update(headline(results))
    finally:
        if tracker is not None:
            tracker.finish()
    write_json(folder / "results.json", results)
    log.info("run folder: %s", os.path.relpath(folder))
    return results


def start_tracking(cfg: DictConfig, config: dict[str, Any], folder: Path):
    """Start the W&B run that the logger configuration asks for; None where it asks for none."""
    from hydra.utils import instantiate

    if cfg.logger.wandb is None:
        return None
    choices = config["choices"]
    named = {
        "name": f"{choices['data']}-{choices['experiment']}-seed{cfg.seed}",
        "group": choices["data"],
        "job_type": "train",
        "tags": [choices["experiment"], choices["protocol"]],
        "dir": str(folder),
    }
    named = {k: v for k, v in named.items() if k not in cfg.logger.wandb}  # configured wins
    tracker = instantiate(cfg.logger.wandb, **named, _convert_="all")
    tracker.config.update(config)
    return tracker


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


def headline(results: dict[str, Any]) -> dict[str, float]:
    """Pick the few numbers that runs are compared by."""
    numbers = {"fit_s": results["fit_s"], "n_parameters": results["n_parameters"]}
    for part in PARTS[1:]:
        summary = results.get(part, {})
        for name, value in summary.get("detection", {}).items():
            numbers[f"{part}/{name}"] = value
        for row in summary.get("spelling", []):
            numbers[f"{part}/accuracy_{row['n_repetitions']:02d}"] = row["accuracy"]
    return numbers
