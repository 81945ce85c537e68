"""Fitting configured networks: built, trained by the protocol, perhaps from an earlier run."""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.experiments.build import (
    build_augmentations,
    build_loss,
    build_network,
    build_optimizer,
    build_trainer,
)
from p300.splits import Split
from p300.terminal import step, watch_training
from p300.training.members import labels, member_arguments

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.detector import Member
    from p300.preprocessing import Epochs
    from p300.training.module import NetworkFit


log = logging.getLogger("p300.experiments.fit")

#: Megabytes of epochs in one step of networks that train side by side on a CPU: more would not
#: stay in its cache.
STEP_MB = 16


@dataclass
class PlannedNetwork:
    """One network that is to be fitted.

    Parameters
    ----------
    cfg : DictConfig
        Of its run.
    model : mapping
        Its class and arguments.
    epochs : Epochs
        Of the whole recording.
    train_rows, validation_rows : ndarray of bool, shape (n_flashes,)
        Its two parts.
    number : int
        Tells it from the run's others.
    folder : Path
        Of its run.
    tracker : wandb.Run or None
        Of its run.
    """

    cfg: DictConfig
    model: Mapping
    epochs: Epochs
    train_rows: np.ndarray
    validation_rows: np.ndarray
    number: int
    folder: Path
    tracker: Any = None

    @property
    def seed(self) -> int:
        """Fixes all that is drawn: weights, order of flashes, augmentation."""
        return int(np.random.SeedSequence([self.cfg.seed, self.number]).generate_state(1)[0])

    @property
    def kind(self) -> str:
        """What is the same for networks that may train side by side, as text."""
        from omegaconf import OmegaConf

        model = member_arguments(self.model, self.epochs)
        parts = [self.cfg.protocol, self.cfg.augmentation, self.cfg.trainer]
        parts = [OmegaConf.to_container(part, resolve=True) for part in parts]
        return json.dumps([model, *parts, self.cfg.threads, self.cfg.pretrained], sort_keys=True)

    @property
    def key(self) -> str:
        """Names the training of this network on these flashes."""
        key = hashlib.sha256(f"{self.kind} {self.seed} {self.epochs.name}".encode())
        for rows in (self.train_rows, self.validation_rows):
            key.update(np.packbits(rows).tobytes())
        return key.hexdigest()


def fit_networks(
    planned: Sequence[PlannedNetwork], on_fitted: Callable[[int], None] | None = None
) -> list[tuple[Member, dict[str, Any]] | Exception]:
    """Train networks by their configured protocols, those of one kind side by side.

    Parameters
    ----------
    planned : sequence of PlannedNetwork
        Of one run or of several.
    on_fitted : callable or None
        Told how many networks more have been fitted.

    Returns
    -------
    list of (Member, dict) or Exception
        Each network and what is to be told of it, or why it could not be trained. Networks that
        cannot be trained side by side are tried one by one.
    """
    groups: dict[tuple, list[int]] = {}
    for k, plan in enumerate(planned):
        groups.setdefault((plan.kind, id(plan.epochs)), []).append(k)
    fitted: dict[int, tuple[Member, dict[str, Any]] | Exception] = {}
    for group in groups.values():
        try:
            waiting = _side_by_side([planned[k] for k in group], group)
        except Exception:  # they cannot even be made; each says so when its turn comes
            waiting = [[k] for k in group]
        while waiting:
            some = waiting.pop(0)
            try:
                found = _train([planned[k] for k in some])
            except Exception as error:  # whatever it is, it is not the other networks'
                if len(some) > 1:
                    waiting = [[k] for k in some] + waiting
                    continue
                found = [error]
            fitted |= dict(zip(some, found, strict=True))
            if on_fitted is not None:
                on_fitted(len(some))
    return [fitted[k] for k in range(len(planned))]


def fit_network(plan: PlannedNetwork) -> tuple[Member, dict[str, Any]]:
    """Train one network by its configured protocol.

    Raises
    ------
    InputError
        If it cannot be trained.
    """
    (fitted,) = fit_networks([plan])
    if isinstance(fitted, Exception):
        raise fitted
    return fitted


