"""``p300 benchmark``: many detectors on many tasks with many seeds, and tables with intervals.

A cell is one run of ``p300 train`` in its own folder. A finished cell is not run again. A cell
that was interrupted, failed or is configured differently now is run again. Changes of the code
are not noticed: remove the folder then. The results of the cells are pooled in
:mod:`p300.experiments.benchmark.summary`.
"""

from __future__ import annotations

import gc
import logging
import os
import shutil
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from p300.errors import InputError
from p300.experiments.benchmark.cells import Cell
from p300.experiments.configuration import compose_training, conf_dir
from p300.experiments.folder import is_finished, sentence, write_failure
from p300.experiments.prepare import Shared
from p300.experiments.run import train_run
from p300.terminal import quietly, step

if TYPE_CHECKING:
    from omegaconf import DictConfig


log = logging.getLogger("p300.experiments.benchmark.running")


def run_cells(cells: Sequence[Cell]) -> dict[Cell, str]:
    """Run every cell that is not finished; after a failed cell, go on with the next.

    Returns
    -------
    dict of Cell to str
        The failed cells, each with a sentence, which is in the cell's ``error.txt`` too.
    """
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()  # this command's own is done; the runs compose theirs
    failures, started, n_run, shared = {}, time.perf_counter(), 0, Shared()
    composing = initialize_config_dir(str(conf_dir()), version_base="1.3")
    with composing, step("runs", len(cells), "done") as done:
        for k, cell in enumerate(cells, start=1):
            parts = filter(None, [cell.task, cell.experiment, cell.label])
            name = f"{' '.join(parts)} seed {cell.seed}"
            done.update(note=name)
            begun = time.perf_counter()
            try:
                if not run_cell(cell, shared):
                    done.skip()
                    continue
                n_run += 1
                spent = time.perf_counter() - begun
                log.info("%d of %d, %s: %.1f s", k, len(cells), name, spent)
            except Exception as error:  # of any kind: the other cells can still run
                failures[cell] = sentence(error)
                write_failure(cell.folder, failures[cell])
                log.warning("%d of %d, %s: failed", k, len(cells), name)
            done.advance()
    n_kept = len(cells) - n_run - len(failures)
    spent = time.perf_counter() - started
    log.info("%d cells: %d run in %.0f s, %d found finished", len(cells), n_run, spent, n_kept)
    return failures


def run_cell(cell: Cell, shared: Shared) -> bool:
    """Train one cell unless it is finished; ``shared`` holds what earlier cells have prepared.

    Returns
    -------
    bool
        Whether it was run.

    Raises
    ------
    InputError
        If its folder holds something that is no cell, which is never removed.
    """
    cfg, choices = compose_cell(cell)
    if is_finished(cell.folder, cfg):
        return False
    discarded = cell.folder.with_name(cell.folder.name + ".discarded")
    if discarded.exists():  # the process that removed it was killed
        shutil.rmtree(discarded)
    names = [path.name for path in cell.folder.iterdir()] if cell.folder.exists() else []
    if names:
        if not {"train.log", "error.txt"} & set(names):
            raise InputError(
                f"{cell.folder} holds something that is no cell of a benchmark and is not "
                "replaced; expected an empty folder or a cell"
            )
        os.replace(cell.folder, discarded)  # a cell removed by half could not be recognised
        shutil.rmtree(discarded)
    cell.folder.mkdir(parents=True, exist_ok=True)
    with quietly(cell.folder / "train.log"):
        train_run(cfg, cell.folder, choices, shared)
    gc.collect()  # a trainer and its network hold each other, and the recording, until then
    return True


def compose_cell(cell: Cell) -> tuple[DictConfig, dict[str, str]]:
    """Compose the configuration of a cell's run; return it and the choice of each group."""
    from omegaconf import open_dict

    cfg, choices = compose_training(cell.overrides)
    if cfg.logger.wandb is not None:
        parts = [cell.task, cell.experiment, cell.label, f"seed{cell.seed}"]
        name = "-".join(filter(None, parts))
        named = {"group": cell.group, "job_type": "benchmark", "name": name}
        with open_dict(cfg):
            cfg.logger.wandb = named | dict(cfg.logger.wandb)  # configured wins
    return cfg, choices
