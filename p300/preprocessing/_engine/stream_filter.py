"""The causal filter of a chain, applied to a stream chunk by chunk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import signal as sps

from p300.preprocessing._engine.chain import Chain

if TYPE_CHECKING:
    from p300.preprocessing._engine.memory import Tape
    from p300.preprocessing._engine.modal import ModalFilter

#: Samples filtered by one matrix product.
BLOCK = 64

#: Samples after which the level subtracted from the signal is updated.
LEVEL = 1024


class StreamFilter:
    """Causal filter of a chain; its state is kept from chunk to chunk.

    Parameters
    ----------
    chain : Chain
        Channels, filter and rates.

    Attributes
    ----------
    n_samples : int
        Samples of the segment so far.
    skip : int
        Every ``skip``-th sample is used; the others are dropped before the filter.
    """

    # set when the first samples of a segment come
    _level: np.ndarray  # (n_chans_in,)
    _levels: np.ndarray  # (n, n_chans_in)
    _step: np.ndarray  # (n + n_states, n + n_states)
    _work: tuple[np.ndarray, np.ndarray, np.ndarray]  # samples, states, and both in one array
    _next: tuple[np.ndarray, np.ndarray, np.ndarray]

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self.skip = round(chain.sfreq_in / chain.rate)
        self._modal = chain.modal
        self._picks = None if isinstance(chain.order, slice) else chain.order
        self._spatial = None if chain.spatial is None else chain.spatial.astype(np.float32)
        self.restart()

    def restart(self) -> None:
        """Begin a new segment."""
        self.n_samples = 0
        self._has_level = False

    def push(self, chunk: np.ndarray, tape: Tape) -> None:
        """Filter a chunk, shape (n_chans_in, n), and append it to a tape."""
        samples = chunk.T
        if self.skip > 1:
            samples = samples[-self.n_samples % self.skip :: self.skip]
        if self._picks is not None:
            samples = samples[:, self._picks]
        self.n_samples += chunk.shape[1]
        if not self._has_level and len(samples):
            self._begin(samples[0])
        if len(samples) > BLOCK:
            for a in range(0, len(samples), BLOCK):
                self._push_block(samples[a : a + BLOCK], tape)
        elif len(samples):
            self._push_block(samples, tape)

    def _push_block(self, samples: np.ndarray, tape: Tape) -> None:
        """Filter at most BLOCK samples, shape (n, n_chans_in)."""
        n, modal = len(samples), self._modal
        if modal is None:
            tape.grow(n).T[:] = self._filter_by_sections(samples - self._level)
            return
        if self._n_on_level > LEVEL:
            self._change_level(modal, samples[0])
            self._n = 0
        self._n_on_level += n
        if n != self._n:
            self._set_block(modal, n)
        if self._spatial is None:  # an array of levels is subtracted faster than a row
            np.subtract(samples, self._levels, self._work[0], casting="same_kind")
        else:
            self._work[0][:] = (samples - self._level) @ self._spatial.T
        self._step.dot(self._work[2], self._next[2])  # its call is faster than that of matmul
        self._work, self._next = self._next, self._work
        tape.grow(n).T[:] = self._work[0]

    def _begin(self, first: np.ndarray) -> None:
        """Subtract the first sample, if there is a filter: the signal before it was constant."""
        chain = self._chain
        self._has_level = True
        self._level = first.astype(np.result_type(first.dtype, np.float32))
        if not len(chain.sos):
            self._level = np.zeros_like(self._level)
        self._n_on_level = 0
        self._n_chans = len(first) if chain.spatial is None else len(chain.spatial)
        if chain.modal is None:
            self._section_states = np.zeros((len(chain.sos), self._n_chans, 2))
        else:
            self._n = 0
            states = np.zeros((chain.modal.n_states, self._n_chans), np.float32)
            self._work = states[:0], states, states  # a block of no samples

    def _set_block(self, modal: ModalFilter, n: int) -> None:
        """Allocate two blocks of n samples and the states after them, which are used in turn."""
        states = self._work[1]
        self._n = n
        self._step = modal.step(n)
        both = np.empty((2, n + len(states), self._n_chans), np.float32)
        self._work, self._next = ((one[:n], one[n:], one) for one in both)
        self._work[1][:] = states
        self._levels = np.tile(self._level, (n, 1))

    def _change_level(self, modal: ModalFilter, first: np.ndarray) -> None:
        """Subtract the present level from now on, so that slow drifts do not cost precision."""
        chain, steady = self._chain, modal.steady
        self._n_on_level = 0
        if isinstance(steady, int):
            return
        level = first.astype(self._level.dtype)
        change = (self._level - level).astype(np.float64)
        if chain.spatial is not None:
            change = chain.spatial @ change
        shift = steady[:, None] * change  # (n_modes, n_chans)
        self._work[1][0::2] += shift.real
        self._work[1][1::2] += shift.imag
        self._level = level

    def _filter_by_sections(self, samples: np.ndarray) -> np.ndarray:
        """Filter with SciPy, in float64, if there is a filter."""
        samples = samples.astype(np.float64)
        if self._chain.spatial is not None:
            samples = samples @ self._chain.spatial.T
        if len(self._chain.sos):
            filtered, self._section_states = sps.sosfilt(
                self._chain.sos, samples.T, zi=self._section_states
            )
            samples = filtered.T
        return self._chain.gain * samples
