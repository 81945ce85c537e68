"""Several runs at once, in one process."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from p300.experiments.fitting.fit import fit_all
from p300.experiments.fitting.run import Run
from p300.experiments.prepare import Shared
from p300.experiments.run import Request, begin, conclude


def train_runs(
    requests: Sequence[Request],
    shared: Shared,
    call: Callable[[int, Callable[[], Any]], Any] = lambda k, work: work(),
) -> list[dict[str, Any] | Exception]:
    """Train several detectors in one process; networks of one kind train side by side.

    Parameters
    ----------
    requests : sequence of Request
    shared : Shared
        What earlier runs of this process have left for the next ones.
    call : callable
        Called with the position of a run and a function that does the work of this run alone.

    Returns
    -------
    list of dict or Exception
        The content of each ``results.json``, or the error of that run. The other runs continue.
    """
    runs: dict[int, Run] = {}
    found: dict[int, dict[str, Any] | Exception] = {}
    with ExitStack() as at_end:
        for k, request in enumerate(requests):
            try:
                runs[k] = call(k, functools.partial(begin, request, shared, at_end))
            except Exception as error:
                found[k] = error
        fit_all(list(runs.values()))
        for k, run in runs.items():
            try:
                found[k] = call(k, functools.partial(conclude, run))
            except Exception as error:
                found[k] = error
    return [found[k] for k in range(len(requests))]
