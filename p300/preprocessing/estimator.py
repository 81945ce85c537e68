"""The interface of a scikit-learn estimator, without importing scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import TYPE_CHECKING, Any

from p300.errors import InputError
from p300.preprocessing.filters import PHASES
from p300.preprocessing.scaling import RENAMED, SCALINGS

if TYPE_CHECKING:
    from typing import Self

    from sklearn.utils import Tags

    from p300.preprocessing.preprocessor import Preprocessor


@dataclass(eq=False, repr=False)
class Estimator:
    """Parameters, cloning and display by scikit-learn's conventions.

    A base class of :class:`~p300.preprocessing.Preprocessor` alone, so that the latter is about
    EEG only. Its parameters are the fields of that dataclass. Importing ``BaseEstimator`` itself
    would take a second.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters as they were given."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; fitted attributes stay until the next :meth:`fit`."""
        known = list(self.get_params())
        if unknown := sorted(set(params) - set(known)):
            raise InputError(f"unknown parameters {unknown}; expected {known}")
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
        params = [(field, getattr(self, field.name)) for field in fields(self)]
        changed = [f"{field.name}={value!r}" for field, value in params if value != field.default]
        return f"{type(self).__name__}({', '.join(changed)})"


#: Largest number of samples per epoch; more mean a mistake in the rate or the interval.
MAX_TIMES = 100_000

#: Largest filter order; above it, rounding errors make the filter coefficients useless.
MAX_ORDER = 20

#: Numbers that may be None, and those that must be positive.
OPTIONAL = ("l_freq", "h_freq", "clip_uv", "reject_uv")
POSITIVE = ("clip_uv", "reject_uv")

RESAMPLINGS = ("filter_first", "subsample_first")
ENGINES = ("fast", "scipy")

#: Parameters with few possible values.
CHOICES = {"phase": PHASES, "resample": RESAMPLINGS, "scaling": SCALINGS, "engine": ENGINES}


def check_parameters(steps: Preprocessor) -> None:
    """Validate the parameters, so that no epoch is empty, too long or not a number.

    Raises
    ------
    InputError
        If a parameter in Hz, seconds or µV is not a finite number, or is not positive where it
        must be; if an epoch has more than :data:`MAX_TIMES` samples; if the filter order is above
        :data:`MAX_ORDER`; if the baseline is not a pair of finite numbers; if a channel is named
        twice, or no channel is named; if one of :data:`CHOICES` has another value.

    Examples
    --------
    >>> from p300.preprocessing import Preprocessor
    >>> check_parameters(Preprocessor(tmax=float("nan")))
    Traceback (most recent call last):
    p300.errors.InputError: tmax is nan; expected a finite number
    """
    for name in ("tmin", "tmax", "sfreq", "order", *OPTIONAL):
        value = getattr(steps, name)
        if value is None and name in OPTIONAL:
            continue
        if not _is_finite(value):
            raise InputError(f"{name} is {value!r}; expected a finite number")
        if name in POSITIVE and value <= 0:
            raise InputError(f"{name} is {value:g}; expected more than 0")
    n_times = (steps.tmax - steps.tmin) * steps.sfreq
    if n_times > MAX_TIMES:
        raise InputError(
            f"epochs from {steps.tmin:g} to {steps.tmax:g} s at {steps.sfreq:g} Hz have "
            f"{n_times:.3g} samples; expected at most {MAX_TIMES}"
        )
    if steps.order > MAX_ORDER:
        raise InputError(f"filter order {steps.order}; expected at most {MAX_ORDER}")
    is_pair = isinstance(steps.baseline, Sequence) and len(steps.baseline) == 2
    if steps.baseline is not None and not (is_pair and all(map(_is_finite, steps.baseline))):
        raise InputError(
            f"baseline is {steps.baseline!r}; expected (start, end), two finite numbers of seconds"
        )
    if steps.channels is not None:
        check_names("channels", steps.channels)
        channels = list(steps.channels)
        n_repeated = len({c for c in channels if channels.count(c) > 1})
        if n_repeated or not channels:
            raise InputError(
                f"channels are {channels}: {n_repeated} of them are repeated; expected each once, "
                "at least one, or null for all"
            )
    if steps.scaling in RENAMED:
        now = RENAMED[steps.scaling]
        raise InputError(f"got scaling {steps.scaling!r}; it is now called {now!r}")
    for name, choices in CHOICES.items():
        if (value := getattr(steps, name)) not in choices:
            raise InputError(f"got {name} {value!r}; expected one of {list(choices)}")


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


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
