"""A fitted preprocessor as plain containers, for checkpoints, and back: of any class."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.preprocessing.preprocessor import ARRAYS, Preprocessor
from p300.storage.classes import import_class
from p300.storage.untrusted import check_trusted

#: What a preprocessing that is no subclass of Preprocessor must have, at once and when fitted.
NEEDED = ("fit", "epochs", "tmin", "tmax")
NEEDED_FITTED = ("ch_names_", "n_times")

#: Methods of Preprocessor that a stream does not call.
WHOLE = ("transform", "epochs", "_epochs", "cut", "resolve")

#: Fitted attributes that the state of a Preprocessor holds.
FITTED = ("ch_names_in_", "ch_names_", "sfreq_in_", "unit_", "bad_channels_")
KNOWN = {f.name for f in fields(Preprocessor)} | {*FITTED, *(f"{name}_" for name in ARRAYS)}


def full_state(preprocessor: Any) -> dict[str, Any]:
    """Describe a fitted preprocessor in plain containers; :func:`from_full_state` is the inverse.

    Of :class:`Preprocessor` it is the state alone. Of an own class it is the name of the class,
    what its ``get_state`` returns, and every other attribute.

    Raises
    ------
    InputError
        If an attribute is neither a number, text, nor an array, nor a container of these.
    """
    kind = type(preprocessor)
    if kind is Preprocessor:
        return preprocessor.get_state()
    has_state = hasattr(kind, "from_state")
    held = {*KNOWN, *(f.name for f in fields(kind))} if _is_chain(kind) else set()
    kept = {} if has_state and not _is_chain(kind) else vars(preprocessor)
    return {
        "_target_": f"{kind.__module__}.{kind.__qualname__}",
        "state": encoded(preprocessor.get_state(), "its state") if has_state else None,
        "attributes": encoded({k: v for k, v in kept.items() if k not in held}, kind.__name__),
    }


def from_full_state(state: Mapping[str, Any], *, is_own: bool = False) -> Any:
    """Build the fitted preprocessor that :func:`full_state` described.

    Parameters
    ----------
    state : mapping
        Plain containers.
    is_own : bool
        Whether it comes from a file of this user, which may name any class.

    Raises
    ------
    InputError
        If the class is not trusted or cannot be imported, or the state is damaged.
    """
    if "_target_" not in state:
        return Preprocessor.from_state(dict(state))
    if not is_own:
        check_trusted({"_target_": state["_target_"]})
    kind: Any = import_class(str(state["_target_"]), strictly=not is_own)
    if state["state"] is None:
        preprocessor = kind.__new__(kind)
    else:
        preprocessor = kind.from_state(decoded(state["state"]))
    vars(preprocessor).update(decoded(state["attributes"]))
    return preprocessor


def check_usable(preprocessor: Any, *, is_fitted: bool = False) -> None:
    """Check that a preprocessor, perhaps of an own class, has what a run and a detector need.

    Raises
    ------
    InputError
        If something is missing.
    """
    needed = NEEDED_FITTED if is_fitted else NEEDED
    missing = [name for name in needed if not hasattr(preprocessor, name)]
    if missing:
        raise InputError(
            f"the preprocessing {type(preprocessor).__name__} has no {', '.join(missing)}; "
            f"expected a subclass of p300.preprocessing.Preprocessor, or a class with "
            f"{', '.join(NEEDED)} and, when it is fitted, {', '.join(NEEDED_FITTED)}"
        )


def check_can_stream(preprocessor: Preprocessor) -> None:
    """Check that a stream can do what an own subclass of Preprocessor does.

    Raises
    ------
    InputError
        If the subclass overrides more than what :meth:`Preprocessor.finish` does after the cut.
    """
    kind = type(preprocessor)
    own = [n for n in WHOLE if getattr(kind, n, None) is not getattr(Preprocessor, n)]
    if own:
        raise InputError(
            f"{kind.__name__} has {', '.join(own)} of its own, which work on whole recordings; "
            f"expected, for a stream, a Preprocessor that overrides at most finish"
        )


def encoded(value: Any, where: str) -> Any:
    """Describe a value in containers that JSON knows, from which it comes back exactly.

    Examples
    --------
    >>> kept = encoded({"gain": np.float32(0.1), "corners": (1, None)}, "mine")
    >>> decoded(kept)
    {'gain': np.float32(0.1), 'corners': (1, None)}
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufc":
        array = np.asarray(value)
        is_turned = array.flags.f_contiguous and not array.flags.c_contiguous
        text = base64.b64encode(array.tobytes("F" if is_turned else "C")).decode()
        shape = None if isinstance(value, np.generic) else [*array.shape]
        about = {"dtype": array.dtype.str, "shape": shape, "order": "F" if is_turned else "C"}
        return {"array": text, **about}
    if type(value) in (list, tuple):
        return {type(value).__name__: [encoded(v, f"{where}[{k}]") for k, v in enumerate(value)]}
    if type(value) is dict and all(isinstance(k, str) for k in value):
        return {"dict": {k: encoded(v, f"{where}.{k}") for k, v in value.items()}}
    raise InputError(
        f"{where} is a {type(value).__name__}, which a checkpoint cannot keep; expected numbers, "
        f"text, arrays, or lists, tuples and dictionaries of these; or give the class get_state "
        f"and from_state, which describe it by these"
    )


def decoded(value: Any) -> Any:
    """Return the value that :func:`encoded` described."""
    if not isinstance(value, Mapping):
        return value
    if "array" in value:
        array = np.frombuffer(base64.b64decode(value["array"]), value["dtype"])
        if value["shape"] is None:
            return array[0]
        return array.reshape(value["shape"], order=value["order"]).copy(order="K")
    ((kind, content),) = value.items()
    if kind == "dict":
        return {k: decoded(v) for k, v in content.items()}
    return {"list": list, "tuple": tuple}[kind](decoded(v) for v in content)


def _is_chain(kind: type) -> bool:
    return issubclass(kind, Preprocessor)
