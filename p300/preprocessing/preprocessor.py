"""The chain from a recording to epochs, as a scikit-learn estimator."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import compress
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from p300.electrodes import channel_order
from p300.errors import InputError
from p300.preprocessing._engine.chain import Chain, find_starts, misfits
from p300.preprocessing._engine.cut import cut_recording
from p300.preprocessing._engine.destinations import Destination, InMemory
from p300.preprocessing._engine.sampling import epoch_length
from p300.preprocessing.channels import find_bad_channels, spatial_matrix
from p300.preprocessing.epochs import Epochs
from p300.preprocessing.estimator import Estimator, check_fitted, check_parameters
from p300.preprocessing.filters import design_bandpass
from p300.preprocessing.inputs import as_recording
from p300.preprocessing.resampling import MAX_DENOMINATOR, rational_ratio
from p300.preprocessing.scaling import BY_EPOCH, RENAMED, scale_channels
from p300.preprocessing.statistics import ChannelMoments, ChannelQuartiles
from p300.preprocessing.steps import (
    baseline_samples,
    clip_amplitude,
    find_rejected,
    subtract_baseline,
)
from p300.recording import UNITS, Recording, is_same_rate

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from p300.preprocessing.inputs import RecordingLike
    from p300.speller import Speller

#: Version of :meth:`Preprocessor.get_state`; increased if an old state would act differently.
STATE_VERSION = 1

#: Largest fraction of flashes that may be left out because their epochs do not fit.
MAX_LEFT_OUT = 0.5

#: Fitted attributes that are arrays, or None.
ARRAYS = ("spatial", "center", "spread")


@dataclass(kw_only=True, eq=False, repr=False)
class Preprocessor(Estimator):
    """Turn a recording into epochs ready for a detector.

    The steps, in order: interpolate bad channels, re-reference, pick channels, filter each
    segment on its own, resample, cut, subtract the baseline, clip, scale. The defaults are those
    of Cecotti & Graeser 2011, section 2.3, except for the order of filter and subsampling.

    Parameters
    ----------
    channels : sequence of str or None
        Channels of the epochs, in order; None for all.
    reference : None, "average", str or sequence of str
        None leaves the recording's own reference; see
        :func:`~p300.preprocessing.rereference`.
    bad_channels : None, "detect" or sequence of str
        Channels to interpolate; None for those that the recording of :meth:`fit` has marked;
        "detect" finds others there too.
    clip_uv : float or None
        Limit of the filtered EEG in µV.
    l_freq, h_freq : float or None
        Corners of the band-pass in Hz; None for no corner. With a filter, the level of each
        segment is removed first; without one, the EEG stays as it is.
    order : int
        Order of the Butterworth prototype.
    phase : {"zero", "causal"}
        "zero" needs the future; "causal" is what a live system can do, and what
        :class:`~p300.preprocessing.StreamingPreprocessor` does.
    resample : {"filter_first", "subsample_first"}
        Band-pass at the recording's rate and then go to ``sfreq`` (the band-pass is the
        anti-aliasing filter), or the paper's order: take every q-th sample, then filter.
    sfreq : float
        Rate of the epochs in Hz.
    tmin, tmax : float
        Half-open interval of the epoch, in seconds from the flash.
    baseline : tuple of float or None
        Half-open interval whose mean is subtracted, in seconds from the flash.
    scaling : str
        "zscore_epoch": mean 0 and standard deviation 1 per flash and electrode (the paper).
        "rms_epoch": mean 0 per flash and electrode, root mean square 1 per flash. "median_epoch":
        the same, and the median over electrodes of their mean squares is 1, so that one that
        drifts does not decide. "center": mean 0 per flash and electrode. "standardize": each
        channel by mean and standard deviation of the training flashes. "robust": the same by
        median and interquartile range. "none": EEG in µV.
    reject_uv : float or None
        Epochs with a larger peak-to-peak amplitude are marked (``Epochs.is_rejected``) and left
        out of what :meth:`fit` learns; they are never dropped.
    engine : {"fast", "scipy"}
        Implementation of the filter: in blocks and float32, or SciPy's functions in float64, which
        are about ten times slower; see :mod:`p300.preprocessing.filters`.

    Attributes
    ----------
    ch_names_in_ : tuple of str
        Channels that a recording must have, in any order.
    ch_names_ : tuple of str
        Channels of the epochs, in order.
    sfreq_in_ : float
        Rate that a recording must have.
    unit_ : str
        Unit that a recording must be in.
    bad_channels_ : tuple of str
        Channels that are interpolated.
    spatial_ : ndarray, shape (n_chans, n_chans_in), or None
        Interpolation, reference and picking as one matrix; None if channels are only picked.
    center_, spread_ : ndarray, shape (n_chans,), or None
        Statistics of the training flashes, if ``scaling`` needs them: mean and standard deviation,
        or median and interquartile range.

    Examples
    --------
    >>> from p300.preprocessing import recording_from_arrays
    >>> signal = np.random.default_rng(0).normal(size=(8, 2400))
    >>> recording = recording_from_arrays(signal, [1.0, 1.175], sfreq=240)
    >>> Preprocessor().fit(recording).transform(recording).shape
    (2, 8, 78)
    """

    channels: Sequence[str] | None = None
    reference: str | Sequence[str] | None = None
    bad_channels: str | Sequence[str] | None = None
    clip_uv: float | None = None
    l_freq: float | None = 0.1
    h_freq: float | None = 20.0
    order: int = 4
    phase: str = "zero"
    resample: str = "filter_first"
    sfreq: float = 120.0
    tmin: float = 0.0
    tmax: float = 0.65
    baseline: tuple[float, float] | None = None
    scaling: str = "zscore_epoch"
    reject_uv: float | None = None
    engine: str = "fast"

    def fit(
        self, recording: RecordingLike, y: None = None, *, rows: ArrayLike | None = None
    ) -> Self:
        """Learn channels, rate, unit, bad channels and, if ``scaling`` needs them, statistics.

        Parameters
        ----------
        recording : Recording or MNE object
            See :func:`~p300.preprocessing.as_recording`.
        y : None
            Not used; scikit-learn passes it.
        rows : array_like or None
            Mask or indices of the flashes whose statistics may be used: the training flashes.

        Returns
        -------
        Preprocessor
            This one.
        """
        recording = as_recording(recording, is_filtered=self.is_filtering)
        self._check(recording.sfreq, recording.unit, recording.name)
        rows = np.arange(len(recording.flashes))[... if rows is None else np.asarray(rows)]
        bad = recording.bad_channels if self.bad_channels is None else self.bad_channels
        self.bad_channels_ = tuple(bad)
        if isinstance(bad, str) and bad == "detect":
            used = recording.flashes["segment"].iloc[rows].unique()
            segments = [recording.segments[k] for k in used]
            is_bad = find_bad_channels(segments, sfreq=recording.sfreq)
            found = tuple(compress(recording.ch_names, is_bad))
            self.bad_channels_ = tuple(dict.fromkeys((*recording.bad_channels, *found)))
        matrix = spatial_matrix(
            recording.ch_names,
            channels=self.channels,
            reference=self.reference,
            bad_channels=self.bad_channels_,
            positions=recording.positions,
        )
        self.ch_names_ = self.ch_names_in_ = tuple(self.channels or recording.ch_names)
        self.spatial_: np.ndarray | None = None
        if len(self.bad_channels_) or self.reference is not None:
            is_used = (matrix != 0).any(axis=0)
            self.ch_names_in_ = tuple(compress(recording.ch_names, is_used))
            self.spatial_ = matrix[:, is_used]
        self.sfreq_in_, self.unit_ = recording.sfreq, recording.unit
        self.center_: np.ndarray | None = None
        self.spread_: np.ndarray | None = None
        if self.scaling in ("standardize", "robust"):
            self._fit_scaling(recording, rows)
        return self

    def _fit_scaling(self, recording: Recording, rows: np.ndarray) -> None:
        """Find centre and spread of the training flashes, of which a batch is in memory."""
        found: ChannelMoments | ChannelQuartiles = ChannelMoments()
        if self.scaling == "robust":
            found = ChannelQuartiles(len(self.ch_names_))
        rows = rows[self.fits(recording)[rows]]
        while not found.is_complete:
            self.cut(recording, found, rows=rows, scaling="none")
            found.end_pass()
        if not found.n:
            raise InputError(
                f"{recording.name}: got no training epoch for scaling {self.scaling!r}; expected "
                "at least one that is not rejected"
            )
        self.center_ = found.center
        self.spread_ = np.where(found.spread > 0, found.spread, 1.0)

    def fit_transform(
        self, recording: RecordingLike, y: None = None, *, rows: ArrayLike | None = None
    ) -> np.ndarray:
        """Fit, then transform the same recording; see :meth:`fit` and :meth:`transform`."""
        return self.fit(recording, y, rows=rows).transform(recording)

    def transform(self, recording: RecordingLike) -> np.ndarray:
        """Cut, filter and scale the epochs of every flash.

        Parameters
        ----------
        recording : Recording or MNE object
            With the channels, rate and unit of :meth:`fit`; never changed.

        Returns
        -------
        ndarray of float32, shape (n_flashes, n_chans, n_times)
            One row for each row of the flash table whose epoch fits, in its order.

        Raises
        ------
        InputError
            If the recording does not fit, has non-finite samples, or too many epochs reach past
            an end of their segment.

        Warns
        -----
        UserWarning
            If some do: they are left out, as by :meth:`leave_out`.
        """
        kind = type(self)
        is_inherited = kind.transform is Preprocessor.transform
        if is_inherited and kind.epochs is not Preprocessor.epochs:
            return self.epochs(recording).data
        return self._epochs(recording).data

    def epochs(self, recording: RecordingLike, *, on_cut: Callable | None = None) -> Epochs:
        """Cut the epochs, with flash table, channel names and units; see :meth:`transform`.

        ``on_cut`` is called from several threads with the number of epochs that were cut. Where a
        subclass overrides :meth:`transform`, the epochs are those that it returns.
        """
        if type(self).transform is Preprocessor.transform:
            return self._epochs(recording, on_cut=on_cut)
        recording = self.leave_out(as_recording(recording, is_filtered=self.is_filtering))
        data = np.asarray(self.transform(recording), np.float32)
        if data.ndim != 3 or len(data) != len(recording.flashes):
            raise InputError(
                f"{type(self).__name__}.transform returned {data.shape} for "
                f"{len(recording.flashes)} flashes; expected (n_flashes, n_chans, n_times)"
            )
        is_rejected = None if self.reject_uv is None else self._epochs(recording).is_rejected
        name, speller = recording.name, recording.speller
        return self.build_epochs(data, is_rejected, recording.flashes, name=name, speller=speller)

    def _epochs(self, recording: RecordingLike, *, on_cut: Callable | None = None) -> Epochs:
        self.check_is_fitted()
        recording = self.leave_out(as_recording(recording, is_filtered=self.is_filtering))
        into = InMemory(len(recording.flashes), len(self.ch_names_), self.n_times)
        self.cut(recording, into, on_cut=on_cut)
        return self.build_epochs(
            into.epochs,
            into.is_rejected,
            recording.flashes,
            name=recording.name,
            speller=recording.speller,
        )

    def build_epochs(
        self,
        data: np.ndarray,
        is_rejected: np.ndarray | bool | None,
        flashes: pd.DataFrame,
        *,
        name: str,
        speller: Speller | None = None,
    ) -> Epochs:
        """Return finished epochs with their flash table, channel names and units."""
        return Epochs(
            data=data,
            flashes=flashes,
            ch_names=self.ch_names_,
            sfreq=float(self.sfreq),
            tmin=float(self.tmin),
            unit=self.unit_out,
            speller=speller,
            name=name,
            is_rejected=None if self.reject_uv is None else np.asarray(is_rejected),
        )

    def leave_out(self, recording: Recording) -> Recording:
        """Return the recording without the flashes whose epochs reach past an end of a segment.

        Raises
        ------
        InputError
            If these are more than :data:`MAX_LEFT_OUT` of all flashes.

        Warns
        -----
        UserWarning
            If there are some, with their number and places.
        """
        is_inside = self.fits(recording)
        if is_inside.all():
            return recording
        rows = np.arange(len(is_inside))
        sentence = misfits(recording, rows, ~is_inside, self)
        if is_inside.mean() < 1 - MAX_LEFT_OUT:
            raise InputError(
                f"{recording.name}: {sentence}; expected at least {1 - MAX_LEFT_OUT:.0%} to fit; "
                "set a shorter interval (tmin, tmax)"
            )
        warnings.warn(
            f"{recording.name}: {sentence}; they are left out", UserWarning, stacklevel=3
        )
        flashes = recording.flashes[is_inside].reset_index(drop=True)
        return replace(recording, flashes=flashes)

    def fits(self, recording: Recording) -> np.ndarray:
        """Return for each flash whether its epoch lies in its segment, shape (n_flashes,)."""
        self._check(recording.sfreq, recording.unit, recording.name)
        is_first = self.resample == "subsample_first"
        return find_starts(recording, float(self.sfreq), self.tmin, self.n_times, is_first)[2]

    @property
    def n_times(self) -> int:
        """Samples per epoch."""
        return epoch_length(self.sfreq, self.tmin, self.tmax)

    @property
    def is_filtering(self) -> bool:
        """Whether segments are filtered."""
        return not (self.l_freq is None and self.h_freq is None)

    @property
    def unit_out(self) -> str:
        """Unit of the epochs: "uV", "AD" (amplifier steps) or "sd" (scaled, without a unit)."""
        if self.scaling not in ("center", "none"):
            return "sd"
        return "AD" if self.unit_ == "AD" else "uV"

    # -- the chain ---------------------------------------------------------------------------

    def cut(
        self,
        recording: Recording,
        into: Destination,
        *,
        rows: np.ndarray | None = None,
        scaling: str | None = None,
        on_cut: Callable | None = None,
    ) -> None:
        """Cut and finish epochs, and give them to a destination batch by batch.

        Parameters
        ----------
        recording : Recording
            With the channels, rate and unit of :meth:`fit`; never changed.
        into : Destination
            See :mod:`p300.preprocessing._engine.destinations`.
        rows : ndarray of int or None
            Rows of the flash table; None for all.
        scaling : str or None
            None for that of the preprocessor.
        on_cut : callable or None
            As for :meth:`epochs`.
        """
        self.check_is_fitted()
        self._check_fits(recording)
        rows = np.arange(len(recording.flashes)) if rows is None else rows
        chain = self.resolve(recording.ch_names, where=recording.name).at(recording.sfreq)

        def finish(epochs: np.ndarray) -> np.ndarray | bool:
            is_rejected = self.finish(epochs, scaling=scaling)
            if on_cut is not None:
                on_cut(len(epochs))
            return is_rejected

        cut_recording(recording, rows, chain, finish, into)

    def resolve(self, ch_names: Sequence[str], *, where: str = "recording") -> Chain:
        """Return the steps before the cut, for channels in the order ``ch_names``."""
        self.check_is_fitted()
        self._check(self.sfreq_in_, self.unit_, where)
        order = channel_order(ch_names, self.ch_names_in_, where=where)
        volts = UNITS[self.unit_]
        return Chain(
            order=slice(None) if order == list(range(len(ch_names))) else order,
            ch_names_in=self.ch_names_in_,
            spatial=self.spatial_,
            gain=1.0 if volts is None else volts * 1e6,
            l_freq=self.l_freq,
            h_freq=self.h_freq,
            filter_order=self.order,
            phase=self.phase,
            sfreq_in=self.sfreq_in_,
            sfreq=float(self.sfreq),
            subsample_first=self.resample == "subsample_first",
            engine=self.engine,
            tmin=self.tmin,
            tmax=self.tmax,
        )

    def finish(self, epochs: np.ndarray, *, scaling: str | None = None) -> np.ndarray | bool:
        """Apply the steps after the cut, in place, and find which epochs are rejected.

        Parameters
        ----------
        epochs : ndarray, shape (n_flashes, n_chans, n_times)
            Filtered EEG; changed.
        scaling : str or None
            None for that of the preprocessor.

        Returns
        -------
        ndarray of bool, shape (n_flashes,), or False
        """
        scaling = scaling or self.scaling
        if self.baseline is not None:
            subtract_baseline(epochs, self.baseline, sfreq=self.sfreq, tmin=self.tmin, out=epochs)
        is_rejected = False if self.reject_uv is None else find_rejected(epochs, self.reject_uv)
        if self.clip_uv is not None:
            clip_amplitude(epochs, self.clip_uv, out=epochs)
        if scaling in BY_EPOCH:
            BY_EPOCH[scaling](epochs, out=epochs)
        elif scaling != "none":
            if self.center_ is None or self.spread_ is None:
                raise InputError(f"scaling {scaling!r} was not fitted; call fit(recording) first")
            scale_channels(epochs, self.center_, self.spread_, out=epochs)
        return is_rejected

    # -- checks ------------------------------------------------------------------------------

    def _check(self, sfreq_in: float, unit: str, where: str) -> None:
        """Raise an error for wrong parameters, or parameters that do not fit the recording."""
        check_parameters(self)
        if self.h_freq is not None:
            for rate in (sfreq_in, self.sfreq):
                design_bandpass(self.l_freq, self.h_freq, sfreq=rate, order=self.order)
        ratio = rational_ratio(self.sfreq, sfreq_in)
        if self.resample == "subsample_first" and ratio.denominator > MAX_DENOMINATOR:
            raise InputError(
                f"{where}: got rates of {sfreq_in:g} and {self.sfreq:g} Hz; expected a ratio of "
                f'whole numbers for resample="subsample_first"; set resample="filter_first"'
            )
        if self.baseline is not None:
            baseline_samples(self.baseline, sfreq=self.sfreq, tmin=self.tmin, n_times=self.n_times)
        for what in ("clip_uv", "reject_uv"):
            if unit == "AD" and getattr(self, what) is not None:
                raise InputError(
                    f"{where} is in amplifier steps of unknown size; expected EEG in volts for "
                    f"{what}={getattr(self, what)}"
                )

    def _check_fits(self, recording: Recording) -> None:
        """Raise an error if rate or unit are not those of :meth:`fit`."""
        for what, have, want in (
            ("rate", recording.sfreq, self.sfreq_in_),
            ("unit", recording.unit, self.unit_),
        ):
            if have != want and not (what == "rate" and is_same_rate(float(have), float(want))):
                raise InputError(
                    f"{recording.name} has {what} {have}; expected {want}, with which the "
                    "preprocessor was fitted"
                )

    def check_is_fitted(self) -> None:
        """Raise an error if :meth:`fit` was not called."""
        if not hasattr(self, "ch_names_"):
            raise InputError("the preprocessor is not fitted; call fit(recording) first")

    # -- state -------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Describe the fitted preprocessor in plain containers, for JSON and checkpoints.

        :meth:`from_state` is the inverse.
        """
        self.check_is_fitted()
        fitted = ("ch_names_in", "ch_names", "sfreq_in", "unit", "bad_channels", *ARRAYS)
        return {
            "version": STATE_VERSION,
            "params": {name: _plain(value) for name, value in self.get_params().items()},
            **{name: _plain(getattr(self, f"{name}_")) for name in fitted},
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Build the fitted preprocessor that :meth:`get_state` described.

        Raises
        ------
        InputError
            If the state is of another version, or not a state.
        """
        version = state.get("version") if isinstance(state, dict) else None
        if version != STATE_VERSION:
            raise InputError(
                f"got a preprocessing state of version {version}; expected {STATE_VERSION}; fit "
                "the preprocessor again, or use the release that wrote the state"
            )
        try:
            params = dict(state["params"])
            params["scaling"] = RENAMED.get(params["scaling"], params["scaling"])
            self = cls.__new__(cls)  # a subclass may have a constructor of its own
            for field in fields(cls):
                setattr(self, field.name, params.pop(field.name, field.default))
            if params:
                raise TypeError(f"unknown parameters {sorted(params)}")
            self.ch_names_in_ = tuple(state["ch_names_in"])
            self.ch_names_ = tuple(state["ch_names"])
            self.sfreq_in_ = float(state["sfreq_in"])
            self.unit_ = str(state["unit"])
            self.bad_channels_ = tuple(state["bad_channels"])
            for name in ARRAYS:
                values = state[name]
                setattr(self, f"{name}_", None if values is None else np.array(values, np.float64))
        except (KeyError, TypeError) as error:
            raise InputError(f"damaged preprocessing state: {error}") from error
        check_fitted(self)
        return self


def _plain(value: Any) -> Any:
    """Convert arrays and tuples to lists, and numbers of numpy to those of Python."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
