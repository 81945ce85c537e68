"""Training of an experiment on epochs that were cut elsewhere, without a trace beside it."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from p300.errors import InputError
from p300.experiments.configuration import as_config, compose_training, shipped_configuration
from p300.experiments.estimator.given import as_recording
from p300.experiments.fitting.combine import calibrate, combined_detector
from p300.experiments.fitting.fit import fit_all
from p300.experiments.fitting.rehearsal import undisturbed
from p300.experiments.fitting.run import Run
from p300.experiments.prepare import Shared, plan, preprocess
from p300.splits import hold_out
from p300.storage.classes import accepts, import_class
from p300.storage.untrusted import add_own_modules
from p300.training.members import is_network

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig

    from p300.detector import Detector
    from p300.preprocessing import Epochs

#: A composed configuration, and the file that each group uses.
Configured = tuple["DictConfig", Mapping[str, str]]

#: Parts of the configuration that have no effect on epochs that are cut, and what has.
WITHOUT_EFFECT = {
    ("data", "subject", "split"): "choose the flashes that you give to fit",
    ("preprocessing.l_freq", "preprocessing.h_freq"): "filter the EEG before it is cut",
    ("preprocessing.order", "preprocessing.phase"): "filter the EEG before it is cut",
    ("preprocessing.sfreq", "preprocessing.resample"): "resample the EEG before it is cut",
    ("preprocessing.tmin", "preprocessing.tmax"): "cut other epochs",
    ("experiment",): "set P300Classifier(experiment=…)",
    ("seed",): "set P300Classifier(random_state=…)",
}


def configured(wanted: Sequence[str], overrides: Sequence[str], epochs: Epochs) -> Configured:
    """Compose the configuration of an experiment for epochs that were cut elsewhere.

    Parameters
    ----------
    wanted : sequence of str
        The overrides that choose experiment and seed.
    overrides : sequence of str
        The user's.
    epochs : Epochs
        Their rate and interval are those of the configuration, which then has no filter.

    Raises
    ------
    InputError
        If an override is unknown, or has no effect.
    """
    from omegaconf import open_dict

    if isinstance(overrides, str):
        raise InputError(f"got overrides={overrides!r}; expected a list of str")
    for override in overrides:
        key = override.partition("=")[0].lstrip("+~")
        for names, instead in WITHOUT_EFFECT.items():
            if any(key == name or key.startswith(f"{name}.") for name in names):
                raise InputError(
                    f"got override {override!r}, which has no effect on epochs that are cut; "
                    f"expected another; {instead}"
                )
    with shipped_configuration():
        cfg, choices = compose_training([*wanted, "logger=csv", *overrides])
    tmin, tmax = window_of(epochs)
    meaning = {"tmin": tmin, "tmax": tmax, "sfreq": float(epochs.sfreq)}
    no_filter = {"l_freq": None, "h_freq": None, "resample": "filter_first"}
    add_own_modules()
    kind = import_class(str(cfg.preprocessing["_target_"]))
    with open_dict(cfg.preprocessing):
        for name, value in {**meaning, **no_filter}.items():
            if accepts(kind, name):
                cfg.preprocessing[name] = value
    return cfg, choices


def window_of(epochs: Epochs) -> tuple[float, float]:
    """Return the half-open interval of some epochs, in seconds from the flash."""
    return float(epochs.tmin), float(epochs.tmin + epochs.data.shape[2] / epochs.sfreq)


def fit_detector(configuration: Configured, epochs: Epochs, units: pd.DataFrame) -> Detector:
    """Train a configured detector on all of some epochs.

    Parameters
    ----------
    configuration : (DictConfig, mapping)
        As of :func:`configured`.
    epochs : Epochs
        Cut, and not scaled yet.
    units : DataFrame
        Their flash table with labels; its characters (or runs) are not divided between training
        and validation. Flashes whose epochs share a sample with a validation epoch do not train.

    Raises
    ------
    InputError
        If the detector cannot be trained.
    """
    cfg, choices = configuration
    is_validated = is_network(cfg.model) or cfg.calibration != "none"
    fraction = cfg.protocol.validation_fraction if is_validated else 0.0
    split = hold_out(
        units,
        test_fraction=0.0,
        validation_fraction=fraction,
        window_s=window_of(epochs),
        seed=cfg.seed,
    )
    labelled = epochs.flashes.assign(is_target=units["is_target"])
    recording = as_recording(replace(epochs, flashes=labelled))
    with isolated() as folder:
        run = Run(cfg, as_config(cfg, choices), recording, split, folder)
        preprocess(run, Shared())
        run.epochs = replace(run.epochs, flashes=units)  # with the true onsets
        plan(run)
        fit_all([run])
        detector, _, _ = combined_detector(run)
        if cfg.calibration != "none":
            calibrate(run, detector, detector.score_epochs(run.epochs.data))
    return detector


@contextlib.contextmanager
def isolated() -> Iterator[Path]:
    """Yield a folder that exists only in the block, and leave the process as it was.

    Random numbers, threads of PyTorch, filters of warnings and the level of Lightning's logger are
    restored after the block.
    """
    import pytorch_lightning  # noqa: F401  (which sets the level itself when it is imported)
    import torch

    lightning, n_threads = logging.getLogger("pytorch_lightning"), torch.get_num_threads()
    level = lightning.level
    with undisturbed(), warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        try:
            yield Path(folder)
        finally:
            lightning.setLevel(level)
            torch.set_num_threads(n_threads)
