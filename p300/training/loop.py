"""The training of networks from start to end: checked, run or resumed, with its results."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import MisconfigurationException, SIGTERMException
from torch import Tensor, nn

from p300.errors import InputError
from p300.metrics import roc_auc
from p300.training.callbacks.curves import TrainingCurve
from p300.training.callbacks.resuming import SavedTraining
from p300.training.datamodule import LARGEST_BATCH, EpochsDataModule
from p300.training.module import TrainingModule, diverged, is_sum

#: Best training epoch (from 1), number of training epochs, and later the monitored value.
Record = dict[str, Any]

#: A record, and the final weights of the network.
Results = tuple[Record, dict[str, Tensor]]


@dataclass
class NetworkFit:
    """A network in training, with its flashes, curve and loggers.

    Parameters
    ----------
    module : TrainingModule
        Its network, loss and optimizer.
    data : EpochsDataModule
        Its flashes.
    curve : TrainingCurve
        Keeps its values after every training epoch.
    loggers : list of Lightning loggers
        Where these values are sent.

    Raises
    ------
    InputError
        If the labels are soft and the loss takes hard ones alone.
    """

    module: TrainingModule
    data: EpochsDataModule
    curve: TrainingCurve = field(default_factory=TrainingCurve)
    loggers: Sequence[Logger] = ()

    def __post_init__(self) -> None:
        network = self.module.network
        self.data.reads_time_first = bool(getattr(network, "reads_time_first", False))
        loss = self.module.loss
        if self.data.soft_labels is not None and not getattr(loss, "takes_soft_labels", False):
            kind = type(getattr(loss, "loss", loss)).__name__
            raise InputError(
                f"got soft labels and {kind}, which needs hard ones; expected a loss that states "
                "takes_soft_labels; use p300.losses.CrossEntropy, or set teacher=none"
            )

    def check_labels(self) -> None:
        """Check that both parts have targets and nontargets.

        Raises
        ------
        InputError
            If a part has flashes of one class only.
        """
        for part, rows in (("train", self.data.train), ("validation", self.data.validation)):
            if not len(rows):
                raise InputError(f"the {part} part has no flash; expected a split that fills it")
            n_targets = int(self.data.is_target[rows].sum())
            if not 0 < n_targets < len(rows):
                raise InputError(
                    f"the {part} part has {n_targets} targets among {len(rows)} flashes; "
                    f"expected both targets and nontargets"
                )

    def measure(self) -> dict[str, float]:
        """Measure loss per flash and AUC of the network on the validation flashes.

        Raises
        ------
        InputError
            If a score is not finite.
        """
        network, loss = self.module.network, self.module.loss
        device = next(network.parameters()).device
        logits, labels = [], []
        for rows in self.data.validation.split(LARGEST_BATCH):
            epochs, own = self.data.gather(rows)
            logits.append(network(epochs.to(device)))
            labels.append(own)
        is_target = torch.cat(labels)
        scores = torch.cat([loss.score(part) for part in logits]).float()  # type: ignore[operator]
        if not torch.isfinite(scores).all():
            raise diverged(len(self.curve.history))
        total = loss(torch.cat(logits), is_target.to(device)).item()
        mean = total / len(is_target) if is_sum(loss) else total
        auc = roc_auc(is_target.cpu(), scores.cpu())
        return {"validation/loss": mean, "validation/auc": auc}

    def results(self, weights: dict[str, Tensor], epoch: int) -> Results:
        """Return the results of a training that kept the weights of a training epoch."""
        return {"best_epoch": epoch, "n_epochs": len(self.curve.read())}, weights

    def conclude(self, results: Results, monitor: str) -> Record:
        """Give the network its final weights, on the CPU, and return the record.

        The monitored value is measured with these weights: a callback may have averaged them, or
        kept them in the middle of a training epoch.
        """
        record, weights = results
        self.module.float().cpu().network.load_state_dict(weights)
        self.module.network.eval()
        with torch.no_grad():
            return {**record, monitor: self.measure()[monitor]}


def train_network(
    fit: NetworkFit,
    saved: SavedTraining,
    trainer: Callable[..., pl.Trainer],
    callbacks: Iterable[pl.Callback] = (),
    monitor: str = "validation/auc",
) -> Record:
    """Train one network; afterwards it has the weights of its best training epoch.

    The best training epoch is the one that a ``ModelCheckpoint`` among the callbacks kept.
    Without one, the last weights stay.

    Parameters
    ----------
    fit : NetworkFit
        The network.
    saved : SavedTraining
        The file from which the training is resumed, if it was interrupted or has ended.
    trainer : callable
        Builds a ``Trainer`` from keyword arguments.
    callbacks : iterable of Callback
        Those of Lightning that stop the training and keep the best weights, and any others.
    monitor : str
        The value to report of the best training epoch.

    Returns
    -------
    dict
        ``best_epoch`` (from 1), ``n_epochs`` and the monitored value.

    Raises
    ------
    InputError
        If a part has flashes of one class only, or the training diverged.
    """
    fit.check_labels()
    before = saved.read()
    if before is not None and "results" in before:
        fit.curve.restore(before["curves"][0])
        return fit.conclude(before["results"], monitor)
    fitting = trainer(callbacks=[*callbacks, fit.curve, saved], logger=list(fit.loggers) or False)
    resumed = None if before is None else saved.path
    with readable_ends():
        fitting.fit(fit.module, datamodule=fit.data, ckpt_path=resumed, weights_only=True)
    results = fit.results(*best_weights(fitting, fit.module.network))
    if fitting.is_global_zero:
        saved.write_results(results, [fit.curve])
    return fit.conclude(results, monitor)


@contextlib.contextmanager
def readable_ends() -> Iterator[None]:
    """Say how a training ended where Lightning does not.

    Raises
    ------
    SystemExit
        With the status of SIGTERM if that ended the training; Lightning ends the process with
        status 0, as if the training had been finished.
    KeyboardInterrupt
        If Ctrl-C ended it; Lightning ends the process with status 1.
    InputError
        If Lightning refuses a combination of options.
    """
    try:
        yield
    except SIGTERMException as error:
        raise SystemExit(128 + signal.SIGTERM) from error
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    except MisconfigurationException as error:
        reason = " ".join(str(error).split())
        raise InputError(f"Lightning refuses to train as configured: {reason}") from error


def best_weights(trainer: pl.Trainer, network: nn.Module) -> tuple[dict[str, Tensor], int]:
    """Find the weights that a ``ModelCheckpoint`` kept, or else the last ones.

    Returns
    -------
    weights : dict of str to Tensor
        State of the network.
    epoch : int
        The training epoch that they are of, from 1.
    """
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.best_model_path:
            kept = torch.load(callback.best_model_path, weights_only=True, map_location="cpu")
            prefix, state = "network.", kept["state_dict"]
            weights = {k.removeprefix(prefix): v for k, v in state.items() if prefix in k[:8]}
            return weights, kept["epoch"] + 1
    return network.state_dict(), trainer.current_epoch
