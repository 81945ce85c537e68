"""What a preprocessing of the user's own must hold: checked before a training."""

from __future__ import annotations

import dataclasses
import json
import logging

import numpy as np

from p300.errors import InputError
from p300.experiments.build import build, name_of, naming
from p300.experiments.fitting.run import Run
from p300.experiments.identity import flatten
from p300.preprocessing import EuclideanAlignment, Preprocessor
from p300.preprocessing.state import from_full_state, full_state
from p300.training.checks import check_same

log = logging.getLogger("p300.experiments.fit")


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
        If it learns something else where the test flashes are not in the table.
    """
    rest = ~run.split.test
    if rest.all() or run.is_audited:
        return
    flashes = run.recording.flashes[rest].reset_index(drop=True)
    without = dataclasses.replace(run.recording, flashes=flashes)
    fresh = build(run.cfg.preprocessing).fit(without, rows=run.split.train[rest])
    own, other = flatten(full_state(run.preprocessor)), flatten(full_state(fresh))
    selected = run.cfg.select_electrodes.n is not None  # of which the fresh one knows nothing
    if differ := [] if selected else [k for k in own if repr(own[k]) != repr(other.get(k))]:
        raise InputError(
            f"what it learned ({', '.join(differ)}) differs without the {(~rest).sum()} test "
            f"flashes; expected a fit that reads the flashes of `rows` alone"
        )
