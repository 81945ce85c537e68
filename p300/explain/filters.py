"""What a detector learned: electrode power, spatial filters and patterns, temporal kernels.

A spatial filter is a set of weights that combine the electrodes. Its pattern shows where on the
scalp the signal of the filter appears. :mod:`p300.explain.patterns` explains why only patterns may
be read as places.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.explain.patterns import channel_covariance, haufe_patterns

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike


def electrode_power(detector: Any) -> np.ndarray:
    """Compute the power of each electrode: the sum of its absolute spatial weights.

    Parameters
    ----------
    detector : Detector, nn.Module, ClassicalDetector, or sequence of them
        For an ensemble, the result is the mean over the members that have spatial filters.

    Returns
    -------
    ndarray, shape (n_chans,)
        In 1 / unit of the epochs. Electrodes can be compared if all were scaled to the same
        standard deviation, as ``scaling="zscore_epoch"`` does.

    Raises
    ------
    InputError
        If no member has spatial filters.

    Notes
    -----
    H. Cecotti, A. Graeser, IEEE TPAMI 33(3):433-445 (2011), eq. (12).
    """
    powers = [np.abs(spatial_filters(model)).sum(axis=0) for model in with_filters(detector)]
    return np.mean(powers, axis=0)


def rank_electrodes(power: ArrayLike, ch_names: Sequence[str]) -> pd.DataFrame:
    """Sort electrodes by their power, the strongest first.

    Parameters
    ----------
    power : array-like, shape (n_chans,)
        From :func:`electrode_power`.
    ch_names : sequence of str
        The channels, in order.

    Returns
    -------
    DataFrame
        Columns ``electrode``, ``power`` and ``relative``, the power in units of the mean over
        electrodes; the index is the rank, from 1.

    Examples
    --------
    >>> rank_electrodes([1.0, 3.0, 2.0], ["Fz", "Pz", "Oz"])["electrode"].tolist()
    ['Pz', 'Oz', 'Fz']
    """
    import pandas as pd

    power = np.asarray(power, float)
    if power.shape != (len(ch_names),):
        raise InputError(
            f"power of shape {power.shape}; expected one value for each of the "
            f"{len(ch_names)} channels"
        )
    order = np.argsort(-power, kind="stable")
    table = {
        "electrode": [str(ch_names[k]) for k in order],
        "power": power[order],
        "relative": power[order] / (power.mean() or 1.0),
    }
    return pd.DataFrame(table, index=pd.RangeIndex(1, len(order) + 1, name="rank"))


def spatial_filters(detector: Any, member: int = 0) -> np.ndarray:
    """Return the spatial filters of a detector: the weights that combine the electrodes.

    Parameters
    ----------
    detector : Detector, nn.Module or ClassicalDetector
        A network that :class:`~p300.models.protocols.HasSpatialFilters` (CecottiCNN, EEGNet, BN3)
        or a detector with xDAWN filters (in tangent space those of nontargets come first, then
        those of targets). Networks that mix space and time in one kernel have none; use
        :mod:`p300.explain.attribution`, :mod:`p300.explain.occlusion` or
        :func:`p300.explain.patterns.score_pattern` for these.
    member : int
        Index among the members that have spatial filters.

    Returns
    -------
    ndarray, shape (n_filters, n_chans)
        In 1 / unit of the epochs; the sign of a filter has no meaning.

    Raises
    ------
    InputError
        If there are none.
    """
    from p300.models.protocols import HasSpatialFilters

    model = with_filters(detector)[member]
    is_network = isinstance(model, HasSpatialFilters)
    return np.asarray(model.spatial_filters() if is_network else model.filters_, np.float64)


def spatial_patterns(
    detector: Any, epochs: np.ndarray, member: int = 0, *, jointly: bool = False
) -> np.ndarray:
    """Compute the pattern of each spatial filter: how its signal appears at every electrode.

    Parameters
    ----------
    detector : Detector, nn.Module or ClassicalDetector
        As for :func:`spatial_filters`.
    epochs : ndarray, shape (n_flashes, n_chans, n_times)
        Training epochs, preprocessed as the detector reads them.
    member : int
        Index among the members that have spatial filters.
    jointly : bool
        See :func:`p300.explain.haufe_patterns`. The ten filters of a trained CNN-1 extract
        nearly the same signal. What remains of one filter when the other nine are held constant
        is hardly more than noise, so by default each filter is treated alone.

    Returns
    -------
    ndarray, shape (n_filters, n_chans)
        In the unit of the epochs per unit of the filter's output. They are computed from the
        covariance of the filters' input: for EEGNet the epochs after a temporal filter, for
        xDAWN the epochs minus the mean of each.
    """
    import torch

    from p300.models.protocols import HasSpatialInputs

    model = with_filters(detector)[member]
    filters, epochs = spatial_filters(model), np.asarray(epochs)
    if epochs.ndim != 3 or epochs.shape[1] != filters.shape[1]:
        raise InputError(
            f"epochs of shape {epochs.shape}; expected (n_flashes, {filters.shape[1]}, n_times)"
        )
    inputs: Iterable[tuple[slice, Any]] = [(slice(None), epochs)]
    if isinstance(model, HasSpatialInputs):
        inputs = model.spatial_inputs(torch.as_tensor(epochs))
    elif getattr(model, "remove_mean", False):
        inputs = [(slice(None), epochs - epochs.mean(axis=-1, keepdims=True))]
    patterns = np.empty_like(filters)
    for rows, read in inputs:
        covariance = channel_covariance(read)
        patterns[rows] = haufe_patterns(filters[rows], covariance, jointly=jointly)
    return patterns


def temporal_kernels(network: Any) -> np.ndarray:
    """Return the weights of a network's temporal filters.

    Parameters
    ----------
    network : nn.Module or Detector
        One that :class:`~p300.models.protocols.HasTemporalKernels` (CecottiCNN, EEGNet,
        ShallowConvNet, DeepConvNet, Conformer); for an ensemble, the first such member.

    Returns
    -------
    ndarray, shape (n_kernels, n_taps)
        Without unit. Tap ``k`` is multiplied by the sample ``k / sfreq`` seconds after the first
        that the kernel reads.

    Raises
    ------
    InputError
        If there are none.
    """
    from p300.models.protocols import HasTemporalKernels

    found = [m for m in models_of(network) if isinstance(m, HasTemporalKernels)]
    if not found:
        raise InputError(
            f"{_names(network)}: no temporal kernels; expected a network that filters time "
            f"separately, such as CecottiCNN or EEGNet"
        )
    return np.asarray(found[0].temporal_kernels(), np.float64)


def frequency_response(
    kernels: ArrayLike, sfreq: float, n_freqs: int = 241
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the gain of temporal filters at each frequency.

    Parameters
    ----------
    kernels : array-like, shape (n_kernels, n_taps)
        From :func:`temporal_kernels`.
    sfreq : float
        Rate of the epochs in Hz.
    n_freqs : int
        Number of frequencies from 0 to ``sfreq / 2``; at least ``n_taps / 2 + 1``.

    Returns
    -------
    freqs : ndarray, shape (n_freqs,)
        In Hz.
    gain : ndarray, shape (n_kernels, n_freqs)
        Amplitude of the filter's output for a sine of amplitude 1. A stride, which keeps only
        every n-th output, causes aliasing after the filter and is not included.

    Examples
    --------
    >>> freqs, gain = frequency_response([[0.5, 0.5]], sfreq=120.0, n_freqs=3)
    >>> freqs.tolist(), gain.round(3).tolist()
    ([0.0, 30.0, 60.0], [[1.0, 0.707, 0.0]])
    """
    kernels = np.asarray(kernels, float)
    n_samples, n_taps = 2 * (n_freqs - 1), kernels.shape[-1]
    if n_taps > n_samples:
        least = math.ceil(n_taps / 2) + 1
        raise InputError(f"got n_freqs={n_freqs} for {n_taps} taps; expected at least {least}")
    return np.fft.rfftfreq(n_samples, 1 / sfreq), np.abs(np.fft.rfft(kernels, n_samples))


