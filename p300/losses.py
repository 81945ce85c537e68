"""Loss functions of the networks, each with its score of one flash.

A loss is built from the labels of the training part, so that rare targets can have the same
total weight as frequent nontargets. Its ``score`` turns the network's two outputs into one number
per flash. A score of 0 means: the network finds target and nontarget equally likely. Its
``log_odds`` turns scores into the log odds of a target that the loss asks for, among flashes as
frequent as in training; :mod:`p300.experiments.benchmark.probability` adds what class weights
change.

:func:`make_loss` builds these and any other loss: of PyTorch, or of the user's own.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Container, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F

from p300.errors import InputError
from p300.storage.classes import accepts, call, import_class, import_named, without_unknown


class CrossEntropy(nn.Module):
    """Cross-entropy of the softmax; the score is the log odds of a target.

    A batch is averaged (``is_sum`` is False).

    Parameters
    ----------
    is_target : array-like of bool, shape (n_flashes,)
        Labels of the training part.
    balanced : bool
        Give both classes the same total weight.
    label_smoothing : float
        Fraction of each label that is distributed evenly over both classes.
    """

    is_sum = False
    weight: Tensor

    def __init__(self, is_target, balanced: bool = True, label_smoothing: float = 0.0):
        super().__init__()
        self.label_smoothing = label_smoothing
        self.register_buffer("weight", class_weights(is_target, balanced), persistent=False)

    def forward(self, logits: Tensor, is_target: Tensor) -> Tensor:
        """Return the mean loss of a batch, from logits (batch, 2) and labels (batch,)."""
        labels, smoothing = is_target.long(), self.label_smoothing
        losses = F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
        return (self.weight[labels] * losses).mean()

    @staticmethod
    def score(logits: Tensor) -> Tensor:
        """Return the log odds of a target: (batch, 2) to (batch,)."""
        return log_odds(logits)

    @staticmethod
    def log_odds(score: ArrayLike, label_smoothing: float = 0.0) -> np.ndarray:
        """Return the log odds of a target, without what smoothed labels take from them.

        Parameters
        ----------
        score : array-like of float, shape (n_flashes,)
            As of :meth:`score`.
        label_smoothing : float
            That of the training. The loss is then least at the probability
            ``(1 - label_smoothing) * p + label_smoothing / 2`` for a flash that is a target with
            probability p.

        Examples
        --------
        >>> CrossEntropy.log_odds([-2.0, 1.5]).tolist()
        [-2.0, 1.5]
        >>> round(float(CrossEntropy.log_odds(np.log(0.86 / 0.14), label_smoothing=0.1)), 3)
        2.197
        """
        score = np.asarray(score, float)
        if not label_smoothing:
            return score
        probability = 1 / (1 + np.exp(-score))
        return _logit((probability - label_smoothing / 2) / (1 - label_smoothing))


class LogisticSquareError(nn.Module):
    """The paper's mean squared error on two logistic outputs with the desired values 1 and 0.

    The score is its normalised output x4(1) / (x4(0) + x4(1)), less one half.

    Parameters
    ----------
    is_target : array-like of bool, shape (n_flashes,)
        Labels of the training part.
    balanced : bool
        Give both classes the same total weight, as repeating the P300 patterns would do. The
        paper does not state it; its recall of 0.67 is hard to reach without.

    Notes
    -----
    Cecotti & Graeser 2011, sections 3.2, 3.3 and 4.1. Each flash counts in full and a batch is
    summed, not averaged, since the paper's learning rates are rates for one pattern.
    """

    is_sum = True
    weight: Tensor

    def __init__(self, is_target, balanced: bool = False):
        super().__init__()
        self.register_buffer("weight", class_weights(is_target, balanced), persistent=False)

    def forward(self, logits: Tensor, is_target: Tensor) -> Tensor:
        """Return the summed loss of a batch, from logits (batch, 2) and labels (batch,)."""
        labels = is_target.long()
        errors = (torch.sigmoid(logits) - F.one_hot(labels, 2)).square().sum(1) / 2
        return (self.weight[labels] * errors).sum()

    @staticmethod
    def score(logits: Tensor) -> Tensor:
        """Return the normalised P300 output less one half: (batch, 2) to (batch,)."""
        output = F.logsigmoid(logits)  # their ratio stays accurate where both are nearly zero
        return torch.sigmoid(output[:, 1] - output[:, 0]) - 0.5

    @staticmethod
    def log_odds(score: ArrayLike) -> np.ndarray:
        """Return the log odds of a target: a score is its probability less one half.

        Parameters
        ----------
        score : array-like of float, shape (n_flashes,)
            As of :meth:`score`, from -0.5 to 0.5.

        Examples
        --------
        >>> LogisticSquareError.log_odds([0.0, 0.4]).round(3).tolist()
        [0.0, 2.197]
        """
        return _logit(np.asarray(score, float) + 0.5)


def _logit(probability: np.ndarray) -> np.ndarray:
    """Return log odds; probabilities that round to 0 or 1 get those of one in a million."""
    p = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def class_weights(is_target, balanced: bool) -> Tensor:
    """Compute the weights of nontarget and target: (1, 1), or the same total for both classes.

    Examples
    --------
    >>> class_weights([True, False, False, False], balanced=True).tolist()
    [0.6666666865348816, 2.0]
    """
    n_targets = int(np.sum(is_target))
    counts = torch.tensor([len(is_target) - n_targets, n_targets], dtype=torch.float32)
    return len(is_target) / (2 * counts) if balanced else torch.ones(2)


def log_odds(logits: Tensor) -> Tensor:
    """Return the log odds of a target, from logits of nontarget and target.

    Examples
    --------
    >>> log_odds(torch.tensor([[1.0, 3.0]]))
    tensor([2.])
    """
    return logits[:, 1] - logits[:, 0]


class AdaptedLoss(nn.Module):
    """A loss that is not of this module, with the interface of those that are.

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
    """Build the loss of a training, of this module or any other.

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
        given = factory.keywords if isinstance(factory, functools.partial) else {}
        name = labels_argument(kind, given)
        loss = factory() if name is None else factory(**{name: is_target})
    return loss if type(loss).__module__ == __name__ else AdaptedLoss(loss)


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
        The name of a class of this module: of the loss itself, or of :class:`CrossEntropy` for a
        loss without a ``score``. For others ``_target_`` and every argument that builds the loss.
    """
    kind = import_named(str(config["_target_"]))
    if getattr(kind, "__module__", None) == __name__:
        return kind.__name__
    if not hasattr(kind, "score"):
        return CrossEntropy.__name__
    arguments = {k: v for k, v in config.items() if k != "_partial_"}
    if not accepts(kind, "balanced"):
        arguments.pop("balanced", None)
    name = labels_argument(kind, config)
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
        kind: Any = globals().get(loss)
        if not (isinstance(kind, type) and hasattr(kind, "score") and kind is not AdaptedLoss):
            raise InputError(f"got the loss {loss!r}; expected one of p300.losses")
        return kind.score
    kind = import_class(str(loss["_target_"]), strictly=strictly)
    if not hasattr(kind, "score"):
        raise InputError(f"the loss {loss['_target_']} has no score; expected the one it had")
    if _is_static(kind):
        return kind.score
    labels = {k: v.numpy() for k, v in loss.items() if isinstance(v, Tensor)}
    return call({**loss, **labels}, strictly=strictly).score


