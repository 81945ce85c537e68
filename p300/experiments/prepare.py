"""Prepare a configured run: read its recording, cut its epochs, plan its detectors."""

from __future__ import annotations

import inspect
import json
import logging
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.experiments.build import build, naming_own
from p300.experiments.fitting.electrodes import select_electrodes
from p300.experiments.fitting.rehearsal import rehearse
from p300.experiments.fitting.run import Run
from p300.experiments.fitting.settings import check_counts
from p300.integrity import RATE, Finding, IntegrityReport, check_recording
from p300.preprocessing.state import check_usable, full_state
from p300.splits import Split, member_rows
from p300.storage.files import write_text
from p300.storage.memory import check_memory
from p300.storage.privacy import without_paths
from p300.terminal import log_warning, step
from p300.training.stacking import PlannedFit

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.detector import Member  # noqa: F401  (part of Fitted, for the reference)
    from p300.preprocessing import Epochs, EuclideanAlignment, Preprocessor
    from p300.recording import Recording

log = logging.getLogger("p300.experiments.fitting.fit")


class Shared:
    """The last recording of a process and its epochs, for the next runs that need the same.

    Earlier recordings are not kept, so that a sweep over subjects needs the memory of one.
    """

    def __init__(self) -> None:
        self._key: str | None = None
        self._recording: Recording | None = None
        self._report = ""
        self._epochs: dict[str, Epochs] = {}

    def recording(self, cfg: DictConfig, folder: Path) -> Recording:
        """Return a run's recording: read it, or reuse the last one.

        Its integrity report is written into the folder.
        """
        from omegaconf import OmegaConf

        steps = cfg.preprocessing
        geometry = [steps.get(name) for name in ("tmin", "tmax", "sfreq", "resample")]
        parts = [OmegaConf.to_container(cfg.data, resolve=True), *geometry]
        key = json.dumps(parts, sort_keys=True, default=str)
        if key != self._key:
            self._key, self._recording, self._epochs = None, None, {}
            self._recording = read_recording(cfg.data, folder, build(steps))
            self._key, self._report = key, (folder / "integrity.txt").read_text("utf-8")
        else:
            write_text(folder / "integrity.txt", self._report)
        assert self._recording is not None
        return self._recording

    def epochs(self, run: Run) -> Epochs:
        """Return a run's epochs: cut them, or reuse those with the same preprocessing."""
        key = json.dumps([full_state(run.preprocessor), repr(run.alignment)], sort_keys=True)
        known = self._epochs if run.recording is self._recording else {}
        if key not in known:
            known[key] = make_epochs(run)
        return known[key]


def prepare(run: Run, shared: Shared) -> None:
    """Cut and align the epochs of a run, and plan the detectors to fit to them.

    Parameters
    ----------
    run : Run
        Changed in place.
    shared : Shared
        What the runs of this process share.
    """
    preprocess(run, shared)
    plan(run)


def preprocess(run: Run, shared: Shared) -> None:
    """Fit the preprocessing of a run, cut and align its epochs."""
    started, cfg, train = time.perf_counter(), run.cfg, run.split.train
    check_counts(cfg)
    run.preprocessor, run.alignment = build(cfg.preprocessing), build(cfg.alignment.method)
    with naming_own("preprocessing", cfg.preprocessing):
        check_usable(run.preprocessor)
        with step("preprocessing: fit"):
            run.preprocessor.fit(run.recording, rows=train)
        check_usable(run.preprocessor, is_fitted=True)
        run.epochs = shared.epochs(run)
    if cfg.select_electrodes.n is not None:
        selecting = time.perf_counter()
        best = select_electrodes(run)
        run.select_s = time.perf_counter() - selecting  # it trains a network
        run.preprocessor = run.preprocessor.set_params(channels=best)
        run.preprocessor.fit(run.recording, rows=train)
        run.epochs = shared.epochs(run)
    run.preprocess_s = time.perf_counter() - started - run.select_s
    log.info("preprocessed to %s in %.1f s", run.epochs.data.shape, run.preprocess_s)


def plan(run: Run) -> None:
    """Plan the detectors to fit to the epochs of a run, and try what they need."""
    cfg = run.cfg
    run.train_rows = member_rows(
        run.epochs.flashes,
        run.split.train,
        n_members=cfg.ensemble.n_members,
        share=cfg.ensemble.share,
        seed=cfg.seed,
    )
    if run.stack is None:
        validation = run.split.validation
        run.planned = [[PlannedFit(cfg.model, rows, validation)] for rows in run.train_rows]
    else:
        run.planned = [run.stack.plan(run.epochs, rows) for rows in run.train_rows]
    rehearse(run)


def make_epochs(run: Run) -> Epochs:
    """Cut and align all epochs of a run, or read them from the configured cache."""
    with step("preprocessing", len(run.recording.flashes), "flashes") as cut:
        on_cut = cut.advance if cut.has_bar else None
        return cut_epochs(run.recording, run.preprocessor, run.alignment, run.cfg.cache, on_cut)


