"""Objects from configurations: the only place where Hydra's ``instantiate`` is called.

A configuration names the class of an object by ``_target_``. The objects take plain arguments and
do not depend on Hydra.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from p300.errors import InputError
from p300.splits import Split
from p300.splits.leaks import ADVICE, find_leaks, shared_units
from p300.storage.classes import HYDRA_KEYS, import_named
from p300.storage.renamed import with_current_names
from p300.storage.untrusted import add_own_modules
from p300.training.members import is_network

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig

    from p300.recording import Recording

log = logging.getLogger("p300.experiments.build")

#: Parts of a run that are tested with all others.
TESTED = re.compile(r"p300\..+|torch\.optim\.(Adam|AdamW|SGD|RMSprop)")


def build(config: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """Build the object that a configuration names; its arguments are plain containers.

    Raises
    ------
    InputError
        If the object cannot be found, or does not take the arguments.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import MissingMandatoryValue

    add_own_modules()
    plain = OmegaConf.to_container(config) if isinstance(config, DictConfig) else config
    renamed = with_current_names(plain)
    if renamed != plain:  # a configuration of an earlier version
        config = OmegaConf.create(renamed)
    try:
        return instantiate(config, *args, **kwargs, _convert_="all")
    except MissingMandatoryValue:
        OmegaConf.to_container(cast(Any, config), resolve=True, throw_on_missing=True)
        raise  # where the value that is missing is not another that this one stands for
    except InstantiationException as error:
        if isinstance(error.__cause__, InputError):
            cause = error.__cause__
            raise InputError(str(cause), cause.proposals) from error
        check_arguments(config, *args, **kwargs)
        unknown = unknown_argument(error)
        if unknown in config or unknown in kwargs:  # passed on to another function
            raise InputError(f"{config['_target_']}: {reason_of(error)}") from error
        raise error


def unknown_argument(error: Exception) -> str | None:
    """Return the name of the argument that a function did not take, if that is the error.

    Examples
    --------
    >>> unknown_argument(TypeError("f() got an unexpected keyword argument 'colour'"))
    'colour'
    """
    found = re.search(r"got an unexpected keyword argument '(\w+)'", reason_of(error))
    return None if found is None else found[1]


def check_arguments(config: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
    """Check that what a configuration names exists and takes its arguments.

    Raises
    ------
    InputError
        If it does not.

    Examples
    --------
    >>> check_arguments({"_target_": "p300.splits.hold_out", "fold": 1}, "flashes")
    Traceback (most recent call last):
    p300.errors.InputError: p300.splits.hold_out: got an unexpected keyword argument 'fold'; ...
    """
    target = str(config["_target_"])
    given = {k: None for k in config if k not in HYDRA_KEYS} | kwargs
    called = import_named(target)
    try:
        signature = inspect.signature(called)
        signature.bind(*config.get("_args_", ()), *args, **given)
    except TypeError as error:
        known = [p.name for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        some = f"some of {', '.join(known)}" if known else "no arguments"
        raise InputError(f"{target}: {error}; expected {some}") from error
    except ValueError:  # not written in Python
        return


def reason_of(error: BaseException) -> str:
    r"""Return an error as one line: its message alone if it is a sentence for the user.

    Examples
    --------
    >>> reason_of(InputError("no target")), reason_of(ValueError("two\nlines"))
    ('no target', 'ValueError: two lines')
    """
    from hydra.errors import InstantiationException

    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, InputError):
        return " ".join(error.typed.split())
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def is_tested(config: Any) -> bool:
    """Return whether all that a configuration names is among :data:`TESTED`."""
    if isinstance(config, Mapping):
        target = config.get("_target_")
        if target is not None and not TESTED.fullmatch(str(target)):
            return False
        return all(is_tested(value) for value in config.values())
    is_list = isinstance(config, Sequence) and not isinstance(config, str)
    return all(map(is_tested, config)) if is_list else True


def name_of(config: Mapping[str, Any]) -> str:
    """Return the ``_target_`` of a part of a configuration."""
    return str(config.get("_target_"))


@contextlib.contextmanager
def naming(part: str, config: Mapping[str, Any]) -> Iterator[None]:
    """Turn any error of the block into a sentence that names a part of the configuration.

    A sentence of p300's own parts stays as it is.

    Raises
    ------
    InputError
        If the block fails.
    """
    try:
        yield
    except Exception as error:  # of any kind: it may be of the user's own code
        target, reason = name_of(config), reason_of(error)
        is_sentence = isinstance(error, InputError) and is_tested(config)
        if is_sentence and not reason.startswith((target, "it ", "its ", "after it ")):
            raise
        log.debug("", exc_info=True)
        unknown = unknown_argument(error)
        hint = f"; leave it out by ~{part}.{unknown}" if unknown in config else ""
        reason = reason.removeprefix(f"{part}={target}: ").removeprefix(f"{target}: ")
        raise InputError(f"{part}={target}: {reason}{hint}") from error


def naming_own(part: str, config: Mapping[str, Any]) -> contextlib.AbstractContextManager[None]:
    """Return :func:`naming` of a part that is not p300's, whose errors are bugs of p300."""
    return contextlib.nullcontext() if is_tested(config) else naming(part, config)


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part of a configuration, resolved, as plain containers."""
    from omegaconf import DictConfig, OmegaConf

    is_plain = not isinstance(config, DictConfig)
    return cast(dict, config if is_plain else OmegaConf.to_container(config, resolve=True))


def build_split(cfg: DictConfig, flashes: pd.DataFrame) -> Split:
    """Build the split of a flash table.

    The validation part joins the training part if neither a network nor a calibration needs it.
    """
    seed = cfg.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise InputError(f"got seed={seed}; expected a whole number, 0 or more")
    split = build(cfg.split, flashes)
    if not isinstance(split, Split):
        raise InputError(
            f"{cfg.split['_target_']}: got {type(split).__name__}; expected "
            f"p300.splits.Split(train, validation, test), three boolean arrays"
        )
    if is_network(cfg.model) or cfg.calibration != "none" or not split.validation.any():
        return split
    log.info(
        "the %d validation flashes join the training part: %s does not need them",
        split.validation.sum(),
        name_of(cfg.model),
    )
    return split.without_validation()


def checked_split(cfg: DictConfig, recording: Recording) -> Split:
    """Build the split of a recording, and check that nothing is on two sides of it.

    Returns
    -------
    Split
        With ``allow_leaks`` also one that leaks, after a warning; its name says so, and with it
        ``results.json``.

    Raises
    ------
    InputError
        As :func:`p300.splits.check_split`, unless ``allow_leaks`` is set. Characters are never
        divided, since a text is read of whole ones.
    """
    split, steps = build_split(cfg, recording.flashes), cfg.preprocessing
    if not (split.test.any() or split.validation.any()):
        log.warning(
            "neither test nor validation flashes: nothing will say how good the detector is"
        )
    leaks = find_leaks(recording, split, steps.tmin, steps.tmax)
    if not leaks:
        return split
    divided = shared_units(recording.flashes, split, steps.tmax - steps.tmin).get("character")
    if divided and recording.speller is not None:  # allowed or not: no text could be read
        raise InputError(f"{split.name}: {'; '.join(leaks)}; {ADVICE}")
    if not cfg.get("allow_leaks"):
        raise InputError(
            f"{split.name}: {'; '.join(leaks)}; {ADVICE}; or train nevertheless with "
            "allow_leaks=true, and the results say so"
        )
    log.warning("allow_leaks=true: %s", "; ".join(leaks))
    return replace(split, name=f"{split.name}, which LEAKS ({'; '.join(leaks)})")
