"""Refuse a preprocessor whose numbers mean nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

from p300.errors import InputError

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
