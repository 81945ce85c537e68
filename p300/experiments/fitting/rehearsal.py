"""A rehearsal of a run before its training: what would fail at the end fails now.

Every network, loss, optimizer, augmentation, estimator and preprocessing of a run is built. Those
that are not p300's own also do one training step on a few flashes, in a copy that is thrown away.
Then they are saved, loaded and compared. An error becomes one sentence, which names the part. The
random numbers of the training stay as they are.
"""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.experiments.build import build, is_tested, name_of, naming, plain
from p300.experiments.fitting.fit import fit_classical
from p300.experiments.fitting.learning import check_can_learn
from p300.experiments.fitting.networks import PlannedNetwork, make_network_fit
from p300.experiments.fitting.own_preprocessing import check_preprocessing
from p300.experiments.fitting.run import Run
from p300.experiments.fitting.session import learns_from_training
from p300.experiments.fitting.settings import check_trainer
from p300.experiments.fitting.teaching import Teacher, has_teacher
from p300.experiments.fitting.trainer import build_callback
from p300.storage.classes import without_unknown
from p300.storage.signature import key_path, make_key
from p300.training.checks import (
    check_same,
    checked_augmentation,
    checked_logits,
    checked_loss,
    checked_scores,
)
from p300.training.members import is_network, labels, member_arguments

if TYPE_CHECKING:
    import torch
    from omegaconf import DictConfig

    from p300.detector import Member
    from p300.training.loop import NetworkFit
    from p300.training.stacking import PlannedFit

log = logging.getLogger("p300.experiments.fit")

#: Flashes of each class in a rehearsed training step, and in a rehearsed fit.
N_STEP, N_FIT = 4, 30


def rehearse(run: Run) -> None:
    """Try everything that a prepared run needs until its checkpoint is written.

    Raises
    ------
    InputError
        If something fails; the message names the part and the reason.
    """
    with undisturbed():
        check_preprocessing(run)
        if learns_from_training(run.cfg.learning):
            check_can_learn(run)
        models: dict[str, PlannedFit] = {}
        planned = [plan for part in run.planned for plan in part]
        if has_teacher(run.cfg) and not any(is_network(plan.model) for plan in planned):
            raise InputError(
                f"got a teacher for {name_of(run.cfg.model)}, which learns from labels alone; "
                "expected a network; set teacher=none"
            )
        for plan in (plan for planned in run.planned for plan in planned):
            models.setdefault(json.dumps(member_arguments(plan.model, run.epochs)), plan)
        for plan in list(models.values()):
            if is_network(plan.model) and has_teacher(run.cfg):
                for one in Teacher(run, plan.train).planned:
                    models.setdefault(json.dumps(member_arguments(one.model, run.epochs)), one)
        for plan in models.values():
            (rehearse_network if is_network(plan.model) else rehearse_classical)(run, plan)


