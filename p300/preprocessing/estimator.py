"""The interface of a scikit-learn estimator, without importing scikit-learn."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from p300.errors import InputError

if TYPE_CHECKING:
    from typing import Self

    from sklearn.utils import Tags

    from p300.preprocessing.preprocessor import Preprocessor


class Estimator:
    """Parameters, cloning and display by scikit-learn's conventions.

    A base class of :class:`~p300.preprocessing.Preprocessor` alone, so that the latter is about
    EEG only. Importing ``BaseEstimator`` itself would take a second.
    """

    @classmethod
    def _param_names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters as they were given."""
        return {name: getattr(self, name) for name in self._param_names()}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; fitted attributes stay until the next :meth:`fit`."""
        unknown = sorted(set(params) - set(self._param_names()))
        if unknown:
            raise InputError(f"unknown parameters {unknown}; expected {self._param_names()}")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def set_output(self, *, transform: str | None = None) -> Self:
        """Accept scikit-learn's default output only: a data frame cannot hold three axes."""
        if transform not in (None, "default"):
            raise InputError(
                f"got transform={transform!r}, which cannot hold the three axes of epochs; "
                'expected "default"'
            )
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "ch_names_")

    def __sklearn_tags__(self) -> Tags:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(two_d_array=False),
        )

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if value is not defaults[name].default and value != defaults[name].default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"


#: Largest number of samples per epoch; more mean a mistake in the rate or the interval.
MAX_TIMES = 100_000

#: Largest filter order; above it, rounding errors make the filter coefficients useless.
MAX_ORDER = 20

#: Parameters that must be positive.
POSITIVE = ("clip_uv", "reject_uv")


def check_parameters(params: Mapping[str, Any]) -> None:
    """Validate the parameters, so that no epoch is empty, too long or not a number.

    Parameters
    ----------
    params : mapping
        From :meth:`~p300.preprocessing.Preprocessor.get_params`.

    Raises
    ------
    InputError
        If a parameter in Hz, seconds or µV is not a finite number, or is not positive where it
        must be; if an epoch has more than :data:`MAX_TIMES` samples; if the filter order is above
        :data:`MAX_ORDER`; if the baseline is not a pair; if a channel is named twice, or no
        channel is named.

    Examples
    --------
    >>> check_parameters({"tmin": 0.0, "tmax": float("nan"), "sfreq": 120})
    Traceback (most recent call last):
    p300.errors.InputError: tmax is nan; expected a finite number
    """
    for name in ("tmin", "tmax", "sfreq", "l_freq", "h_freq", "order", "clip_uv", "reject_uv"):
        value = params.get(name)
        if value is None and name not in ("tmin", "tmax", "sfreq", "order"):
            continue
        _check_number(name, params.get(name, 1), is_positive=name in POSITIVE)
    n_times = (params["tmax"] - params["tmin"]) * params["sfreq"]
    if n_times > MAX_TIMES:
        raise InputError(
            f"epochs from {params['tmin']:g} to {params['tmax']:g} s at {params['sfreq']:g} Hz "
            f"have {n_times:.3g} samples; expected at most {MAX_TIMES}"
        )
    if params.get("order", 1) > MAX_ORDER:
        raise InputError(f"filter order {params['order']}; expected at most {MAX_ORDER}")
    baseline = params.get("baseline")
    if baseline is not None:
        if not isinstance(baseline, Sequence) or isinstance(baseline, str) or len(baseline) != 2:
            raise InputError(f"baseline is {baseline!r}; expected (start, end) in seconds")
        for second in baseline:
            if second is not None:
                _check_number("baseline", second)
    channels = params.get("channels")
    if channels is not None:
        check_names("channels", channels)
        twice = sorted({c for c in channels if list(channels).count(c) > 1})
        if twice or not len(channels):
            raise InputError(
                f"channels are {list(channels)}: {len(twice)} of them are repeated; expected each "
                "once, at least one, or null for all"
            )


def check_fitted(preprocessor: Preprocessor) -> None:
    """Validate that the parts of a fitted preprocessor, read from a file, fit one another.

    Raises
    ------
    InputError
        If an electrode has no name, or the size of an array does not match the electrodes.
    """
    for what in ("ch_names_in_", "ch_names_"):
        check_names(what.rstrip("_"), getattr(preprocessor, what))
    n_in, n_chans = len(preprocessor.ch_names_in_), len(preprocessor.ch_names_)
    sizes = {"spatial_": (n_chans, n_in), "center_": (n_chans,), "spread_": (n_chans,)}
    for name, size in sizes.items():
        found = getattr(preprocessor, name)
        if found is not None and found.shape != size:
            raise InputError(f"{name[:-1]} of shape {found.shape}; expected {size}")
    if preprocessor.spatial_ is None and n_in != n_chans:
        raise InputError(
            f"got {n_chans} channels from {n_in} recorded ones without a spatial matrix; expected "
            f"one of shape ({n_chans}, {n_in})"
        )


def check_names(what: str, names: Any) -> None:
    """Validate that every electrode name is a string."""
    if isinstance(names, str):
        return  # read letter by letter; channel_order then reports the letters as missing
    is_listed = isinstance(names, Iterable)
    wrong = [n for n in names if not isinstance(n, str)] if is_listed else [names]
    if wrong:
        raise InputError(f"{what} holds {wrong!r}; expected electrode names (str)")


def _check_number(name: str, value: Any, *, is_positive: bool = False) -> None:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise InputError(f"{name} is {value!r}; expected a finite number")
    if is_positive and value <= 0:
        raise InputError(f"{name} is {value:g}; expected more than 0")