def _side_by_side(planned: Sequence[PlannedNetwork], numbers: Sequence[int]) -> list[list[int]]:
    """Part networks of one kind into those that are computed as one."""
    from p300.training.side_by_side import can_be_batched

    largest = 1
    if len(planned) > 1 and planned[0].cfg.trainer.devices == 1:
        if can_be_batched([make_network_fit(plan).network for plan in planned[:2]]):
            step_mb = planned[0].cfg.protocol.batch_size * planned[0].epochs.data[0].nbytes / 1e6
            largest = max(2, int(STEP_MB / step_mb))
    n_parts = -(-len(planned) // largest)
    return [list(part) for part in np.array_split(numbers, n_parts)]


def _train(planned: Sequence[PlannedNetwork]) -> list[tuple[Member, dict[str, Any]] | InputError]:
    """Train networks of one kind, side by side if they are several."""
    import torch

    from p300.detector import Member
    from p300.training.curves import network_loggers
    from p300.training.datamodule import EpochsDataModule
    from p300.training.loop import SavedTraining, train_networks

    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec", FutureWarning)
    warnings.filterwarnings("ignore", "The `srun` command is available")  # a job is one process
    first, protocol = planned[0], planned[0].cfg.protocol
    torch.set_num_threads(first.cfg.threads)
    fits = [make_network_fit(plan) for plan in planned]
    for fit, plan in zip(fits, planned, strict=True):
        fit.loggers = network_loggers(plan.folder, plan.number, plan.tracker)
    data = EpochsDataModule(
        first.epochs.data,
        labels(first.epochs),
        [t.train for t in fits],
        [t.validation for t in fits],
        batch_size=protocol.batch_size,
        seeds=[t.seed for t in fits],
        repeat_targets=protocol.repeat_targets,
        time_first=getattr(fits[0].network, "reads_time_first", False),
    )
    saved = SavedTraining(
        first.folder / "networks" / f"{first.number}.ckpt",
        "\n".join(plan.key for plan in planned),
        first.cfg.save_every_s,
    )
    several = "" if planned[-1].number == first.number else f" to {planned[-1].number}"
    title = f"network {first.number}{several}"
    with step(title, first.cfg.trainer.max_epochs, "epochs", at_most=True) as epochs:
        found = train_networks(
            fits,
            data,
            saved=saved,
            trainer=build_trainer(first.cfg),
            monitor=protocol.monitor,
            patience=protocol.patience,
            is_compiled=first.cfg.compile,
            watch=lambda trainer, module: watch_training(epochs, trainer, module),
        )
    fitted = []
    for plan, fit, record in zip(planned, fits, found, strict=True):
        if isinstance(record, InputError):
            fitted.append(record)
            continue
        arguments, loss = member_arguments(plan.model, plan.epochs), type(fit.loss).__name__
        fitted.append((Member(fit.network, arguments, loss), record))
    return fitted


def make_network_fit(plan: PlannedNetwork) -> NetworkFit:
    """Build one network, its loss and its optimizer; seed and number fix its first weights."""
    import torch

    from p300.training.module import NetworkFit

    cfg, protocol = plan.cfg, plan.cfg.protocol
    torch.manual_seed(plan.seed)
    network = build_network(plan.model, plan.epochs)
    if cfg.pretrained is not None:
        start_from(network, cfg.pretrained, plan.number, plan.epochs)
    return NetworkFit(
        network,
        build_loss(protocol, labels(plan.epochs)[plan.train_rows]),
        build_optimizer(protocol),
        plan.train_rows,
        plan.validation_rows,
        plan.seed,
        protocol.layer_rate,
        build_augmentations(cfg),
    )


def start_from(network, run: str, number: int, epochs: Epochs) -> None:
    """Give a network the weights of an earlier run's member, to be trained further.

    Raises
    ------
    InputError
        If that run had another network, or other channels or channel order.
    """
    from p300.detector import Detector

    earlier = Detector.load(run)
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
    from p300.detector import import_class

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
    member, _ = fit_network(PlannedNetwork(cfg, cfg.model, epochs, *parts, 0, folder))
    power = member.detector.electrode_power()
    best = [epochs.ch_names[k] for k in power.argsort(descending=True)[:n]]
    log.info("electrodes of highest power: %s", " ".join(best))
    return best
