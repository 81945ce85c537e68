"""Fitting one configured detector: preprocessing, members, calibration, checkpoint, scores."""

from __future__ import annotations

import itertools
import logging
import time
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.folds import inner_folds, member_rows, unit_of
from p300.progress import Step, step, watched
from p300.results import report_parts
from p300.splits import Split

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.checkpoint import Member
    from p300.preprocessing import Epochs, Preprocessor
    from p300.recording import Recording
    from p300.stacking import Stack

log = logging.getLogger("p300.fitting")


def fit_and_score(
    cfg: DictConfig, config: dict, recording: Recording, split: Split, folder: Path, tracker
) -> dict[str, Any]:
    """Preprocess, fit every member, write checkpoint and scores; return what was found."""
    from hydra.utils import instantiate

    from p300.alignment import aligned
    from p300.checkpoint import TrainedDetector

    started = time.perf_counter()
    preprocessor = instantiate(cfg.preprocessing, _convert_="all")
    alignment = instantiate(cfg.alignment.method, _convert_="all")
    with step("preprocessing: fit"):
        preprocessor.fit(recording, rows=split.train)
    epochs = aligned(cut_epochs(cfg, preprocessor, recording), alignment)
    if cfg.select_electrodes.n is not None:
        best = select_electrodes(cfg, epochs, split, folder)
        preprocessor = preprocessor.set_params(channels=best).fit(recording, rows=split.train)
        epochs = aligned(cut_epochs(cfg, preprocessor, recording), alignment)
    preprocessed = time.perf_counter()
    log.info("preprocessed to %s in %.1f s", epochs.data.shape, preprocessed - started)

    shares = member_rows(
        epochs.flashes,
        split.train,
        n_members=cfg.ensemble.n_members,
        share=cfg.ensemble.share,
        seed=cfg.seed,
    )
    members, offset, training = fit_all(cfg, epochs, shares, split.validation, folder, tracker)
    log.info("fitted %d member(s) in %.1f s", len(members), time.perf_counter() - preprocessed)
    detector = TrainedDetector(
        members, preprocessor, recording.speller, config, (1.0, offset), alignment
    )
    scores = detector.score_epochs(epochs.data)
    if cfg.calibration != "none":
        slope, shift = calibrated(cfg.calibration, scores, epochs, split.validation)
        detector.calibration = slope, slope * offset + shift
        scores = slope * scores + shift
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
    return results | report_parts(scores, epochs, split, folder)


def cut_epochs(cfg: DictConfig, preprocessor: Preprocessor, recording: Recording) -> Epochs:
    """Cut all epochs, or take them from the configured cache."""
    from p300.preprocessing import EpochsCache

    with step("preprocessing", len(recording.flashes), "flashes") as cut:
        on_cut = cut.advance if cut.has_bar else None
        if cfg.cache.folder is None:
            return preprocessor.epochs(recording, on_cut=on_cut)
        cache = EpochsCache(cfg.cache.folder, max_bytes=cfg.cache.max_gb * 1e9)
        return cache.epochs(preprocessor, recording, on_cut=on_cut)


def fit_all(
    cfg: DictConfig,
    epochs: Epochs,
    shares: list[np.ndarray],
    validation_rows: np.ndarray,
    folder: Path,
    tracker,
) -> tuple[list[Member], float, list[dict[str, Any]]]:
    """Fit the configured model to each share of the training flashes; their scores are averaged.

    Returns
    -------
    members : list of Member
        With their weights.
    offset : float
        To be added to the weighted sum of their scores.
    records : list of dict
        What is to be told of each member.
    """
    from hydra.utils import instantiate

    from p300.checkpoint import import_class
    from p300.stacking import Stack

    numbers = itertools.count(1)  # of the networks of this run
    is_stack = import_class(cfg.model["_target_"]) is Stack
    stack = instantiate(cfg.model, _convert_="all") if is_stack else None
    n_fits = len(shares) if stack is None else count_fits(stack, epochs, shares)

    def fit_one(model, train_rows, validation_rows):
        if is_network(model):
            rows = train_rows, validation_rows
            fitted = fit_network(cfg, model, epochs, *rows, next(numbers), folder, tracker)
            done.advance()
        else:
            fitted = fit_classical(model, epochs, train_rows), {}
            (done.skip if is_stack else done.advance)()  # far quicker than the networks beside it
        return fitted

    with step("members", n_fits, "fitted") if n_fits > 1 else nullcontext(Step()) as done:
        if stack is not None:
            parts = [stack.fit(epochs, rows, fit_one) for rows in shares]
        else:
            fitted = [fit_one(cfg.model, rows, validation_rows) for rows in shares]
            parts = [([member], 0.0, [record]) for member, record in fitted]
    members, offsets, records = zip(*parts, strict=True)
    members, records = [m for p in members for m in p], [r for p in records for r in p]
    for member, record in zip(members, records, strict=True):
        member.weight /= len(shares)
        record["weight"] = member.weight
    return members, float(np.mean(offsets)), records


