"""Euclidean alignment: reduce the difference between people and days, without labels.

H. He, D. Wu, "Transfer learning for brain-computer interfaces: a Euclidean space data alignment
approach", IEEE Trans. Biomed. Eng. 67:399-410, 2020, doi 10.1109/TBME.2019.2913914.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from p300.preprocessing import Epochs


@dataclass(frozen=True)
class EuclideanAlignment:
    """Euclidean alignment: whiten each epoch by the mean covariance of the epochs before it.

    In the paper the mean is taken over all epochs of a person. Here it is taken, for each
    subject and session, over the epochs so far. A new person can therefore spell at once, and no
    epoch depends on a later one. The mean starts with a multiple of the identity matrix.

    Parameters
    ----------
    n_prior : int
        Weight of the identity matrix in the mean, as a number of flashes.
    n_hold : int
        Flashes after which the mean is updated; until then it is held constant.

    Examples
    --------
    >>> from p300.recording import flash_table
    >>> epochs = 5 * np.random.default_rng(0).normal(size=(400, 4, 78))
    >>> aligned = EuclideanAlignment().transform(epochs, flash_table(onset=np.arange(400.0)))
    >>> float(aligned[200:].std().round(2))
    1.0
    """

    n_prior: int = 24
    n_hold: int = 12

    def __post_init__(self) -> None:
        if min(self.n_prior, self.n_hold) < 1:
            raise InputError(
                f"got n_prior={self.n_prior}, n_hold={self.n_hold}; expected at least 1 each"
            )

    def transform(self, epochs: np.ndarray, flashes: pd.DataFrame) -> np.ndarray:
        """Align the epochs of a recording.

        Parameters
        ----------
        epochs : ndarray, shape (n_flashes, n_chans, n_times)
            Preprocessed; not changed.
        flashes : DataFrame
            Their flash table, in order of time within each session.

        Returns
        -------
        ndarray of the same shape and type
        """
        aligned = np.empty_like(epochs)
        for rows, some in self.blocks(epochs, flashes):
            aligned[rows] = some
        return aligned

    def blocks(
        self, epochs: np.ndarray, flashes: pd.DataFrame
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Align the epochs of a recording, a few at a time; see :meth:`transform`.

        Yields
        ------
        rows : ndarray of int, shape (n,)
        aligned : ndarray, shape (n, n_chans, n_times)
            The epochs of these rows.
        """
        sessions = flashes.groupby(["subject", "session"], sort=False, dropna=False)
        for rows in sessions.indices.values():
            stream = AlignmentStream(self, epochs.shape[1])
            for start in range(0, len(rows), self.n_hold):
                some = rows[start : start + self.n_hold]
                yield some, stream.push(epochs[some])

    def to_dict(self) -> dict[str, int]:
        """Return the parameters as a plain dictionary."""
        return asdict(self)


class AlignmentStream:
    """Alignment of one session, flash by flash.

    Parameters
    ----------
    alignment : EuclideanAlignment
        Its parameters.
    n_chans : int
        Number of electrodes.
    """

    def __init__(self, alignment: EuclideanAlignment, n_chans: int) -> None:
        self.alignment = alignment
        self._sum = np.zeros((n_chans, n_chans))
        self._n_seen = 0
        self._matrix = np.eye(n_chans)

    def push(self, epochs: np.ndarray) -> np.ndarray:
        """Align the next epochs, shape (n, n_chans, n_times)."""
        aligned = np.empty_like(epochs)
        n_hold, begin = self.alignment.n_hold, 0
        while begin < len(epochs):
            n_held = self._n_seen % n_hold
            if n_held == 0:
                self._update(epochs[begin])
            stop = min(len(epochs), begin + n_hold - n_held)
            some = epochs[begin:stop]
            aligned[begin:stop] = self._matrix.astype(epochs.dtype) @ some
            self._sum += np.einsum("fct,fdt->cd", some, some, optimize=True) / some.shape[-1]
            self._n_seen += len(some)
            begin = stop
        return aligned

    def _update(self, epoch: np.ndarray) -> None:
        """Update the whitening matrix; the first epoch sets the size of the prior."""
        n_prior, n_chans = self.alignment.n_prior, len(self._sum)
        power = np.trace(self._sum) / self._n_seen if self._n_seen else _power(epoch)
        prior = (power / n_chans or 1.0) * np.eye(n_chans)
        mean = (n_prior * prior + self._sum) / (n_prior + self._n_seen)
        values, vectors = np.linalg.eigh(mean)
        self._matrix = (vectors / np.sqrt(values)) @ vectors.T


def aligned(epochs: Epochs, alignment: EuclideanAlignment | None) -> Epochs:
    """Return the epochs aligned, or unchanged if ``alignment`` is None."""
    if alignment is None:
        return epochs
    return replace(epochs, data=alignment.transform(epochs.data, epochs.flashes), unit="sd")


def _power(epoch: np.ndarray) -> float:
    """Compute the mean square of an epoch, summed over its electrodes."""
    return float(np.sum(np.square(epoch, dtype=np.float64)) / epoch.shape[-1])
