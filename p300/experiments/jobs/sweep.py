"""A sweep of trainings: every combination of what was typed, or a search among them."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from p300.experiments.jobs.job import Job

if TYPE_CHECKING:
    from omegaconf import DictConfig


def expand_sweeps(arguments: str | Sequence[str]) -> list[list[str]]:
    """Expand what would be typed after ``p300 train -m`` into the overrides of each run.

    Examples
    --------
    >>> expand_sweeps("data=bnci subject=6,7")
    [['data=bnci', 'subject=6'], ['data=bnci', 'subject=7']]
    """
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    hydra = GlobalHydra.instance()
    loader = hydra.config_loader() if hydra.is_initialized() else None  # for glob(*)
    given = shlex.split(arguments) if isinstance(arguments, str) else list(arguments)
    choices = []
    for override in OverridesParser.create(config_loader=loader).parse_overrides(given):
        if override.is_sweep_override():
            key = override.get_key_element()
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            choices.append([str(override.input_line)])
    return [list(run) for run in itertools.product(*choices)]


def sweep_jobs(
    config: DictConfig, folder: Path, runs: Sequence[Sequence[str]], first: int = 0
) -> list[Job]:
    """Plan the jobs of a sweep, each in its subfolder as ``hydra.sweep.subdir`` names it.

    Parameters
    ----------
    config : DictConfig
        With Hydra's own part.
    folder : Path
        Of the sweep.
    runs : sequence of sequence of str
        The overrides of each run.
    first : int
        Number of the first job.
    """
    shared = set(runs[0]).intersection(*runs)
    differing = [[o for o in run if o not in shared] or list(run) for run in runs]
    return [
        Job(
            first + k,
            list(run),
            folder / subfolder(config, first + k, run),
            " ".join(short),
            wandb={"group": folder.name, "job_type": "sweep"},
        )
        for k, (run, short) in enumerate(zip(runs, differing, strict=True))
    ]


def subfolder(config: DictConfig, number: int, overrides: Sequence[str]) -> str:
    """Return the name of a run's folder below that of the sweep."""
    from omegaconf import open_dict

    cfg = config.copy()
    with open_dict(cfg):
        cfg.hydra.job.num, cfg.hydra.job.id = number, str(number)
        exclude = cfg.hydra.job.config.override_dirname.exclude_keys
        kept = [o for o in overrides if o.split("=")[0] not in exclude]
        cfg.hydra.job.override_dirname = ",".join(sorted(kept))
    from hydra.core.hydra_config import HydraConfig

    HydraConfig.instance().set_config(cfg)
    return str(cfg.hydra.sweep.subdir)
