"""A configured run between its recording and its results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.experiments.build import build
from p300.splits import Split
from p300.training.stacking import PlannedFit, Stack

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.detector import Member  # noqa: F401  (part of Fitted, for the reference)
    from p300.experiments.fitting.networks import Fitted
    from p300.preprocessing import Epochs, EuclideanAlignment, Preprocessor
    from p300.recording import Recording


@dataclass
class Run:
    """A configured run between recording and results.

    Parameters
    ----------
    cfg, config : DictConfig and dict
        The configuration as composed, and resolved to plain containers.
    recording : Recording
    split : Split
    folder : Path
        The run folder.
    tracker : wandb.Run or None
        The W&B run, if there is one.
    callbacks : sequence of Callback
        Of Lightning, beside the configured ones.

    Attributes
    ----------
    preprocessor, alignment, epochs
        The fitted preprocessing, the alignment, and the epochs that they return.
    train_rows : list of ndarray of bool
        The training flashes of each member of an ensemble.
    planned : list of list of PlannedFit
        The detectors to fit, one list per entry of ``train_rows``.
    fitted : list of list of (Member, dict)
        The fitted detectors and their records, in the same order.
    loggers : dict of int to list of Lightning loggers
        Those of each network, by its number, but for W&B's.
    error : Exception or None
        The first error in fitting.
    content : dict of str to str
        Hashes of the recording and of the code, which become part of the results.
    is_finished : bool
        Whether its results are written.
    is_audited : bool
        Whether an audit looks for what a preprocessing learns from the test part; a training
        refuses it.
    preprocess_s, select_s, fit_s : float
        Seconds that preprocessing, training to select electrodes, and fitting took.
    """

    cfg: DictConfig
    config: dict[str, Any]
    recording: Recording
    split: Split
    folder: Path
    tracker: Any = None
    callbacks: Sequence[Any] = ()
    preprocessor: Preprocessor = field(init=False)
    alignment: EuclideanAlignment | None = field(init=False)
    epochs: Epochs = field(init=False)
    train_rows: list[np.ndarray] = field(init=False)
    planned: list[list[PlannedFit]] = field(init=False)
    fitted: list[list[Fitted]] = field(init=False)
    loggers: dict[int, Sequence[Any]] = field(default_factory=dict)
    error: Exception | None = None
    content: dict[str, str] = field(default_factory=dict)
    is_finished: bool = False
    is_audited: bool = False
    preprocess_s: float = 0.0
    select_s: float = 0.0
    fit_s: float = 0.0

    @cached_property
    def stack(self) -> Stack | None:
        """The configured stack; None if the model is not a stack."""
        from p300.detector import import_class

        is_stack = import_class(self.cfg.model["_target_"]) is Stack
        return build(self.cfg.model) if is_stack else None
