"""The steps up to the cut, resolved for the channels and the rate of one recording."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.preprocessing._engine.modal import ModalFilter
from p300.preprocessing._engine.sampling import ON_SAMPLE, Sampling, epoch_length, folds_into_band
from p300.preprocessing.filters import design_bandpass
from p300.preprocessing.resampling import rational_ratio

if TYPE_CHECKING:
    from p300.recording import Recording

#: Largest order for which float32 modes are as exact as float64 sections; SciPy filters others.
MAX_ORDER = 10


@dataclass(frozen=True)
class Chain:
    """The steps up to the cut, as one recording needs them.

    Parameters
    ----------
    order : list of int or slice
        Rows of a segment to use.
    ch_names_in : tuple of str
        Names of these rows.
    spatial : ndarray, shape (n_chans, n_chans_in), or None
        Matrix from these rows to the channels of the epochs.
    gain : float
        Factor to µV.
    l_freq, h_freq, filter_order, phase
        The filter.
    sfreq_in, sfreq : float
        Rates of the segments and of the epochs.
    subsample_first : bool
        Whether the signal is subsampled to the rate of the epochs before it is filtered.
    engine : {"fast", "scipy"}
        The implementation of the filter.
    tmin, tmax : float
        Half-open interval of the epochs, in seconds from the flash.
    """

    order: list[int] | slice
    ch_names_in: tuple[str, ...]
    spatial: np.ndarray | None
    gain: float
    l_freq: float | None
    h_freq: float | None
    filter_order: int
    phase: str
    sfreq_in: float
    sfreq: float
    subsample_first: bool
    engine: str
    tmin: float
    tmax: float

    @cached_property
    def n_chans(self) -> int:
        """Channels of an epoch."""
        return len(self.ch_names_in if self.spatial is None else self.spatial)

    @cached_property
    def n_times(self) -> int:
        """Samples per epoch."""
        return epoch_length(self.sfreq, self.tmin, self.tmax)

    @cached_property
    def rate(self) -> float:
        """Rate of the signal that is filtered and cut."""
        return self.sfreq if self.subsample_first else self.sfreq_in

    @cached_property
    def sos(self) -> np.ndarray:
        """The filter as second-order sections."""
        return design_bandpass(self.l_freq, self.h_freq, sfreq=self.rate, order=self.filter_order)

    @cached_property
    def modal(self) -> ModalFilter | None:
        """The filter in modal form; None if there is no filter, or if SciPy filters.

        SciPy filters if ``engine`` is "scipy", and for orders above :data:`MAX_ORDER`, for which
        the modal form in float32 is not exact enough.
        """
        if not len(self.sos) or self.engine == "scipy" or self.filter_order > MAX_ORDER:
            return None
        return ModalFilter(self)

    @cached_property
    def sampling(self) -> Sampling:
        """Positions of the samples of an epoch among the filtered samples."""
        folds = folds_into_band(
            self.sos, sfreq_in=self.rate, sfreq=self.sfreq, h_freq=self.h_freq, phase=self.phase
        )
        f_pass = (self.h_freq or 0.4 * self.sfreq) if folds else None
        return Sampling(self.rate, self.sfreq, self.n_times, f_pass)

    def find_starts(self, recording: Recording, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the segment of each epoch, and the position of its first sample there.

        Raises
        ------
        InputError
            If an epoch reaches past an end of its segment.
        """
        segment, starts, is_inside = find_starts(
            recording, self.sfreq, self.tmin, self.n_times, self.subsample_first
        )
        if not is_inside[rows].all():
            raise InputError(
                f"{recording.name}: {misfits(recording, rows, ~is_inside[rows], self)}; expected "
                "all inside"
            )
        return segment[rows], starts[rows]

    def at(self, sfreq_in: float) -> Chain:
        """Return the same steps for segments of another rate."""
        if sfreq_in == self.sfreq_in:
            return self
        return self._others.setdefault(sfreq_in, replace(self, sfreq_in=sfreq_in))

    @cached_property
    def _others(self) -> dict[float, Chain]:
        return {}


def find_starts(
    recording: Recording, sfreq: float, tmin: float, n_times: int, subsample_first: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find where the epoch of every flash begins, and whether it lies in its segment.

    Parameters
    ----------
    recording : Recording
        Flashes, and segments of known rates.
    sfreq, tmin, n_times
        Rate of the epochs, seconds from the flash to their first sample, and their length.
    subsample_first : bool
        Whether segments are brought to ``sfreq`` before.

    Returns
    -------
    segment : ndarray of int, shape (n_flashes,)
        Segment of each flash.
    starts : ndarray, shape (n_flashes,)
        Position of the first sample, in samples of the signal that is cut.
    is_inside : ndarray of bool, shape (n_flashes,)
        Whether all samples of the epoch lie in the segment.
    """
    onsets = recording.flashes["onset"].to_numpy(np.float64)
    segment = recording.flashes["segment"].to_numpy(np.int64)
    rates_in = np.array(recording.rates)
    rates = np.full_like(rates_in, sfreq) if subsample_first else rates_in
    n_samples = np.array([s.shape[1] for s in recording.segments], np.int64)
    last = np.ceil(n_samples * (rates / rates_in) - 1e-6)[segment] - 1
    starts = (onsets + tmin) * rates[segment]
    steps = np.array([1 / float(rational_ratio(sfreq, rate)) for rate in rates])
    stops = starts + (n_times - 1) * steps[segment]
    return segment, starts, (starts >= -ON_SAMPLE) & (stops <= last + ON_SAMPLE)


def misfits(recording: Recording, rows: np.ndarray, is_outside: np.ndarray, steps: Any) -> str:
    """Say how many epochs reach past an end of their segment, and where the first do.

    Parameters
    ----------
    recording : Recording
        With the segments.
    rows : ndarray of int
        Flashes that are cut.
    is_outside : ndarray of bool
        Which of these do not fit.
    steps : Chain or Preprocessor
        With ``tmin`` and ``tmax``.
    """
    wrong = rows[is_outside]
    table = recording.flashes.iloc[wrong[:3]]
    seconds = [s.shape[1] / r for s, r in zip(recording.segments, recording.rates, strict=True)]
    shown = ", ".join(
        f"{row} (at {onset:.3f} s of segment {k}, which lasts {seconds[k]:.3f} s)"
        for row, onset, k in zip(wrong, table["onset"], table["segment"], strict=False)
    )
    return (
        f"{len(wrong)} of {len(rows)} epochs [{steps.tmin:g}, {steps.tmax:g}) s reach past an end "
        f"of their segment: flashes {shown}{', …' if len(wrong) > 3 else ''}"
    )
