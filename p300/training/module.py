"""The LightningModule of one network: it can be trained by any ``Trainer``, with any callback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from p300.errors import InputError
from p300.losses import adapted
from p300.models.protocols import Constrained, HasLayerRates
from p300.training.auc import RocAuc

#: The epochs and labels of some flashes: (batch, n_chans, n_times) and (batch,).
Batch = tuple[Tensor, Tensor]


class TrainingModule(pl.LightningModule):
    """A network in training, with its loss, optimizer and scheduler.

    It logs ``train/loss``, ``validation/loss``, ``validation/auc``, ``test/loss`` and ``test/auc``
    once per training epoch; losses are means over flashes.

    Parameters
    ----------
    network : nn.Module
        Epochs (batch, n_chans, n_times) to logits (batch, 2). If it has ``apply_constraints()``
        (max-norm), this is called after every optimizer step.
    loss : nn.Module
        Called with logits and labels. Of :mod:`p300.losses`, whose ``score`` returns one number
        per flash, or any other (:class:`~p300.losses.AdaptedLoss`).
    optimizer : callable
        Builds an optimizer from parameters, or from parameter groups.
    scheduler : callable or None
        Builds a learning rate scheduler from the optimizer.
    scheduling : mapping
        What Lightning has to know about the scheduler: ``interval``, ``frequency``, ``monitor``.
    layer_rate : float or None
        The paper's λ: use the per-layer learning rates of the network (eqs. 9 and 10). With None,
        all layers have the learning rate of the optimizer.

    Examples
    --------
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    >>> module = TrainingModule(network, nn.CrossEntropyLoss())
    >>> module(torch.zeros(4, 2, 3)).shape
    torch.Size([4])
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
        scheduler: Callable[[torch.optim.Optimizer], Any] | None = None,
        scheduling: Mapping[str, Any] | None = None,
        layer_rate: float | None = None,
    ):
        super().__init__()
        self.network, self.loss = network, adapted(loss)
        self.optimizer, self.scheduler = optimizer, scheduler
        self.scheduling, self.layer_rate = dict(scheduling or {}), layer_rate
        self.aucs = nn.ModuleDict({"validation": RocAuc(), "test": RocAuc()})
        self._losses: list[tuple[Tensor, int]] = []
        self._constrain: Callable[[], None] | None = None

    def forward(self, epochs: Tensor) -> Tensor:
        """Score epochs (batch, n_chans, n_times): shape (batch,)."""
        return self.loss.score(self.network(epochs))  # type: ignore[operator]

    def configure_optimizers(self) -> Any:
        """Build the optimizer, and the scheduler if there is one."""
        optimizer = self.optimizer(self.parameter_groups())
        if self.scheduler is None:
            return optimizer
        scheduling = {**self.scheduling, "scheduler": self.scheduler(optimizer)}
        return {"optimizer": optimizer, "lr_scheduler": scheduling}

    def parameter_groups(self) -> Any:
        """Return the parameters, in groups with a learning rate each if ``layer_rate`` is set.

        Raises
        ------
        InputError
            If ``layer_rate`` is set and the network has no per-layer learning rates.
        """
        if self.layer_rate is None:
            return self.network.parameters()
        if not isinstance(self.network, HasLayerRates):
            raise InputError(
                f"got protocol.layer_rate={self.layer_rate} for a "
                f"{type(self.network).__name__}, which has no per-layer learning rates; expected "
                f"the paper's network; use model=cecotti or protocol=modern"
            )
        return self.network.learning_rates(self.layer_rate)

    def _step(self, batch: Batch, stage: str) -> tuple[Tensor, Tensor]:
        """Compute the loss of a batch, and its mean over the flashes."""
        epochs, is_target = batch
        logits = self.network(epochs.to(self.dtype))  # of bf16-true, 64-true
        loss = self.loss(logits, is_target)
        mean = loss / len(is_target) if is_sum(self.loss) else loss
        if stage != "train":
            scores, auc = self.loss.score(logits), self.aucs[stage]  # type: ignore[operator]
            if not torch.isfinite(scores).all():
                raise diverged(self.current_epoch)
            auc.update(scores, is_target)  # type: ignore[operator]
            n = len(is_target)
            self.log(f"{stage}/loss", mean, on_epoch=True, batch_size=n, sync_dist=True)
            self.log(f"{stage}/auc", auc, on_epoch=True)  # type: ignore[arg-type]
        return loss, mean

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Compute the loss that is minimised."""
        loss, mean = self._step(batch, "train")
        self._losses.append((mean.detach(), len(batch[1])))  # ten times faster than `self.log`
        if not is_sum(self.loss):
            return loss
        # Lightning averages over processes and accumulated batches; a sum stays a sum
        return loss * (self.trainer.world_size * self.trainer.accumulate_grad_batches)

    def on_fit_start(self) -> None:
        """Find how the weights are bounded; to look at every step would take time."""
        network: Any = self.network
        self._constrain = network.apply_constraints if isinstance(network, Constrained) else None

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Take a step, then bound the weights."""
        super().optimizer_step(*args, **kwargs)
        if self._constrain is not None:
            self._constrain()

    def on_train_epoch_end(self) -> None:
        """Log the mean loss of the training epoch."""
        if not self._losses:
            return  # stopped before the first step
        losses, sizes = zip(*self._losses, strict=True)
        self._losses.clear()
        weights = torch.tensor(sizes, dtype=torch.float32, device=self.device)
        mean = (torch.stack(losses).float() * weights).sum() / weights.sum()
        if not torch.isfinite(mean):
            raise diverged(self.current_epoch)
        self.log("train/loss", mean, sync_dist=True)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measure loss and AUC."""
        self._step(batch, "validation")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Measure loss and AUC."""
        self._step(batch, "test")

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Score the flashes of a batch: shape (batch,)."""
        return self(batch[0])


def is_sum(loss: nn.Module) -> bool:
    """Return whether a loss is a sum over the batch, as the paper's is, and not a mean."""
    return bool(getattr(loss, "is_sum", False))


def diverged(epoch: int) -> InputError:
    """Return the error of a training whose numbers are not finite any more."""
    return InputError(
        f"training diverged: the network's output is not finite after training epoch {epoch + 1}; "
        f"lower the learning rate (protocol.optimizer.lr)"
    )
