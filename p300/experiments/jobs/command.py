"""A command of many runs: what was typed becomes jobs, a runner runs them."""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from p300.experiments.configuration import Composer, messages_of
from p300.experiments.jobs.chunk import with_console
from p300.experiments.jobs.runner import Runner
from p300.storage.files import write_text

#: What of a sweep of trainings is for the sweep itself.
SETTINGS = ("quiet", "progress", "runs_per_job", "reuse", "search")


def run_command(sweeper: Any, arguments: Sequence[str]) -> Any:
    """Run a command of many runs: its ``run_many`` gets its configuration and a runner.

    Parameters
    ----------
    sweeper : hydra_plugins.p300_sweeper.JobSweeper
        Set up by Hydra.
    arguments : sequence of str
        What was typed after the command.
    """
    from omegaconf import OmegaConf

    command = sweeper.config.hydra.job.name
    is_train = command == "train"  # whose arguments are of its runs
    given = [a for a in arguments if not is_train or a.partition("=")[0] in SETTINGS]
    cfg = sweeper.load(given)
    folder = Path(cfg.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "multirun.yaml", OmegaConf.to_yaml(sweeper.config))
    module = importlib.import_module(f"p300.commands.{command}")
    with with_console(), messages_of(cfg), log_file(folder / f"{command}.log"):
        is_shared = sweeper.search is not None
        launcher = sweeper.build_launcher(cfg)
        with Runner(launcher, cfg, folder, Composer(), is_shared) as runner:
            return module.run_many(cfg, runner, arguments, sweeper.search)


@contextlib.contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Write the messages of a command into a file, too, while the block lasts."""
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    logging.root.addHandler(handler)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)
        handler.close()
