"""The Butterworth filter as a sum of decaying oscillations, computed block by block.

The impulse response of a filter is a sum of modes, ``h(n) = sum_i c_i p_i**(n - 1)``, one for
each pole ``p_i``. A block of samples therefore depends on the past only through one complex number
per mode, the state. The filtered block is one matrix product, ``[samples, states] @ matrix``. The
matrix leaves out the samples that resampling would discard. Forward and backward filtering
together are also a sum of modes, with one set of states from the past and one from the future:
zero phase costs little more than causal.

The poles of a Butterworth filter are well separated. Float32 products and float64 states therefore
agree with ``scipy.signal.sosfilt`` and ``sosfiltfilt`` in float64, also for corners at 0.1 Hz,
where the poles are close to 1 (``tests/benchmarks`` prints the error).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from p300.preprocessing.filters import butterworth, pad_length

if TYPE_CHECKING:
    from collections.abc import Callable

    from p300.preprocessing._engine.chain import Chain

#: Blocks over which one matrix product propagates the states.
GROUP = 8


class ModalFilter:
    """Butterworth filter in modal form.

    Parameters
    ----------
    chain : Chain
        Corners (at least one), order, phase and rate of the filter, and the gain, a factor on its
        output.

    Attributes
    ----------
    poles : ndarray of complex, shape (n_modes,)
        One pole per conjugate pair: the one with positive imaginary part.
    n_states : int
        Real numbers by which a block depends on the samples before it and, with zero phase,
        after it.
    steady : ndarray of complex, shape (n_modes,), or 0
        Steady state for a constant input of 1; 0 if the filter passes constants, so that the
        level subtracted from the signal must not change between blocks.
    """

    def __init__(self, chain: Chain) -> None:
        band, order = (chain.l_freq, chain.h_freq), chain.filter_order
        zeros, poles, k = butterworth(*band, sfreq=chain.rate, order=order, output="zpk")
        poles = np.sort_complex(poles)
        poles = np.concatenate([poles[poles.imag >= 0], poles[poles.imag > 0].conj()])
        apart = poles[:, None] - poles
        np.fill_diagonal(apart, 1)
        overlap = 1 - poles[:, None] * poles  # (n_poles, n_poles)
        c = k * np.prod(poles[:, None] - zeros, axis=1) / np.prod(apart, axis=1)
        # transfer function at 1 / p_i: the gain of the backward filter for mode i
        mirrored = k * np.prod(1 - poles[:, None] * zeros, axis=1) / np.prod(overlap, axis=1)
        n_modes = int((poles.imag >= 0).sum())
        self.poles = poles[:n_modes]
        self.is_two_sided = chain.phase == "zero"
        self.n_states = 2 * n_modes * (2 if self.is_two_sided else 1)
        counts = np.where(self.poles.imag > 0, 2, 1)  # a pair sums to twice its real part
        if self.is_two_sided:
            self.n_padding = pad_length(chain.sos)
            self._direct = k**2 + (c[:, None] * c / overlap).sum().real
            self._weights = (c * mirrored)[:n_modes] * counts
            self._forward = k, c
            self._overlap = overlap[:, :n_modes]
            self._mirrored = mirrored[:n_modes]
        else:
            self._direct = k
            self._weights = c[:n_modes] * counts
        self.gain = chain.gain
        self.steady: np.ndarray | int = 0 if chain.l_freq is None else 1 / (1 - self.poles)
        self._matrices: dict[tuple, np.ndarray] = {}

    def response(self, n: int) -> np.ndarray:
        """Compute the first ``n`` samples of the impulse response (zero phase: its right half)."""
        powers = self.poles[:, None] ** np.arange(n - 1)
        return self.gain * np.r_[self._direct, (self._weights @ powers).real][:n]

    def input_matrix(self, n: int) -> np.ndarray:
        """Build the matrix from ``n`` samples to what they add to the states.

        Returns
        -------
        ndarray of float32, shape (n, n_states)
            Real and imaginary parts in turn: the past first, then the future.
        """
        return self._kept(self._make_input_matrix, n)

    def output(self, n: int, *, stride: int, first: int) -> np.ndarray:
        """Build the matrix that filters a block: ``[samples, states] @ matrix``.

        Parameters
        ----------
        n : int
            Samples per block.
        stride, first : int
            The samples wanted are ``first, first + stride, …``.

        Returns
        -------
        ndarray of float32, shape (n + n_states, n_wanted)
        """
        return self._kept(self._make_output, n, stride, first)

    def step(self, n: int) -> np.ndarray:
        """Build the matrix of one step of a causal filter; samples and states are columns.

        Returns
        -------
        ndarray of float32, shape (n + n_states, n + n_states)
            ``[filtered, states after] = matrix @ [samples, states before]``.
        """
        return self._kept(self._make_step, n)

    def _kept(self, make: Callable[..., np.ndarray], *size: int) -> np.ndarray:
        key = make.__name__, *size
        if key not in self._matrices:
            self._matrices[key] = make(*size).astype(np.float32)
        return self._matrices[key]

    def _make_input_matrix(self, n: int) -> np.ndarray:
        j = np.arange(n)[:, None]
        past, future = self.poles ** (n - 1 - j), self.poles**j  # (n, n_modes)
        return _real_columns(np.concatenate([past, future] if self.is_two_sided else [past], 1))

    def _make_output(self, n: int, stride: int, first: int) -> np.ndarray:
        wanted = np.arange(first, n, stride)[:, None]
        lag = wanted.T - np.arange(n)[:, None]  # (n, n_wanted)
        samples = self.response(n)[np.abs(lag)]
        weights = self.gain * self._weights
        past, future = weights * self.poles**wanted, weights * self.poles ** (n - 1 - wanted)
        if self.is_two_sided:
            states = np.concatenate([past, future], axis=1)  # (n_wanted, modes)
        else:
            samples, states = np.where(lag >= 0, samples, 0), past
        return np.concatenate([samples, _real_columns(states.conj()).T])

    def transition(self, n: int, n_blocks: int) -> np.ndarray:
        """Build the matrix that propagates states over blocks of ``n`` samples.

        Returns
        -------
        ndarray of float32, shape (size * (n_blocks + 1), same), where size is 2 * n_modes
            ``[state, added by block 0, by block 1, …] @ matrix`` are the states before block 0,
            before block 1, …, and after the last.
        """
        return self._kept(self._make_transition, n, n_blocks)

    def _make_transition(self, n: int, n_blocks: int) -> np.ndarray:
        turns = [_rotation(self.poles ** (n * k)) for k in range(n_blocks + 1)]
        nothing = np.zeros_like(turns[0])
        every = range(n_blocks + 1)
        return np.block([[turns[k - i] if i <= k else nothing for k in every] for i in every])

    def _make_step(self, n: int) -> np.ndarray:
        states = np.concatenate([self._make_input_matrix(n).T, _rotation(self.poles**n).T], axis=1)
        return np.concatenate([self._make_output(n, 1, 0).T, states])

    def state_before(self, head: np.ndarray) -> np.ndarray:
        """Compute the state of the past at the start of a segment, as in ``sosfiltfilt``.

        Before the segment, the signal is its odd reflection; before that, it is constant.

        Parameters
        ----------
        head : ndarray, shape (n_chans, n_padding + 1)
            First samples of the segment.

        Returns
        -------
        ndarray of complex, shape (n_chans, n_modes)
        """
        before = 2 * head[:, :1] - head[:, :0:-1]  # (n_chans, n_padding)
        return self._run(before, before[:, :1] / (1 - self.poles))

    def state_after(self, tail: np.ndarray, past: np.ndarray) -> np.ndarray:
        """Compute the state of the future at the end of a segment, as in ``sosfiltfilt``.

        Parameters
        ----------
        tail : ndarray, shape (n_chans, n_padding + 1)
            Last samples of the segment.
        past : ndarray of complex, shape (n_chans, n_modes)
            State of the past after the last sample.

        Returns
        -------
        ndarray of complex, shape (n_chans, n_modes)
        """
        k, c = self._forward
        after = 2 * tail[:, -1:] - tail[:, -2::-1]  # (n_chans, n_padding)
        past = self._all(self._run(after[:, :-1], past))
        last = k * after[:, -1:] + (past @ c).real[:, None]  # of the forward filter's output
        past = past * self._all(self.poles) + after[:, -1:]
        # the backward filter starts as if that last value continued without end; the second
        # term removes the decay of the forward filter from the two-sided modes
        future = (last / (1 - self.poles) - (past * c) @ (1 / self._overlap)) / self._mirrored
        return self._run(after[:, ::-1], future)

    def _run(self, samples: np.ndarray, state: np.ndarray) -> np.ndarray:
        """Propagate states over samples, in their order."""
        n = samples.shape[1]
        powers = self.poles ** np.arange(n - 1, -1, -1)[:, None]  # (n, n_modes)
        return state * self.poles**n + samples @ powers

    def _all(self, modes: np.ndarray) -> np.ndarray:
        """Append the values of the conjugate poles."""
        return np.concatenate([modes, modes[..., self.poles.imag > 0].conj()], axis=-1)


def _real_columns(matrix: np.ndarray) -> np.ndarray:
    """Write complex columns as pairs of real ones: real part, imaginary part."""
    return np.ascontiguousarray(matrix, np.complex128).view(np.float64)


def _rotation(factors: np.ndarray) -> np.ndarray:
    """Build the real matrix that multiplies pairs of real columns by complex factors."""
    even = np.arange(0, 2 * len(factors), 2)
    matrix = np.zeros((2 * len(factors),) * 2)
    matrix[even, even] = matrix[even + 1, even + 1] = factors.real
    matrix[even, even + 1], matrix[even + 1, even] = factors.imag, -factors.imag
    return matrix
