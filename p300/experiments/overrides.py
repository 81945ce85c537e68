"""The overrides that compose a configuration again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from p300.experiments.configuration import conf_dir
from p300.experiments.identity import flatten

#: Groups that do not change the results.
WITHOUT_EFFECT = ("logger", "name", "progress", "trainer")


def overrides_of(config: Mapping[str, Any]) -> list[str]:
    """Find the overrides that compose a run's configuration: its choices, then single values.

    Values that follow from other values are left out.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    chosen = {k: v for k, v in config["choices"].items() if v is not None}
    overrides = [f"{group}={chosen[group]}" for group in ("data", "experiment") if group in chosen]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        try:
            plain = compose("train", overrides=overrides, return_hydra_config=True)
            choices = plain.hydra.runtime.choices
            overrides += [f"{k}={v}" for k, v in chosen.items() if choices.get(k) != v]
            composed = compose("train", overrides=overrides)
        except HydraException:  # a choice of another version, or of the user's own
            return [f"{k}={v}" for k, v in chosen.items()] + [f"seed={config['seed']}"]
    have = flatten(cast(dict[str, Any], OmegaConf.to_container(composed, resolve=False)))
    want = flatten({k: v for k, v in config.items() if k != "choices"})
    return overrides + _differences(have, want)


def _differences(have: Mapping[str, Any], want: Mapping[str, Any]) -> list[str]:
    overrides = []
    for key, value in want.items():
        default = have.get(key, ...)
        follows = default == value or "${" in str(default)
        if not follows and key.split(".")[0] not in WITHOUT_EFFECT:
            overrides.append(f"{'' if default is not ... else '+'}{key}={_in_hydra(value)}")
    return overrides + [
        f"~{key}" for key in have if key not in want and "${" not in str(have[key])
    ]


def _in_hydra(value: Any) -> str:
    """Format a value as Hydra reads it on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(_in_hydra, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{k}:{_in_hydra(v)}' for k, v in value.items())}}}"
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z_][\w./-]*", value):
        return "'" + value.replace("'", "\\'") + "'"
    return str(value)
