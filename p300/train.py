"""``p300 train``: from a recording to a trained detector and the text it reads."""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.cli import run_with_hydra
from p300.errors import InputError
from p300.splits import PARTS, Split, check_monitor, member_rows

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.preprocessing import Epochs
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

    from p300.results import read_recording, write_json

    check_monitor(cfg.protocol.monitor)
    config = OmegaConf.to_container(cfg, resolve=True)
    config["choices"] = {k: v for k, v in choices.items() if not k.startswith("hydra/")}
    OmegaConf.save(OmegaConf.create(config), folder / "config.yaml")

    steps = cfg.preprocessing
    recording = read_recording(cfg.data, folder, steps.tmin, steps.tmax)
    split = instantiate(cfg.split, recording.flashes, _convert_="all")
    if is_classical(cfg.model):
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
    tracker = instantiate(cfg.logger.wandb, **named, _convert_="all")
    tracker.config.update(config)
    return tracker


def fit_and_score(
    cfg: DictConfig, config: dict, recording: Recording, split: Split, folder: Path, tracker
) -> dict[str, Any]:
    """Preprocess, fit every member, write checkpoint and scores; return what was found."""
    from hydra.utils import instantiate

    from p300.checkpoint import TrainedDetector

    started = time.perf_counter()
    preprocessor = instantiate(cfg.preprocessing, _convert_="all")
    epochs = preprocessor.fit(recording, rows=split.train).epochs(recording)
    if cfg.select_electrodes.n is not None:
        best = select_electrodes(cfg, epochs, split, folder)
        preprocessor = preprocessor.set_params(channels=best).fit(recording, rows=split.train)
        epochs = preprocessor.epochs(recording)
    preprocessed = time.perf_counter()
    log.info("preprocessed to %s in %.1f s", epochs.data.shape, preprocessed - started)

    shares = member_rows(
        epochs.flashes,
        split.train,
        n_members=cfg.ensemble.n_members,
        share=cfg.ensemble.share,
        seed=cfg.seed,
    )
    fitted = [
        fit_member(cfg, epochs, rows, split.validation, k, folder, tracker)
        for k, rows in enumerate(shares, start=1)
    ]
    members, training = map(list, zip(*fitted, strict=True))
    log.info("fitted %d member(s) in %.1f s", len(members), time.perf_counter() - preprocessed)
    detector = TrainedDetector(
        members,
        member_arguments(cfg.model, epochs),
        preprocessor,
        recording.speller,
        cfg.protocol.loss["_target_"].rpartition(".")[2],
        config,
    )
    detector.save(folder / "checkpoint.pt")
    results = {
        "choices": config["choices"],
        "seed": cfg.seed,
        "split": str(split),
        "ch_names": list(epochs.ch_names),
        "n_parameters": detector.n_parameters,
        "preprocess_s": preprocessed - started,
        "fit_s": time.perf_counter() - preprocessed,
        "members": training,
    }
    return results | report_parts(detector.score_epochs(epochs.data), epochs, split, folder)


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


def fit_member(
    cfg: DictConfig,
    epochs: Epochs,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
    number: int,
    folder: Path,
    tracker,
) -> tuple[Any, dict[str, Any]]:
    """Fit one network or one classical detector."""
    from hydra.utils import instantiate

    is_target = epochs.flashes["is_target"].fillna(False).to_numpy(bool)
    if is_classical(cfg.model):
        member = instantiate(cfg.model, _convert_="all")
        return member.fit(epochs.data[train_rows], is_target[train_rows]), {}

    import pytorch_lightning as pl
    import torch

    from p300.datamodule import EpochsDataModule
    from p300.detector import Detector, train_network

    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec", FutureWarning)
    seed = int(np.random.SeedSequence([cfg.seed, number]).generate_state(1)[0])
    torch.manual_seed(seed)
    protocol = cfg.protocol
    network = instantiate(cfg.model, **shape_arguments(epochs), _convert_="all")
    detector = Detector(
        network,
        instantiate(protocol.loss)(is_target[train_rows]),
        instantiate(protocol.optimizer),
        protocol.layer_rate,
    )
    data = EpochsDataModule(
        epochs.data,
        is_target,
        train_rows,
        validation_rows,
        batch_size=protocol.batch_size,
        seed=seed,
    )
    loggers = [pl.loggers.CSVLogger(folder / "networks", name=str(number), version="")]
    if tracker is not None:
        loggers.append(pl.loggers.WandbLogger(experiment=tracker, prefix=f"network_{number}"))
    training = train_network(
        detector,
        data,
        folder=folder / "networks" / str(number),
        trainer=instantiate(cfg.trainer),
        monitor=protocol.monitor,
        patience=protocol.patience,
        loggers=loggers,
        progress=cfg.progress and sys.stdout.isatty(),
    )
    log.info(
        "network %d: %s %.3f in pass %d of %d",
        number,
        protocol.monitor,
        training[protocol.monitor],
        training["best_pass"],
        training["n_passes"],
    )
    return detector.network, training


def select_electrodes(cfg: DictConfig, epochs: Epochs, split: Split, folder: Path) -> list[str]:
    """Pick the electrodes with the highest power in a network trained on all (eq. 12).

    Raises
    ------
    InputError
        If the model has no spatial filters to rank them by.
    """
    network, _ = fit_member(cfg, epochs, split.train, split.validation, 0, folder, None)
    if not hasattr(network, "electrode_power"):
        raise InputError(
            f"select_electrodes needs a network with spatial filters; "
            f"{type(network).__name__} has no electrode_power (use model=cecotti)"
        )
    n, n_chans = cfg.select_electrodes.n, len(epochs.ch_names)
    if not 0 < n <= n_chans:
        raise InputError(f"select_electrodes.n is {n}; expected 1 to the {n_chans} there are")
    best = [epochs.ch_names[k] for k in network.electrode_power().argsort(descending=True)[:n]]
    log.info("electrodes of highest power: %s", " ".join(best))
    return best


def report_parts(scores: np.ndarray, epochs: Epochs, split: Split, folder: Path) -> dict[str, Any]:
    """Write every flash's score, print the test part's table, and return the summaries."""
    from rich.console import Console

    from p300.results import results_table, summarize

    part = np.select([getattr(split, p) for p in PARTS], PARTS, "unused")
    table = epochs.flashes.assign(part=part, score=scores)
    table.to_csv(folder / "scores.csv", index=False)
    summaries = {}
    for name in PARTS[1:]:
        rows = getattr(split, name)
        if rows.any():
            summaries[name] = summarize(scores[rows], epochs.flashes[rows], epochs.speller)
    shown = "test" if "test" in summaries else "validation"
    if shown in summaries:
        Console().print(results_table(summaries[shown], f"{epochs.name}, {shown} part"))
    return summaries


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


def member_arguments(model: DictConfig, epochs: Epochs) -> dict[str, Any]:
    """Name the class of a member and every argument that builds it again."""
    from omegaconf import OmegaConf

    arguments = OmegaConf.to_container(model, resolve=True)
    return arguments if is_classical(model) else arguments | shape_arguments(epochs)


def is_classical(model: DictConfig) -> bool:
    """Tell a classical detector, which has scikit-learn's interface, from a network."""
    from hydra.utils import get_class

    return hasattr(get_class(model["_target_"]), "decision_function")


def shape_arguments(epochs: Epochs) -> dict[str, Any]:
    """Give the sizes every network is told, by braindecode's names."""
    _, n_chans, n_times = epochs.data.shape
    return {"n_chans": n_chans, "n_outputs": 2, "n_times": n_times, "sfreq": float(epochs.sfreq)}