def count_fits(stack: Stack, epochs: Epochs, shares: list[np.ndarray]) -> int:
    """Count how many detectors a stack fits to each share: every kind once a left-out fold.

    A classical one is fitted once more to everything.
    """
    n_again = sum(not is_network(model) for model in stack.members.values())
    n_folds = [inner_folds(epochs.flashes, rows, stack.n_folds).max() + 1 for rows in shares]
    return sum(int(n) * len(stack.members) + n_again for n in n_folds)


def fit_classical(model: Mapping, epochs: Epochs, rows: np.ndarray) -> Member:
    """Fit one classical detector; one that chooses or divides is told what to leave whole."""
    from hydra.utils import instantiate
    from sklearn.utils.validation import has_fit_parameter

    from p300.checkpoint import Member

    detector = instantiate(model, _convert_="all")
    whole = {}
    if has_fit_parameter(detector, "groups"):
        whole["groups"] = inner_folds(epochs.flashes, rows)[rows]
    if has_fit_parameter(detector, "characters"):
        whole["characters"] = unit_of(epochs.flashes, "character")[rows]
    is_target = epochs.flashes["is_target"][rows].to_numpy(bool)
    with step(type(detector).__name__):
        detector.fit(epochs.data[rows], is_target, **whole)
    return Member(detector, member_arguments(model, epochs))


def fit_network(
    cfg: DictConfig,
    model: Mapping,
    epochs: Epochs,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
    number: int,
    folder: Path,
    tracker,
) -> tuple[Member, dict[str, Any]]:
    """Train one network by the configured protocol; ``number`` tells it from the run's others."""
    import torch
    from hydra.utils import instantiate

    from p300.checkpoint import Member
    from p300.curves import network_loggers
    from p300.datamodule import EpochsDataModule
    from p300.detector import Detector, train_network

    is_target = epochs.flashes["is_target"].fillna(False).to_numpy(bool)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec", FutureWarning)
    seed = int(np.random.SeedSequence([cfg.seed, number]).generate_state(1)[0])
    torch.manual_seed(seed)
    torch.set_num_threads(cfg.threads)
    protocol = cfg.protocol
    network = instantiate(model, **shape_arguments(epochs), _convert_="all")
    if cfg.pretrained is not None:
        start_from(network, cfg.pretrained, number, epochs)
    detector = Detector(
        network,
        instantiate(protocol.loss)(is_target[train_rows]),
        instantiate(protocol.optimizer),
        protocol.layer_rate,
        [instantiate(augment) for augment in cfg.augmentation.steps.values()],
    )
    data = EpochsDataModule(
        epochs.data,
        is_target,
        train_rows,
        validation_rows,
        batch_size=protocol.batch_size,
        seed=seed,
        repeat_targets=protocol.repeat_targets,
    )
    with step(f"network {number}", cfg.trainer.max_epochs, "passes", at_most=True) as passes:
        training = train_network(
            detector,
            data,
            folder=folder / "networks" / str(number),
            trainer=watched(instantiate(cfg.trainer), detector, passes),
            monitor=protocol.monitor,
            patience=protocol.patience,
            loggers=network_loggers(folder, number, tracker),
        )
    log.info(
        "network %d: %s %.3f in pass %d of %d",
        number,
        protocol.monitor,
        training[protocol.monitor],
        training["best_pass"],
        training["n_passes"],
    )
    loss = type(detector.loss).__name__
    return Member(detector.network, member_arguments(model, epochs), loss), training


