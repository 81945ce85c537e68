"""A trained detector as one file: it loads in a new process and needs no other file.

The file holds plain containers and tensors only: the resolved configuration, the state of the
preprocessing with the channel list, the screen, and the weights of every member. It is read
with ``torch.load(weights_only=True)``, and classes are built only from an explicit list of
packages, so a file from elsewhere cannot run code.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from p300 import __version__, losses
from p300.description import DescribedDetector, check_format, read_description, reading
from p300.errors import InputError
from p300.preprocessing import EuclideanAlignment, Preprocessor
from p300.speller import Speller
from p300.storage.renamed import current_name
from p300.storage.tensors import n_weights, read_tensors, walk, write_tensors
from p300.storage.untrusted import add_own_modules, restricted, trusted_packages

#: Written into every file; a file with another one is refused.
FORMAT = "p300 detector 3"

#: Largest size of a network that is built even if its file has fewer weights.
SMALL_SIZE = 10_000

#: Flashes that are scored at once, so that the memory needed does not depend on their number.
AT_ONCE = 2048


@dataclass
class Member:
    """One network or classical detector, and its weight in the score of a trained detector.

    Parameters
    ----------
    detector : nn.Module or ClassicalDetector
        Trained; a classical detector has ``decision_function``.
    model : dict
        ``_target_`` and every argument that builds it.
    loss : str or None
        Name of the class in :mod:`p300.losses` whose ``score`` reads a network's logits; None
        for a classical detector.
    weight : float
        What its scores are multiplied by.
    """

    detector: Any
    model: dict[str, Any]
    loss: str | None = None
    weight: float = 1.0

    @property
    def is_network(self) -> bool:
        """Whether it is a network and not a classical detector."""
        return isinstance(self.detector, nn.Module)

    @property
    def n_parameters(self) -> int:
        """Number of trained parameters of a network, or of stored numbers of another detector."""
        values = self.detector.parameters() if self.is_network else walk(self.get_state())
        return n_weights(values)

    def score(self, epochs: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Score preprocessed epochs (n_flashes, n_chans, n_times), unweighted: (n_flashes,).

        Parameters
        ----------
        epochs : ndarray of float32, shape (n_flashes, n_chans, n_times)
            Perhaps mapped from a file; :data:`AT_ONCE` flashes at a time are read and scored.
        rows : ndarray of bool, shape (n_flashes,), or None
            The flashes to score; None for all.
        """
        places = np.arange(len(epochs)) if rows is None else np.flatnonzero(rows)
        starts = range(0, max(len(places), 1), AT_ONCE)
        if rows is None:
            parts = (epochs[k : k + AT_ONCE] for k in starts)
        else:
            parts = (epochs[places[k : k + AT_ONCE]] for k in starts)
        return np.concatenate([self._score(part) for part in parts])

    def _score(self, epochs: np.ndarray) -> np.ndarray:
        """Score some epochs at once."""
        if not self.is_network:
            return np.asarray(self.detector.decision_function(epochs), float)
        score = getattr(losses, str(self.loss)).score
        self.detector.eval()
        with torch.inference_mode():
            return score(self.detector(torch.as_tensor(epochs))).double().numpy()

    def get_state(self) -> dict[str, Any]:
        """Return what was learned as plain containers and tensors."""
        if self.is_network:
            # copies: weights that were trained side by side are in one storage, which would be
            # written whole into the file of each network
            return {name: part.clone() for name, part in self.detector.state_dict().items()}
        return _as_tensors(self.detector.get_state())


