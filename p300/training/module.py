"""The LightningModule that trains one network, or several as one batched network."""

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
    """A fit: one network in training, with its loss, optimizer, flashes and results.

    Parameters
    ----------
    network : nn.Module
        Epochs (batch, n_chans, n_times) to logits (batch, 2). If it has ``apply_constraints()``
        (max-norm), this is called after every optimizer step.
    loss : nn.Module
        Of :mod:`p300.losses`: called with logits and labels; its ``score`` returns one number per
        flash.
    optimizer : callable
        Builds an optimizer from parameters, or from parameter groups.
    train, validation : ndarray of bool, shape (n_flashes,)
        The flashes to train on, and the flashes to validate on.
    seed : int
        Random seed of the order of its training flashes and of all random numbers in training.
    layer_rate : float or None
        The paper's λ: use the per-layer learning rates of the network (eqs. 9 and 10). With None,
        all layers have the learning rate of the optimizer.
    augmentations : sequence of callable
        Of :mod:`p300.training.augmentation`: applied to a training batch before the network.
    loggers : sequence of Lightning loggers
        Where its curves are written.

    Attributes
    ----------
    history : list of dict
        The values measured after every training epoch.
    best_state : dict of str to Tensor, or None
        The weights of its best training epoch so far.
    error : InputError or None
        Why its training failed.
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
        """Build the optimizer, with per-layer learning rates if ``layer_rate`` is set.

        Raises
        ------
        InputError
            If ``layer_rate`` is set and the network has no per-layer learning rates.
        """
        if self.layer_rate is None:
            return self.optimizer(self.network.parameters())
        if not isinstance(self.network, HasLayerRates):
            raise InputError(
                f"got protocol.layer_rate={self.layer_rate} for a "
                f"{type(self.network).__name__}, which has no per-layer learning rates; expected "
                f"the paper's network; use model=cecotti or protocol=modern"
            )
        return self.optimizer(self.network.learning_rates(self.layer_rate))

    def best_epoch(self, monitor: str) -> int:
        """Find the number of the best training epoch, from 1; of equal ones the first."""
        values = [row[monitor] for row in self.history]
        best = max(values) if monitor.endswith("auc") else min(values)
        return values.index(best) + 1


class TrainingModule(pl.LightningModule):
    """Training of networks on one tensor of epochs, with early stopping of each network.

    Several networks of one kind are computed as one batched network where that changes no result
    beyond rounding (:func:`~p300.training.side_by_side.can_be_batched`). Each network has its own
    order of flashes, optimizer, best training epoch and end. Lightning's manual optimization is
    used, because a step belongs to one network and not all networks take every step.

    Parameters
    ----------
    fits : sequence of NetworkFit
        Fits of one kind; their networks are trained in place.
    data : EpochsDataModule
        Their flashes.
    monitor : {"validation/auc", "validation/loss"}
        The value that chooses the best training epoch.
    patience : int
        Training epochs without improvement after which a network stops.
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
        self.networks = nn.ModuleList(fit.network for fit in self.fits)
        self.losses = nn.ModuleList(fit.loss for fit in self.fits)
        networks = enumerate(fit.network for fit in self.fits)
        self.constrained = {k: n for k, n in networks if isinstance(n, Constrained)}
        self._batched: BatchedNetworks | None = None
        self._compiled = torch.compile if is_compiled else lambda function: function
        self._forward = [self._compiled(network) for network in self.networks]
        self._losses: list[list[Tensor]] = [[] for _ in self.fits]

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Build an optimizer for each network."""
        return [fit.make_optimizer() for fit in self.fits]

    def on_train_start(self) -> None:
        """Raise an error for a precision that needs an optimizer step of its own."""
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            raise InputError("got trainer.precision=16-mixed; expected 32-true or bf16-mixed")

    def on_train_epoch_start(self) -> None:
        """Batch the networks that are still in training, if they can be batched."""
        if self._batched is None and can_be_batched([self.networks[k] for k in self.active]):
            pairs = {k: (self.networks[k], self.losses[k]) for k in self.active}
            self._batched = BatchedNetworks(pairs, self._compiled)
        optimizers = self.optimizers(use_pl_optimizer=False)
        self._optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        draws = self.current_epoch, 1 + self.global_rank  # other random numbers in every process
        self._epoch_seeds = {k: mixed(self.fits[k].seed, *draws) for k in self.active}

    @property
    def active(self) -> list[int]:
        """Numbers of the networks that are still in training."""
        return self.data.in_training

    def training_step(self, batch: list[tuple[int, Rows]], batch_idx: int) -> None:
        """Do some steps, each with every network that still has flashes in this epoch."""
        for step, rows in batch:
            if self._batched is not None and self._batched.takes(rows):
                self._step_together(self._batched, rows, step)
            else:
                for k, own in rows.items():
                    self._step_alone(k, own, step)
            for k in rows:
                self._optimizers[k].step()
                if k in self.constrained:
                    self.constrained[k].apply_constraints()

    def _step_alone(self, k: int, rows: Tensor, step: int) -> None:
        epochs, is_target = self.data.gather(rows)
        epochs = self._augmented(k, epochs, is_target, step)
        self._optimizers[k].zero_grad(set_to_none=self._batched is None)
        loss = self.losses[k](self._forward[k](epochs), is_target)
        is_sum = self.losses[k].is_sum
        # several processes average their gradients
        self.manual_backward(loss * self.trainer.world_size if is_sum else loss)
        self._losses[k].append(loss.detach() / len(rows) if is_sum else loss.detach())

    def _step_together(self, batched: BatchedNetworks, rows: Rows, step: int) -> None:
        n, length = len(rows), len(next(iter(rows.values())))
        epochs, is_target = self.data.gather(torch.cat(list(rows.values())))
        is_target = is_target.view(n, length)
        if self.fits[0].augmentations:
            parts = zip(rows, epochs.split(length), is_target, strict=True)
            epochs = torch.stack([self._augmented(*part, step) for part in parts])
        else:
            epochs = epochs.unflatten(0, (n, length))
        losses = batched.losses(epochs, is_target)
        batched.zero_grad()
        self.manual_backward(losses.sum())
        is_sum = self.losses[0].is_sum
        for k, loss in zip(rows, losses.detach() / (length if is_sum else 1), strict=True):
            self._losses[k].append(loss)

    def _augmented(self, k: int, epochs: Tensor, is_target: Tensor, step: int) -> Tensor:
        """Augment a batch; the random numbers depend only on seed, training epoch and step."""
        seed = self._epoch_seeds[k] + step
        torch.default_generator.manual_seed(seed)  # a fraction of torch.manual_seed's time
        if epochs.is_cuda:
            torch.cuda.manual_seed(seed)
        for augment in self.fits[k].augmentations:
            epochs = augment(epochs, is_target)
        return epochs

    def on_validation_model_zero_grad(self) -> None:
        """Keep the gradients as they are: those of batched networks are views."""

    def validation_step(self, batch: int, batch_idx: int) -> None:
        """Measure loss per flash and AUC of each network in training on its validation flashes."""
        for k in self.active:
            fit, rows = self.fits[k], self.data.validation[k]
            network = self.networks[k]
            loss: Any = self.losses[k]  # of p300.losses, with ``score`` and ``is_sum``
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
            # all use the values of the first process: running means differ between processes
            measured = self.trainer.strategy.broadcast(measured)
            if measured is not None:
                fit.history.append(measured)
            else:
                fit.error = InputError(
                    f"training diverged: the network's output is not finite after training epoch "
                    f"{self.current_epoch + 1}; lower the learning rate (protocol.optimizer.lr)"
                )

    def on_train_epoch_end(self) -> None:
        """Keep the best weights, log the training epoch, and stop networks without progress."""
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
                log_epoch(fit, fit.history[-1])
            if n_epochs - best < self.patience:
                going_on.append(k)
        if going_on != self.active:
            self._batched = None  # built again from those that continue
            self.data.in_training = going_on
        self.trainer.should_stop = not going_on

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the results of each network so far, as plain containers and tensors."""
        checkpoint["fits"] = [
            {
                "history": fit.history,
                "best_state": fit.best_state,
                "error": None if fit.error is None else str(fit.error),
                "is_training": k in self.active,
            }
            for k, fit in enumerate(self.fits)
        ]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the results of each network so far, perhaps of another process."""
        progress = checkpoint["fits"]
        for fit, saved in zip(self.fits, progress, strict=True):
            fit.history, fit.best_state = saved["history"], saved["best_state"]
            fit.error = None if saved["error"] is None else InputError(saved["error"])
        self.data.in_training = [k for k, s in enumerate(progress) if s["is_training"]]


def log_epoch(fit: NetworkFit, measured: dict[str, float]) -> None:
    """Write the values of one training epoch to the loggers of the network."""
    for logger in fit.loggers:
        logger.log_metrics(measured, step=measured["epoch"])
        logger.save()
