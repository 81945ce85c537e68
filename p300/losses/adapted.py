"""Any loss as one of p300's own: of PyTorch, or of the user's.

:func:`make_loss` builds a loss for a training; :func:`describe_loss` and :func:`score_function`
write its score into a checkpoint and read it again.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from p300.errors import InputError
from p300.losses.losses import CrossEntropy, LogisticSquareError, log_odds
from p300.storage.classes import accepts, call, import_class, import_named, without_unknown

#: The losses of p300 by the names under which checkpoints know them.
OWN = {kind.__name__: kind for kind in (CrossEntropy, LogisticSquareError)}

#: The kinds of labels that a loss may expect.
LABELS: dict[str, Callable[[Tensor], Tensor]] = {
    "booleans": lambda is_target: is_target,
    "class numbers": lambda is_target: is_target.long(),
    "one-hot vectors": lambda is_target: F.one_hot(is_target.long(), 2).float(),
}


class AdaptedLoss(nn.Module):
    """A loss that is not p300's own, with the interface of those that are.

    Parameters
    ----------
    loss : callable
        Called with logits (batch, 2) and labels (batch,), which it may expect as booleans, as
        class numbers or as one-hot vectors; returns one number. Without ``is_sum``, a batch is
        averaged, unless its ``reduction`` is "sum". Without ``score``, the score is
        :func:`log_odds`.

    Raises
    ------
    InputError
        If it returns one number for none of the three kinds of labels.

    Examples
    --------
    >>> loss = AdaptedLoss(nn.CrossEntropyLoss())
    >>> loss(torch.zeros(3, 2), torch.tensor([True, False, False])).item()
    0.6931471824645996
    """

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor]):
        super().__init__()
        self.loss = loss
        self.is_sum = bool(getattr(loss, "is_sum", getattr(loss, "reduction", None) == "sum"))
        self.score = getattr(loss, "score", log_odds)
        self._labels = _accepted_labels(loss)

    def forward(self, logits: Tensor, is_target: Tensor) -> Tensor:
        """Return the loss of a batch, from logits (batch, 2) and labels (batch,)."""
        return self.loss(logits, self._labels(is_target))


def make_loss(factory: Callable[..., Any], is_target: np.ndarray) -> nn.Module:
    """Build the loss of a training, p300's own or any other.

    Parameters
    ----------
    factory : callable
        A class, or ``functools.partial`` of a class, whose constructor may take the labels of the
        training part (:func:`labels_argument`); or else a loss that is built, or a function.
    is_target : ndarray of bool, shape (n_flashes,)
        Labels of the training part.

    Returns
    -------
    nn.Module
        Called with logits and boolean labels, with ``score`` and ``is_sum``. An argument
        ``balanced``, which p300's protocols have, is left out if the loss does not take it.
    """
    factory = without_unknown(factory, "balanced")
    kind = factory.func if isinstance(factory, functools.partial) else factory
    loss: Any = factory
    if isinstance(kind, type):
        name = labels_argument(kind)
        loss = factory() if name is None else factory(**{name: is_target})
    return adapted(loss)


def adapted(loss: Callable[[Tensor, Tensor], Tensor]) -> nn.Module:
    """Return a loss with ``score`` and ``is_sum``: itself if it is p300's own."""
    is_ready = isinstance(loss, AdaptedLoss) or type(loss) in OWN.values()
    return loss if is_ready else AdaptedLoss(loss)  # type: ignore[return-value]


def describe_loss(config: Mapping[str, Any], is_target: np.ndarray) -> str | dict[str, Any]:
    """Describe how a configured loss reads logits, for a checkpoint.

    Parameters
    ----------
    config : mapping
        ``_target_`` and arguments of the loss, plain containers.
    is_target : ndarray of bool, shape (n_flashes,)
        Labels of the training part.

    Returns
    -------
    str or dict
        The name of one of p300's own: of the loss itself, or of :class:`CrossEntropy` for a loss
        without a ``score``. For others ``_target_`` and every argument that builds the loss.
    """
    kind = import_named(str(config["_target_"]))
    if kind in OWN.values():
        return kind.__name__
    if not hasattr(kind, "score"):
        return CrossEntropy.__name__
    arguments = {k: v for k, v in config.items() if k != "_partial_"}
    if not accepts(kind, "balanced"):
        arguments.pop("balanced", None)
    name = labels_argument(kind)
    if name is not None and not _is_static(kind):
        arguments[name] = torch.as_tensor(is_target)
    return arguments


def score_function(
    loss: str | Mapping[str, Any], *, strictly: bool = False
) -> Callable[[Tensor], Tensor]:
    """Return the ``score`` of a loss as :func:`describe_loss` describes it.

    Parameters
    ----------
    loss : str or mapping
        Its description.
    strictly : bool
        Whether the description is from elsewhere, and may name trusted classes only.

    Raises
    ------
    InputError
        If there is no such loss, or it has no ``score``.
    """
    if isinstance(loss, str):
        if loss not in OWN:
            raise InputError(f"got the loss {loss!r}; expected one of {', '.join(OWN)}")
        return OWN[loss].score
    kind = import_class(str(loss["_target_"]), strictly=strictly)
    if not hasattr(kind, "score"):
        raise InputError(f"the loss {loss['_target_']} has no score; expected the one it had")
    if _is_static(kind):
        return kind.score
    labels = {k: v.numpy() for k, v in loss.items() if isinstance(v, Tensor)}
    return call({**loss, **labels}, strictly=strictly).score


def labels_argument(kind: type) -> str | None:
    """Find the argument of a loss's constructor that takes the labels of the training part.

    It is called ``is_target``; None if the loss has no such argument.

    Examples
    --------
    >>> labels_argument(CrossEntropy), labels_argument(nn.CrossEntropyLoss)
    ('is_target', None)
    """
    for each in kind.__mro__:  # an __init__ with **kwargs passes them on to the next
        if "__init__" not in vars(each) or each in (nn.Module, object):
            continue
        parameters = inspect.signature(vars(each)["__init__"]).parameters
        if "is_target" in parameters:
            return "is_target"
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return None
    return None


def _is_static(kind: type) -> bool:
    return isinstance(inspect.getattr_static(kind, "score"), staticmethod | classmethod)


def _accepted_labels(loss: Callable[..., Any]) -> Callable[[Tensor], Tensor]:
    """Return the first conversion of boolean labels with which a loss returns one number."""
    called = loss.func if isinstance(loss, functools.partial) else loss
    name = getattr(called, "__name__", type(called).__name__)
    logits, is_target = torch.zeros(4, 2), torch.tensor([True, False, True, False])
    tried = copy.deepcopy(loss) if isinstance(loss, nn.Module) else loss
    reasons = []
    for words, convert in LABELS.items():
        try:
            with torch.no_grad():
                found = tried(logits, convert(is_target))
        except Exception as error:  # of any kind: it is not ours
            reasons.append(f"{words}: {' '.join(str(error).split())}")
            continue
        if isinstance(found, Tensor) and found.ndim == 0:
            return convert
        reasons.append(f"{words}: {getattr(found, 'shape', type(found).__name__)}")
    raise InputError(
        f"the loss {name} returned no single number for logits (4, 2) and labels (4,) as "
        f"{'; '.join(reasons)}; expected a tensor without axes"
    )
