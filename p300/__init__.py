"""Detect the P300 wave in EEG and spell with it.

A person looks at a matrix of symbols whose rows and columns flash. The flash of the wanted row
and column evokes a P300, a positive wave about 300 ms later. This package reads such recordings,
preprocesses them, trains detectors (the convolutional networks of Cecotti & Graeser 2011 and
their rivals) and turns their scores into text.

The names below are the public interface: documented, typed and kept. Everything else may move.
Each is imported when it is first used, so that ``import p300`` costs nothing.

Examples
--------
>>> import p300
>>> recording = p300.simulate_recording("WADSWORTH", n_repetitions=2, seed=1)
>>> p300.Preprocessor().fit(recording).transform(recording).shape
(216, 8, 78)
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

#: Public name to the module that holds it; the modules among them stand for themselves.
_HOMES = {
    "WADSWORTH": "p300.speller",
    "Detector": "p300.detector",
    "Epochs": "p300.preprocessing",
    "OnnxDetector": "p300.export.onnx_detector",
    "P300Classifier": "p300.experiments.estimator.classifier",
    "Preprocessor": "p300.preprocessing",
    "Recording": "p300.recording",
    "Speller": "p300.speller",
    "StreamingPreprocessor": "p300.preprocessing",
    "baselines": "",
    "check_recording": "p300.integrity",
    "concatenate_recordings": "p300.recording",
    "explain": "",
    "figures": "",
    "flash_table": "p300.flashes",
    "hold_out": "p300.splits",
    "label_flashes": "p300.flashes",
    "metrics": "",
    "models": "",
    "readers": "",
    "recording_from_arrays": "p300.preprocessing",
    "simulate_recording": "p300.simulation",
    "spell": "p300.spelling",
    "train": "p300.experiments.train",
}

__all__ = [
    "Detector",
    "Epochs",
    "OnnxDetector",
    "P300Classifier",
    "Preprocessor",
    "Recording",
    "Speller",
    "StreamingPreprocessor",
    "WADSWORTH",
    "baselines",
    "check_recording",
    "concatenate_recordings",
    "explain",
    "figures",
    "flash_table",
    "hold_out",
    "label_flashes",
    "metrics",
    "models",
    "readers",
    "recording_from_arrays",
    "simulate_recording",
    "spell",
    "train",
]

TYPE_CHECKING = False  # true for type checkers; importing typing would cost more than the rest
if TYPE_CHECKING:
    from p300 import baselines, explain, figures, metrics, models, readers
    from p300.detector import Detector
    from p300.experiments.estimator.classifier import P300Classifier
    from p300.experiments.train import train
    from p300.export.onnx_detector import OnnxDetector
    from p300.flashes import flash_table, label_flashes
    from p300.integrity import check_recording
    from p300.preprocessing import (
        Epochs,
        Preprocessor,
        StreamingPreprocessor,
        recording_from_arrays,
    )
    from p300.recording import Recording, concatenate_recordings
    from p300.simulation import simulate_recording
    from p300.speller import WADSWORTH, Speller
    from p300.spelling import spell
    from p300.splits import hold_out


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'p300' has no attribute {name!r}")
    home = _HOMES[name]
    if not home:
        return importlib.import_module(f"p300.{name}")
    globals()[name] = found = getattr(importlib.import_module(home), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