def linear_weights(detector: Any) -> np.ndarray:
    """Return the weight of each electrode and sample in a linear detector's score.

    Parameters
    ----------
    detector : Detector or ClassicalDetector
        All its members must be linear: LDA, SWLDA, xDAWN with LDA, SVM, ridge.

    Returns
    -------
    ndarray, shape (n_chans, n_times)
        In units of the score / unit of the epochs. These are filters, not patterns.

    Raises
    ------
    InputError
        If a member is not linear.
    """
    nonlinear = [type(m).__name__ for m in models_of(detector) if not hasattr(m, "epoch_weights")]
    if nonlinear:
        raise InputError(
            f"{', '.join(nonlinear)}: not linear in the epoch; expected linear members; "
            f"use p300.explain.score_pattern"
        )
    if not hasattr(detector, "members"):
        return np.mean([m.epoch_weights() for m in models_of(detector)], axis=0)
    weights = sum(m.weight * m.detector.epoch_weights() for m in detector.members)
    return detector.calibration[0] * weights


def models_of(detector: Any) -> list[Any]:
    """List the networks and classical detectors in a trained detector, member or sequence."""
    if isinstance(detector, list | tuple):
        return [model for part in detector for model in models_of(part)]
    if hasattr(detector, "members"):
        return [member.detector for member in detector.members]
    return [detector.detector if hasattr(detector, "is_network") else detector]


def with_filters(detector: Any) -> list[Any]:
    """List the members that have spatial filters.

    Raises
    ------
    InputError
        If there are none.
    """
    from p300.models.protocols import HasSpatialFilters

    models = models_of(detector)
    found = [m for m in models if isinstance(m, HasSpatialFilters) or hasattr(m, "filters_")]
    if not found:
        raise InputError(f"{_names(detector)}: no spatial filters; use p300.explain.score_pattern")
    return found


def _names(detector: Any) -> str:
    return ", ".join(dict.fromkeys(type(m).__name__ for m in models_of(detector)))