def rehearse_network(run: Run, plan: PlannedFit) -> None:
    """Build a network with its loss and optimizer; try them if they are not p300's own.

    Raises
    ------
    InputError
        If something fails.
    """
    import torch

    cfg, protocol = run.cfg, run.cfg.protocol
    check_trainer(cfg)
    with naming("protocol.optimizer", protocol.optimizer):
        if not callable(known_parts(protocol.optimizer, "fused")):
            raise InputError("it has no parameters yet; expected _partial_: true beside it")
    rows = few(run, plan, N_STEP)
    is_target = labels(run.epochs)
    with naming("protocol.loss", protocol.loss):
        from p300.losses import describe_loss, log_odds, make_loss

        loss = make_loss(known_parts(protocol.loss, "balanced"), is_target[plan.train])
        described = describe_loss(plain(protocol.loss), is_target[plan.train])
        if getattr(loss, "score", None) is log_odds:
            log.info("%s has no score: flashes are scored by log odds", name_of(protocol.loss))
    assert plan.stop is not None
    parts = run.epochs, plan.train, plan.stop
    scheduler = cfg.scheduler.build
    if scheduler is not None and not scheduler.get("_partial_"):
        with naming("scheduler.build", scheduler):
            raise InputError("it has no optimizer yet; expected _partial_: true beside it")
    with naming("model", plan.model):
        soft = is_target.astype(np.float32) if has_teacher(cfg) else None
        planned = PlannedNetwork(cfg, plan.model, *parts, 1, run.folder, soft_labels=soft)
        fit = make_network_fit(planned, torch.as_tensor(run.epochs.data))
        if not any(weight.requires_grad for weight in fit.module.network.parameters()):
            frozen = f"; freeze={list(cfg.freeze)} may leave none" if cfg.freeze else ""
            raise InputError(
                f"it has no weights to learn; expected parameters that need gradients{frozen}"
            )
    with naming("protocol.optimizer", protocol.optimizer):
        optimizer = fit.module.optimizer(fit.module.parameter_groups())
    if fit.module.scheduler is not None:
        with naming("scheduler.build", cfg.scheduler.build):
            fit.module.scheduler(optimizer)
    rehearse_callbacks(cfg, fit, rows)
    parts_of_a_step = plan.model, protocol.loss, protocol.optimizer, cfg.augmentation
    if not rows.any() or all(map(is_tested, parts_of_a_step)):
        return
    from p300.detector import Member

    torch.set_num_threads(cfg.threads)  # as in training: processes may be forked after this
    member = Member(fit.module.network, member_arguments(plan.model, run.epochs), described)
    x, y = torch.as_tensor(run.epochs.data[rows]), torch.as_tensor(is_target[rows])
    for step, augmentation in zip(cfg.augmentation.steps, fit.data.augmentations, strict=True):
        with naming(f"augmentation.steps.{step}", cfg.augmentation.steps[step]):
            x = checked_augmentation(augmentation(x, y), x)
    with naming("model", plan.model):
        logits = checked_logits(fit.module.network(x), len(x))
        if not logits.requires_grad:
            raise InputError(
                "its logits carry no gradient; expected logits that depend on weights"
            )
    with naming("protocol.loss", protocol.loss):
        checked_loss(fit.module.loss(logits, y))
        trained: Any = fit.module.loss  # with ``score``
        reads = member.read_logits, trained.score
        found = [checked_scores(read(logits), len(x)) for read in reads]
        check_same(found[0], found[1], "scores")
    if cfg.trainer.devices == 1:  # processes that are forked later may not compute gradients now
        train_step(fit, optimizer, logits, y, protocol.optimizer)
    with naming("model", plan.model), torch.no_grad():
        checked_logits(fit.module.network.eval()(x.clone()), len(x))  # as in evaluation
        check_comes_back(run, member, rows)


def rehearse_callbacks(cfg: DictConfig, fit: NetworkFit, rows: np.ndarray) -> None:
    """Build all callbacks; run all but the default ones through a batch of each part.

    Raises
    ------
    InputError
        If one cannot be built, or fails.
    """
    import pytorch_lightning as pl
    from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

    from p300.training.datamodule import EpochsDataModule

    for name, config in cfg.callbacks.items():
        if config is None:
            continue
        with tempfile.TemporaryDirectory() as folder, naming(f"callbacks.{name}", config):
            callback = build_callback(cfg, str(name), Path(folder))
            is_default = type(callback) in (EarlyStopping, ModelCheckpoint)
            if is_default or cfg.trainer.devices != 1 or not rows.any():
                continue
            data = EpochsDataModule(fit.data.epochs, fit.data.is_target, rows, rows)
            data.reads_time_first = fit.data.reads_time_first
            trainer = pl.Trainer(
                fast_dev_run=True,
                accelerator="cpu",
                callbacks=[callback],
                logger=any(cfg.logger.get(key) for key in ("wandb", "lightning")),
                enable_progress_bar=False,
                enable_model_summary=False,
                default_root_dir=folder,
            )
            trainer.fit(copy.deepcopy(fit.module), datamodule=data)


