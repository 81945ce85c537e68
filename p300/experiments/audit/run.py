"""``p300 audit``: check that a configured training run does not see its test part."""

from __future__ import annotations

import dataclasses
import logging
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.experiments.audit import checks, learning, training
from p300.experiments.build import build
from p300.experiments.fitting.combine import finish
from p300.experiments.fitting.fit import fit_all
from p300.experiments.fitting.run import Run
from p300.experiments.prepare import Shared, prepare
from p300.terminal import quietly

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.recording import Recording
    from p300.splits import Split
    from p300.terminal import Step

log = logging.getLogger("p300.experiments.audit.run")


def run_checks(
    cfg: DictConfig, recording: Recording, split: Split, trainings: Step
) -> Iterator[checks.Check]:
    """Run every check of the split, then those that fit and train again.

    The checks that train are left out if the monitor is not allowed. The step counts the
    trainings.
    """
    flashes, steps = recording.flashes, cfg.preprocessing
    window = steps.tmin, steps.tmax

    def fit(recording, rows):
        return build(cfg.preprocessing).fit(recording, rows=rows)

    yield checks.check_characters(flashes, split, window[1] - window[0])
    yield checks.check_samples(recording, split, *window)
    yield checks.check_copies(recording, split, *window)
    yield checks.check_validation(flashes, split)
    selection = checks.check_selection(cfg.protocol.monitor)
    yield selection
    if cfg.pretrained is not None:
        detail = f"from {cfg.pretrained}, whose data are not checked"
        yield checks.Check("first weights", None, detail)
    yield training.check_statistics(fit, recording, split)

    def epochs(changed):
        return fit(recording, split.train).epochs(changed)

    yield from training.check_transient(epochs, recording, split, *window)
    if selection.passed:
        train, started = trainer(cfg, trainings), time.perf_counter()
        scores = train(recording, split)
        once_s, n_more = time.perf_counter() - started, n_trainings(cfg) - 1
        log.info(
            "a training takes %.1f s; at most %d more: %.0f s", once_s, n_more, once_s * n_more
        )
        yield training.check_test_labels(train, recording, split, scores)
        yield training.check_test_signal(train, recording, split, scores)
        yield training.check_chance(train, recording, split, cfg.audit.n_permutations, cfg.seed)
        if cfg.learning and recording.speller is not None:
            yield from learning.check_learning(cfg, recording, split)


def n_trainings(cfg: DictConfig) -> int:
    """Count the trainings of an audit: as configured, two changed ones, and permuted labels."""
    return 3 + cfg.audit.n_permutations


def trainer(cfg: DictConfig, trainings: Step) -> training.Train:
    """Return a function that trains as configured, for few epochs, and returns the scores.

    ``redrawn=k`` draws first weights and the order of flashes anew.
    """
    import pandas as pd
    from omegaconf import OmegaConf

    cfg = learning.without_learning(cfg)
    cfg.protocol.max_epochs = min(cfg.protocol.max_epochs, cfg.audit.max_epochs)
    seed = cfg.seed

    def train(recording, split, redrawn=0):
        cfg.seed = seed + redrawn
        config: Any = OmegaConf.to_container(cfg, resolve=True)
        recording = dataclasses.replace(recording, speller=None)
        with tempfile.TemporaryDirectory() as name, quietly(Path(name) / "train.log"):
            run = Run(cfg, {**config, "choices": {}}, recording, split, Path(name))
            run.is_audited = True
            prepare(run, Shared())
            fit_all([run])
            finish(run)
            scores = pd.read_csv(Path(name) / "scores.csv", dtype=str)["score"]
        trainings.advance()
        return scores.to_numpy(float)  # Python's own parser, which is exact

    return train
