"""The causal filter of a chain, carried on from chunk to chunk of a stream."""

from __future__ import annotations

import numpy as np
from scipy import signal as sps

from p300.preprocessing._engine.chain import Chain

#: Samples filtered by one product.
BLOCK = 64

#: Samples after which the level that the signal is counted from is chosen anew.
LEVEL = 1024


class StreamFilter:
    """The causal filter of a chain, carried on from chunk to chunk.

    Parameters
    ----------
    chain : Chain
        Channels, filter and rates.

    Attributes
    ----------
    n_samples : int
        Samples of the segment so far.
    skip : int
        Every how many samples one is taken before the filter.
    """

    def __init__(self, chain: Chain):
        self._chain = chain
        self.skip = round(chain.sfreq_in / chain.rate)
        self._modal = chain.modal
        self._picks = None if isinstance(chain.order, slice) else chain.order
        self._spatial = None if chain.spatial is None else chain.spatial.astype(np.float32)
        self.restart()

    def restart(self) -> None:
        """Begin a new segment."""
        self.n_samples = 0
        self._level = None

    def push(self, chunk, tape) -> None:
        """Filter a chunk, shape (n_chans_in, n), and append it to a tape."""
        samples = chunk.T
        if self.skip > 1:
            samples = samples[-self.n_samples % self.skip :: self.skip]
        if self._picks is not None:
            samples = samples[:, self._picks]
        self.n_samples += chunk.shape[1]
        if self._level is None and len(samples):
            self._begin(samples[0])
        if len(samples) > BLOCK:
            for a in range(0, len(samples), BLOCK):
                self._push_block(samples[a : a + BLOCK], tape)
        elif len(samples):
            self._push_block(samples, tape)

    def _push_block(self, samples, tape) -> None:
        """Filter at most BLOCK samples, shape (n, n_chans_in)."""
        n = len(samples)
        if self._modal is None:
            tape.grow(n).T[:] = self._filter_by_sections(samples - self._level)
            return
        if self._n_on_level > LEVEL:
            self._change_level(samples[0])
            self._n = 0
        self._n_on_level += n
        if n != self._n:
            self._set_block(n)
        if self._spatial is None:  # an array of levels is quicker to take away than a row
            np.subtract(samples, self._levels, self._work[0], casting="same_kind")
        else:
            self._work[0][:] = (samples - self._level) @ self._spatial.T
        self._step.dot(self._work[2], self._next[2])  # quicker to call than matmul
        self._work, self._next = self._next, self._work
        tape.grow(n).T[:] = self._work[0]

    def _begin(self, first) -> None:
        """Count from the first sample; what was before is taken to have been the same."""
        chain = self._chain
        self._level = first.astype(np.result_type(first.dtype, np.float32))
        self._n_on_level = 0
        self._n_chans = len(first) if chain.spatial is None else len(chain.spatial)
        if chain.modal is None:
            self._section_states = np.zeros((len(chain.sos), self._n_chans, 2))
        else:
            self._n = 0
            self._work = None, np.zeros((chain.modal.n_states, self._n_chans), np.float32), None

    def _set_block(self, n) -> None:
        """Make room for two blocks of n samples, and of the states after them, in turn."""
        states = self._work[1]
        self._n = n
        self._step = self._chain.modal.step(n)
        both = np.empty((2, n + len(states), self._n_chans), np.float32)
        self._work, self._next = ((one[:n], one[n:], one) for one in both)
        self._work[1][:] = states
        self._levels = np.tile(self._level, (n, 1))

    def _change_level(self, first) -> None:
        """Count from the present level, so that drifts of hours do not cost precision."""
        chain, steady = self._chain, self._chain.modal.steady
        self._n_on_level = 0
        if not np.ndim(steady):
            return
        level = first.astype(self._level.dtype)
        change = (self._level - level).astype(np.float64)
        if chain.spatial is not None:
            change = chain.spatial @ change
        shift = steady[:, None] * change  # (n_modes, n_chans)
        self._work[1][0::2] += shift.real
        self._work[1][1::2] += shift.imag
        self._level = level

    def _filter_by_sections(self, samples) -> np.ndarray:
        """Filter by SciPy, in float64, or not at all."""
        samples = samples.astype(np.float64)
        if self._spatial is not None:
            samples = samples @ self._chain.spatial.T
        if len(self._chain.sos):
            filtered, self._section_states = sps.sosfilt(
                self._chain.sos, samples.T, zi=self._section_states
            )
            samples = filtered.T
        return self._chain.gain * samples
