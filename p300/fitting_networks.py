"""Fitting one configured network: built, trained by the protocol, perhaps from an earlier run."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.progress import step, watched
from p300.splits import Split

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.checkpoint import Member
    from p300.datamodule import EpochsDataModule
    from p300.detector import Detector
    from p300.preprocessing import Epochs

log = logging.getLogger("p300.fitting")


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
    from hydra.utils import instantiate

    from p300.checkpoint import Member
    from p300.curves import network_loggers
    from p300.detector import train_network

    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec", FutureWarning)
    protocol = cfg.protocol
    detector, data = prepare_network(cfg, model, epochs, train_rows, validation_rows, number)
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


def prepare_network(
    cfg: DictConfig,
    model: Mapping,
    epochs: Epochs,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
    number: int,
) -> tuple[Detector, EpochsDataModule]:
    """Build one network, its loss, optimizer and data; seed and number fix all that is drawn."""
    import torch
    from hydra.utils import instantiate

    from p300.datamodule import EpochsDataModule
    from p300.detector import Detector

    is_target = epochs.flashes["is_target"].fillna(False).to_numpy(bool)
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
    return detector, data


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
