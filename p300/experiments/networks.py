"""Fit configured networks: build them, load earlier weights if asked, train them.

Two words are used here. A *plan* is a network that is to be fitted (:class:`PlannedNetwork`). A
*fit* is a network in training, with its loss and its optimizer
(:class:`~p300.training.module.NetworkFit`).
"""

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
from p300.experiments.build import build, plain
from p300.splits import Split
from p300.storage.classes import without_unknown
from p300.terminal import step, watch_training
from p300.training.members import labels, member_arguments, shape_arguments

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from torch import nn

    from p300.detector import Member
    from p300.preprocessing import Epochs
    from p300.training.module import NetworkFit


log = logging.getLogger("p300.experiments.fit")

#: A fitted member, and its record in ``results.json``.
Fitted = tuple["Member", dict[str, Any]]

#: Megabytes of epochs in one step of networks that train side by side on a CPU; more would not
#: fit into its cache.
STEP_MB = 16


@dataclass
class PlannedNetwork:
    """A plan: one network that is to be fitted, with its data and its run.

    Parameters
    ----------
    cfg : DictConfig
        The configuration of the run.
    model : mapping
        ``_target_`` and arguments of the network.
    epochs : Epochs
        The epochs of the whole recording.
    train_rows, validation_rows : ndarray of bool, shape (n_flashes,)
        The flashes to train on, and the flashes to validate on.
    number : int
        The number of the network in the run.
    folder : Path
        The folder of the run.
    tracker : wandb.Run or None
        The W&B run, if there is one.
    """

    cfg: DictConfig
    model: Mapping[str, Any]
    epochs: Epochs
    train_rows: np.ndarray
    validation_rows: np.ndarray
    number: int
    folder: Path
    tracker: Any = None

    @property
    def seed(self) -> int:
        """Random seed of the first weights, the order of flashes and the augmentation."""
        return int(np.random.SeedSequence([self.cfg.seed, self.number]).generate_state(1)[0])

    @property
    def kind(self) -> str:
        """Text that is the same for networks that may train side by side."""
        from omegaconf import OmegaConf

        model = member_arguments(self.model, self.epochs)
        parts = [self.cfg.protocol, self.cfg.augmentation, self.cfg.trainer]
        parts = [OmegaConf.to_container(part, resolve=True) for part in parts]
        return json.dumps([model, *parts, self.cfg.threads, self.cfg.pretrained], sort_keys=True)

    @property
    def key(self) -> str:
        """Hash that identifies the training of this network on these flashes."""
        key = hashlib.sha256(f"{self.kind} {self.seed} {self.epochs.name}".encode())
        for rows in (self.train_rows, self.validation_rows):
            key.update(np.packbits(rows).tobytes())
        return key.hexdigest()


def fit_networks(
    planned: Sequence[PlannedNetwork], on_fitted: Callable[[int], None] | None = None
) -> list[Fitted | Exception]:
    """Train networks by their configured protocols, those of one kind side by side.

    Parameters
    ----------
    planned : sequence of PlannedNetwork
        The plans of one run or of several.
    on_fitted : callable or None
        Called with the number of networks that were fitted since its last call.

    Returns
    -------
    list of (Member, dict) or Exception
        For each plan: the network and its record in ``results.json``, or the error that stopped
        it. Networks that cannot be trained side by side are trained one by one.
    """
    groups: dict[tuple, list[int]] = {}
    for k, plan in enumerate(planned):
        groups.setdefault((plan.kind, id(plan.epochs)), []).append(k)
    fitted: dict[int, Fitted | Exception] = {}
    for group in groups.values():
        try:
            waiting = _side_by_side([planned[k] for k in group], group)
        except Exception:  # one cannot be built; it raises its error below, on its own
            waiting = [[k] for k in group]
        while waiting:
            some = waiting.pop(0)
            try:
                found = _train([planned[k] for k in some])
            except Exception as error:  # of any kind: the other networks continue
                if len(some) > 1:
                    waiting = [[k] for k in some] + waiting
                    continue
                found = [error]
            fitted |= dict(zip(some, found, strict=True))
            if on_fitted is not None:
                on_fitted(len(some))
    return [fitted[k] for k in range(len(planned))]


