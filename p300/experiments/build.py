"""Objects from configurations: the only place where Hydra's ``instantiate`` is called.

A configuration names the class of an object by ``_target_``. The objects take plain arguments and
do not depend on Hydra.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from p300.errors import InputError
from p300.splits import Split
from p300.storage.renamed import with_current_names
from p300.storage.untrusted import add_own_modules
from p300.training.members import is_network

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig


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


def plain(config: DictConfig) -> dict[str, Any]:
    """Return a part of a configuration, resolved, as plain containers."""
    from omegaconf import OmegaConf

    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))


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
