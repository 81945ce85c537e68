"""A configured run between recording and results, and what runs of one process share."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.files import whole_file
from p300.fitting_networks import select_electrodes
from p300.folds import member_rows
from p300.progress import step
from p300.results import read_recording
from p300.splits import Split
from p300.stacking import PlannedFit, Stack

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.alignment import EuclideanAlignment
    from p300.checkpoint import Member
    from p300.preprocessing import Epochs, Preprocessor
    from p300.recording import Recording

log = logging.getLogger("p300.fitting")

#: What was fitted, and what is to be told of it.
Fitted = tuple["Member", dict[str, Any]]


@dataclass
class Run:
    """A configured run between recording and results.

    Parameters
    ----------
    cfg, config : DictConfig and dict
        As composed, and resolved to plain containers.
    recording : Recording
    split : Split
    folder : Path
        Of the run.
    tracker : wandb.Run or None

    Attributes
    ----------
    preprocessor, alignment, epochs
        What the recording went through, and what it became.
    shares : list of ndarray of bool
        The training flashes of each member of an ensemble.
    planned : list of list of PlannedFit
        What is to be fitted to each share.
    fitted : list of list of (Member, dict)
        In the same order.
    error : Exception or None
        Why something could not be fitted.
    """

    cfg: DictConfig
    config: dict[str, Any]
    recording: Recording
    split: Split
    folder: Path
    tracker: Any = None
    preprocessor: Preprocessor = field(init=False)
    alignment: EuclideanAlignment | None = field(init=False)
    epochs: Epochs = field(init=False)
    shares: list[np.ndarray] = field(init=False)
    planned: list[list[PlannedFit]] = field(init=False)
    fitted: list[list[Fitted]] = field(init=False)
    error: Exception | None = None
    preprocess_s: float = 0.0
    fit_s: float = 0.0

    @cached_property
    def stack(self) -> Stack | None:
        """The configured stack, where the model is one."""
        from hydra.utils import instantiate

        from p300.checkpoint import import_class

        is_stack = import_class(self.cfg.model["_target_"]) is Stack
        return instantiate(self.cfg.model, _convert_="all") if is_stack else None


class Shared:
    """What runs of one process have in common: the last recording, and its epochs.

    Of earlier recordings nothing is kept, so that a sweep over subjects needs the memory of one.
    """

    def __init__(self) -> None:
        self._key: str | None = None
        self._recording: Recording | None = None
        self._report = ""
        self._epochs: dict[str, Epochs] = {}

    def recording(self, cfg: DictConfig, folder: Path) -> Recording:
        """Read a run's recording, or take the last one; its integrity goes into the folder."""
        from omegaconf import OmegaConf

        steps = cfg.preprocessing
        parts = [OmegaConf.to_container(cfg.data, resolve=True), steps.tmin, steps.tmax]
        key = json.dumps(parts, sort_keys=True, default=str)
        if key != self._key:
            self._key, self._recording, self._epochs = None, None, {}
            self._recording = read_recording(cfg.data, folder, steps.tmin, steps.tmax)
            self._key, self._report = key, (folder / "integrity.txt").read_text("utf-8")
        else:
            with whole_file(folder / "integrity.txt") as file:
                file.write(self._report)
        return self._recording

    def epochs(self, run: Run) -> Epochs:
        """Make a run's epochs, or take those of one with the same preprocessing."""
        key = json.dumps([run.preprocessor.get_state(), repr(run.alignment)], sort_keys=True)
        if run.recording is not self._recording:
            return make_epochs(run.cfg, run.preprocessor, run.alignment, run.recording)
        if key not in self._epochs:
            self._epochs[key] = make_epochs(
                run.cfg, run.preprocessor, run.alignment, run.recording
            )
        return self._epochs[key]


def prepare(run: Run, shared: Shared) -> None:
    """Cut and align the epochs of a run, and plan what is to be fitted to them.

    Parameters
    ----------
    run : Run
        Changed.
    shared : Shared
        Of the runs of this process.
    """
    from hydra.utils import instantiate

    started, cfg, train = time.perf_counter(), run.cfg, run.split.train
    run.preprocessor = instantiate(cfg.preprocessing, _convert_="all")
    run.alignment = instantiate(cfg.alignment.method, _convert_="all")
    with step("preprocessing: fit"):
        run.preprocessor.fit(run.recording, rows=train)
    run.epochs = shared.epochs(run)
    if cfg.select_electrodes.n is not None:
        best = select_electrodes(cfg, run.epochs, run.split, run.folder)
        run.preprocessor = run.preprocessor.set_params(channels=best)
        run.preprocessor.fit(run.recording, rows=train)
        run.epochs = shared.epochs(run)
    run.preprocess_s = time.perf_counter() - started
    log.info("preprocessed to %s in %.1f s", run.epochs.data.shape, run.preprocess_s)
    run.shares = member_rows(
        run.epochs.flashes,
        train,
        n_members=cfg.ensemble.n_members,
        share=cfg.ensemble.share,
        seed=cfg.seed,
    )
    stack = run.stack
    if stack is None:
        run.planned = [[PlannedFit(cfg.model, r, run.split.validation)] for r in run.shares]
    else:
        run.planned = [stack.plan(run.epochs, rows) for rows in run.shares]


def make_epochs(
    cfg: DictConfig,
    preprocessor: Preprocessor,
    alignment: EuclideanAlignment | None,
    recording: Recording,
) -> Epochs:
    """Cut all epochs, or take them from the configured cache, and align them."""
    from p300.alignment import aligned
    from p300.preprocessing import EpochsCache

    with step("preprocessing", len(recording.flashes), "flashes") as cut:
        on_cut = cut.advance if cut.has_bar else None
        if cfg.cache.folder is None:
            epochs = preprocessor.epochs(recording, on_cut=on_cut)
        else:
            cache = EpochsCache(cfg.cache.folder, max_bytes=cfg.cache.max_gb * 1e9)
            epochs = cache.epochs(preprocessor, recording, on_cut=on_cut)
        return aligned(epochs, alignment)