def fit_network(plan: PlannedNetwork) -> Fitted:
    """Train the network of one plan by its configured protocol.

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
    """Divide plans of one kind into groups; the networks of a group are computed as one."""
    from p300.training.side_by_side import can_be_batched

    largest = 1
    if len(planned) > 1 and planned[0].cfg.trainer.devices == 1:
        if can_be_batched([make_network_fit(plan).network for plan in planned[:2]]):
            step_mb = planned[0].cfg.protocol.batch_size * planned[0].epochs.data[0].nbytes / 1e6
            largest = max(2, int(STEP_MB / step_mb))
    n_parts = -(-len(planned) // largest)
    return [list(part) for part in np.array_split(numbers, n_parts)]


def _train(planned: Sequence[PlannedNetwork]) -> list[Fitted | Exception]:
    """Train the networks of plans of one kind, side by side if there are several."""
    import torch

    from p300.detector import Member
    from p300.losses import describe_loss
    from p300.models.protocols import ReadsTimeFirst
    from p300.training.curves import network_loggers
    from p300.training.datamodule import EpochsDataModule
    from p300.training.loop import SavedTraining, train_networks

    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec", FutureWarning)
    warnings.filterwarnings("ignore", "The `srun` command is available")  # one process per job
    first, protocol = planned[0], planned[0].cfg.protocol
    torch.set_num_threads(first.cfg.threads)
    fits = [make_network_fit(plan) for plan in planned]
    for fit, plan in zip(fits, planned, strict=True):
        fit.loggers = network_loggers(plan.folder, plan.number, plan.tracker)
    data = EpochsDataModule(
        first.epochs.data,
        labels(first.epochs),
        [fit.train for fit in fits],
        [fit.validation for fit in fits],
        batch_size=protocol.batch_size,
        seeds=[fit.seed for fit in fits],
        repeat_targets=protocol.repeat_targets,
        time_first=isinstance(fits[0].network, ReadsTimeFirst),
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
            trainer=build(first.cfg.trainer),
            monitor=protocol.monitor,
            patience=protocol.patience,
            is_compiled=first.cfg.compile,
            watch=lambda trainer, module: watch_training(epochs, trainer, module),
        )
    fitted: list[Fitted | Exception] = []
    for plan, fit, record in zip(planned, fits, found, strict=True):
        arguments, is_target = member_arguments(plan.model, plan.epochs), labels(plan.epochs)
        loss = describe_loss(plain(protocol.loss), is_target[plan.train_rows])
        member = Member(fit.network, arguments, loss)
        fitted.append(record if isinstance(record, InputError) else (member, record))
    return fitted


def make_network_fit(plan: PlannedNetwork) -> NetworkFit:
    """Build the fit of a plan: its network, loss and optimizer.

    The first weights depend on the seed of the run and the number of the network.
    """
    import torch

    from p300.losses import make_loss
    from p300.training.module import NetworkFit

    cfg, protocol = plan.cfg, plan.cfg.protocol
    torch.manual_seed(plan.seed)
    network = build(plan.model, **shape_arguments(plan.model, plan.epochs))
    if cfg.pretrained is not None:
        start_from(network, cfg.pretrained, plan.number, plan.epochs)
    return NetworkFit(
        network,
        make_loss(build(protocol.loss), labels(plan.epochs)[plan.train_rows]),
        without_unknown(build(protocol.optimizer), "fused"),
        plan.train_rows,
        plan.validation_rows,
        plan.seed,
        protocol.layer_rate,
        [build(augmentation) for augmentation in cfg.augmentation.steps.values()],
    )


def start_from(network: nn.Module, run: str, number: int, epochs: Epochs) -> None:
    """Load the weights of a network of an earlier run into a network, to train it further.

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
            f"pretrained={run}: got a {type(member).__name__} on {len(have)} channels "
            f"({have[0]} …); expected a {type(network).__name__} on the {len(want)} channels of "
            f"this recording ({want[0]} …), in the same order"
        )
    try:
        network.load_state_dict(member.state_dict())
    except RuntimeError as error:
        raise InputError(
            f"pretrained={run}: got weights of other sizes; expected those of the configured "
            f"{type(network).__name__}: {error}"
        ) from error


def select_electrodes(cfg: DictConfig, epochs: Epochs, split: Split, folder: Path) -> list[str]:
    """Train a network on all electrodes and return those of highest power (eq. 12).

    Raises
    ------
    InputError
        If the model has no spatial filters to rank the electrodes by, or the number of electrodes
        is not between 1 and all.
    """
    from p300.detector import import_class
    from p300.models.protocols import HasElectrodePower

    kind = import_class(cfg.model["_target_"])
    if not issubclass(kind, HasElectrodePower):
        raise InputError(
            f"got model {kind.__name__}, which has no electrode_power; expected a network with "
            f"spatial filters for select_electrodes.n; use model=cecotti"
        )
    n, n_chans = cfg.select_electrodes.n, len(epochs.ch_names)
    if not 0 < n <= n_chans:
        raise InputError(
            f"got select_electrodes.n={n}; expected 1 to {n_chans}, the number of electrodes"
        )
    parts = split.train, split.validation
    member, _ = fit_network(PlannedNetwork(cfg, cfg.model, epochs, *parts, 0, folder))
    power = member.detector.electrode_power()
    best = [epochs.ch_names[k] for k in power.argsort(descending=True)[:n]]
    log.info("electrodes of highest power: %s", " ".join(best))
    return best