def labels_argument(kind: type, given: Container[str] = ()) -> str | None:
    """Find the argument of a loss's constructor that takes the labels of the training part.

    It is called ``is_target``, or it is the first that has no default and is not ``given``.

    Examples
    --------
    >>> labels_argument(CrossEntropy), labels_argument(nn.CrossEntropyLoss)
    ('is_target', None)
    """
    for each in kind.__mro__:
        if "__init__" not in vars(each) or each in (nn.Module, object):
            continue
        parameters = list(inspect.signature(vars(each)["__init__"]).parameters.values())[1:]
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        required = [p.name for p in named if p.default is p.empty and p.name not in given]
        if "is_target" in [p.name for p in named]:
            return "is_target"
        if required or not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return next(iter(required), None)
    return None


def _is_static(kind: type) -> bool:
    return isinstance(inspect.getattr_static(kind, "score"), staticmethod | classmethod)


def _accepted_labels(loss: Callable[..., Any]) -> Callable[[Tensor], Tensor]:
    """Return the first conversion of boolean labels with which a loss returns one number."""
    name = getattr(loss, "__name__", type(loss).__name__)
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


#: The kinds of labels that a loss may expect.
LABELS: dict[str, Callable[[Tensor], Tensor]] = {
    "booleans": lambda is_target: is_target,
    "class numbers": lambda is_target: is_target.long(),
    "one-hot vectors": lambda is_target: F.one_hot(is_target.long(), 2).float(),
}
