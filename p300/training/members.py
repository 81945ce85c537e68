"""The members of a detector: networks or not, their labels and arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from p300.preprocessing import Epochs


def labels(epochs: Epochs) -> np.ndarray:
    """Return the labels, unknown ones as False: bool, shape (n_flashes,)."""
    return epochs.flashes["is_target"].fillna(False).to_numpy(bool)


def member_arguments(model: Mapping[str, Any], epochs: Epochs) -> dict[str, Any]:
    """Return ``_target_`` and all arguments of a member, from which it can be built again."""
    from omegaconf import DictConfig, OmegaConf

    # a copy of a part of a configuration would not know what the rest says
    created = model if isinstance(model, DictConfig) else OmegaConf.create(dict(model))
    arguments = cast(dict[str, Any], OmegaConf.to_container(created, resolve=True))
    return arguments | shape_arguments(model, epochs) if is_network(model) else arguments


def shape_arguments(model: Mapping[str, Any], epochs: Epochs) -> dict[str, Any]:
    """Return the sizes of the epochs that a network takes, by braindecode's names.

    A network with an argument ``ch_names`` also gets the names of the electrodes.
    """
    from p300.storage.classes import accepts, import_class

    _, n_chans, n_times = epochs.data.shape
    sizes: dict[str, Any] = {"n_chans": n_chans, "n_outputs": 2, "n_times": n_times}
    sizes |= {"sfreq": float(epochs.sfreq), "ch_names": list(epochs.ch_names)}
    kind = import_class(model["_target_"])
    return {name: size for name, size in sizes.items() if accepts(kind, name)}


def is_network(model: Mapping[str, Any]) -> bool:
    """Return whether a model is a network, and not a classical detector or a stack."""
    from torch import nn

    from p300.storage.classes import import_class

    return issubclass(import_class(model["_target_"]), nn.Module)
