"""The LightningModule that trains several networks of one kind as one batched network.

It does for each network what :class:`~p300.training.module.TrainingModule` does for one, several
times as fast. Lightning's manual optimization is used, because not all networks take every step,
and each network stops at its own time. Own callbacks, schedulers, clipped gradients and
accumulated batches are for networks that are trained one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from p300.errors import InputError
from p300.models.protocols import Constrained
from p300.training.batched import BatchedNetworks, Rows
from p300.training.callbacks.curves import log_to
from p300.training.callbacks.resuming import SavedTraining
from p300.training.datamodule import is_time_first, set_seed, step_seed
from p300.training.loop import NetworkFit, Record, Results, readable_ends
from p300.training.module import is_sum

#: Training steps per Lightning batch. Lightning's own time for a batch is long compared with one
#: step of a small network.
N_STEPS = 8


def train_side_by_side(
    fits: Sequence[NetworkFit],
    saved: SavedTraining,
    trainer: Callable[..., pl.Trainer],
    callbacks: Sequence[pl.Callback] = (),
    monitor: str = "validation/auc",
    patience: int = 15,
    compiled: Callable[[Callable], Callable] = lambda function: function,
) -> list[Record | InputError]:
    """Train networks of one kind as one, each until it stops by its own validation part.

    Parameters
    ----------
    fits : sequence of NetworkFit
        Networks for which :func:`~p300.training.batched.why_alone` finds no reason. Afterwards
        they have the weights of their best training epochs.
    saved : SavedTraining
        The file from which the training is resumed, if it was interrupted or has ended.
    trainer : callable
        Builds a ``Trainer`` from keyword arguments.
    callbacks : sequence of Callback
        Those that only look.
    monitor : {"validation/auc", "validation/loss"}
        The value that chooses the best training epoch.
    patience : int
        Training epochs without improvement after which a network stops.
    compiled : callable
        Applied to the batched function, such as ``torch.compile``.

    Returns
    -------
    list of dict or InputError
        For each network what :func:`~p300.training.loop.train_network` returns, or the error that
        stopped it.

    Raises
    ------
    InputError
        If a part has flashes of one class only.
    ViewsLost
        If a network replaced its weights by others; it has to be trained alone.
    """
    for fit in fits:
        fit.check_labels()
    before = saved.read()
    if before is not None and "results" in before:
        for fit, history in zip(fits, before["curves"], strict=True):
            fit.curve.restore(history)
    else:
        module = SideBySideModule(fits, monitor, patience, compiled)
        fitting = trainer(callbacks=[*callbacks, saved], logger=False)
        resumed = None if before is None else saved.path
        with readable_ends():
            fitting.fit(
                module, datamodule=SideBySideData(fits), ckpt_path=resumed, weights_only=True
            )
        before = {"results": module.results()}
        saved.write_results(before["results"], [fit.curve for fit in fits])
    return [
        InputError(found) if isinstance(found, str) else fit.conclude(found, monitor)
        for fit, found in zip(fits, before["results"], strict=True)
    ]


class SideBySideData(pl.LightningDataModule):
    """The flashes of several networks, which share one tensor of epochs.

    A batch has :data:`N_STEPS` steps, each with its number and the flashes of every network.
    """

    def __init__(self, fits: Sequence[NetworkFit]):
        super().__init__()
        self.parts = [fit.data for fit in fits]

    def setup(self, stage: str | None = None) -> None:
        """Move the epochs to the device the trainer computes on, once for all networks."""
        first, *others = self.parts
        first.trainer = self.trainer
        first.setup(stage)
        for data in others:
            data.epochs, data.is_target = first.epochs, first.is_target
            if data.soft_labels is not None:
                data.soft_labels = data.soft_labels.to(first.epochs.device)

    def train_dataloader(self) -> StepsOfNetworks:
        """Return the steps of a training epoch, by the network with most flashes."""
        return StepsOfNetworks(self)

    def val_dataloader(self) -> range:
        """Return one empty batch per training epoch; each network's data have its flashes."""
        return range(1)

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Return the batch unchanged; the module gathers its epochs."""
        return batch


class StepsOfNetworks:
    """The steps of one training epoch: the flashes to learn from, for each network in training."""

    def __init__(self, data: SideBySideData):
        assert data.trainer is not None
        self.trainer, self.parts = data.trainer, data.parts

    def __len__(self) -> int:
        return math.ceil(self.n_steps / N_STEPS)

    @property
    def n_steps(self) -> int:
        """Steps of a training epoch, by the network with most flashes, in training or not."""
        return max(math.ceil(len(d.repeated) / d.batch_size) for d in self.parts)

    def __iter__(self) -> Iterator[list[tuple[int, Rows]]]:
        module, epoch = self.trainer.lightning_module, self.trainer.current_epoch
        assert isinstance(module, SideBySideModule)
        parts = {}
        for k in module.in_training:
            data = self.parts[k]
            parts[k] = data.order(epoch).to(data.epochs.device).split(data.batch_size)
        for first in range(0, self.n_steps, N_STEPS):
            steps = range(first, min(first + N_STEPS, self.n_steps))
            yield [(s, {k: p[s] for k, p in parts.items() if s < len(p)}) for s in steps]


class SideBySideModule(pl.LightningModule):
    """Training of networks of one kind as one, with early stopping of each network.

    Parameters
    ----------
    fits : sequence of NetworkFit
        Their networks are trained in place.
    monitor : {"validation/auc", "validation/loss"}
        The value that chooses the best training epoch.
    patience : int
        Training epochs without improvement after which a network stops.
    compiled : callable
        Applied to the batched function, such as ``torch.compile``.

    Attributes
    ----------
    in_training : list of int
        Numbers of the networks that still train.
    """

    automatic_optimization = False

    def __init__(
        self, fits: Sequence[NetworkFit], monitor: str, patience: int, compiled: Callable
    ):
        super().__init__()
        self.fits, self.monitor, self.patience = list(fits), monitor, patience
        self._compiled = compiled
        self.modules_of_fits = nn.ModuleList(fit.module for fit in self.fits)
        self.networks = [fit.module.network for fit in self.fits]
        self.losses: list[Any] = [fit.module.loss for fit in self.fits]
        networks = enumerate(self.networks)
        self.constrained = {k: n for k, n in networks if isinstance(n, Constrained)}
        self.in_training = list(range(len(self.fits)))
        self.best_states: list[dict[str, Tensor]] = [{} for _ in self.fits]
        self.errors: dict[int, str] = {}
        self._batched: BatchedNetworks | None = None
        self._losses: list[list[tuple[Tensor, int]]] = [[] for _ in self.fits]

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Build an optimizer for each network."""
        return [fit.module.configure_optimizers() for fit in self.fits]

    def on_train_epoch_start(self) -> None:
        """Batch the networks that are still in training."""
        if self._batched is None and len(self.in_training) > 1:
            pairs = {k: (self.networks[k], self.losses[k]) for k in self.in_training}
            self._batched = BatchedNetworks(pairs, self._compiled)
        optimizers = self.optimizers(use_pl_optimizer=False)
        self._optimizers = optimizers if isinstance(optimizers, list) else [optimizers]

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
        epochs, is_target = self._batch(k, rows, step)
        self._optimizers[k].zero_grad(set_to_none=self._batched is None)
        loss = self.losses[k](self.networks[k](epochs), is_target)
        self.manual_backward(loss)
        mean = loss.detach() / len(rows) if is_sum(self.losses[k]) else loss.detach()
        self._losses[k].append((mean, len(rows)))

    def _step_together(self, batched: BatchedNetworks, rows: Rows, step: int) -> None:
        n, length = len(rows), len(next(iter(rows.values())))
        if self.fits[0].data.augmentations:
            batches, generators = [], []
            for k, own in rows.items():
                batches.append(self._batch(k, own, step))
                generators.append(self._generator(k, step, torch.default_generator.get_state()))
            parts, labels = zip(*batches, strict=True)
            epochs, is_target = stacked(parts), torch.stack(labels)
        else:
            epochs, is_target = self.fits[0].data.gather(torch.cat(list(rows.values())))
            epochs, is_target = epochs.unflatten(0, (n, length)), is_target.view(n, length)
            if self.fits[0].data.soft_labels is not None:  # each network has its own
                own_labels = [self.fits[k].data.training_labels(own) for k, own in rows.items()]
                is_target = torch.stack(own_labels)
            generators = [self._generator(k, step) for k in rows] if batched.has_dropout else []
        losses = batched.losses(epochs.to(self.device), is_target.to(self.device), generators)
        batched.zero_grad()
        self.manual_backward(losses.sum())
        means = losses.detach() / (length if is_sum(self.losses[0]) else 1)
        for k, mean in zip(rows, means, strict=True):
            self._losses[k].append((mean, length))

    def _batch(self, k: int, rows: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Gather and augment a batch of one network, with its own random numbers."""
        data = self.fits[k].data
        epochs = data.gather(rows)[0].to(self.device)
        is_target = data.training_labels(rows).to(self.device)
        set_seed(step_seed(data.seed, self.current_epoch, 0, step))
        return data.augmented(epochs, is_target), is_target

    def _generator(self, k: int, step: int, after: Tensor | None = None) -> torch.Generator:
        """Return a network's random numbers of a step, or those that follow its augmentations."""
        generator = torch.Generator(self.device)
        if after is not None and self.device.type == "cpu":
            return generator.set_state(after)
        return generator.manual_seed(
            step_seed(self.fits[k].data.seed, self.current_epoch, 0, step)
        )

    def on_validation_model_zero_grad(self) -> None:
        """Keep the gradients as they are: those of batched networks are views."""

    def validation_step(self, batch: int, batch_idx: int) -> None:
        """Measure loss per flash and AUC of each network in training on its validation flashes."""
        for k in self.in_training:
            try:
                self._values[k] = self.fits[k].measure()
            except InputError as error:  # it diverged
                self.errors[k] = str(error)

    def on_validation_epoch_start(self) -> None:
        """Forget the values of the training epoch before."""
        self._values: dict[int, dict[str, float]] = {}

    def on_train_epoch_end(self) -> None:
        """Keep the best weights, log the training epoch, and stop networks without progress."""
        if self._batched is not None:
            self._batched.check_views()
        going_on = []
        for k in self.in_training:
            fit, losses = self.fits[k], self._losses[k]
            if k in self.errors:
                continue
            n = sum(size for _, size in losses)
            total = torch.stack([mean * size for mean, size in losses]).sum()
            values = {
                "epoch": self.current_epoch,
                **self._values[k],
                "train/loss": total.item() / n,
            }
            losses.clear()
            fit.curve.add(values)
            log_to(fit.loggers, values, self.current_epoch)
            n_epochs, best = len(fit.curve.history), fit.curve.best_epoch(self.monitor)
            if best == n_epochs:
                state = self.networks[k].state_dict()
                self.best_states[k] = {name: value.clone() for name, value in state.items()}
            if n_epochs - best < self.patience:
                going_on.append(k)
        if going_on != self.in_training:
            self._batched = None  # built again from those that continue
            self.in_training = going_on
        self.trainer.should_stop = not going_on

    def results(self) -> list[Results | str]:
        """Return the results of each network, or the error that stopped it."""
        return [
            self.errors.get(k)
            or fit.results(self.best_states[k], fit.curve.best_epoch(self.monitor))
            for k, fit in enumerate(self.fits)
        ]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the results of each network so far, as plain containers and tensors."""
        checkpoint["side_by_side"] = {
            "curves": [fit.curve.state_dict() for fit in self.fits],
            "best_states": self.best_states,
            "errors": self.errors,
            "in_training": self.in_training,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the results of each network so far."""
        saved = checkpoint["side_by_side"]
        for fit, curve in zip(self.fits, saved["curves"], strict=True):
            fit.curve.restore(curve["history"])
        self.best_states, self.errors = saved["best_states"], saved["errors"]
        self.in_training = saved["in_training"]


def stacked(batches: Sequence[Tensor]) -> Tensor:
    """Stack the batches of several networks, in the order in memory that all of them have."""
    if all(is_time_first(batch) for batch in batches):
        return torch.stack([batch.mT for batch in batches]).mT
    return torch.stack(list(batches))
