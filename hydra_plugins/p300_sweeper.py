"""The sweeper that `p300 train -m`, `p300 benchmark` and `p300 reproduce` use.

It is here because Hydra takes sweepers only from ``hydra_plugins``. It hands what was typed to the
command, with a runner for its jobs (:mod:`p300.experiments.jobs`), which uses the launcher that
was chosen. ``hydra/sweeper=basic`` is Hydra's own.

Hydra imports this module for all of its commands, also those of other packages, so it imports
only light modules at its head.
"""

from __future__ import annotations

from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper


class JobSweeper(Sweeper):
    """Runs the jobs that a command plans.

    Parameters
    ----------
    search : mapping or None
        A search for the best values, as in ``conf/search``; None runs every combination.
    """

    def __init__(self, search: Any = None) -> None:
        self.search = search

    def setup(self, *, hydra_context, task_function, config) -> None:
        """Keep what is needed to build the chosen launcher."""
        self.config, self.hydra_context = config, hydra_context
        self.task_function = task_function

    def sweep(self, arguments: list[str]) -> Any:
        """Run the command with what was typed after it."""
        from p300.experiments.jobs.command import run_command

        return run_command(self, arguments)

    def load(self, overrides: list[str]) -> Any:
        """Compose the configuration of the command, with Hydra's own part."""
        return self.hydra_context.config_loader.load_sweep_config(self.config, overrides)

    def build_launcher(self, config) -> Launcher:
        """Build the chosen launcher."""
        return Plugins.instance().instantiate_launcher(
            hydra_context=self.hydra_context, task_function=self.task_function, config=config
        )


ConfigStore.instance().store(
    group="hydra/sweeper",
    name="p300",
    node={
        "_target_": "hydra_plugins.p300_sweeper.JobSweeper",
        "search": None,
        "_recursive_": False,
    },
    provider="p300",
)
