"""``p300 benchmark``: many detectors on many tasks with many seeds, and honest tables of them.

A cell is one run of ``p300 train`` in a folder of its own. A finished cell is not run again; a
cell that was interrupted, failed or is configured differently now is. Whether the code changed
is not looked at: remove the folder then. What the cells found is put together in
:mod:`p300.benchmark_summary`.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import logging
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.cli import conf_dir, run_with_hydra
from p300.errors import InputError
from p300.files import alone, whole_file
from p300.progress import not_shown_yet, show, step
from p300.sweeps import fingerprint, sentence

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.runs import Shared

log = logging.getLogger("p300.benchmark")

PROTOCOLS = ("within", "cross-session", "leave-one-subject-out", "learning-curve")


@dataclass(frozen=True)
class Cell:
    """One run of the benchmark.

    Parameters
    ----------
    task, protocol, experiment : str
        What it is a cell of.
    label : str
        What tells it from the task's other cells, such as "subject-6"; empty where it is alone.
    seed : int
        Of the training.
    overrides : tuple of str
        What would be typed after ``p300 train``.
    folder : Path
        Its run folder.
    group : str
        What its W&B run is grouped by.
    """

    task: str
    protocol: str
    experiment: str
    label: str
    seed: int
    overrides: tuple[str, ...]
    folder: Path
    group: str = ""


def main() -> None:
    """Run the command with the arguments of the command line."""
    run_with_hydra("benchmark", benchmark)


def benchmark(cfg: DictConfig) -> None:
    """Run the cells that are not finished, then write tables and figures of all that are.

    Raises
    ------
    SystemExit
        With what failed, if a cell did.
    """
    from omegaconf import OmegaConf

    from p300.benchmark_summary import write_summary

    folder = Path(cfg.folder)
    tasks = OmegaConf.to_container(cfg.tasks, resolve=True)
    experiments = _experiments() if cfg.experiments == "all" else cfg.experiments
    cells = plan_cells(tasks, experiments, cfg.seeds, cfg.overrides, folder, only=cfg.only)
    with alone(folder, functools.partial(log.info, "%s is at work here; waiting for its end")):
        failures = run_cells(cells)
        finished = [cell for cell in cells if cell not in failures]
        if finished:
            with step("tables and figures"):
                text = write_summary(finished, folder, failures, cfg.reference, cfg.draws)
            show(text)
            log.info("tables and figures: %s", os.path.relpath(folder))
    if failures:
        lines = [f"{os.path.relpath(c.folder)}: {why}" for c, why in failures.items()]
        sys.exit(
            f"p300 benchmark: {len(failures)} of {len(cells)} cells failed; the same command "
            "tries them again\n  " + "\n  ".join(lines)
        )


def plan_cells(
    tasks: Mapping[str, Mapping[str, Any]],
    experiments: Sequence[str],
    seeds: Sequence[int],
    overrides: Sequence[str],
    folder: Path,
    *,
    only: Sequence[str] | None = None,
    group: str | None = None,
) -> list[Cell]:
    """List every run of a benchmark.

    Parameters
    ----------
    tasks : mapping
        Name to ``protocol`` (one of :data:`PROTOCOLS`) and ``runs``: lines of overrides, which
        may hold sweeps.
    experiments : sequence of str
        Files of ``conf/experiment``.
    seeds : sequence of int
        Of the training.
    overrides : sequence of str
        For every run.
    folder : Path
        Of the benchmark; a cell's is ``folder/task/experiment/label/seed-N``.
    only : sequence of str or None
        Names of the tasks to take; None takes all.
    group : str or None
        W&B runs are grouped as ``group/task``; None for the folder's name.

    Raises
    ------
    InputError
        If a task, protocol or experiment is not known, or two runs of a task are the same.
    """
    names = list(only or tasks)
    _refuse_unknown("task", names, tasks)
    _refuse_unknown("experiment", experiments, _experiments())
    cells = []
    for name in names:
        task = tasks[name]
        _refuse_unknown("protocol", [task["protocol"]], PROTOCOLS)
        runs = [run for line in task["runs"] for run in expand_sweeps(line)]
        labels = run_labels(runs)
        if len(set(labels)) < len(labels):
            raise InputError(f"task {name}: two of its {len(runs)} runs are the same: {labels}")
        cells += [
            Cell(
                name,
                task["protocol"],
                experiment,
                label,
                seed,
                (f"experiment={experiment}", *run, *overrides, f"seed={seed}"),
                folder / name / experiment / label / f"seed-{seed}",
                f"{group or folder.resolve().name}/{name}",
            )
            for experiment in experiments
            for label, run in zip(labels, runs, strict=True)
            for seed in seeds
        ]
    return cells


def expand_sweeps(line: str) -> list[list[str]]:
    """Turn what would be typed after ``p300 train -m`` into the overrides of each run.

    Examples
    --------
    >>> expand_sweeps("data=bnci subject=6,7")
    [['data=bnci', 'subject=6'], ['data=bnci', 'subject=7']]
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    choices = []
    for override in OverridesParser.create().parse_overrides(shlex.split(line)):
        if override.is_sweep_override():
            key = override.get_key_element()
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            choices.append([override.input_line])
    return [list(run) for run in itertools.product(*choices)]


