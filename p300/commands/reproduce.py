"""``p300 reproduce``: compute the paper's tables, measured beside printed.

Trains the paper's seven classifiers on both subjects of BCI Competition III data set II, by the
paper's protocol and by the modern one, and writes its tables beside the printed figures. Where
the competition's files are not found, full-size files are simulated, and every table says so.
Finished runs are not run again.

  p300 reproduce root=~/bci_iii
  p300 reproduce protocols=[paper]
  p300 reproduce hydra/launcher=joblib
  p300 reproduce experiments=[cnn1] "overrides=['protocol.max_epochs=10','logger=csv']"
"""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.errors import InputError
from p300.experiments.benchmark.cells import Cell, check_known, plan_cells
from p300.experiments.benchmark.paper import tables
from p300.experiments.benchmark.running import run_cells
from p300.experiments.benchmark.sources import SUBJECTS, facts_of, find_files
from p300.experiments.command_line import run_with_hydra
from p300.experiments.configuration import known_files
from p300.experiments.folder import read_results
from p300.experiments.jobs.job import text_of_outcomes
from p300.storage.files import write_text
from p300.terminal import show

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.experiments.jobs.runner import Runner

log = logging.getLogger("p300.experiments.benchmark.paper")


def main() -> None:
    """Run the command with the arguments of the command line."""
    run_with_hydra("reproduce", run_many)


def run_many(cfg: DictConfig, runner: Runner, *_: Any) -> None:
    """Train the seven classifiers on both subjects and write ``tables.md``.

    Raises
    ------
    InputError
        If a protocol or an experiment is not known; if a run failed, after the tables of all
        others are written.
    """
    from omegaconf import OmegaConf

    folder, protocols = Path(cfg.folder), list(cfg.protocols)
    check_known("protocol", protocols, known_files("protocol"))
    if any(override.startswith("protocol=") for override in cfg.overrides):
        raise InputError(f"got overrides={list(cfg.overrides)}; expected protocols=[paper]")
    plan_cells(_tasks(folder, {}), cfg.experiments, [cfg.seed], cfg.overrides, folder)
    simulated: Any = OmegaConf.to_container(cfg.simulated, resolve=True)
    source = find_files(Path(cfg.root), folder, simulated)
    log.info("%s", source.sentence)
    cells: dict[tuple[str, str, str], Cell] = {}
    for protocol in protocols:
        overrides = [f"protocol={protocol}", *cfg.overrides]
        for cell in plan_cells(
            _tasks(source.root, source.overrides),
            cfg.experiments,
            [cfg.seed],
            overrides,
            folder / "runs" / protocol,
            group=f"{folder.name}/{protocol}",
        ):
            cells[protocol, cell.experiment, cell.task] = cell
    finished, failures = run_cells(list(cells.values()), runner)
    log.info("%s", text_of_outcomes(runner.jobs))
    where = {(cell.overrides, cell.task): cell for cell in [*finished, *failures]}
    cells = {key: where[cell.overrides, cell.task] for key, cell in cells.items()}
    failed = {key: failures[cell] for key, cell in cells.items() if cell in failures}
    results = {k: read_results(cell.folder) for k, cell in cells.items() if k not in failed}
    if results:
        facts = facts_of(cfg, results, [cells[key].folder for key in results])
        text = tables(results, source, facts, failed)
        write_text(folder / "tables.md", text)
        show(text)
        log.info("tables: %s", os.path.relpath(folder / "tables.md"))
    if failed:
        key, why = next(iter(failed.items()))
        raise InputError(
            f"{len(failed)} of {len(cells)} runs failed; the first, {cells[key].folder}: {why}"
        )


def _tasks(root: Path, overrides: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """Return a task for each subject, with the line that would be typed."""
    tasks = {}
    for subject in SUBJECTS:
        typed = ["data=bci3_ii", f"data.root={root}", *overrides.get(subject, ())]
        tasks[subject] = {"protocol": "within", "runs": [shlex.join(typed)]}
    return tasks
