"""Training one network: the LightningModule, and the run that keeps its best pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from p300.datamodule import EpochsDataModule
from p300.errors import InputError
from p300.metrics import roc_auc
from p300.splits import check_monitor


class Detector(pl.LightningModule):
    """A network, its loss and its optimizer; validated by loss and AUC of single flashes.

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
    layer_rate : float or None
        The paper's λ: asks the network for its per-layer learning rates (eqs. 9 and 10). None
        leaves all layers to the optimizer's own rate.
    augmentations : sequence of callable
        Of :mod:`p300.augmentation`: change a training batch before the network sees it.

    Attributes
    ----------
    aucs : list of float
        Of the validation part after every pass.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        optimizer: Callable[..., torch.optim.Optimizer],
        layer_rate: float | None = None,
        augmentations: Sequence[Callable[[Tensor, Tensor], Tensor]] = (),
    ):
        super().__init__()
        self.network, self.loss = network, loss
        self.augmentations = tuple(augmentations)
        self.make_optimizer, self.layer_rate = optimizer, layer_rate
        self.constrain = getattr(network, "apply_constraints", None)
        self.aucs: list[float] = []
        self._losses: list[Tensor] = []
        self._validated: list[tuple[Tensor, Tensor]] = []

    def forward(self, epochs: Tensor) -> Tensor:
        """Score epochs (batch, n_chans, n_times): (batch,), larger = more target-like."""
        return self.loss.score(self.network(epochs))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Compute the loss of one batch."""
        epochs, is_target = batch
        for augment in self.augmentations:
            epochs = augment(epochs, is_target)
        loss = self.loss(self.network(epochs), is_target)
        self._losses.append(self._per_flash(loss.detach(), is_target))
        return loss

    def _per_flash(self, loss: Tensor, is_target: Tensor) -> Tensor:
        return loss / len(is_target) if self.loss.is_sum else loss

    def on_train_batch_end(self, *args) -> None:
        """Hold the network's weights to their constraints after every step."""
        if self.constrain is not None:
            self.constrain()

    def on_train_epoch_end(self) -> None:
        """Log the mean training loss of the pass, per flash."""
        self.log("train/loss", torch.stack(self._losses).mean())
        self._losses.clear()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Keep the logits until the pass is complete."""
        epochs, is_target = batch
        self._validated.append((self.network(epochs), is_target))

    def on_validation_epoch_end(self) -> None:
        """Log validation loss, per flash, and AUC of the pass."""
        logits, is_target = (torch.cat(part) for part in zip(*self._validated, strict=True))
        self._validated.clear()
        scores = self.loss.score(logits)
        if not torch.isfinite(scores).all():
            raise InputError(
                f"the network's output is not finite after pass {self.current_epoch + 1}: "
                f"training diverged; try a smaller learning rate"
            )
        loss = self._per_flash(self.loss(logits, is_target), is_target)
        self.log("validation/loss", loss)
        self.aucs.append(roc_auc(is_target.cpu(), scores.float().cpu()))
        self.log("validation/auc", self.aucs[-1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make the optimizer, with the paper's rates where they are asked for."""
        if self.layer_rate is None:
            return self.make_optimizer(self.network.parameters())
        if not hasattr(self.network, "learning_rates"):
            raise InputError(
                f"per-layer learning rates are the paper's, for its own network; "
                f"{type(self.network).__name__} has none (use protocol=modern)"
            )
        return self.make_optimizer(self.network.learning_rates(self.layer_rate))


def train_network(
    detector: Detector,
    data: EpochsDataModule,
    *,
    folder: Path,
    trainer: Callable[..., pl.Trainer],
    monitor: str = "validation/auc",
    patience: int = 15,
    loggers: Sequence = (),
) -> dict[str, float]:
    """Train until the monitored value has not improved for a while; keep the best pass.

    Parameters
    ----------
    detector : Detector
        Trained in place; holds the weights of the best pass afterwards.
    data : EpochsDataModule
        Training and validation part.
    folder : Path
        For the weights of the best pass so far; they are removed at the end.
    trainer : callable
        Keyword arguments to a ``Trainer``; callbacks and loggers are added here.
    monitor : {"validation/auc", "validation/loss"}
        Chooses the best pass.
    patience : int
        Passes without improvement before training stops.
    loggers : sequence of Lightning loggers
        Where the curves go.

    Returns
    -------
    dict
        ``best_pass`` (from 1), ``n_passes`` and the monitored value.

    Raises
    ------
    InputError
        If ``monitor`` is a test value, or a part has flashes of one class only.
    """
    check_monitor(monitor)
    for part, rows in data.rows.items():
        n_targets = int(data.is_target[rows].sum())
        if not 0 < n_targets < len(rows):
            raise InputError(
                f"the {part} part has {n_targets} targets among {len(rows)} flashes; "
                f"expected both targets and nontargets"
            )
    mode = "max" if monitor.endswith("auc") else "min"
    best = pl.callbacks.ModelCheckpoint(
        folder, filename="best", monitor=monitor, mode=mode, enable_version_counter=False
    )
    stop = pl.callbacks.EarlyStopping(monitor, mode=mode, patience=patience)
    fitting = trainer(
        callbacks=[best, stop], logger=list(loggers) or False, enable_progress_bar=False
    )
    fitting.fit(detector, datamodule=data)
    state = torch.load(best.best_model_path, weights_only=True)
    Path(best.best_model_path).unlink()
    detector.load_state_dict(state["state_dict"])
    detector.eval().cpu()
    value = float(best.best_model_score)
    if math.isnan(value):
        raise InputError(f"{monitor} is not a number; training diverged")
    return {
        "best_pass": state["epoch"] + 1,
        "n_passes": fitting.current_epoch,
        monitor: value,
    }
