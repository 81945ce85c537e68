"""Filter a segment piece by piece with a ModalFilter, in float32 and little memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from p300.preprocessing._engine.modal import GROUP
from p300.preprocessing._engine.sampling import small_products

if TYPE_CHECKING:
    from collections.abc import Iterator

    from p300.preprocessing._engine.memory import Tape
    from p300.preprocessing._engine.modal import ModalFilter
    from p300.preprocessing._engine.source import Source

#: Samples per block, filtered by one matrix product; smaller blocks propagate states more often.
BLOCK = 96

#: Samples loaded at a time, so that a piece of 64 channels stays in the processor's cache.
PIECE = 8192

#: Largest number of pieces of a segment that stay in memory between the backward propagation and
#: the output of a zero-phase filter; the pieces of longer segments are loaded a second time.
N_HELD = 2


def filter_pieces(
    source: Source, modal: ModalFilter, tape: Tape, *, stride: int, first: int
) -> Iterator[None]:
    """Filter a segment, piece by piece.

    Parameters
    ----------
    source : Source
        Samples of the segment, loaded when they are needed.
    modal : ModalFilter
        The filter.
    tape : Tape
        Receives the filtered samples.
    stride, first : int
        The samples wanted are ``first, first + stride, …``.

    Yields
    ------
    None
        When the next piece has been written.
    """
    pieces = _lay_out(source, modal, stride)
    if modal.is_two_sided:
        past = _find_states(source, modal, pieces)
    else:
        past = np.zeros((source.n_chans, len(modal.poles)), np.complex128)
    for piece in pieces:
        piece.load()
        if not modal.is_two_sided:
            past = piece.propagate_forward(past)
        piece.write(tape, modal.output(piece.n, stride=stride, first=first))
        yield
    source.check_finite(past)


def _lay_out(source: Source, modal: ModalFilter, stride: int) -> list[_Piece]:
    """Divide a segment into pieces of whole blocks; the remaining samples are one more piece."""
    n = stride * max(1, round(BLOCK / stride))
    n_whole = source.n_samples // n
    per_piece = max(1, PIECE // n)
    places = [(k * n, min(per_piece, n_whole - k), n) for k in range(0, n_whole, per_piece)]
    if source.n_samples > n_whole * n:
        places.append((n_whole * n, 1, source.n_samples - n_whole * n))
    names = [str(k) if len(places) <= N_HELD else "any" for k in range(len(places))]
    return [_Piece(source, modal, *place, name) for place, name in zip(places, names, strict=True)]


def _find_states(source: Source, modal: ModalFilter, pieces: list[_Piece]) -> np.ndarray:
    """Compute, for zero phase, the states of past and future at every block.

    Returns
    -------
    ndarray of complex, shape (n_chans, n_modes)
        State of the past after the last sample.
    """
    n_ends = modal.n_padding + 1
    past = modal.state_before(source.read(0, n_ends))
    for piece in pieces:
        piece.load()
        past = piece.propagate_forward(past)
    future = modal.state_after(source.read(source.n_samples - n_ends, n_ends), past)
    for piece in pieces[::-1]:
        future = piece.propagate_backward(future)
    return past


class _Piece:
    """Consecutive blocks of a segment, and the states at their borders.

    Parameters
    ----------
    source, modal
        As in :func:`filter_pieces`.
    start : int
        First sample.
    n_blocks, n : int
        Number of blocks, and of samples per block.
    name : str
        Pieces of one name share the memory for their samples.
    """

    def __init__(
        self, source: Source, modal: ModalFilter, start: int, n_blocks: int, n: int, name: str
    ) -> None:
        self.start, self.n_blocks, self.n = start, n_blocks, n
        self._source, self._modal, self._name = source, modal, name
        self._is_loaded = False
        # of past and future, each of shape (n_blocks, n_chans, 2 * n_modes)
        self._states: list[np.ndarray] = []

    def load(self) -> None:
        """Load the samples, unless they are still in memory."""
        if self._is_loaded:
            return
        source, n_all = self._source, self.n + self._modal.n_states
        self._blocks = source.empty_blocks(self.n_blocks, n_all, self._name)
        level = source.load(self.start, self._blocks[..., : self.n])
        self._level = level * self._modal.steady  # (n_chans, n_modes), or 0
        self._is_loaded = self._name != "any"

    def propagate_forward(self, past: np.ndarray) -> np.ndarray:
        """Propagate the state of the past over the blocks; return it after the last block."""
        modal, scratch = self._modal, self._source.scratch
        n_chans, size = self._source.n_chans, 2 * len(modal.poles)
        added = scratch.array("added", (n_chans, self.n_blocks, modal.n_states))
        small_products(
            self._blocks[..., : self.n], modal.input_matrix(self.n), out=added.swapaxes(0, 1)
        )
        states, past = self._propagate(added[..., :size], past)
        self._states = [states]
        if modal.is_two_sided:
            self._added_by_future = added[..., size:].copy()
        return past

    def propagate_backward(self, future: np.ndarray) -> np.ndarray:
        """Propagate the state of the future backwards; return it before the first block."""
        states, future = self._propagate(self._added_by_future[:, ::-1], future)
        self._states.append(states[::-1])
        del self._added_by_future
        return future

    def write(self, tape: Tape, output: np.ndarray) -> None:
        """Append the filtered samples to a tape."""
        known = self._blocks[..., self.n :]
        size = known.shape[-1] // len(self._states)
        for k, states in enumerate(self._states):
            known[..., k * size : (k + 1) * size] = states
        self._states = []
        filtered = tape.grow(self.n_blocks * output.shape[1])
        filtered = filtered.reshape(len(filtered), self.n_blocks, -1)
        small_products(self._blocks, output, out=filtered.swapaxes(0, 1))

    def _propagate(self, added: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Propagate a state over the blocks.

        Parameters
        ----------
        added : ndarray of float32, shape (n_chans, n_blocks, 2 * n_modes)
            What each block adds to the state.
        state : ndarray of complex, shape (n_chans, n_modes)
            State before the first block.

        Returns
        -------
        states : ndarray of float32, shape (n_blocks, n_chans, 2 * n_modes)
            State before each block, relative to the level of the piece.
        state : ndarray of complex, shape (n_chans, n_modes)
            State after the last block.
        """
        modal, (n_chans, n_blocks, size) = self._modal, added.shape
        n_groups, n_last = -(-n_blocks // GROUP), (n_blocks - 1) % GROUP + 1
        known = np.zeros((n_groups, n_chans, GROUP + 1, size), np.float32)
        known[0, :, 0] = np.ascontiguousarray(state - self._level).view(np.float64)
        by_group = known[..., 1:, :].swapaxes(0, 1)  # (n_chans, n_groups, GROUP, size)
        by_group[:, :-1] = added[:, :-n_last].reshape(n_chans, n_groups - 1, GROUP, size)
        by_group[:, -1, :n_last] = added[:, -n_last:]
        known = known.reshape(n_groups, n_chans, -1)
        transition = modal.transition(self.n, GROUP)
        if n_groups > 1:  # the states at the start of each group
            starts = np.empty((n_chans, n_groups, size), np.float32)
            starts[:, 0] = known[0, :, :size]
            added = starts[:, 1:].swapaxes(0, 1)
            small_products(known[:-1, :, size:], transition[size:, -size:], out=added)
            starts = starts.reshape(n_chans, -1)
            propagated = np.empty_like(starts)
            over_groups = modal.transition(self.n * GROUP, n_groups - 1)
            small_products(starts, over_groups, out=propagated)
            known[..., :size] = propagated.reshape(n_chans, n_groups, size).swapaxes(0, 1)
        states = np.empty((n_groups, n_chans, GROUP * size), np.float32)
        small_products(known[..., :-size], transition[:-size, :-size], out=states)
        last = known[-1] @ transition[:, n_last * size : (n_last + 1) * size]
        states = states.reshape(n_groups, n_chans, GROUP, size).swapaxes(1, 2)
        states = states.reshape(n_groups * GROUP, n_chans, size)[:n_blocks]
        return states, last.astype(np.float64).view(np.complex128) + self._level