def run_labels(runs: Sequence[Sequence[str]]) -> list[str]:
    """Name each run by the overrides that not all of them share.

    Examples
    --------
    >>> run_labels([["data=bnci", "split.fold=0"], ["data=bnci", "split.fold=1"]])
    ['fold-0', 'fold-1']
    """
    shared = set(runs[0]).intersection(*runs)
    labels = []
    for run in runs:
        parts = [re.sub(r"^[^=]*\.", "", override) for override in run if override not in shared]
        labels.append("_".join(re.sub(r"[^\w.]+", "-", part).strip("-") for part in parts))
    return labels


def run_cells(cells: Sequence[Cell]) -> dict[Cell, str]:
    """Run every cell that is not finished; a cell that fails costs only itself.

    Returns
    -------
    dict of Cell to str
        Those that failed, each with a sentence; it is in the cell's ``error.txt`` too.
    """
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from p300.runs import Shared

    GlobalHydra.instance().clear()  # this command's own is done; the runs compose anew
    failures, started, n_run, shared = {}, time.perf_counter(), 0, Shared()
    composing = initialize_config_dir(str(conf_dir()), version_base="1.3")
    with composing, step("runs", len(cells), "done") as done:
        for k, cell in enumerate(cells, start=1):
            where = " ".join(filter(None, [cell.task, cell.experiment, cell.label]))
            done.update(note=f"{where} seed {cell.seed}")
            begun = time.perf_counter()
            try:
                is_new = run_cell(cell, shared)
            except Exception as error:  # whatever it is, the other cells are still worth running
                failures[cell] = sentence(error)
                with contextlib.suppress(OSError):  # a full disk, perhaps the failure itself
                    cell.folder.mkdir(parents=True, exist_ok=True)
                    with whole_file(cell.folder / "error.txt") as file:
                        file.write(failures[cell] + "\n")
                log.warning("%d of %d, %s seed %d: failed", k, len(cells), where, cell.seed)
                done.advance()
                continue
            if is_new:
                spent = time.perf_counter() - begun
                log.info("%d of %d, %s seed %d: %.1f s", k, len(cells), where, cell.seed, spent)
            n_run += is_new
            (done.advance if is_new else done.skip)()
    n_kept = len(cells) - n_run - len(failures)
    spent = time.perf_counter() - started
    log.info("%d cells: %d run in %.0f s, %d found finished", len(cells), n_run, spent, n_kept)
    return failures


def run_cell(cell: Cell, shared: Shared) -> bool:
    """Train one cell unless it is finished; ``shared`` is what the cells before it have left.

    Returns
    -------
    bool
        Whether it was run.

    Raises
    ------
    InputError
        If its folder holds something that is no cell, which is never removed.
    """
    from p300.train import train_run

    cfg, choices = compose_cell(cell)
    if is_finished(cell.folder, cfg):
        return False
    discarded = cell.folder.with_name(cell.folder.name + ".discarded")
    if discarded.exists():  # whoever removed it was killed
        shutil.rmtree(discarded)
    names = [path.name for path in cell.folder.iterdir()] if cell.folder.exists() else []
    if names:
        if not {"train.log", "error.txt"} & set(names):
            raise InputError(f"{cell.folder} is there and no cell of a benchmark; not replaced")
        os.replace(cell.folder, discarded)  # half removed, it could not be known for a cell
        shutil.rmtree(discarded)
    cell.folder.mkdir(parents=True, exist_ok=True)
    with quietly(cell.folder / "train.log"):
        train_run(cfg, cell.folder, choices, shared)
    gc.collect()  # a trainer and its network hold each other, and the recording, until then
    return True


def compose_cell(cell: Cell) -> tuple[DictConfig, dict[str, str]]:
    """Compose the configuration of a cell's run, and which file was chosen of each group."""
    from omegaconf import open_dict

    from p300.train import compose_training

    cfg, choices = compose_training(cell.overrides)
    if cfg.logger.wandb is not None:
        name = [cell.task, cell.experiment, cell.label, f"seed{cell.seed}"]
        named = {
            "group": cell.group,
            "job_type": "benchmark",
            "name": "-".join(filter(None, name)),
        }
        with open_dict(cfg):
            cfg.logger.wandb = named | dict(cfg.logger.wandb)  # configured wins
    return cfg, choices


def is_finished(folder: Path, cfg: DictConfig) -> bool:
    """Tell whether a folder holds a finished run of just this configuration."""
    from omegaconf import OmegaConf

    if not (folder / "results.json").exists() or not (folder / "config.yaml").exists():
        return False
    ran = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
    wanted = OmegaConf.to_container(cfg, resolve=True)
    return fingerprint(ran) == fingerprint(wanted)


@contextlib.contextmanager
def quietly(path: Path):
    """Send what a run prints and logs, and its traceback if it fails, into a file."""
    logger = logging.getLogger("p300")
    with path.open("w", encoding="utf-8") as file:
        handler = logging.StreamHandler(file)
        handler.addFilter(not_shown_yet)  # what is printed is in the file already
        propagated, level = logger.propagate, logger.level
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel(logging.INFO)
        try:
            with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
                yield
        except Exception:
            logger.exception("the run failed")
            raise
        finally:
            logger.removeHandler(handler)
            logger.propagate = propagated
            logger.setLevel(level)


def _experiments() -> list[str]:
    return sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))


def _refuse_unknown(what: str, names: Sequence[str], known) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"no {what} {', '.join(map(repr, unknown))}; expected {', '.join(known)}")
