"""The chain from a recording to epochs, as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from p300.errors import InputError
from p300.preprocessing._engine.chain import Chain
from p300.preprocessing._engine.cut import cut_recording
from p300.preprocessing.channels import find_bad_channels, spatial_matrix
from p300.preprocessing.epochs import (
    Epochs,
    baseline_samples,
    clip_amplitude,
    epoch_length,
    find_rejected,
    subtract_baseline,
)
from p300.preprocessing.estimator import Estimator, check_fitted, check_parameters
from p300.preprocessing.filters import check_phase, design_bandpass
from p300.preprocessing.inputs import as_recording
from p300.preprocessing.resampling import rational_ratio
from p300.preprocessing.scaling import (
    RENAMED,
    center_epochs,
    channel_statistics,
    check_scaling,
    rms_epochs,
    scale_channels,
    zscore_epochs,
)
from p300.recording import UNITS, Recording, channel_order

if TYPE_CHECKING:
    import mne
    from numpy.typing import ArrayLike

#: Version of :meth:`Preprocessor.get_state`; raised whenever an old state would act differently.
STATE_VERSION = 1

RESAMPLINGS = ("filter_first", "subsample_first")

ENGINES = ("fast", "scipy")


class Preprocessor(Estimator):
    """Turn a recording into epochs ready for a detector.

    The steps, in order: interpolate bad channels, re-reference, pick channels, filter each
    segment on its own, resample, cut, subtract the baseline, clip, scale. The defaults are those
    of Cecotti & Graeser 2011, section 2.3, but for the order of filter and subsampling.

    Parameters
    ----------
    channels : sequence of str or None
        Channels wanted, in order; None for all.
    reference : None, "average", str or sequence of str
        None leaves the recording's own reference; see
        :func:`~p300.preprocessing.rereference`.
    bad_channels : None, "detect" or sequence of str
        Channels to interpolate; "detect" finds them in :meth:`fit`.
    clip_uv : float or None
        Limit of the filtered EEG in µV.
    l_freq, h_freq : float or None
        Corners of the band-pass in Hz.
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
    scaling : {"zscore_epoch", "rms_epoch", "center", "standardize", "robust", "none"}
        Mean 0 and deviation 1 of each flash and electrode (the paper), its mean 0 and one root
        mean square for the whole flash, only its mean 0, each channel by mean and deviation or
        by median and interquartile range of the training flashes, or the EEG in µV as it is.
    reject_uv : float or None
        Epochs with a larger peak-to-peak amplitude are marked (``Epochs.is_rejected``) and left
        out of what :meth:`fit` learns; they are never dropped.
    engine : {"fast", "scipy"}
        What filters: the same Butterworth filter in blocks and float32, or SciPy's own functions
        in float64, about ten times slower; see :mod:`p300.preprocessing.filters`.

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
        Interpolation, reference and picking in one; None if channels are only picked.
    center_, spread_ : ndarray, shape (n_chans,), or None
        Training-set statistics where ``scaling`` needs them.

    Examples
    --------
    >>> from p300.preprocessing import recording_from_arrays
    >>> signal = np.random.default_rng(0).normal(size=(8, 2400))
    >>> recording = recording_from_arrays(signal, [1.0, 1.175], sfreq=240)
    >>> Preprocessor().fit(recording).transform(recording).shape
    (2, 8, 78)
    """

    def __init__(
        self,
        *,
        channels: Sequence[str] | None = None,
        reference: str | Sequence[str] | None = None,
        bad_channels: str | Sequence[str] | None = None,
        clip_uv: float | None = None,
        l_freq: float | None = 0.1,
        h_freq: float | None = 20.0,
        order: int = 4,
        phase: str = "zero",
        resample: str = "filter_first",
        sfreq: float = 120.0,
        tmin: float = 0.0,
        tmax: float = 0.65,
        baseline: tuple[float, float] | None = None,
        scaling: str = "zscore_epoch",
        reject_uv: float | None = None,
        engine: str = "fast",
    ):
        self.channels = channels
        self.reference = reference
        self.bad_channels = bad_channels
        self.clip_uv = clip_uv
        self.l_freq = l_freq
        self.h_freq = h_freq
        self.order = order
        self.phase = phase
        self.resample = resample
        self.sfreq = sfreq
        self.tmin = tmin
        self.tmax = tmax
        self.baseline = baseline
        self.scaling = scaling
        self.reject_uv = reject_uv
        self.engine = engine

    def fit(
        self,
        recording: Recording | mne.io.BaseRaw | mne.BaseEpochs,
        y: None = None,
        *,
        rows: ArrayLike | None = None,
    ) -> Self:
        """Learn channels, rate, unit, bad channels and, where asked, statistics.

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
        all_rows = np.arange(len(recording.flashes))
        rows = all_rows if rows is None else all_rows[np.asarray(rows)]
        bad = self.bad_channels
        if isinstance(bad, str) and bad == "detect":
            used = recording.flashes["segment"].iloc[rows].unique()
            segments = [recording.segments[k] for k in used]
            is_bad = find_bad_channels(segments, sfreq=recording.sfreq)
            bad = [c for c, found in zip(recording.ch_names, is_bad, strict=True) if found]
        self.bad_channels_ = tuple(bad or ())
        matrix = spatial_matrix(
            recording.ch_names,
            channels=self.channels,
            reference=self.reference,
            bad_channels=self.bad_channels_,
        )
        self.ch_names_ = tuple(self.channels or recording.ch_names)
        if len(self.bad_channels_) or self.reference is not None:
            is_used = (matrix != 0).any(axis=0)
            self.ch_names_in_ = tuple(np.array(recording.ch_names)[is_used].tolist())
            self.spatial_ = matrix[:, is_used]
        else:
            self.ch_names_in_ = self.ch_names_
            self.spatial_ = None
        self.sfreq_in_ = recording.sfreq
        self.unit_ = recording.unit
        self.center_: np.ndarray | None = None
        self.spread_: np.ndarray | None = None
        if self.scaling in ("standardize", "robust"):
            data, is_rejected = self._cut(recording, rows, scaling="none")
            self.center_, self.spread_ = channel_statistics(data[~is_rejected], self.scaling)
        return self

    def transform(self, recording: Recording | mne.io.BaseRaw | mne.BaseEpochs) -> np.ndarray:
        """Cut, filter and scale the epochs of every flash.

        Parameters
        ----------
        recording : Recording or MNE object
            With the channels, rate and unit of :meth:`fit`; never changed.

        Returns
        -------
        ndarray of float32, shape (n_flashes, n_chans, n_times)
            One row for each row of the flash table, in its order.

        Raises
        ------
        InputError
            If the recording does not fit, has non-finite samples, or an epoch reaches past the
            end of its segment.
        """
        return self.epochs(recording).data

    def epochs(
        self,
        recording: Recording | mne.io.BaseRaw | mne.BaseEpochs,
        *,
        on_cut: Callable | None = None,
    ) -> Epochs:
        """Cut the epochs together with their flash table and meaning; see :meth:`transform`.

        ``on_cut``, where given, is called from several threads with how many more are ready.
        """
        self.check_is_fitted()
        recording = as_recording(recording, is_filtered=self.is_filtering)
        self._check_fits(recording)
        rows = np.arange(len(recording.flashes))
        data, is_rejected = self._cut(recording, rows, scaling=self.scaling, on_cut=on_cut)
        return Epochs(
            data=data,
            flashes=recording.flashes,
            ch_names=self.ch_names_,
            sfreq=float(self.sfreq),
            tmin=float(self.tmin),
            unit=self.unit_out,
            speller=recording.speller,
            name=recording.name,
            is_rejected=None if self.reject_uv is None else is_rejected,
        )

    @property
    def n_times(self) -> int:
        """Samples of one epoch."""
        return epoch_length(self.sfreq, self.tmin, self.tmax)

    @property
    def is_filtering(self) -> bool:
        """Whether segments are filtered."""
        return not (self.l_freq is None and self.h_freq is None)

    @property
    def unit_out(self) -> str:
        """Unit of the epochs: "uV", "AD" (amplifier steps) or "sd" (scaled, without a unit)."""
        if self.scaling in ("zscore_epoch", "rms_epoch", "standardize", "robust"):
            return "sd"
        return "AD" if self.unit_ == "AD" else "uV"

    # -- the chain ---------------------------------------------------------------------------

    def _cut(
        self,
        recording: Recording,
        rows: np.ndarray,
        *,
        scaling: str,
        on_cut: Callable | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cut the epochs of some flashes, and find which are rejected."""
        chain = self.resolve(recording.ch_names, where=recording.name)
        finish = partial(self.finish, scaling=scaling)
        if on_cut is None:
            return cut_recording(recording, rows, chain, finish)

        def finish_and_tell(epochs):
            is_rejected = finish(epochs)
            on_cut(len(epochs))
            return is_rejected

        return cut_recording(recording, rows, chain, finish_and_tell)

    def resolve(self, ch_names: Sequence[str], *, where: str = "recording") -> Chain:
        """Resolve the steps up to the cut for channels that come in some order."""
        self.check_is_fitted()
        self._check(self.sfreq_in_, self.unit_, where)
        order = channel_order(ch_names, self.ch_names_in_, where=where)
        return Chain(
            order=slice(None) if order == list(range(len(ch_names))) else order,
            ch_names_in=self.ch_names_in_,
            spatial=self.spatial_,
            gain=_microvolts(self.unit_),
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
        if scaling == "zscore_epoch":
            zscore_epochs(epochs, out=epochs)
        elif scaling == "rms_epoch":
            rms_epochs(epochs, out=epochs)
        elif scaling == "center":
            center_epochs(epochs, out=epochs)
        elif scaling != "none":
            if self.center_ is None or self.spread_ is None:
                raise InputError(f"scaling {scaling!r} was not fitted; expected fit(recording)")
            scale_channels(epochs, self.center_, self.spread_, out=epochs)
        return is_rejected

    # -- checks ------------------------------------------------------------------------------

    def _check(self, sfreq_in: float, unit: str, where: str) -> None:
        """Raise an error for parameters that are wrong in themselves or for such a recording."""
        check_parameters(self.get_params())
        check_phase(self.phase)
        check_scaling(self.scaling)
        if self.engine not in ENGINES:
            raise InputError(f"got engine {self.engine!r}; expected one of {list(ENGINES)}")
        if self.resample not in RESAMPLINGS:
            raise InputError(f"resample {self.resample!r}; expected one of {list(RESAMPLINGS)}")
        if self.h_freq is not None:
            for rate in (sfreq_in, self.sfreq):
                design_bandpass(self.l_freq, self.h_freq, sfreq=rate, order=self.order)
        rational_ratio(self.sfreq, sfreq_in)
        if self.baseline is not None:
            baseline_samples(self.baseline, sfreq=self.sfreq, tmin=self.tmin, n_times=self.n_times)
        if unit == "AD":
            for what in ("clip_uv", "reject_uv"):
                if getattr(self, what) is not None:
                    raise InputError(
                        f"{where} is in amplifier steps of unknown size; expected EEG "
                        f"in volts for {what}={getattr(self, what)}"
                    )

    def _check_fits(self, recording: Recording) -> None:
        """Raise an error for another rate or unit than the fitted one; channels come later."""
        for what, have, want in (
            ("rate", recording.sfreq, self.sfreq_in_),
            ("unit", recording.unit, self.unit_),
        ):
            if have != want:
                raise InputError(
                    f"{recording.name} has {what} {have}; expected {want} as the preprocessor "
                    "was fitted"
                )

    def check_is_fitted(self) -> None:
        """Raise an error before :meth:`fit`."""
        if not hasattr(self, "ch_names_"):
            raise InputError("the preprocessor is not fitted; expected fit(recording) before")

    # -- state -------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Describe the fitted preprocessor in plain containers, for JSON and checkpoints.

        :meth:`from_state` is the way back.
        """
        self.check_is_fitted()
        return {
            "version": STATE_VERSION,
            "params": {name: _plain(value) for name, value in self.get_params().items()},
            "ch_names_in": list(self.ch_names_in_),
            "ch_names": list(self.ch_names_),
            "sfreq_in": self.sfreq_in_,
            "unit": self.unit_,
            "bad_channels": list(self.bad_channels_),
            "spatial": _plain(self.spatial_),
            "center": _plain(self.center_),
            "spread": _plain(self.spread_),
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
                f"preprocessing state of version {version}; expected {STATE_VERSION}: fit the "
                "preprocessor anew, or use the release that wrote the state"
            )
        try:
            params = dict(state["params"])
            params["scaling"] = RENAMED.get(params["scaling"], params["scaling"])
            self = cls(**params)
            self.ch_names_in_ = tuple(state["ch_names_in"])
            self.ch_names_ = tuple(state["ch_names"])
            self.sfreq_in_ = float(state["sfreq_in"])
            self.unit_ = str(state["unit"])
            self.bad_channels_ = tuple(state["bad_channels"])
            arrays = {k: state[k] for k in ("spatial", "center", "spread")}
        except (KeyError, TypeError) as error:
            raise InputError(f"damaged preprocessing state: {error}") from error
        for name, values in arrays.items():
            setattr(self, f"{name}_", None if values is None else np.array(values, np.float64))
        check_fitted(self)
        return self


def _microvolts(unit: str) -> float:
    """Return the factor that makes µV; 1 for amplifier steps."""
    volts = UNITS[unit]
    return 1.0 if volts is None else volts * 1e6


def _plain(value):
    """Arrays and tuples to lists, numpy numbers to Python's."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
