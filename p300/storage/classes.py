"""What a checkpoint names by ``_target_``: imported and called as Hydra would, without Hydra."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

from p300.errors import InputError
from p300.storage.renamed import current_name
from p300.storage.untrusted import OWN_FOLDERS, add_own_modules, trusted_packages


def import_class(target: str, *, strictly: bool = False) -> type:
    """Import a class by its full name: its module, and its name in it.

    Parameters
    ----------
    target : str
        The full name.
    strictly : bool
        Whether the class must be defined in a trusted package: it is not enough if a module of
        that package imports it.

    Raises
    ------
    InputError
        If it cannot be imported, is not a class, or is defined elsewhere.
    """
    add_own_modules()
    module, _, name = current_name(target).rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # of any kind: an own module may have an error
        raise InputError(_cannot_be_imported(target, error)) from error
    if not isinstance(found, type):
        raise InputError(f"{target!r} is {found!r}; expected a class")
    trusted = trusted_packages()
    if strictly and not f"{found.__module__}.".startswith(trusted):
        raise InputError(
            f"{target!r} is defined in {found.__module__}; expected a class that is defined in "
            f"one of {', '.join(trusted)}"
        )
    return found


def import_named(target: str) -> Any:
    """Import anything by its full name, also what is inside a class.

    Only for names that the user gave, or that a trusted file holds.

    Examples
    --------
    >>> import_named("collections.OrderedDict.fromkeys")("ab")
    OrderedDict([('a', None), ('b', None)])
    """
    add_own_modules()
    module, *names = current_name(target).split(".")
    reason: Exception | None = None
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:  # of any kind: an own module may have an error
        raise InputError(_cannot_be_imported(target, error)) from error
    for name in names:
        module = f"{module}.{name}"
        if not hasattr(found, name) and hasattr(found, "__path__"):  # a package
            try:
                importlib.import_module(module)
            except Exception as error:  # of any kind: an own module may have an error
                reason = error
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise InputError(_cannot_be_imported(target, reason or error)) from error
    return found


def call(value: Any, *, strictly: bool = False) -> Any:
    """Build what nested plain containers describe by ``_target_`` and arguments.

    Parameters
    ----------
    value : anything
        Plain containers; what has no ``_target_`` is returned as it is.
    strictly : bool
        Whether a ``_target_`` must be a class of a trusted package.

    Examples
    --------
    >>> call({"_target_": "fractions.Fraction", "numerator": 1, "denominator": 3})
    Fraction(1, 3)
    """
    if isinstance(value, list):
        return [call(part, strictly=strictly) for part in value]
    if not isinstance(value, Mapping):
        return value
    given = {k: v for k, v in value.items() if k not in HYDRA_KEYS}
    args = list(value.get("_args_", ()))
    if value.get("_recursive_", True):
        given = {k: call(v, strictly=strictly) for k, v in given.items()}
        args = call(args, strictly=strictly)
    if "_target_" not in value:
        return given
    name = str(value["_target_"])
    target = import_class(name, strictly=True) if strictly else import_named(name)
    partial = value.get("_partial_", False)
    return functools.partial(target, *args, **given) if partial else target(*args, **given)


def accepts(function: Callable[..., Any], name: str) -> bool:
    """Return whether a function or class takes an argument of this name, as far as it tells.

    Examples
    --------
    >>> accepts(sorted, "reverse"), accepts(sorted, "sfreq"), accepts(dict, "sfreq")
    (True, False, True)
    """
    if getattr(function, "__init__", None) is _init_of_modules():
        return False  # a network without a constructor of its own
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # not written in Python
        return True
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _init_of_modules() -> Any:
    """Return the constructor of torch's modules, which says it takes anything."""
    torch = sys.modules.get("torch")
    return torch and torch.nn.Module.__init__


def without_unknown(factory: Any, name: str) -> Any:
    """Return a ``functools.partial`` without an argument that its function does not take.

    Examples
    --------
    >>> falling = functools.partial(sorted, reverse=True, balanced=True)
    >>> without_unknown(falling, "balanced")([1, 2]), without_unknown(sorted, "key") is sorted
    ([2, 1], True)
    """
    if not isinstance(factory, functools.partial) or name not in factory.keywords:
        return factory
    if accepts(factory.func, name):
        return factory
    known = {k: v for k, v in factory.keywords.items() if k != name}
    return functools.partial(factory.func, *factory.args, **known)


#: What Hydra reads itself and does not pass on.
HYDRA_KEYS = ("_target_", "_args_", "_partial_", "_recursive_", "_convert_")


def _cannot_be_imported(target: str, error: Exception) -> str:
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return (
        f"{target!r} cannot be imported: {reason}; for a module of your own, set {OWN_FOLDERS} to "
        f"its folder"
    )