def known_parts(config: DictConfig, name: str) -> Any:
    """Build a loss or an optimizer; say if an argument of p300's protocols is left out."""
    factory = build(config)
    if without_unknown(factory, name) is not factory:
        log.info("%s does not know %s, which is left out", name_of(config), name)
    return factory


def train_step(
    fit: NetworkFit,
    optimizer: torch.optim.Optimizer,
    logits: torch.Tensor,
    is_target: torch.Tensor,
    config: DictConfig,
) -> None:
    """Do one training step."""
    from p300.models.protocols import Constrained

    with naming("model", {"_target_": type(fit.module.network).__name__}):
        fit.module.loss(logits, is_target).backward()
        if all(weight.grad is None for weight in fit.module.network.parameters()):
            raise InputError("no weight gets a gradient; expected logits that depend on weights")
    with naming("protocol.optimizer", config):
        optimizer.step(lambda: 0.0)  # Lightning computes the gradients in this function
    if isinstance(fit.module.network, Constrained):
        fit.module.network.apply_constraints()


def rehearse_classical(run: Run, plan: PlannedFit) -> None:
    """Build a classical detector; fit, save and load it if it is not p300's own.

    It is fitted to few flashes, and to all where few do not suffice.

    Raises
    ------
    InputError
        If something fails.
    """
    with naming("model", plan.model):
        if is_tested(plan.model):
            build(plan.model)
            return
        few_rows = few(run, plan, N_FIT)
        try:
            member = fit_classical(plan.model, run.epochs, few_rows)
        except Exception:  # of any kind: perhaps for want of flashes
            member = fit_classical(plan.model, run.epochs, plan.train)
        check_comes_back(run, member, few_rows)
        if (is_flat := getattr(member.detector, "is_flat_", None)) is not None:
            what = "rows of n_chans * n_times" if is_flat else "(n_chans, n_times)"
            log.info("%s gets epochs as %s (model.flatten)", name_of(plan.model), what)


def check_comes_back(run: Run, member: Member, rows: np.ndarray) -> None:
    """Check that a detector with this member scores the same after it is saved and loaded.

    Raises
    ------
    InputError
        If it cannot be saved or loaded, or scores otherwise.
    """
    from p300.detector import Detector

    detector = Detector([member], run.preprocessor, run.recording.speller, {}, (1.0, 0.0))
    data = run.epochs.data[rows]
    scores = checked_scores(detector.score_epochs(data), len(data))
    if not np.array_equal(data, run.epochs.data[rows]):
        raise InputError("it changed the epochs that it scored; expected them as they were given")
    check_same(scores, detector.score_epochs(data), "scores", "scored once")
    one_by_one = [detector.score_epochs(data[k : k + 1]) for k in range(len(data))]
    check_same(scores, np.concatenate(one_by_one), "scores", "scored with other flashes")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        detector.save(path)
        try:
            loaded = Detector.load(path)
        except InputError as error:
            reason = str(error).removeprefix(f"{path}: ")
            unsigned = "" if make_key() else f"; the key {key_path()} could not be written either"
            raise InputError(f"its checkpoint cannot be loaded: {reason}{unsigned}") from error
    check_same(scores, loaded.score_epochs(data), "scores")


def few(run: Run, plan: PlannedFit, n: int) -> np.ndarray:
    """Select the first training flashes of each class: a mask of all flashes."""
    is_target, rows = labels(run.epochs), np.zeros(len(plan.train), bool)
    for label in (True, False):
        rows[np.flatnonzero(plan.train & (is_target == label))[:n]] = True
    return rows


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Restore the states of all random number generators after the block."""
    import torch

    before, numpy_before = random.getstate(), np.random.get_state()
    try:
        gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
        with torch.random.fork_rng(devices=gpus):
            yield
    finally:
        random.setstate(before)
        np.random.set_state(numpy_before)
