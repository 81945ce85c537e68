"""Checks of what a detector sees while it learns from the test part."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import t

from p300.experiments.audit.checks import Check
from p300.experiments.fitting.combine import combined_detector
from p300.experiments.fitting.fit import fit_all
from p300.experiments.fitting.learning import inputs_of, source_of
from p300.experiments.fitting.run import Run
from p300.experiments.fitting.session import learning_settings
from p300.experiments.prepare import Shared, prepare
from p300.flashes import CHARACTER_KEY
from p300.learning import spell_and_learn
from p300.metrics import roc_auc
from p300.splits.units import unit_of
from p300.terminal import quietly

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig

    from p300.recording import Recording
    from p300.splits import Split

#: Sessions with permuted codes.
N_PERMUTED = 10

#: Reads a session: flash table and what the detector takes, to one score per flash.
Reader = Callable[["pd.DataFrame", np.ndarray], np.ndarray]


def check_learning(cfg: DictConfig, recording: Recording, split: Split) -> Iterator[Check]:
    """Train once, and check what learning while spelling sees of the test part."""
    read, flashes, inputs = _session(cfg, recording, split)
    scores = read(flashes, inputs)
    yield check_later(read, flashes, inputs, scores)
    yield check_labels(read, flashes, inputs, scores)
    yield check_codes(read, flashes, inputs, cfg.seed)


def check_later(read: Reader, flashes: pd.DataFrame, inputs: np.ndarray, scores) -> Check:
    """Check that noise in place of later characters changes no earlier score."""
    unit = unit_of(flashes, "character")
    is_late = unit > np.median(np.unique(unit))
    rng = np.random.default_rng(0)
    changed = np.array(inputs)
    changed[is_late] = rng.normal(scale=np.std(inputs), size=changed[is_late].shape)
    again = read(flashes, changed)
    n_changed = int((again != scores)[~is_late].sum())
    detail = f"noise in the last {len(np.unique(unit[is_late]))} characters, {n_changed} of "
    detail += f"{(~is_late).sum()} earlier scores changed"
    is_read = bool((again != scores)[is_late].any())
    return Check("what comes later changes no score", n_changed == 0 and is_read, detail)


def check_labels(read: Reader, flashes: pd.DataFrame, inputs: np.ndarray, scores) -> Check:
    """Check that inverted labels change no score."""
    inverted = flashes.assign(is_target=~flashes["is_target"])
    n_changed = int((read(inverted, inputs) != scores).sum())
    detail = f"{flashes['is_target'].notna().sum()} labels inverted, {n_changed} scores changed"
    return Check("learning while spelling reads no label", n_changed == 0, detail)


def check_codes(read: Reader, flashes: pd.DataFrame, inputs: np.ndarray, seed: int) -> Check:
    """Check that codes in random order, with their labels, leave the scores at chance.

    What a flash lit is then unrelated to its EEG. The mean AUC must be within its 99 %
    t-interval about 0.5, as for permuted training labels.
    """
    name = "permuted codes score at chance"
    known = flashes["is_target"].notna().to_numpy()
    is_target = flashes["is_target"].fillna(False).to_numpy(bool)
    n_targets, n_others = int(is_target[known].sum()), int((~is_target[known]).sum())
    if not n_targets or not n_others:
        return Check(name, None, f"{n_targets} targets are labelled")
    rng, aucs = np.random.default_rng(seed), []
    groups = flashes.groupby(CHARACTER_KEY, sort=False, dropna=False).indices
    columns = [c for c in ("code", "is_target", "lit") if c in flashes]
    for _ in range(N_PERMUTED):
        order = np.arange(len(flashes))
        for rows in groups.values():
            order[rows] = rng.permutation(rows)
        mixed = flashes.copy()
        for column in columns:
            mixed[column] = flashes[column].to_numpy()[order]
        aucs.append(roc_auc(is_target[order][known[order]], read(mixed, inputs)[known[order]]))
    guessing = math.sqrt((n_targets + n_others + 1) / (12 * n_targets * n_others))
    sd = max(float(np.std(aucs, ddof=1)), guessing)
    half = float(t.ppf(0.995, N_PERMUTED - 1)) * sd / math.sqrt(N_PERMUTED)
    mean = float(np.mean(aucs))
    detail = f"mean AUC {mean:.3f} over {N_PERMUTED} permutations, expected 0.5 ± {half:.3f}"
    return Check(name, abs(mean - 0.5) <= half, detail)


def _session(
    cfg: DictConfig, recording: Recording, split: Split
) -> tuple[Reader, pd.DataFrame, np.ndarray]:
    """Train as configured, and return how its test part is read while learning."""
    from omegaconf import OmegaConf

    cfg = cfg.copy()
    cfg.protocol.max_epochs = min(cfg.protocol.max_epochs, cfg.audit.max_epochs)
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    with tempfile.TemporaryDirectory() as name, quietly(Path(name) / "train.log"):
        run = Run(cfg, {**config, "choices": {}}, recording, split, Path(name))
        prepare(run, Shared())
        fit_all([run])
        detector = combined_detector(run)[0]
        settings = learning_settings(cfg.learning)
        assert settings is not None
        assert recording.speller is not None
        speller, tested = recording.speller, run.epochs[split.test]
        source = source_of(detector, run.epochs, split.train) if settings.needs_source else None
        static = detector.score_epochs(tested.data)
        inputs = tested.data if source is None else inputs_of(detector, source, tested.data)

    def read(flashes: pd.DataFrame, inputs: np.ndarray) -> np.ndarray:
        given = static, inputs, flashes, speller, settings, source, tested.sfreq
        return spell_and_learn(*given).scores

    return read, tested.flashes.reset_index(drop=True), np.asarray(inputs)


def without_learning(cfg: DictConfig) -> DictConfig:
    """Return a configuration whose detector stays as it was trained."""
    from omegaconf import open_dict

    cfg = cfg.copy()
    with open_dict(cfg):
        cfg.learning = {}
    return cfg
