"""``p300 evaluate``: score a recording with a trained detector.

Loads the checkpoint of a run folder, scores a recording and prints the text read from it, after
each number of repetitions and with stopping rules, which end a character as soon as its symbol is
sure.

  p300 evaluate run=runs/simulation/cnn1/2026-01-31_12-00-00      the run's own test part
  p300 evaluate run=RUN data=bci2_iib                             all of another recording
  p300 evaluate run=RUN part=validation                           another part of its own
  p300 evaluate run=RUN stopping=none                             numbers of repetitions only
  p300 evaluate run=RUN stopping.idle_prior=0.5                   rules may read no symbol
  p300 evaluate run=RUN learning=while_spelling                   learn from what it reads, too
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.experiments.build import build_split
from p300.experiments.configuration import check_subject
from p300.experiments.fitting.session import check_knows, evaluate_session
from p300.experiments.prepare import cut_epochs, read_recording
from p300.experiments.results import SESSION, results_table, stopping_table, summarize, write_json
from p300.spelling.early import find_held_out, stop_early
from p300.splits import PARTS
from p300.storage.files import write_text
from p300.terminal import show, step

if TYPE_CHECKING:
    from omegaconf import DictConfig


log = logging.getLogger("p300.commands.evaluate")


def evaluate(cfg: DictConfig) -> None:
    """Score the configured recording; write scores and results into a new folder.

    Parameters
    ----------
    cfg : DictConfig
        As composed from ``conf/evaluate.yaml``.

    Raises
    ------
    InputError
        If the run is not finished or the recording does not fit its detector.
    """
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    from p300.detector import Detector

    check_subject(cfg)
    folder = Path(HydraConfig.get().runtime.output_dir)
    detector = Detector.load(cfg.run)
    check_knows(detector, cfg.learning)
    trained_on = OmegaConf.create(detector.config)
    own = cfg.get("data") is None
    part = cfg.part or ("test" if own else "all")
    if part not in (*PARTS, "all") or (not own and part != "all"):
        raise InputError(
            f"got part={part}; expected one of {', '.join(PARTS)} or all, and all for a recording "
            f"other than the run's own"
        )

    steps = detector.preprocessor
    data = trained_on.data if own else cfg.data
    recording = read_recording(data, folder, steps)
    flashes, speller = recording.flashes, recording.speller
    rows = np.ones(len(flashes), bool)
    if part != "all":
        rows = getattr(build_split(trained_on, flashes), part)
    if not rows.any():
        raise InputError(f"{recording.name}: the {part} part is empty; choose another part")
    with step("preprocessing", len(flashes), "flashes") as cut:
        epochs = cut_epochs(recording, steps, detector.alignment, cfg.cache, cut.advance)
    with step("scoring"):
        scores = detector.score_epochs(epochs.data)[rows]
    flashes = flashes[rows]
    table = flashes.assign(part=part, score=scores)
    write_text(folder / "scores.csv", table.to_csv(index=False))
    summary = summarize(scores, flashes, speller)
    log.info("%s", cfg.run)
    show(results_table(summary, f"{recording.name}, part: {part}"))
    if cfg.stopping.goals and speller is not None and "spelling" in summary:
        is_same = detector.speller == speller
        held_out = find_held_out(cfg.run, seen=own and part != "test", same_screen=is_same)
        if held_out is not None:
            with step("stopping rules"):
                found, readings = stop_early(scores, flashes, speller, held_out, **cfg.stopping)
            write_text(folder / "stopping.csv", readings.to_csv(index=False))
            summary["stopping"] = found
            show(stopping_table(found))
    if cfg.learning:
        summary[SESSION] = evaluate_session(folder, cfg, detector, epochs, rows, scores, own=own)
    write_json(folder / "results.json", {"run": str(cfg.run), "part": part, "own": own, **summary})
    log.info("results: %s", os.path.relpath(folder))
