"""What is trained: networks told from classical detectors, their labels and arguments."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from p300.preprocessing import Epochs

log = logging.getLogger("p300.experiments.fit")


def labels(epochs: Epochs) -> np.ndarray:
    """Give the labels, unknown ones as False: bool, shape (n_flashes,)."""
    return epochs.flashes["is_target"].fillna(False).to_numpy(bool)


def member_arguments(model: Mapping, epochs: Epochs) -> dict[str, Any]:
    """Name the class of a member and every argument that builds it again."""
    from omegaconf import OmegaConf

    arguments = OmegaConf.to_container(OmegaConf.create(model), resolve=True)
    return arguments | shape_arguments(epochs) if is_network(model) else arguments


def shape_arguments(epochs: Epochs) -> dict[str, Any]:
    """Give the sizes every network is told, by braindecode's names."""
    _, n_chans, n_times = epochs.data.shape
    return {"n_chans": n_chans, "n_outputs": 2, "n_times": n_times, "sfreq": float(epochs.sfreq)}


def is_network(model: Mapping) -> bool:
    """Tell a network from a classical detector, or from a stack of both."""
    from torch import nn

    from p300.detector import import_class

    return issubclass(import_class(model["_target_"]), nn.Module)
