"""What an augmentation, a network, a loss and a saved detector must return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


def checked_augmentation(found: Any, given: Tensor) -> Tensor:
    """Return augmented epochs if they have the shape and type of the given ones."""
    kept = getattr(found, "shape", None), getattr(found, "dtype", None)
    if kept != (given.shape, given.dtype):
        raise InputError(
            f"it returned {kept[1]} of shape {kept[0]}; expected {given.dtype} of shape "
            f"{tuple(given.shape)}, as it was given"
        )
    return found


def checked_logits(found: Any, n_flashes: int) -> Tensor:
    """Return a network's output if it is two logits per flash."""
    shape = tuple(getattr(found, "shape", ())) or type(found).__name__
    if shape != (n_flashes, 2):
        one = "; one logit is not enough" if shape in ((n_flashes, 1), (n_flashes,)) else ""
        raise InputError(
            f"it returned {shape} for {n_flashes} flashes; expected two logits per flash, "
            f"({n_flashes}, 2), of nontarget and target{one}"
        )
    return found


def checked_loss(found: Tensor) -> None:
    """Check that a loss is one finite number from which gradients follow."""
    if found.ndim or not found.isfinite() or not found.requires_grad:
        raise InputError(
            f"it returned {found}; expected one finite number from which gradients follow"
        )


#: Largest difference, as a share of the largest value, that is rounding: a sum may be made in
#: another order where an array begins at another place in memory.
ROUNDING = 1e-5


def check_same(first: np.ndarray, second: np.ndarray, what: str) -> None:
    """Check that scores or epochs of what was saved and loaded are equal, up to rounding.

    Raises
    ------
    InputError
        If they are not; the message has the largest difference.
    """
    if first.shape != second.shape:
        raise InputError(f"its {what} were {first.shape}; saved and loaded, {second.shape}")
    if not first.size or np.array_equal(first, second, equal_nan=True):
        return
    largest = float(np.abs(first - second).max())
    if not largest <= ROUNDING * float(np.abs(first).max()):
        raise InputError(
            f"after it was saved and loaded, its {what} differ by up to {largest:.3g}; expected "
            f"the same; keep all that it learns in its state (of a network: parameters and "
            f"register_buffer)"
        )
