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
    if not found.isfinite().all():
        raise InputError(
            f"{int((~found.isfinite()).sum())} of its {found.numel()} logits are not finite; "
            f"expected numbers"
        )
    return found


def checked_scores(found: Any, n_flashes: int) -> np.ndarray:
    """Return the scores of a loss as an array if they are one finite number per flash."""
    scores = found.detach().numpy() if hasattr(found, "detach") else np.asarray(found)
    if scores.shape != (n_flashes,) or not np.isfinite(scores).all():
        raise InputError(
            f"its scores of {n_flashes} flashes are {scores.shape}, {np.isfinite(scores).sum()} "
            f"of them finite; expected one finite number per flash"
        )
    return scores


def checked_loss(found: Tensor) -> None:
    """Check that a loss is one finite number from which gradients follow."""
    if found.ndim or not found.isfinite() or not found.requires_grad:
        raise InputError(
            f"it returned {found}; expected one finite number from which gradients follow"
        )


#: Largest difference, as a share of the largest value, that is rounding: a sum may be made in
#: another order where an array begins at another place in memory.
ROUNDING = 1e-5

#: The same where one flash is scored alone and with others: products of one row and of many are
#: computed otherwise, and the large weights of an estimator that was fitted to few flashes cancel.
ROUNDING_ALONE = 1e-3

#: How to make equal what is computed again, by what was done in between.
ADVICE = {
    "saved and loaded": (
        "keep all that it learns in its state (of a network: parameters and register_buffer)"
    ),
    "scored once": (
        "scoring must draw no random numbers, learn nothing, and leave its epochs unchanged"
    ),
    "scored with other flashes": (
        "the score of a flash must depend on its own epoch alone; in evaluation, use statistics "
        "of the training flashes"
    ),
    "cut with others": (
        "epochs that depend on the other flashes cannot be cut like this while they arrive"
    ),
}


def check_same(
    first: np.ndarray, second: np.ndarray, what: str, done: str = "saved and loaded"
) -> None:
    """Check that scores or epochs that are computed again are equal, up to rounding.

    Parameters
    ----------
    first, second : ndarray
        Before and after.
    what : str
        What they are.
    done : str
        What was done in between, one of :data:`ADVICE`.

    Raises
    ------
    InputError
        If they are not; the message has the largest difference.
    """
    if first.shape != second.shape:
        raise InputError(f"its {what} were {first.shape}; {done}, {second.shape}")
    if not first.size or np.array_equal(first, second, equal_nan=True):
        return
    largest = float(np.nanmax(np.abs(first - second), initial=0.0))
    is_known = np.array_equal(np.isnan(first), np.isnan(second))
    rounding = ROUNDING_ALONE if done == "scored with other flashes" else ROUNDING
    if not is_known or not largest <= rounding * float(np.nanmax(np.abs(first), initial=0.0)):
        raise InputError(
            f"after it was {done}, its {what} differ by up to {largest:.3g}; expected the same; "
            f"{ADVICE[done]}"
        )
