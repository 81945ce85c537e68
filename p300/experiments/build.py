"""Objects from configurations: the only place where Hydra's ``instantiate`` is called.

Each function below builds one kind of object that a configuration names by ``_target_``. These
objects take plain arguments and do not depend on Hydra.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from p300.splits import Split
from p300.storage.renamed import with_current_names
from p300.storage.untrusted import add_own_modules
from p300.training.members import is_network, shape_arguments

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import pandas as pd
    import pytorch_lightning as pl
    import torch
    from omegaconf import DictConfig
    from torch import nn

    from p300.preprocessing import Epochs, EuclideanAlignment, Preprocessor
    from p300.recording import Recording
    from p300.training.stacking import Stack


def build(config: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """Build the object that a configuration names; its arguments are plain containers."""
    from hydra.utils import instantiate
    from omegaconf import DictConfig, OmegaConf

    add_own_modules()
    plain = OmegaConf.to_container(config) if isinstance(config, DictConfig) else config
    renamed = with_current_names(plain)
    if renamed != plain:  # a configuration of an earlier version
        config = OmegaConf.create(renamed)
    return instantiate(config, *args, **kwargs, _convert_="all")


def build_recording(data: DictConfig, **arguments: Any) -> Recording:
    """Read the recording of the group ``data``; ``arguments`` go to its reader."""
    return build(data.read, **arguments)


def reader_takes(data: DictConfig, argument: str) -> bool:
    """Return whether the reader of the group ``data`` has an argument of this name."""
    from hydra.utils import get_method

    return argument in inspect.signature(get_method(data.read["_target_"])).parameters


def build_split(cfg: DictConfig, flashes: pd.DataFrame) -> Split:
    """Build the split of a flash table.

    The validation part joins the training part if neither a network nor a calibration needs it.
    """
    split = build(cfg.split, flashes)
    needs_validation = is_network(cfg.model) or cfg.calibration != "none"
    return split if needs_validation else split.without_validation()


def build_preprocessor(cfg: DictConfig) -> Preprocessor:
    """Build the preprocessor, not yet fitted."""
    return build(cfg.preprocessing)


def build_alignment(cfg: DictConfig) -> EuclideanAlignment | None:
    """Build the alignment of subjects and sessions; None if none is configured."""
    return build(cfg.alignment.method)


def build_stack(model: Mapping[str, Any]) -> Stack:
    """Build a stack; its members stay configurations."""
    return build(model)


def build_classical(model: Mapping[str, Any]) -> Any:
    """Build a classical detector, not yet fitted."""
    return build(model)


def build_network(model: Mapping[str, Any], epochs: Epochs) -> nn.Module:
    """Build a network for the shape of these epochs, with random weights."""
    return build(model, **shape_arguments(epochs))


def build_loss(protocol: DictConfig, is_target: np.ndarray) -> nn.Module:
    """Build the loss; it may weight the classes by ``is_target``, the training labels."""
    return build(protocol.loss)(is_target)


def build_optimizer(protocol: DictConfig) -> Callable[..., torch.optim.Optimizer]:
    """Build a function that builds an optimizer from parameters."""
    return build(protocol.optimizer)


def build_augmentations(cfg: DictConfig) -> Sequence[Callable]:
    """Build the augmentations of a training batch, in order."""
    return [build(step) for step in cfg.augmentation.steps.values()]


def build_trainer(cfg: DictConfig) -> Callable[..., pl.Trainer]:
    """Build a function that builds a Lightning ``Trainer`` from further arguments."""
    return build(cfg.trainer)


def build_tracker(cfg: DictConfig, **arguments: Any) -> Any:
    """Start the W&B run of the group ``logger``."""
    return build(cfg.logger.wandb, **arguments)
