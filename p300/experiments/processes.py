"""Several processes that train one network: only the first of them writes."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.errors import InputError
from p300.experiments.folder import MARKER

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: Numbers of processes that share one run, set by Lightning, torchrun and SLURM; 0 in the first.
RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")


def is_helper() -> bool:
    """Return whether this process only helps the first one of its run."""
    return any(os.environ.get(name, "0") not in ("0", "") for name in RANKS)


def check_shared(cfg: DictConfig) -> None:
    """Check that a process that only helps has a run to help with.

    Raises
    ------
    InputError
        If its run trains on one device: then it would do the work of the first process again,
        and keep nothing of it.
    """
    trainer = cfg.trainer
    if is_helper() and is_one_device(trainer.devices) and trainer.get("num_nodes", 1) == 1:
        raise InputError(
            f"got trainer.devices={trainer.devices} in a process that is not the first of its "
            f"run (one of {', '.join(RANKS)} is not 0); expected trainer.devices or "
            f"trainer.num_nodes above 1, or, for runs of their own, one process for each: "
            f"a sweep, or env -u {RANKS[-1]} p300 …"
        )


def is_one_device(devices: Any) -> bool:
    """Return whether Lightning's ``devices``, a number or a list of GPUs, are exactly one.

    Examples
    --------
    >>> is_one_device(1), is_one_device([3]), is_one_device(2), is_one_device("auto")
    (True, True, False, False)
    """
    is_list = isinstance(devices, Sequence) and not isinstance(devices, str)
    return len(devices) == 1 if is_list else devices in (1, "1")


def options_of_helper(arguments: Sequence[str]) -> list[str]:
    """Return the overrides by which Hydra writes nothing in a process that only helps."""
    options = ["hydra.output_subdir=null", "hydra/job_logging=none", "quiet=true"]
    if not any(argument.startswith("hydra.run.dir=") for argument in arguments):
        options.append(f"hydra.run.dir={_folder_of_helper()}")
    return options


def run_folder(output: Path) -> Path:
    """Return the run folder of this process; ``output`` is Hydra's.

    A process that only helps writes into a folder of its own, which is deleted at its end. It
    begins with the training that the first process goes on with, if there is one.
    """
    if not is_helper() or output == _folder_of_helper():
        return output
    folder = _folder_of_helper()
    for path in [*output.glob("networks/*.ckpt"), *output.glob("config.yaml")]:
        copy = folder / path.relative_to(output)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(path, copy)
    (folder / MARKER).touch()
    return folder


@functools.cache
def _folder_of_helper() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="p300-helper-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
