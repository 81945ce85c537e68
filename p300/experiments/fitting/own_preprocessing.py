"""What a preprocessing of the user's own must hold: checked before a training."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.experiments.build import build, name_of, naming
from p300.experiments.fitting.run import Run
from p300.preprocessing import EuclideanAlignment, Preprocessor
from p300.preprocessing.state import from_full_state, full_state
from p300.splits.leaks import without_test
from p300.training.checks import check_same

if TYPE_CHECKING:
    from p300.recording import Recording
    from p300.splits import Split

log = logging.getLogger("p300.experiments.fit")

#: Fits the preprocessing on the training flashes of a recording, given as a mask.
Fit = Callable[["Recording", np.ndarray], Preprocessor]


def check_preprocessing(run: Run) -> None:
    """Check that a preprocessing of the user's own comes back from a checkpoint.

    Raises
    ------
    InputError
        If it does not, or if its epochs do not fit what it says of them.
    """
    steps, data = run.preprocessor, run.epochs.data
    if run.alignment is not None and type(run.alignment) is not EuclideanAlignment:
        raise InputError(
            f"alignment.method is a {type(run.alignment).__name__}, which a checkpoint cannot "
            f"keep; expected p300.preprocessing.EuclideanAlignment; align in a preprocessing of "
            f"your own"
        )
    if type(steps) is Preprocessor:
        return
    with naming("preprocessing", run.cfg.preprocessing):
        named = len(steps.ch_names_), steps.n_times
        if data.shape[1:] != named or data.dtype != np.float32:
            raise InputError(
                f"its epochs are {data.dtype} with {data.shape[1]} channels and {data.shape[2]} "
                f"samples; expected float32 with {named[0]} and {named[1]}, as its ch_names_ and "
                f"n_times say"
            )
        again = from_full_state(json.loads(json.dumps(full_state(steps))), is_own=True)
        segments = run.recording.flashes["segment"]
        part = run.recording.select((segments == segments.iloc[0]).to_numpy())
        first, second = (each.epochs(part).data for each in (steps, again))
        check_same(first, second, "epochs")
        if not np.isfinite(first).all():
            raise InputError(
                f"{int((~np.isfinite(first)).sum())} of the {first.size} samples of its epochs "
                f"are not finite; expected numbers"
            )
        try:
            n = len(first) // 2
            half = steps.epochs(part.select(np.arange(len(first)) < n)).data
            check_same(first[:n], half, "epochs", "cut with others")
        except InputError as error:
            log.warning("preprocessing=%s: %s", name_of(run.cfg.preprocessing), error)
        check_learned(run)


def check_learned(run: Run) -> None:
    """Check that a preprocessing of the user's own learns from training flashes alone.

    Raises
    ------
    InputError
        If it learns something else where the test flashes are not in the table, and other EEG is
        where only they were.
    """
    selected = run.cfg.select_electrodes.n is not None  # of which a fresh one knows nothing
    if selected or not run.split.test.any() or run.is_audited:
        return

    def fit(recording: Recording, rows: np.ndarray) -> Preprocessor:
        return build(run.cfg.preprocessing).fit(recording, rows=rows)

    if differ := learned_from_test(run.preprocessor, fit, run.recording, run.split):
        raise InputError(
            f"what it learned ({', '.join(differ)}) differs without the {run.split.test.sum()} "
            f"test flashes and their EEG; expected a fit that reads the flashes of `rows` alone"
        )


def learned_from_test(
    fitted: Preprocessor, fit: Fit, recording: Recording, split: Split
) -> list[str]:
    """Name what a preprocessing learns otherwise without the test part (:func:`without_test`)."""
    without, rest = without_test(recording, split)
    own, other = _learned(fitted), _learned(fit(without, split.train[rest]))
    return [name for name in own if repr(own[name]) != repr(other.get(name))]


def _learned(preprocessor: Preprocessor) -> dict[str, Any]:
    """Return the state of a preprocessing; of an own class with all of its attributes."""
    state = full_state(preprocessor)
    if "_target_" not in state:
        return state
    parts = (state[name] for name in ("state", "attributes") if state[name] is not None)
    return {key: value for part in parts for key, value in part["dict"].items()}