def start_from(network, run: str, number: int, epochs: Epochs) -> None:
    """Give a network the weights of an earlier run's member, to be trained further.

    Raises
    ------
    InputError
        If that run had another network, or other channels or channel order.
    """
    from p300.checkpoint import TrainedDetector

    earlier = TrainedDetector.load(run)
    members = [m.detector for m in earlier.members]
    members = [m for m in members if type(m) is type(network)] or members
    member = members[max(0, number - 1) % len(members)]
    have, want = list(earlier.preprocessor.ch_names_), list(epochs.ch_names)
    if type(member) is not type(network) or have != want:
        raise InputError(
            f"pretrained {run}: a {type(member).__name__} on {len(have)} channels ({have[0]} …); "
            f"expected a {type(network).__name__} on the {len(want)} channels of this recording "
            f"({want[0]} …), in the same order"
        )
    try:
        network.load_state_dict(member.state_dict())
    except RuntimeError as error:
        raise InputError(f"pretrained {run}: its weights do not fit: {error}") from error


def select_electrodes(cfg: DictConfig, epochs: Epochs, split: Split, folder: Path) -> list[str]:
    """Pick the electrodes with the highest power in a network trained on all (eq. 12).

    Raises
    ------
    InputError
        If the model has no spatial filters to rank them by.
    """
    from p300.checkpoint import import_class

    kind = import_class(cfg.model["_target_"])
    if not hasattr(kind, "electrode_power"):
        raise InputError(
            f"select_electrodes needs a network with spatial filters; "
            f"{kind.__name__} has no electrode_power (use model=cecotti)"
        )
    n, n_chans = cfg.select_electrodes.n, len(epochs.ch_names)
    if not 0 < n <= n_chans:
        raise InputError(f"select_electrodes.n is {n}; expected 1 to the {n_chans} there are")
    parts = split.train, split.validation
    member, _ = fit_network(cfg, cfg.model, epochs, *parts, 0, folder, None)
    power = member.detector.electrode_power()
    best = [epochs.ch_names[k] for k in power.argsort(descending=True)[:n]]
    log.info("electrodes of highest power: %s", " ".join(best))
    return best


def calibrated(
    kind: str, scores: np.ndarray, epochs: Epochs, validation: np.ndarray
) -> tuple[float, float]:
    """Fit slope and offset of the scores on the validation part.

    Raises
    ------
    InputError
        If there is no such kind.
    """
    from p300.calibration import fit_platt

    if kind not in ("platt", "temperature"):
        raise InputError(f"calibration={kind}; expected none, platt or temperature")
    is_target = epochs.flashes["is_target"][validation].to_numpy(bool)
    return fit_platt(scores[validation], is_target, temperature_only=kind == "temperature")


def member_arguments(model: Mapping, epochs: Epochs) -> dict[str, Any]:
    """Name the class of a member and every argument that builds it again."""
    from omegaconf import OmegaConf

    arguments = OmegaConf.to_container(OmegaConf.create(model), resolve=True)
    return arguments | shape_arguments(epochs) if is_network(model) else arguments


def shape_arguments(epochs: Epochs) -> dict[str, Any]:
    """Give the sizes every network is told, by braindecode's names."""
    _, n_chans, n_times = epochs.data.shape
    return {"n_chans": n_chans, "n_outputs": 2, "n_times": n_times, "sfreq": float(epochs.sfreq)}


def is_network(model: Mapping) -> bool:
    """Tell a network from a classical detector, or from a stack of both."""
    from torch import nn

    from p300.checkpoint import import_class

    return issubclass(import_class(model["_target_"]), nn.Module)


def needs_validation(cfg: DictConfig) -> bool:
    """Tell whether anything is chosen by a validation part; else it is trained on too."""
    return is_network(cfg.model) or cfg.calibration != "none"
