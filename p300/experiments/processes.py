"""Several processes that train one network: only the first of them writes."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from p300.experiments.folder import MARKER

#: Numbers of processes that share one run, set by Lightning, torchrun and SLURM; 0 in the first.
RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")


def is_helper() -> bool:
    """Return whether this process only helps the first one of its run."""
    return any(os.environ.get(name, "0") not in ("0", "") for name in RANKS)


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
