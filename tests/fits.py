"""Small networks in training, as the tests of `p300.training` share them."""

import functools
import logging

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from simulated import p300_epochs

from p300.losses import CrossEntropy
from p300.models import CecottiCNN
from p300.training.callbacks.curves import TrainingCurve
from p300.training.callbacks.resuming import SavedTraining
from p300.training.datamodule import EpochsDataModule, time_first
from p300.training.loop import NetworkFit, train_network
from p300.training.module import TrainingModule
from p300.training.side_by_side import train_side_by_side

#: Lightning's own warnings, as the commands ignore them.
LIGHTNING = [
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The `srun` command is available"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)

N_FLASHES = 480
NUMBERS = np.arange(N_FLASHES)
TRAIN, VALIDATION, TEST = NUMBERS < 240, (NUMBERS >= 240) & (NUMBERS < 360), NUMBERS >= 360
EPOCHS, IS_TARGET = p300_epochs(np.random.default_rng(0), N_FLASHES, 4)
ADAM = functools.partial(torch.optim.Adam, lr=3e-3)
SHAPE = {"n_chans": 4, "n_outputs": 2, "n_times": 78, "sfreq": 120.0}


def make_fit(
    folder=None,
    number=1,
    *,
    seed=0,
    kind=CecottiCNN,
    loss=CrossEntropy,
    optimizer=ADAM,
    train=TRAIN,
    validation=VALIDATION,
    is_target=IS_TARGET,
    batch_size=32,
    loggers=(),
    augmentations=(),
    first_weights=None,
    soft_labels=None,
    **options,
):
    """A network with first weights by its seed, in training on simulated flashes."""
    torch.manual_seed(seed if first_weights is None else first_weights)
    module = TrainingModule(kind(**SHAPE), loss(is_target[train]), optimizer, **options)
    epochs = time_first(EPOCHS) if getattr(kind, "reads_time_first", False) else EPOCHS
    rows = {"train": train, "validation": validation, "test": TEST}
    data = EpochsDataModule(
        epochs,
        is_target,
        **rows,
        batch_size=batch_size,
        seed=seed,
        augmentations=augmentations,
        soft_labels=soft_labels,
    )
    path = None if folder is None else folder / "networks" / str(number) / "metrics.csv"
    return NetworkFit(module, data, TrainingCurve(path), loggers)


def make_trainer(max_epochs=6, **options):
    """What builds a trainer on the CPU that prints nothing."""
    plain = {"accelerator": "cpu", "num_sanity_val_steps": 0, "enable_model_summary": False}
    plain |= {"log_every_n_steps": 1}
    plain |= {"enable_progress_bar": False, "max_epochs": max_epochs}
    return functools.partial(pl.Trainer, **{**plain, **options})


def default_callbacks(folder, monitor="validation/auc", patience=15):
    """Lightning's callbacks as `callbacks=default` configures them."""
    mode = "max" if monitor.endswith("auc") else "min"
    return [
        EarlyStopping(monitor, mode=mode, patience=patience, strict=False),
        ModelCheckpoint(
            folder,
            filename="best",
            monitor=monitor,
            mode=mode,
            save_weights_only=True,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        ),
    ]


def train_alone(
    folder,
    fit,
    *,
    max_epochs=6,
    callbacks=(),
    defaults=True,
    monitor="validation/auc",
    patience=15,
    key="key",
    every_s=0.0,
    **options,
):
    """Train a network by a trainer of its own; return its record."""
    (folder / "networks").mkdir(parents=True, exist_ok=True)
    own = default_callbacks(folder / "networks" / "1", monitor, patience) if defaults else []
    saved = SavedTraining(folder / "networks" / "1.ckpt", key, every_s)
    trainer = make_trainer(max_epochs, default_root_dir=folder, **options)
    return train_network(fit, saved, trainer, [*own, *callbacks], monitor)


def train_together(folder, fits, *, max_epochs=6, callbacks=(), key="key", every_s=0.0, **options):
    """Train networks side by side; return their records."""
    (folder / "networks").mkdir(parents=True, exist_ok=True)
    saved = SavedTraining(folder / "networks" / "1.ckpt", key, every_s)
    trainer = make_trainer(max_epochs, default_root_dir=folder)
    return train_side_by_side(fits, saved, trainer, callbacks, **options)


def weights_of(fit):
    """All weights and statistics of a network as one vector."""
    state = fit.module.network.state_dict().values()
    return torch.cat([value.flatten().float() for value in state])


def scores_of(fit, rows):
    with torch.inference_mode():
        return fit.module(torch.as_tensor(EPOCHS[rows])).numpy()


def logged(folder, number=1):
    """What was written after every training epoch of a network."""
    return pd.read_csv(folder / "networks" / str(number) / "metrics.csv")


class Interrupt(pl.Callback):
    """Counts the training epochs that are begun, and interrupts one."""

    def __init__(self, at=None):
        self.n, self.at = 0, at

    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == self.at:
            raise ConnectionError  # of a kind that Lightning does not take for the user's wish
        self.n += 1