@dataclass
class Detector(DescribedDetector):
    """Preprocessing, one or more members whose weighted scores are added, and their screen.

    Parameters
    ----------
    members : list of Member
        Networks and classical detectors.
    preprocessor : Preprocessor
        Fitted; it knows its channels.
    speller : Speller or None
        The screen.
    config : dict
        The resolved configuration of the run, plain containers.
    calibration : (float, float)
        Slope and offset that turn the sum into log odds; (1, 0) does not change it.
    alignment : EuclideanAlignment or None
        Applied to the epochs between preprocessing and members.
    """

    members: list[Member]
    preprocessor: Preprocessor
    speller: Speller | None = None
    config: dict[str, Any] = field(default_factory=dict)
    calibration: tuple[float, float] = (1.0, 0.0)
    alignment: EuclideanAlignment | None = None

    def score_epochs(self, epochs: np.ndarray) -> np.ndarray:
        """Score epochs (n_flashes, n_chans, n_times) as of :meth:`epochs`: shape (n_flashes,)."""
        slope, offset = self.calibration
        total = np.zeros(len(epochs))
        for start in range(0, len(epochs), AT_ONCE):  # of all members, so that each is read once
            part = slice(start, start + AT_ONCE)
            for member in self.members:
                total[part] += member.weight * member.score(epochs[part])
        return slope * total + offset

    @property
    def is_classical(self) -> bool:
        """Whether all members are classical detectors and none is a network."""
        return not any(member.is_network for member in self.members)

    @property
    def n_parameters(self) -> int:
        """Sum of :attr:`Member.n_parameters` over all members."""
        return sum(member.n_parameters for member in self.members)

    def save(self, path: str | Path) -> None:
        """Write the checkpoint; an interrupted write leaves no file with that name."""
        content = {
            "format": FORMAT,
            "p300_version": __version__,
            "config": self.config,
            "calibration": list(self.calibration),
            **self.describe(),
            "members": [
                {"model": m.model, "loss": m.loss, "weight": m.weight, "state": m.get_state()}
                for m in self.members
            ],
        }
        write_tensors(Path(path), content)

    @classmethod
    def load(cls, path: str | Path) -> Detector:
        """Read a checkpoint, or the ``checkpoint.pt`` of a run folder.

        Raises
        ------
        InputError
            If there is no such file, it is damaged or of another kind, or it names a class
            outside :func:`~p300.storage.untrusted.trusted_packages`.
        """
        path = find_checkpoint(path)
        content = read_tensors(path)
        check_format(path, content, FORMAT)
        with reading(path, "a checkpoint that `p300 train` wrote"):
            slope, offset = map(float, content["calibration"])
            detector = cls(
                [_restored(**member) for member in content["members"]],
                **read_description(content),
                config=restricted(content["config"]),
                calibration=(slope, offset),
            )
            steps = detector.preprocessor
            detector.score_epochs(np.zeros((1, len(steps.ch_names_), steps.n_times), np.float32))
        return detector


def find_checkpoint(path: str | Path) -> Path:
    """Find the checkpoint file of a run folder; a path of a file is returned.

    Raises
    ------
    InputError
        If it does not exist, or the run was not finished.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such run folder or checkpoint")
    if path.is_file():
        return path
    if not (path / "results.json").exists():
        raise InputError(f"{path}: not a finished run, results.json is missing")
    return path / "checkpoint.pt"


def build_model(model: Mapping[str, Any]) -> Any:
    """Build one member from its ``_target_`` and arguments, without Hydra.

    Raises
    ------
    InputError
        If the class is not of a trusted package, or does not exist.
    """
    target, trusted = str(model["_target_"]), trusted_packages()
    if not target.startswith(trusted):
        raise InputError(
            f"the checkpoint names {target!r}; expected a class of {', '.join(trusted)}; for your "
            f"own, set P300_CONF to the folder of its module"
        )
    built = import_class(target)
    return built(**{k: v for k, v in model.items() if not k.startswith("_")})


def import_class(target: str) -> type:
    """Import a class by its full name.

    Raises
    ------
    InputError
        If it cannot be imported or is not a class.
    """
    add_own_modules()
    module, _, name = current_name(target).rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError, OSError) as error:
        raise InputError(f"model {target!r} cannot be imported: {error}") from error
    if not isinstance(found, type):
        raise InputError(f"model {target!r} is {found!r}; expected a class")
    return found


def _restored(model: dict[str, Any], loss: str | None, weight: float, state: Any) -> Member:
    n_stored = n_weights(walk(state))
    most = max(n_stored, SMALL_SIZE)  # a trained network stores every weight
    for name, size in model.items():
        if isinstance(size, int) and size > most:
            raise InputError(
                f"the checkpoint's model has {name}={size} but {n_stored} weights; expected "
                f"{name} of at most {most}"
            )
    with torch.device("meta"):  # needs no memory, however large the model is
        planned = build_model(model)
    if not isinstance(planned, nn.Module):
        return Member(type(planned).from_state(state), model, loss, float(weight))
    try:
        planned.load_state_dict(state, assign=True)
        detector = build_model(model)
        detector.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"the checkpoint's weights do not fit its model: {reason}") from error
    if not isinstance(getattr(losses, str(loss), None), type):
        raise InputError(f"the checkpoint names the loss {loss!r}; expected one of p300.losses")
    return Member(detector.eval(), model, loss, float(weight))


def _as_tensors(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _as_tensors(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_as_tensors(v) for v in value)
    if isinstance(value, np.generic):
        return value.item()
    return torch.as_tensor(value) if isinstance(value, np.ndarray) else value
