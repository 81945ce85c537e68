"""``p300 audit``: check that a configured run does not leak.

Takes the arguments of `p300 train` and prints PASS or FAIL, with numbers, for every way in which
test data could reach training. Its status is 1 if a check fails.

  p300 audit data=bci2_iib experiment=cnn1
  p300 audit split=by_character audit.n_permutations=30
  p300 audit experiment=ridge learning=while_spelling    what it sees while it learns, too
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from p300.errors import InputError
from p300.experiments.audit.run import n_trainings, run_checks
from p300.experiments.audit.training import check_n_permutations
from p300.experiments.build import build, build_split
from p300.experiments.configuration import check_subject
from p300.experiments.prepare import check_labels, read_recording
from p300.experiments.results import write_json
from p300.terminal import show, step

if TYPE_CHECKING:
    from omegaconf import DictConfig


log = logging.getLogger("p300.experiments.audit.run")


def audit(cfg: DictConfig) -> None:
    """Print one line per check, and write all checks into the audit's folder.

    Raises
    ------
    InputError
        If the recording or the split cannot be used, or there are too few permutations.
    SystemExit
        If a check failed.
    """
    from hydra.core.hydra_config import HydraConfig

    check_n_permutations(cfg.audit.n_permutations)
    check_subject(cfg)
    folder = Path(HydraConfig.get().runtime.output_dir)
    recording = read_recording(cfg.data, folder, build(cfg.preprocessing))
    split = build_split(cfg, recording.flashes)
    check_labels(recording, split)
    if not split.test.any():
        raise InputError(f"got {split}; expected a test part to audit")
    log.info("%r\n%s", recording, split)
    n, n_epochs = n_trainings(cfg), min(cfg.audit.max_epochs, cfg.protocol.max_epochs)
    log.info("at most %d trainings follow, networks for %d epochs each", n, n_epochs)
    checks = []
    with step("audit", n, "trainings") as trainings:
        for check in run_checks(cfg, recording, split, trainings):
            show(str(check))
            checks.append(check)
    write_json(folder / "audit.json", [dataclasses.asdict(check) for check in checks])
    failed = [check.name for check in checks if check.passed is False]
    if failed:
        sys.exit(f"p300 audit: {len(failed)} of {len(checks)} checks failed: {'; '.join(failed)}")
