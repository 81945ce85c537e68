"""Load samples of a segment as float32: channels picked and combined, offset removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import numpy as np

from p300.errors import InputError
from p300.preprocessing._engine.sampling import small_products
from p300.preprocessing.resampling import rational_ratio, resample

if TYPE_CHECKING:
    from p300.preprocessing._engine.chain import Chain
    from p300.preprocessing._engine.memory import Scratch


class Source:
    """Samples of one segment as input of the filter; the segment itself is only read.

    Parameters
    ----------
    segment : ndarray, shape (n_chans_recorded, n_samples)
        Of any real type and memory layout.
    chain : Chain
        Channels, filter and rates.
    scratch : Scratch
        Working memory.
    where : str
        Names of the recording and the segment, for messages.
    """

    def __init__(self, segment: np.ndarray, chain: Chain, scratch: Scratch, where: str) -> None:
        self.scratch = scratch
        self._raw = segment, chain, where
        order = chain.order
        if chain.subsample_first:
            if rational_ratio(chain.sfreq, chain.sfreq_in).numerator != 1:
                segment = segment[order] - segment[order, :1].astype(np.float64)
                order = slice(None)
            segment = resample(segment, sfreq_in=chain.sfreq_in, sfreq=chain.sfreq, plain=True)
        self._segment, self._order = segment, order
        self.n_samples = segment.shape[1]
        self._type = np.result_type(segment.dtype, np.float32)
        # the first sample: a constant channel becomes exactly zero, and a band-pass removes any
        # offset
        self._offset = segment[order, :1].astype(self._type)
        if not len(chain.sos):  # no filter: the EEG as it is
            self._offset = np.zeros_like(self._offset)
        elif chain.phase == "zero" and chain.l_freq is None:
            self._offset = segment[order].mean(axis=1, keepdims=True, dtype=np.float64)
        self._is_floating = chain.modal is not None and chain.l_freq is not None
        self._spatial = chain.spatial
        self.n_chans = len(self._offset if chain.spatial is None else chain.spatial)
        self._is_time_major = abs(segment.strides[0]) < abs(segment.strides[1])

    def empty_blocks(self, n_blocks: int, n: int, name: str = "0") -> np.ndarray:
        """Return empty blocks, shape (n_blocks, n_chans, n), in the segment's memory layout."""
        name = f"blocks {name}"
        if self._is_time_major:
            return self.scratch.array(name, (n_blocks, n, self.n_chans)).swapaxes(1, 2)
        return self.scratch.array(name, (self.n_chans, n_blocks, n)).swapaxes(0, 1)

    def load(self, start: int, out: np.ndarray) -> np.ndarray:
        """Write consecutive blocks, the first beginning at ``start``, to ``out``.

        If the filter removes constants, the first sample of the blocks is subtracted, so that
        slow drifts over hours do not reduce the precision of float32.

        Returns
        -------
        ndarray, shape (n_chans, 1)
            Level subtracted from the blocks, relative to that of :meth:`read`.
        """
        n_blocks, _, n = out.shape
        samples = self._segment[self._order, start : start + n_blocks * n]
        offset = samples[:, :1].astype(self._type) if self._is_floating else self._offset
        blocks = samples.reshape(len(samples), n_blocks, n).swapaxes(0, 1)
        if self._spatial is None:
            np.subtract(blocks, offset, out=out, dtype=self._type, casting="same_kind")
            return offset - self._offset.astype(np.float64)
        blocks = np.subtract(blocks, offset, dtype=self._type).astype(np.float32, copy=False)
        small_products(self._spatial.astype(np.float32), blocks, out=out)
        return self._spatial @ (offset - self._offset.astype(np.float64))

    def read(self, start: int, n: int) -> np.ndarray:
        """Return samples as float64, shape (n_chans, n)."""
        samples = self._segment[self._order, start : start + n] - self._offset.astype(np.float64)
        return samples if self._spatial is None else self._spatial @ samples

    def check_finite(self, result: np.ndarray) -> None:
        """Raise an InputError with the channels at fault if a result is not finite."""
        if np.isfinite(result).all():
            return
        segment, chain, _ = self._raw
        is_bad = ~np.isfinite(segment[chain.order])
        which = [
            f"{c} ({n})" for c, n in zip(chain.ch_names_in, is_bad.sum(axis=1), strict=True) if n
        ]
        self.refuse(
            f"has {is_bad.sum()} non-finite samples, in channels "
            f"{', '.join(which[:5])}{', …' if len(which) > 5 else ''}; expected none"
        )

    def refuse(self, why: str) -> NoReturn:
        """Raise an InputError about this segment."""
        raise InputError(f"{self._raw[2]} {why}")
