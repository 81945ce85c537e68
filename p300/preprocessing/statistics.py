"""Statistics of each channel over training epochs that are never in memory all at once.

:func:`~p300.preprocessing.channel_statistics` computes the same from an array. Tests compare the
two: mean and standard deviation agree up to rounding, quartiles exactly.
"""

from __future__ import annotations

import threading

import numpy as np

#: Quartiles of the "robust" scaling.
QUARTILES = (0.25, 0.5, 0.75)

#: Bits of a float32 that each pass over the epochs finds, from the highest.
DIGITS = (11, 11, 10)


class ChannelMoments:
    """Mean and standard deviation of each channel, from one pass over the epochs.

    The epochs that come together have a mean and a sum of squares of their own; these are merged
    in the order of the flash table. So the result does not depend on the order in which threads
    deliver them. Merging: T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the
    sample variance", Am. Stat. 37:242-247, 1983, eq. (2.1).

    Examples
    --------
    >>> moments = ChannelMoments()
    >>> moments.put(np.array([0, 1]), np.array([[[1.0, 3.0]], [[1.0, 3.0]]]), False)
    >>> moments.end_pass()
    >>> moments.center, moments.spread
    (array([2.]), array([1.]))
    """

    def __init__(self) -> None:
        self.n, self.is_complete = 0, False
        self._parts: dict[int, tuple[int, np.ndarray, np.ndarray]] = {}

    def view(self, places: np.ndarray) -> None:
        """Return None: the epochs are not kept."""

    def put(self, places: np.ndarray, epochs: np.ndarray, is_rejected: np.ndarray | bool) -> None:
        """Count the epochs that are not rejected."""
        epochs = _accepted(epochs, is_rejected)
        if not len(epochs):
            return
        mean = epochs.mean(axis=(0, 2), dtype=np.float64)
        squares = np.square(epochs - mean[:, None]).sum(axis=(0, 2))
        self._parts[int(places[0])] = len(epochs) * epochs.shape[2], mean, squares

    def end_pass(self) -> None:
        """Merge what was counted into ``center`` and ``spread``, shape (n_chans,) each."""
        self.is_complete = True
        self.center = self.spread = np.zeros(0)
        squares = np.zeros(0)
        for _, (n, mean, own) in sorted(self._parts.items()):
            if self.n == 0:
                self.center, squares = mean, own
            else:
                step, share = mean - self.center, n / (self.n + n)
                squares = squares + own + np.square(step) * (self.n * share)
                self.center = self.center + step * share
            self.n += n
        if self.n:
            self.spread = np.sqrt(squares / self.n)


class ChannelQuartiles:
    """Median and interquartile range of each channel, exactly, from three passes.

    The bits of a float32, with the sign turned, count upwards like the numbers themselves. Each
    pass counts how often each value of the next bits occurs among the numbers that begin like the
    quartile, and so finds the next bits of the quartile. Counts need no order.

    Examples
    --------
    >>> quartiles = ChannelQuartiles(n_chans=1)
    >>> epochs = np.array([[[-1, 0, 5, 9, 7]]], np.float32)
    >>> while not quartiles.is_complete:
    ...     quartiles.put(np.array([0]), epochs, False)
    ...     quartiles.end_pass()
    >>> quartiles.center, quartiles.spread
    (array([5.]), array([7.]))
    """

    def __init__(self, n_chans: int) -> None:
        self.n, self.is_complete = 0, False
        self._n_chans, self._pass, self._lock = n_chans, 0, threading.Lock()
        # of the two numbers around each quartile: the bits known, and the rank among the numbers
        # that begin with them; (n_chans, 6)
        self._known = np.zeros((n_chans, 2 * len(QUARTILES)), np.uint32)
        self._rank = np.zeros((n_chans, 2 * len(QUARTILES)), np.int64)
        self._begin()

    def view(self, places: np.ndarray) -> None:
        """Return None: the epochs are not kept."""

    def put(self, places: np.ndarray, epochs: np.ndarray, is_rejected: np.ndarray | bool) -> None:
        """Count the epochs that are not rejected."""
        epochs = _accepted(epochs, is_rejected)
        samples = epochs.swapaxes(0, 1).reshape(self._n_chans, -1)
        bits = samples.astype(np.float32, copy=False).view(np.uint32)
        bits = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
        n_bins = self._counts.shape[2]
        rest = 32 - sum(DIGITS[: self._pass + 1])
        bins = (bits >> rest) & np.uint32(n_bins - 1)
        bins = bins.astype(np.int64) + n_bins * np.arange(self._n_chans)[:, None]
        counts = np.zeros_like(self._counts)
        if self._pass == 0:
            counts[:, 0] = _count(bins.ravel(), self._n_chans, n_bins)
        else:
            begins = bits >> (rest + DIGITS[self._pass])
            for k, known in enumerate(self._known.T):
                found = bins[begins == known[:, None]]
                counts[:, k] = _count(found, self._n_chans, n_bins)
        with self._lock:
            self._counts += counts
            self._n_seen += bits.shape[1]

    def end_pass(self) -> None:
        """Find the next bits of each quartile; after the last pass, ``center`` and ``spread``."""
        if self._pass == 0:
            self.n = self._n_seen
            if not self.n:
                self.is_complete = True
                return
            self._position = np.array(QUARTILES) * (self.n - 1)
            before = np.floor(self._position).astype(np.int64)
            self._rank[:] = np.ravel([before, np.minimum(before + 1, self.n - 1)])
        until = self._counts.cumsum(axis=2)  # (n_chans, 1 or 6, n_bins)
        digit = (until <= self._rank[..., None]).sum(axis=2)
        below = np.where(digit > 0, _at(until, digit - 1), 0)
        self._rank -= below
        self._known = (self._known << DIGITS[self._pass]) | digit.astype(np.uint32)
        self._pass += 1
        if self._pass < len(DIGITS):
            self._begin()
            return
        self.is_complete = True
        bits = self._known
        bits = np.where(bits >> 31, bits & np.uint32(2**31 - 1), ~bits)
        low, high = np.split(bits.view(np.float32).astype(np.float64), 2, axis=1)
        between = self._position - np.floor(self._position)
        q1, self.center, q3 = (low + (high - low) * between).T
        self.spread = q3 - q1

    def _begin(self) -> None:
        """Count from 0; in the first pass, all quartiles share the counts."""
        n_known = 1 if self._pass == 0 else self._known.shape[1]
        self._counts = np.zeros((self._n_chans, n_known, 1 << DIGITS[self._pass]), np.int64)
        self._n_seen = 0


def _accepted(epochs: np.ndarray, is_rejected: np.ndarray | bool) -> np.ndarray:
    """Return the epochs that are not rejected."""
    return epochs[~is_rejected] if isinstance(is_rejected, np.ndarray) else epochs


def _count(bins: np.ndarray, n_chans: int, n_bins: int) -> np.ndarray:
    """Count how often each bin of each channel occurs: (n_chans, n_bins)."""
    return np.bincount(bins, minlength=n_chans * n_bins).reshape(n_chans, n_bins)


def _at(until: np.ndarray, digit: np.ndarray) -> np.ndarray:
    """Take from each row of counts the one at a digit: (n_chans, n_known)."""
    until = np.broadcast_to(until, (*digit.shape, until.shape[2]))
    return np.take_along_axis(until, np.maximum(digit, 0)[..., None], axis=2)[..., 0]
