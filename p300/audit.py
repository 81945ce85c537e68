"""``p300 audit``: prove of a configured training run that its test part stays unseen."""

from __future__ import annotations

import dataclasses
import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from p300.audit_checks import (
    Check,
    check_characters,
    check_copies,
    check_samples,
    check_selection,
    check_validation,
)
from p300.audit_training import (
    check_chance,
    check_statistics,
    check_test_labels,
    check_test_signal,
    check_transient,
)
from p300.cli import run_with_hydra
from p300.errors import InputError
from p300.progress import Step, show, step

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.audit_training import Fit, Train
    from p300.preprocessing import Preprocessor  # noqa: F401  (part of Fit, for the reference)
    from p300.recording import Recording
    from p300.splits import Split

log = logging.getLogger("p300.audit")


def main() -> None:
    """Run the command with the arguments of the command line."""
    run_with_hydra("audit", audit)


def audit(cfg: DictConfig) -> None:
    """Print one line a check and write them into the audit's folder.

    Raises
    ------
    InputError
        If recording or split cannot be used.
    SystemExit
        If a check failed.
    """
    from hydra.core.hydra_config import HydraConfig

    from p300.fitting import configured_split
    from p300.results import read_recording, write_json
    from p300.train import check_labels

    folder = Path(HydraConfig.get().runtime.output_dir)
    steps = cfg.preprocessing
    recording = read_recording(cfg.data, folder, steps.tmin, steps.tmax)
    split = configured_split(cfg, recording.flashes)
    check_labels(recording, split)
    if not split.test.any():
        raise InputError(f"{split}; expected a test part to audit")
    log.info("%r\n%s", recording, split)
    checks = []
    with step("audit", 3 + cfg.audit.n_permutations, "trainings") as trainings:
        for check in run_checks(cfg, recording, split, trainings):
            show(str(check))
            checks.append(check)
    write_json(folder / "audit.json", [dataclasses.asdict(check) for check in checks])
    failed = [check.name for check in checks if check.passed is False]
    if failed:
        sys.exit(f"p300 audit: {len(failed)} of {len(checks)} checks failed: {'; '.join(failed)}")


def run_checks(
    cfg: DictConfig, recording: Recording, split: Split, trainings: Step | None = None
) -> Iterator[Check]:
    """Make every check of the split, then those that fit and train again.

    They are left out where training would refuse the monitor. The step is told of every
    training.
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
        yield Check("first weights", None, f"from {cfg.pretrained}, whose data are not followed")
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
    """Fit the configured preprocessing as a training run does."""
    from hydra.utils import instantiate

    def fit(recording, rows):
        return instantiate(cfg.preprocessing, _convert_="all").fit(recording, rows=rows)

    return fit


def training(cfg: DictConfig, trainings: Step) -> Train:
    """Train as configured, with few passes and in a folder that is removed; keep the scores."""
    import pandas as pd
    from omegaconf import OmegaConf

    from p300.benchmark import quietly
    from p300.fitting import fit_and_score

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
        return scores.to_numpy(float)  # Python's own reading of each number, exact

    return train
