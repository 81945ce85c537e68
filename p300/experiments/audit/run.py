"""``p300 audit``: check that a configured training run does not see its test part."""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from p300.experiments.audit.checks import (
    Check,
    check_characters,
    check_copies,
    check_samples,
    check_selection,
    check_validation,
)
from p300.experiments.audit.training import (
    check_chance,
    check_statistics,
    check_test_labels,
    check_test_signal,
    check_transient,
)
from p300.experiments.build import build_preprocessor
from p300.experiments.run import fit_and_score
from p300.terminal import Step, quietly

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.experiments.audit.training import Fit, Train
    from p300.preprocessing import Preprocessor  # noqa: F401  (part of Fit, for the reference)
    from p300.recording import Recording
    from p300.splits import Split


log = logging.getLogger("p300.experiments.audit.run")


def run_checks(
    cfg: DictConfig, recording: Recording, split: Split, trainings: Step | None = None
) -> Iterator[Check]:
    """Run every check of the split, then those that fit and train again.

    The checks that train are left out if the monitor is not allowed. The step counts the
    trainings.
    """
    flashes, steps = recording.flashes, cfg.preprocessing
    window = steps.tmin, steps.tmax
    fit = preprocessing_fit(cfg)
    yield check_characters(flashes, split)
    yield check_samples(recording, split, *window)
    yield check_copies(recording, split, *window)
    yield check_validation(flashes, split)
    selection = check_selection(cfg.protocol.monitor)
    yield selection
    if cfg.pretrained is not None:
        yield Check("first weights", None, f"from {cfg.pretrained}, whose data are not checked")
    yield check_statistics(fit, recording, split)

    def epochs(changed):
        return fit(recording, split.train).epochs(changed)

    yield from check_transient(epochs, recording, split, *window)
    if selection.passed:
        train = training(cfg, trainings or Step())
        scores = train(recording, split)
        yield check_test_labels(train, recording, split, scores)
        yield check_test_signal(train, recording, split, scores)
        yield check_chance(train, recording, split, cfg.audit.n_permutations, cfg.seed)


def preprocessing_fit(cfg: DictConfig) -> Fit:
    """Return a function that fits the configured preprocessing as a training run does."""

    def fit(recording, rows):
        return build_preprocessor(cfg).fit(recording, rows=rows)

    return fit


def training(cfg: DictConfig, trainings: Step) -> Train:
    """Return a function that trains as configured, for few epochs, and returns the scores."""
    import pandas as pd
    from omegaconf import OmegaConf

    cfg = cfg.copy()
    cfg.protocol.max_epochs = min(cfg.protocol.max_epochs, cfg.audit.max_epochs)
    config = OmegaConf.to_container(cfg, resolve=True) | {"choices": {}}

    def train(recording, split):
        recording = dataclasses.replace(recording, speller=None)
        with tempfile.TemporaryDirectory() as name, quietly(Path(name) / "train.log"):
            folder = Path(name)
            fit_and_score(cfg, config, recording, split, folder, None)
            scores = pd.read_csv(folder / "scores.csv", dtype=str)["score"]
        trainings.advance()
        return scores.to_numpy(float)  # Python's own parser, which is exact

    return train
