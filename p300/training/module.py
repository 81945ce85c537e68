"""Training networks: the LightningModule that trains one, or many as one batched network."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from p300.errors import InputError
from p300.metrics import roc_auc
from p300.models.protocols import Constrained, HasLayerRates
from p300.training.datamodule import EpochsDataModule, Rows, mixed
from p300.training.side_by_side import BatchedNetworks, can_be_batched


@dataclasses.dataclass
class NetworkFit:
    """A network, what it is trained on, and what became of it.

    Parameters
    ----------
    network : nn.Module
        Epochs (batch, n_chans, n_times) to logits (batch, 2). After every optimizer step its
        ``apply_constraints()`` is called where it has one (max-norm).
    loss : nn.Module
        Of :mod:`p300.losses`: called with logits and labels; its ``score`` gives one number a
        flash.
    optimizer : callable
        Parameters, or parameter groups, to an optimizer.
    train, validation : ndarray of bool, shape (n_flashes,)
        Its two parts.
    seed : int
        Of the order of its training flashes and of all that is drawn during training.
    layer_rate : float or None
        The paper's λ: asks the network for its per-layer learning rates (eqs. 9 and 10). None
        leaves all layers to the optimizer's own rate.
    augmentations : sequence of callable
        Of :mod:`p300.training.augmentation`: change a training batch before the network sees it.
    loggers : sequence of Lightning loggers
        Where its curves go.

    Attributes
    ----------
    history : list of dict
        What was measured after every pass.
    best_state : dict of str to Tensor, or None
        The weights of its best pass so far.
    error : InputError or None
        Why it stopped too early.
    """

    network: nn.Module
    loss: nn.Module
    optimizer: Callable[..., torch.optim.Optimizer]
    train: np.ndarray
    validation: np.ndarray
    seed: int = 0
    layer_rate: float | None = None
    augmentations: Sequence[Callable[[Tensor, Tensor], Tensor]] = ()
    loggers: Sequence[Any] = ()
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    best_state: dict[str, Tensor] | None = None
    error: InputError | None = None

    def make_optimizer(self) -> torch.optim.Optimizer:
        """Make the optimizer, with the paper's rates where they are asked for.

        Raises
        ------
        InputError
            If they are asked for and the network has none.
        """
        if self.layer_rate is None:
            return self.optimizer(self.network.parameters())
        if not isinstance(self.network, HasLayerRates):
            raise InputError(
                f"per-layer learning rates are the paper's, for its own network; "
                f"{type(self.network).__name__} has none (use protocol=modern)"
            )
        return self.optimizer(self.network.learning_rates(self.layer_rate))

    def best_epoch(self, monitor: str) -> int:
        """Tell which pass, from 1, was best: the first of the best by the monitored value."""
        values = [row[monitor] for row in self.history]
        best = max(values) if monitor.endswith("auc") else min(values)
        return values.index(best) + 1

    def restore_best(self) -> None:
        """Give the network the weights of its best pass."""
        self.network.load_state_dict(self.best_state)


class TrainingModule(pl.LightningModule):
    """Trains networks on one tensor of epochs; each stops by its own validation part.

    Several networks of one kind are computed as one batched network where that changes no result
    beyond rounding (:func:`~p300.training.side_by_side.can_be_batched`). Each has its own order of
    flashes, optimizer, best pass and end. Optimization is Lightning's manual one, since a step
    belongs to one network and they do not all take it.

    Parameters
    ----------
    fits : sequence of NetworkFit
        Networks of one kind, trained in place.
    data : EpochsDataModule
        Their flashes.
    monitor : {"validation/auc", "validation/loss"}
        Chooses the best pass.
    patience : int
        Passes without improvement before a network stops.
    is_compiled : bool
        Compile the networks with ``torch.compile``.
    """

    automatic_optimization = False

    def __init__(
        self,
        fits: Sequence[NetworkFit],
        data: EpochsDataModule,
        monitor: str,
        patience: int,
        is_compiled: bool = False,
    ):
        super().__init__()
        self.fits, self.data = list(fits), data
        self.monitor, self.patience = monitor, patience
        self.networks = nn.ModuleList(t.network for t in self.fits)
        self.losses = nn.ModuleList(t.loss for t in self.fits)
        self.constrained = [isinstance(t.network, Constrained) for t in self.fits]
        self._batched: BatchedNetworks | None = None
        self._compiled = torch.compile if is_compiled else lambda function: function
        self._forward = [self._compiled(network) for network in self.networks]
        self._losses: list[list[Tensor]] = [[] for _ in self.fits]

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Make an optimizer for each network."""
        return [fit.make_optimizer() for fit in self.fits]

    def on_train_start(self) -> None:
        """Refuse a precision that would need its own optimizer step."""
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            raise InputError("trainer.precision=16-mixed; expected 32-true or bf16-mixed")

    def on_train_epoch_start(self) -> None:
        """Put the networks that are still in training side by side."""
        if self._batched is None and can_be_batched([self.networks[k] for k in self.active]):
            pairs = {k: (self.networks[k], self.losses[k]) for k in self.active}
            self._batched = BatchedNetworks(pairs, self._compiled)
        optimizers = self.optimizers(use_pl_optimizer=False)
        self._optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        draws = self.current_epoch, 1 + self.global_rank  # every process draws its own
        self._epoch_seeds = {k: mixed(self.fits[k].seed, *draws) for k in self.active}

    @property
    def active(self) -> list[int]:
        """The networks that are still in training."""
        return self.data.in_training

    def training_step(self, batch: list[tuple[int, Rows]], batch_idx: int) -> None:
        """Take some steps, each with every network whose pass is not over."""
        for step, rows in batch:
            if self._batched is not None and self._batched.takes(rows):
                self._step_together(rows, step)
            else:
                for k, own in rows.items():
                    self._step_alone(k, own, step)
            for k in rows:
                self._optimizers[k].step()
                if self.constrained[k]:
                    self.networks[k].apply_constraints()

    def _step_alone(self, k: int, rows: Tensor, step: int) -> None:
        epochs, is_target = self.data.gather(rows)
        epochs = self._augmented(k, epochs, is_target, step)
        self._optimizers[k].zero_grad(set_to_none=self._batched is None)
        loss = self.losses[k](self._forward[k](epochs), is_target)
        is_sum = self.losses[k].is_sum
        # several processes average their gradients
        self.manual_backward(loss * self.trainer.world_size if is_sum else loss)
        self._losses[k].append(loss.detach() / len(rows) if is_sum else loss.detach())

    def _step_together(self, rows: Rows, step: int) -> None:
        n, length = len(rows), len(next(iter(rows.values())))
        epochs, is_target = self.data.gather(torch.cat(list(rows.values())))
        is_target = is_target.view(n, length)
        if self.fits[0].augmentations:
            parts = zip(rows, epochs.split(length), is_target, strict=True)
            epochs = torch.stack([self._augmented(*part, step) for part in parts])
        else:
            epochs = epochs.unflatten(0, (n, length))
        losses = self._batched.losses(epochs, is_target)
        self._batched.zero_grad()
        self.manual_backward(losses.sum())
        is_sum = self.losses[0].is_sum
        for k, loss in zip(rows, losses.detach() / (length if is_sum else 1), strict=True):
            self._losses[k].append(loss)

    def _augmented(self, k: int, epochs: Tensor, is_target: Tensor, step: int) -> Tensor:
        """Change a batch at random; what is drawn follows from seed, pass and step alone."""
        seed = self._epoch_seeds[k] + step
        torch.default_generator.manual_seed(seed)  # a fraction of torch.manual_seed's time
        if epochs.is_cuda:
            torch.cuda.manual_seed(seed)
        for augment in self.fits[k].augmentations:
            epochs = augment(epochs, is_target)
        return epochs

    def on_validation_model_zero_grad(self) -> None:
        """Leave the gradients where they are: those of batched networks are views."""

    def validation_step(self, batch: int, batch_idx: int) -> None:
        """Measure loss, per flash, and AUC of every network in training on its own flashes."""
        for k in self.active:
            fit, rows = self.fits[k], self.data.validation[k]
            network, loss = self.networks[k], self.losses[k]
            logits = torch.cat([network(self.data.gather(r)[0]) for r in rows.split(2048)])
            is_target = self.data.is_target[rows]
            scores = loss.score(logits).float()
            measured = None
            if torch.isfinite(scores).all():
                total = loss(logits, is_target).item()
                measured = {
                    "epoch": self.current_epoch,
                    "validation/loss": total / len(rows) if loss.is_sum else total,
                    "validation/auc": roc_auc(is_target.cpu(), scores.cpu()),
                }
            # the first process decides for all: running means of a network differ among them
            measured = self.trainer.strategy.broadcast(measured)
            if measured is not None:
                fit.history.append(measured)
            else:
                fit.error = InputError(
                    f"the network's output is not finite after pass {self.current_epoch + 1}: "
                    f"training diverged; try a smaller learning rate"
                )

    def on_train_epoch_end(self) -> None:
        """Keep the best weights, log the pass, and let go of networks that have finished."""
        going_on = []
        for k in self.active:
            fit = self.fits[k]
            if fit.error is not None:
                continue
            fit.history[-1]["train/loss"] = torch.stack(self._losses[k]).mean().item()
            self._losses[k].clear()
            n_epochs, best = len(fit.history), fit.best_epoch(self.monitor)
            if best == n_epochs:
                state = self.networks[k].state_dict()
                fit.best_state = {name: value.clone() for name, value in state.items()}
            if self.trainer.is_global_zero:
                log_epoch(fit, -1)
            if n_epochs - best < self.patience:
                going_on.append(k)
        if going_on != self.active:
            self._batched = None  # made anew of those that go on
            self.data.in_training = going_on
        self.trainer.should_stop = not going_on

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what was measured and the best weights so far."""
        checkpoint["fits"] = self.progress()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up what was measured and the best weights so far."""
        self.load_progress(checkpoint["fits"])

    def progress(self) -> list[dict[str, Any]]:
        """Give what became of each network so far, as plain containers and tensors."""
        return [
            {
                "history": t.history,
                "best_state": t.best_state,
                "error": None if t.error is None else str(t.error),
                "is_training": k in self.active,
            }
            for k, t in enumerate(self.fits)
        ]

    def load_progress(self, progress: Sequence[dict[str, Any]]) -> None:
        """Continue from what :meth:`progress` gave, in another process perhaps."""
        for fit, saved in zip(self.fits, progress, strict=True):
            fit.history, fit.best_state = saved["history"], saved["best_state"]
            fit.error = None if saved["error"] is None else InputError(saved["error"])
        self.data.in_training = [k for k, s in enumerate(progress) if s["is_training"]]


def log_epoch(fit: NetworkFit, which: int) -> None:
    """Write what was measured in one pass to the network's own loggers."""
    measured = fit.history[which]
    for logger in fit.loggers:
        logger.log_metrics(measured, step=measured["epoch"])
        logger.save()
