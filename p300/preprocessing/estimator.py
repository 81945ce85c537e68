"""What scikit-learn asks of an estimator, without importing scikit-learn."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

from p300.errors import InputError


class Estimator:
    """Parameters, cloning and display by scikit-learn's conventions.

    A base class with one child, so that the child is about EEG only; ``BaseEstimator`` itself
    would cost a second of import.
    """

    @classmethod
    def _param_names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep=True) -> dict:
        """Return the parameters as they were given."""
        return {name: getattr(self, name) for name in self._param_names()}

    def set_params(self, **params):
        """Set parameters by name; what was fitted stays until the next :meth:`fit`."""
        unknown = sorted(set(params) - set(self._param_names()))
        if unknown:
            raise InputError(f"unknown parameters {unknown}; expected {self._param_names()}")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def set_output(self, *, transform=None):
        """Accept scikit-learn's default output; epochs have three axes and fit no data frame."""
        if transform not in (None, "default"):
            raise InputError(f'output {transform!r} cannot hold three axes; expected "default"')
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "ch_names_")

    def __sklearn_tags__(self):
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(two_d_array=False),
        )

    def __repr__(self):
        defaults = inspect.signature(type(self).__init__).parameters
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if value is not defaults[name].default and value != defaults[name].default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"


#: Samples of one epoch beyond which a rate or an interval is taken for a slip.
MAX_TIMES = 100_000

#: Above it a filter's coefficients lose all their digits.
MAX_ORDER = 20

POSITIVE = ("clip_uv", "reject_uv")


def check_parameters(params: Mapping[str, Any]) -> None:
    """Refuse parameters with which every epoch would be empty, endless or not a number.

    Parameters
    ----------
    params : mapping
        As :meth:`~p300.preprocessing.Preprocessor.get_params` gives them.

    Raises
    ------
    InputError
        If one that counts Hz, seconds or µV is no finite number, or is not positive where it
        must be; if an epoch would have more than :data:`MAX_TIMES` samples; if the baseline is
        no pair; if channels are named twice, or none is.

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
            raise InputError(f"baseline {baseline!r}; expected its start and end in seconds")
        for second in baseline:
            if second is not None:
                _check_number("baseline", second)
    channels = params.get("channels")
    if channels is not None:
        check_names("channels", channels)
        twice = sorted({c for c in channels if list(channels).count(c) > 1})
        if twice or not len(channels):
            raise InputError(
                f"channels {list(channels)}: {len(twice)} of them stand twice; expected each "
                "once, at least one, or null for all"
            )


def check_fitted(preprocessor) -> None:
    """Refuse what was read as a fitted preprocessor and whose parts do not fit one another.

    Raises
    ------
    InputError
        If an electrode has no name, or an array another size than the electrodes ask for.
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
        raise InputError(f"{n_chans} electrodes of {n_in}; expected a matrix that makes them")


def check_names(what: str, names: Any) -> None:
    """Refuse names of electrodes that are none."""
    if isinstance(names, str):
        return  # taken letter by letter, and not found
    is_listed = isinstance(names, Iterable)
    wrong = [n for n in names if not isinstance(n, str)] if is_listed else [names]
    if wrong:
        raise InputError(f"{what} holds {wrong!r}; expected names of electrodes")


def _check_number(name: str, value: Any, *, is_positive: bool = False) -> None:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise InputError(f"{name} is {value!r}; expected a finite number")
    if is_positive and value <= 0:
        raise InputError(f"{name} is {value:g}; expected more than 0")
