"""Filter a segment piece by piece with a ModalFilter, in float32 and little memory."""

from __future__ import annotations

import numpy as np

from p300.preprocessing.modal import GROUP, small_products

#: Samples that one matrix product takes in; the fewer, the more often states are handed on.
BLOCK = 60

#: Samples loaded at a time, so that a piece of 64 channels stays in the processor's cache.
PIECE = 8192


def filter_pieces(source, modal, tape, *, stride=1, first=0):
    """Filter a segment, its pieces one after another.

    Parameters
    ----------
    source : Source
        Samples of the segment, on demand.
    modal : ModalFilter
        The filter; with zero phase every sample is loaded twice.
    tape : Tape
        Where to write.
    stride, first : int
        The samples wanted are ``first, first + stride, …``.

    Yields
    ------
    None
        When the next piece has been written.
    """
    pieces = _lay_out(source.n_samples, stride)
    scratch, n_chans, n_modes = source.scratch, source.n_chans, len(modal.poles)
    past = np.zeros((n_chans, n_modes), np.complex128)
    futures = None
    if modal.is_two_sided:
        past, futures = _outer_states(source, modal, pieces)
    for k, (start, n_blocks, n) in enumerate(pieces):
        blocks = source.empty_blocks(n_blocks, n + modal.n_states)
        level = source.load(start, blocks[..., :n]) * modal.steady  # (n_chans, n_modes)
        added = scratch.array("added", (n_chans, n_blocks, modal.n_states))
        small_products(blocks[..., :n], modal.drive(n), out=added.swapaxes(0, 1))
        size, carry = 2 * n_modes, modal.carry(n)
        states, past = _hand_on(added[..., :size], past - level, carry, scratch)
        past += level
        blocks[..., n : n + size] = states.swapaxes(0, 1)
        if futures is not None:
            states, _ = _hand_on(added[:, ::-1, size:], futures[k] - level, carry, scratch)
            blocks[..., n + size :] = states[:, ::-1].swapaxes(0, 1)
        output = modal.output(n, stride=stride, first=first)
        n_wanted = output.shape[1]
        filtered = tape.grow(n_blocks * n_wanted).reshape(n_chans, n_blocks, n_wanted)
        small_products(blocks, output, out=filtered.swapaxes(0, 1))
        yield
    source.check_finite(past)


def _lay_out(n_samples, stride) -> list[tuple[int, int, int]]:
    """Divide a segment into pieces ``(start, n_blocks, samples of a block)``; the rest is one."""
    n = stride * max(1, round(BLOCK / stride))
    n_whole = n_samples // n
    per_piece = max(1, PIECE // n)
    pieces = [(k * n, min(per_piece, n_whole - k), n) for k in range(0, n_whole, per_piece)]
    if n_samples > n_whole * n:
        pieces.append((n_whole * n, 1, n_samples - n_whole * n))
    return pieces


def _hand_on(added, state, carry, scratch):
    """Carry a state from block to block.

    Parameters
    ----------
    added : ndarray of float32, shape (n_chans, n_blocks, 2 * n_modes)
        What each block adds.
    state : ndarray of complex, shape (n_chans, n_modes)
        Before the first block.
    carry : ndarray
        From :meth:`~p300.preprocessing.modal.ModalFilter.carry`.
    scratch : Scratch
        Memory to work in.

    Returns
    -------
    states : ndarray of float32, shape (n_chans, n_blocks, 2 * n_modes)
        Before each block.
    state : ndarray of complex, shape (n_chans, n_modes)
        After the last.
    """
    n_chans, n_blocks, size = added.shape
    states = scratch.array("states", (n_chans, n_blocks + 1, size))
    states[:, 0] = np.ascontiguousarray(state).view(np.float64)
    for k in range(0, n_blocks, GROUP):
        n = min(GROUP, n_blocks - k)
        known = np.concatenate([states[:, k : k + 1], added[:, k : k + n]], axis=1)
        reached = known.reshape(n_chans, -1) @ carry[: (n + 1) * size, : n * size]
        states[:, k + 1 : k + n + 1] = reached.reshape(n_chans, n, size)
    last = states[:, -1].astype(np.float64).view(np.complex128)
    return states[:, :-1], last


def _outer_states(source, modal, pieces):
    """Find the state of the past at the start, and that of the future at each piece's end."""
    n_ends = modal.n_padding + 1
    past = first = modal.state_before(source.read(0, n_ends))
    added = []
    for start, n_blocks, n in pieces:
        blocks = source.empty_blocks(n_blocks, n)
        level = source.load(start, blocks) * modal.steady
        drive = modal.drive(n_blocks * n).reshape(n_blocks, n, -1)
        sums = np.matmul(blocks, drive).sum(axis=0, dtype=np.float64).view(np.complex128)
        n_modes, decay = len(modal.poles), modal.poles ** (n_blocks * n)
        past = (past - level) * decay + sums[:, :n_modes] + level
        added.append(sums[:, n_modes:] + (1 - decay) * level)
    future = modal.state_after(source.read(source.n_samples - n_ends, n_ends), past)
    futures = []
    for (_, n_blocks, n), sums in zip(pieces[::-1], added[::-1], strict=True):
        futures.append(future)
        future = future * modal.poles ** (n_blocks * n) + sums
    return first, futures[::-1]
