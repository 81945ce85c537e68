"""From recording to epochs: the signal is read once, segment by segment, on every core.

A segment is filtered piece by piece (:mod:`~._engine.blocks`). After each piece, the epochs that
end in it are cut, finished and given to their destination (:mod:`~._engine.destinations`). So
neither an array as large as the signal nor, unless the destination keeps them, all epochs are in
memory.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from p300.preprocessing._engine.blocks import PIECE, filter_pieces
from p300.preprocessing._engine.memory import Scratch, Tape
from p300.preprocessing._engine.sampling import take_epochs
from p300.preprocessing._engine.source import Source
from p300.preprocessing.filters import filter_segment, pad_length

if TYPE_CHECKING:
    from p300.preprocessing._engine.chain import Chain
    from p300.preprocessing._engine.destinations import Destination
    from p300.recording import Recording

#: Changes epochs, shape (n, n_chans, n_times), in place; returns for each if it is rejected.
Finish = Callable[[np.ndarray], np.ndarray | bool]

#: Epochs finished together, so that they stay in the processor's cache.
BATCH = 192


def cut_recording(
    recording: Recording, rows: np.ndarray, chain: Chain, finish: Finish, into: Destination
) -> None:
    """Filter a recording and cut the epochs of some flashes.

    Parameters
    ----------
    recording : Recording
        The segments are only read.
    rows : ndarray of int, shape (n_flashes,)
        Rows of the flash table.
    chain : Chain
        The steps up to the cut.
    finish : callable
        Called with some epochs, shape (n, n_chans, n_times), which it changes in place; returns
        for each whether it is rejected.
    into : Destination
        Takes the finished epochs. The place of a flash is its place in ``rows``. Which epochs
        come together depends on the recording, ``rows`` and the chain alone, not on the number of
        cores.

    Raises
    ------
    InputError
        If an epoch reaches past an end of its segment, or a sample is not finite.
    """
    segment_of, starts = chain.find_starts(recording, rows)
    by_time = np.lexsort((starts, segment_of))
    bounds = np.searchsorted(segment_of[by_time], np.arange(len(recording.segments) + 1))
    chains = {rate: chain.at(rate) for rate in set(recording.rates)}
    own = threading.local()  # each worker's memory, used again for every segment

    def prepare() -> None:
        own.scratch, own.tape = Scratch(), Tape(chain.n_chans)

    def cut(k: int) -> None:
        where = by_time[bounds[k] : bounds[k + 1]]  # places of the segment's flashes
        segment, name = recording.segments[k], f"{recording.name}: segment {k}"
        own_chain = chains[recording.rates[k]]
        source = Source(segment, own_chain, own.scratch, name)
        _cut_segment(source, own_chain, own.tape, starts[where], where, finish, into)

    used = np.flatnonzero(np.diff(bounds))
    with ThreadPoolExecutor(_n_workers(), initializer=prepare) as workers:
        list(workers.map(cut, used))  # raises what a worker raised


def _cut_segment(
    source: Source,
    chain: Chain,
    tape: Tape,
    starts: np.ndarray,
    where: np.ndarray,
    finish: Finish,
    into: Destination,
) -> None:
    """Cut the epochs of one segment, in the order of time, for the places ``where``."""
    stride, first = chain.sampling.decimation(starts)
    sampling = replace(chain.sampling, sfreq_in=chain.rate / stride)
    starts = (starts - first) / stride
    begin, stop = sampling.span(starts)
    begin = np.minimum.accumulate(begin[::-1])[::-1]  # samples before it are not needed any more
    stop = np.maximum.accumulate(stop)
    tape.clear()

    def cut(done: int, n_ready: int) -> None:
        for a in range(done, n_ready, BATCH):
            places = where[a : min(a + BATCH, n_ready)]
            batch = into.view(places)
            if batch is None:
                shape = len(places), chain.n_chans, chain.n_times
                batch = source.scratch.array("epochs", shape)
            take_epochs(tape.signal, starts[a : a + len(places)] - tape.start, sampling, batch)
            into.put(places, batch, finish(batch))

    done = 0
    with np.errstate(all="ignore"):  # non-finite samples are reported at the end of the segment
        for _ in _filter(source, chain, tape, stride, first):
            n_ready = int(np.searchsorted(stop, tape.stop, side="right"))
            cut(done, n_ready)
            done = n_ready
            tape.forget(begin[done] if done < len(begin) else tape.stop)
        cut(done, len(starts))


def _filter(source: Source, chain: Chain, tape: Tape, stride: int, first: int) -> Iterator[None]:
    """Filter a segment with the engine that its filter needs, and yield after each piece."""
    if chain.phase == "zero" and source.n_samples <= pad_length(chain.sos):
        source.refuse(
            f"has {source.n_samples} samples, too few for the zero-phase filter; expected more "
            f"than {pad_length(chain.sos)}"
        )
    if chain.modal is not None:
        yield from filter_pieces(source, chain.modal, tape, stride=stride, first=first)
    elif len(chain.sos):
        samples = source.read(0, source.n_samples)
        source.check_finite(samples)
        filtered = filter_segment(samples, chain.sos, phase=chain.phase)[:, first::stride]
        tape.grow(filtered.shape[1])[:] = chain.gain * filtered
        yield
    else:
        # all samples: without a filter, only the sinc interpolation lowers the rate
        for start in range(0, source.n_samples, PIECE):
            piece = source.empty_blocks(1, min(PIECE, source.n_samples - start))
            source.load(start, piece)
            source.check_finite(piece)
            np.multiply(piece[0], np.float32(chain.gain), out=tape.grow(piece.shape[2]))
            yield


def _n_workers() -> int:
    """Return one thread per core that this process may use, or OMP_NUM_THREADS threads."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted):
        return int(wanted)
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