def cut_epochs(
    recording: Recording,
    preprocessor: Preprocessor,
    alignment: EuclideanAlignment | None,
    cache: DictConfig,
    on_cut: Callable[[int], object] | None = None,
) -> Epochs:
    """Cut and align all epochs of a recording, in memory or in the folder of a cache.

    Parameters
    ----------
    recording, preprocessor, alignment
        The recording, and the fitted steps. What a preprocessing of the user's own cuts is never
        read from a cache, since its code may change between two runs.
    cache : DictConfig
        ``folder``, which may be None, and ``max_gb``.
    on_cut : callable or None
        As for :meth:`~p300.preprocessing.Preprocessor.epochs`.

    Raises
    ------
    InputError
        If they do not fit into the memory, and there is no folder.
    """
    from p300.preprocessing import EpochsCache, Preprocessor, aligned

    if cache.folder is not None and type(preprocessor) is Preprocessor:
        kept = EpochsCache(cache.folder, max_bytes=cache.max_gb * 1e9)
        return kept.epochs(preprocessor, recording, alignment=alignment, on_cut=on_cut)
    n_flashes, n_chans = len(recording.flashes), len(preprocessor.ch_names_)
    n_bytes = 4 * n_flashes * n_chans * preprocessor.n_times
    check_memory(
        n_bytes if alignment is None else 2 * n_bytes,
        f"the epochs of {n_flashes} flashes",
        "cache.folder=FOLDER keeps them on disk",
    )
    return aligned(preprocessor.epochs(recording, on_cut=on_cut), alignment)


def check_labels(recording: Recording, split: Split) -> None:
    """Check that all flashes to train or validate on have a label.

    Raises
    ------
    InputError
        If some have none; the message counts them.
    """
    used = split.train | split.validation
    unknown = int((recording.flashes["is_target"].isna().to_numpy() & used).sum())
    if unknown:
        raise InputError(
            f"{recording.name}: {unknown} of the {used.sum()} flashes to train or validate on "
            f"have no label; expected a label for each; choose a split that leaves them out"
        )


def read_recording(data: DictConfig, folder: Path, steps: Preprocessor) -> Recording:
    """Read the configured recording and write its integrity report into the run folder.

    What the reader warns of becomes a finding of the report, so that it outlives the terminal.
    Paths are shortened to their last part. Flashes whose epochs do not fit are left out.

    Parameters
    ----------
    data : DictConfig
        The configuration group; its ``read`` names the reader and its arguments, and ``accept``
        the checks of the recording whose findings are known.
    folder : Path
        Where ``integrity.txt`` is written.
    steps : Preprocessor
        What will cut its epochs: its ``tmin``, ``tmax`` and, where it has one, ``fits``.

    Raises
    ------
    InputError
        If it cannot be read, or its integrity report has a finding of level "refuse".
    """
    with step("reading"):
        recording, report = examine(data, steps)
    content = f"SHA-256 of samples, channels and flashes: {recording.checksum}."
    noted = Finding("note", "content", content, len(recording.segments))
    report = replace(report, findings=(*report.findings, noted))
    write_text(folder / "integrity.txt", without_paths(f"{recording!r}\n\n{report}\n"))
    report.raise_if_refused()
    for finding in report.at("warn"):
        if finding.check not in ("reader", RATE):  # those have been said
            log.warning("%s: %s", finding.check, finding.text)
    is_inside = _fits(steps, recording)
    if not is_inside.all():
        recording = recording.select(is_inside)
    return recording


def examine(data: DictConfig, steps: Preprocessor) -> tuple[Recording, IntegrityReport]:
    """Read the configured recording and check it; parameters as of :func:`read_recording`.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        recording = build(data.read)
    doubts = []
    for warning in caught:
        log_warning(warning.message, warning.category, warning.filename, warning.lineno)
        if isinstance(warning.message, UserWarning | RuntimeWarning):
            doubts.append(warning.message)
    tmin, tmax = (float(getattr(steps, name, 0.0)) for name in ("tmin", "tmax"))
    report = check_recording(
        recording,
        tmin=tmin,
        tmax=tmax,
        fits=partial(_fits, steps),
        doubts=doubts,
        accept=data.get("accept") or (),
    )
    return recording, report


def _fits(steps: Preprocessor, recording: Recording) -> np.ndarray:
    """Return for each flash whether its epoch fits, by a preprocessing of any kind."""
    if hasattr(steps, "fits"):
        return steps.fits(recording)
    return recording.fits(getattr(steps, "tmin", 0.0), getattr(steps, "tmax", 0.0))


def read_runs(data: DictConfig, runs: Sequence | None) -> Recording:
    """Read the configured recording, or some of its runs.

    Raises
    ------
    InputError
        If it has no such run, or no speller.
    """
    from hydra.utils import get_method

    takes_runs = "runs" in inspect.signature(get_method(data.read["_target_"])).parameters
    arguments = {"runs": list(runs)} if runs is not None and takes_runs else {}
    recording = build(data.read, **arguments)
    if runs is not None and not takes_runs:
        is_wanted = recording.flashes["run"].isin(list(runs)).to_numpy()
        if not is_wanted.any():
            known = sorted(set(recording.flashes["run"].tolist()))
            raise InputError(f"{recording.name}: no run {list(runs)}; expected some of {known}")
        recording = recording.select(is_wanted)
    if recording.speller is None:
        raise InputError(f"{recording.name} has no speller; expected a recording of a speller")
    return recording
