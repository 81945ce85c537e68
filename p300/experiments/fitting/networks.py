"""Fit configured networks: build them, load earlier weights if asked, train them.

Two words are used here. A *plan* is a network that is to be fitted (:class:`PlannedNetwork`). A
*fit* is a network in training, with its loss and its optimizer
(:class:`~p300.training.loop.NetworkFit`).
"""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.experiments.build import build, plain
from p300.experiments.fitting.trainer import (
    ConfiguredTrainer,
    build_callbacks,
    build_scheduler,
    quiet_lightning,
)
from p300.storage.classes import without_unknown
from p300.terminal import step
from p300.training.members import labels, member_arguments, shape_arguments

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from pytorch_lightning.loggers import Logger
    from torch import Tensor, nn

    from p300.detector import Member
    from p300.preprocessing import Epochs
    from p300.training.callbacks.resuming import SavedTraining
    from p300.training.callbacks.watching import WatchedTraining
    from p300.training.loop import NetworkFit


log = logging.getLogger("p300.experiments.fitting.fit")

#: A fitted member, and its record in ``results.json``.
Fitted = tuple["Member", dict[str, Any]]


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
    loggers : sequence of Lightning loggers
        Where the values of its training epochs are sent.
    callbacks : sequence of Callback
        Of Lightning, beside the configured ones.
    content : mapping of str to str
        Hashes of recording and code: a training with others does not go on.
    soft_labels : ndarray of float32, shape (n_flashes,), or None
        Labels that a teacher gives the flashes to train on; None for the hard ones alone.
    is_teacher : bool
        Whether the network is a member of a teacher, and so no member of the run's detector.
    """

    cfg: DictConfig
    model: Mapping[str, Any]
    epochs: Epochs
    train_rows: np.ndarray
    validation_rows: np.ndarray
    number: int
    folder: Path
    loggers: Sequence[Logger] = ()
    callbacks: Sequence[Any] = ()
    content: Mapping[str, str] = field(default_factory=dict)
    soft_labels: np.ndarray | None = None
    is_teacher: bool = False

    @property
    def seed(self) -> int:
        """Random seed of the first weights, the order of flashes and the augmentation."""
        numbers = [self.cfg.seed, self.number, *[1] * self.is_teacher]
        return int(np.random.SeedSequence(numbers).generate_state(1)[0])

    @property
    def kind(self) -> str:
        """Text that is the same for networks that may train side by side."""
        from omegaconf import OmegaConf

        model = member_arguments(self.model, self.epochs)
        groups = ("protocol", "augmentation", "trainer", "callbacks", "scheduler")
        parts: list[Any] = [self.cfg[group] for group in groups]
        parts = [OmegaConf.to_container(part, resolve=True) for part in parts]
        also = [self.cfg.threads, self.cfg.pretrained, list(self.cfg.freeze)]
        also.append(self.soft_labels is not None)
        return json.dumps([model, *parts, *also], sort_keys=True)

    @property
    def key(self) -> str:
        """Hash that identifies the training of this network on these flashes."""
        about = [self.kind, self.seed, self.epochs.name, dict(self.content)]
        key = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        for rows in (self.train_rows, self.validation_rows):
            key.update(np.packbits(rows).tobytes())
        if self.soft_labels is not None:
            key.update(self.soft_labels.tobytes())
        return key.hexdigest()


def train_plan(plan: PlannedNetwork, epochs: Tensor) -> Fitted:
    """Train the network of one plan by a trainer of its own.

    Parameters
    ----------
    plan : PlannedNetwork
    epochs : Tensor
        The epochs of the plan, perhaps laid out otherwise in memory.

    Raises
    ------
    InputError
        If it cannot be trained.
    """
    from p300.training.loop import train_network
    from p300.training.preparation import prepare_training

    folder, fit = network_folder(plan), make_network_fit(plan, epochs)
    stated = prepare_training(fit, from_start=plan.cfg.pretrained is None)
    with shown_epochs([plan]) as watching:
        record = train_network(
            fit,
            saved_training([plan]),
            ConfiguredTrainer(plan.cfg, folder),
            [*build_callbacks(plan.cfg, folder), *plan.callbacks, watching([fit.curve])],
            plan.cfg.protocol.monitor,
        )
    return as_member(plan, fit, record | stated)


def train_together(plans: Sequence[PlannedNetwork], epochs: Tensor) -> list[Fitted | InputError]:
    """Train the networks of plans of one kind side by side.

    Raises
    ------
    InputError
        If none can be trained.
    """
    import torch

    from p300.training.preparation import prepare_training
    from p300.training.side_by_side import train_side_by_side

    cfg = plans[0].cfg
    fits = [make_network_fit(plan, epochs) for plan in plans]
    stated = [prepare_training(fit, from_start=cfg.pretrained is None) for fit in fits]
    with shown_epochs(plans) as watching:
        found = train_side_by_side(
            fits,
            saved_training(plans),
            ConfiguredTrainer(cfg, network_folder(plans[0])),
            [watching([fit.curve for fit in fits])],
            cfg.protocol.monitor,
            cfg.protocol.patience,
            torch.compile if cfg.compile else lambda function: function,
        )
    return [
        record if isinstance(record, InputError) else as_member(plan, fit, record | more)
        for plan, fit, record, more in zip(plans, fits, found, stated, strict=True)
    ]


def network_folder(plan: PlannedNetwork) -> Path:
    """Return the folder of a network, below that of its run."""
    return plan.folder / "networks" / f"{'teacher_' * plan.is_teacher}{plan.number}"


def saved_training(plans: Sequence[PlannedNetwork]) -> SavedTraining:
    """Return the file from which the training of these networks is resumed."""
    from p300.training.callbacks.resuming import SavedTraining

    key = "\n".join(plan.key for plan in plans)
    return SavedTraining(
        network_folder(plans[0]).with_suffix(".ckpt"), key, plans[0].cfg.save_every_s
    )


@contextlib.contextmanager
def shown_epochs(plans: Sequence[PlannedNetwork]) -> Iterator[Callable[..., WatchedTraining]]:
    """Show the training epochs of some networks; yields what makes the callback that watches."""
    from p300.training.callbacks.watching import WatchedTraining

    first, last = plans[0].number, plans[-1].number
    title = f"network {first}" + (f" to {last}" if last != first else "")
    title = f"teacher: {title}" if plans[0].is_teacher else title
    with step(title, plans[0].cfg.trainer.max_epochs, "epochs", at_most=True) as epochs:
        yield functools.partial(WatchedTraining, epochs)


def as_member(plan: PlannedNetwork, fit: NetworkFit, record: dict[str, Any]) -> Fitted:
    """Return a trained network as a member of a detector, with its record."""
    from p300.detector import Member
    from p300.losses import describe_loss

    is_target = labels(plan.epochs)[plan.train_rows]
    loss = describe_loss(plain(plan.cfg.protocol.loss), is_target)
    arguments = member_arguments(plan.model, plan.epochs)
    return Member(fit.module.network, arguments, loss), record


def make_network_fit(plan: PlannedNetwork, epochs: Tensor) -> NetworkFit:
    """Build the fit of a plan: its network, loss, optimizer and flashes.

    ``epochs`` are those of the plan, perhaps laid out otherwise in memory. The first weights
    depend on the seed of the run and the number of the network.
    """
    import torch
    from omegaconf import OmegaConf

    from p300.losses import make_loss
    from p300.training.callbacks.curves import TrainingCurve
    from p300.training.datamodule import EpochsDataModule
    from p300.training.loop import NetworkFit
    from p300.training.module import TrainingModule

    cfg, protocol = plan.cfg, plan.cfg.protocol
    quiet_lightning()
    torch.set_num_threads(cfg.threads)
    torch.manual_seed(plan.seed)
    network = build(plan.model, **shape_arguments(plan.model, plan.epochs))
    if cfg.pretrained is not None:
        start_from(network, cfg.pretrained, plan.number, plan.epochs)
    freeze(network, cfg.freeze)
    if cfg.compile:
        network.compile()
    is_target = labels(plan.epochs)
    scheduling: Any = OmegaConf.to_container(cfg.scheduler, resolve=True)
    scheduling = {k: v for k, v in scheduling.items() if k != "build"}
    module = TrainingModule(
        network,
        make_loss(build(protocol.loss), is_target[plan.train_rows]),
        without_unknown(build(protocol.optimizer), "fused"),
        build_scheduler(cfg),
        scheduling,
        protocol.layer_rate,
    )
    data = EpochsDataModule(
        epochs,
        is_target,
        plan.train_rows,
        plan.validation_rows,
        batch_size=protocol.batch_size,
        seed=plan.seed,
        repeat_targets=protocol.repeat_targets,
        augmentations=[build(step) for step in cfg.augmentation.steps.values()],
        soft_labels=plan.soft_labels,
        person=plan.epochs.flashes["subject"],
    )
    curve = TrainingCurve(network_folder(plan) / "metrics.csv")
    return NetworkFit(module, data, curve, plan.loggers)


def freeze(network: nn.Module, patterns: Sequence[str]) -> None:
    """Keep some weights of a network as they are.

    Raises
    ------
    InputError
        If a name is that of no weight.

    Examples
    --------
    >>> from torch import nn
    >>> network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    >>> freeze(network, ["0.*"])
    >>> [weight.requires_grad for weight in network.parameters()]
    [False, False, True, True]
    """
    weights = dict(network.named_parameters())
    for pattern in patterns:
        found = fnmatch.filter(weights, pattern)
        if not found:
            raise InputError(
                f"got freeze={pattern}; expected names of weights of the "
                f"{type(network).__name__}: {', '.join(weights)}"
            )
        for name in found:
            weights[name].requires_grad_(False)


def start_from(network: nn.Module, run: str, number: int, epochs: Epochs) -> None:
    """Load the weights of a network of an earlier run into a network, to train it further.

    The channels are the same, unless the network is a
    :class:`~p300.models.protocols.ReadsPositions`.

    Raises
    ------
    InputError
        If that run had another network, or other channels or channel order.
    """
    from p300.detector import Detector
    from p300.models.protocols import ReadsPositions

    earlier = Detector.load(run)
    members = [m.detector for m in earlier.members]
    members = [m for m in members if type(m) is type(network)] or members
    member = members[max(0, number - 1) % len(members)]
    have, want = list(earlier.preprocessor.ch_names_), list(epochs.ch_names)
    takes_any = isinstance(network, ReadsPositions) and network.reads_positions
    if type(member) is not type(network) or (have != want and not takes_any):
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
