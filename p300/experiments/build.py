"""Objects from configurations: the only place where Hydra's ``instantiate`` is called.

A configuration names the class of an object by ``_target_``. The objects take plain arguments and
do not depend on Hydra.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from p300.errors import InputError
from p300.splits import Split
from p300.splits.leaks import ADVICE, find_leaks, shared_units
from p300.storage.renamed import with_current_names
from p300.storage.untrusted import add_own_modules
from p300.training.members import is_network

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig

    from p300.recording import Recording

log = logging.getLogger("p300.experiments.build")


def build(config: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """Build the object that a configuration names; its arguments are plain containers."""
    from hydra.utils import instantiate
    from omegaconf import DictConfig, OmegaConf

    add_own_modules()
    plain = OmegaConf.to_container(config) if isinstance(config, DictConfig) else config
    renamed = with_current_names(plain)
    if renamed != plain:  # a configuration of an earlier version
        config = OmegaConf.create(renamed)
    return instantiate(config, *args, **kwargs, _convert_="all")


def build_split(cfg: DictConfig, flashes: pd.DataFrame) -> Split:
    """Build the split of a flash table.

    The validation part joins the training part if neither a network nor a calibration needs it.
    """
    split = build(cfg.split, flashes)
    if not isinstance(split, Split):
        raise InputError(
            f"{cfg.split['_target_']}: got {type(split).__name__}; expected "
            f"p300.splits.Split(train, validation, test), three boolean arrays"
        )
    needs_validation = is_network(cfg.model) or cfg.calibration != "none"
    return split if needs_validation else split.without_validation()


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
