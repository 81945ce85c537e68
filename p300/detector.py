"""A trained detector as one file: it loads in a new process and needs no other file.

The file holds plain containers and tensors only: the resolved configuration, the state of the
preprocessing with the channel list, the screen, and the weights of every member. It is read
with ``torch.load(weights_only=True)``, and classes are built only from an explicit list of
packages, so a file from elsewhere cannot run code. A file that this user wrote on this machine,
as its signature proves (:mod:`p300.storage.signature`), may name any class, and may hold a pickled
estimator of scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from p300 import __version__
from p300.description import DescribedDetector, check_format, read_description, reading
from p300.errors import InputError
from p300.losses import score_function
from p300.preprocessing import EuclideanAlignment, Preprocessor
from p300.speller import Speller
from p300.storage.classes import call, import_class
from p300.storage.tensors import n_weights, read_signed, walk, write_tensors
from p300.storage.untrusted import check_trusted, is_of_p300, restricted, trusts_pickles

#: Written into every file; a file with another one is refused.
FORMAT = "p300 detector 3"

#: The name of the class that keeps any estimator, as a pickle.
ESTIMATOR = "p300.baselines.SklearnDetector"

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
    loss : str, dict or None
        The loss whose ``score`` reads a network's logits, as
        :func:`p300.losses.describe_loss` describes it; None for a classical detector.
    weight : float
        What its scores are multiplied by.
    """

    detector: Any
    model: dict[str, Any]
    loss: str | dict[str, Any] | None = None
    weight: float = 1.0

    @property
    def is_network(self) -> bool:
        """Whether it is a network and not a classical detector."""
        return isinstance(self.detector, nn.Module)

    @cached_property
    def read_logits(self) -> Callable[[Tensor], Tensor]:
        """The score of a network's logits: (n_flashes, 2) to (n_flashes,)."""
        assert self.loss is not None
        return score_function(self.loss)

    @property
    def n_parameters(self) -> int:
        """Number of trained parameters of a network, or of stored numbers of another detector."""
        if not self.is_network and hasattr(self.detector, "n_parameters"):
            return self.detector.n_parameters
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
        score = self.read_logits
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
        write_tensors(Path(path), content, sign=True)

    @classmethod
    def load(cls, path: str | Path) -> Detector:
        """Read a checkpoint, or the ``checkpoint.pt`` of a run folder.

        Raises
        ------
        InputError
            If there is no such file, it is damaged or of another kind, or it names a class
            outside :func:`~p300.storage.untrusted.trusted_packages` and this user did not write
            it.
        """
        path = find_checkpoint(path)
        content, is_own = read_signed(path)
        check_format(path, content, FORMAT)
        with reading(path, "a checkpoint that `p300 train` wrote"):
            slope, offset = map(float, content["calibration"])
            detector = cls(
                [_restored(is_own, **member) for member in content["members"]],
                **read_description(content, is_own=is_own),
                config=dict(content["config"]) if is_own else restricted(content["config"]),
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
    if not (path / "checkpoint.pt").exists() and (path / "folds").is_dir():
        raise InputError(
            f"{path}: got a cross-validation, which has a detector per fold; expected one "
            f"detector; choose {path / 'folds' / '0'}, or train one on all folds with split=own"
        )
    return path / "checkpoint.pt"


def build_model(model: Mapping[str, Any], *, is_own: bool = False) -> Any:
    """Build one member from its ``_target_`` and arguments, without Hydra.

    Parameters
    ----------
    model : mapping
        Plain containers.
    is_own : bool
        Whether it comes from a file of this user, which may name any class.

    Raises
    ------
    InputError
        If a class is not of a trusted package, or does not exist.
    """
    if not is_own:
        check_trusted(model)
    return call(model, strictly=not is_own)


def _restored(is_own: bool, model: dict[str, Any], loss: Any, weight: float, state: Any) -> Member:
    if model["_target_"] == ESTIMATOR:
        from p300.baselines import SklearnDetector  # it takes scikit-learn a second to import

        fitted = SklearnDetector.from_state(state, is_own=is_own or trusts_pickles())
        return Member(fitted, model, None, float(weight))
    if not is_own:
        check_trusted(model)
        _check_sizes(model, state)
    kind = import_class(str(model["_target_"]), strictly=not is_own)
    member = Member(None, model, loss, float(weight))
    if not issubclass(kind, nn.Module):
        if not is_own:
            build_model(model)  # its arguments, too, must be right
        member.detector = kind.from_state(state)  # type: ignore[attr-defined]
        return member
    try:
        if is_of_p300(model):
            with torch.device("meta"):  # needs no memory, however large the model is
                planned = build_model(model, is_own=is_own)
            planned.load_state_dict(state, assign=True)
        member.detector = build_model(model, is_own=is_own)
        member.detector.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"the checkpoint's weights do not fit its model: {reason}") from error
    if not is_own and isinstance(loss, Mapping):
        check_trusted(loss)
    member.detector.eval()
    member.read_logits = score_function(loss, strictly=not is_own)
    return member


def _check_sizes(model: Mapping[str, Any], state: Any) -> None:
    """Check that no size is larger than that of a network whose weights are all in the file."""
    n_stored = n_weights(walk(state))
    most = max(n_stored, SMALL_SIZE)  # a trained network stores every weight
    for name, size in model.items():
        if isinstance(size, int) and size > most:
            raise InputError(
                f"the checkpoint's model has {name}={size} but {n_stored} weights; expected "
                f"{name} of at most {most}"
            )


def _as_tensors(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _as_tensors(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_as_tensors(v) for v in value)
    if isinstance(value, np.generic):
        return value.item()
    return torch.as_tensor(value) if isinstance(value, np.ndarray) else value
