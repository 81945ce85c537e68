"""Bring epochs to a common size: by their own statistics, or by those of the training flashes."""

from __future__ import annotations

import numpy as np

from p300.errors import InputError

#: Ways to scale; "standardize" and "robust" must be fitted.
SCALINGS = ("zscore_epoch", "rms_epoch", "center", "standardize", "robust", "none")

#: Earlier names of three of them, which files of earlier versions hold.
RENAMED = {"flash": "zscore_epoch", "rms": "rms_epoch", "train": "standardize"}


def zscore_epochs(epochs, *, out=None):
    """Give each flash and electrode mean 0 and standard deviation 1 over its samples.

    Eq. (1) of Cecotti & Graeser 2011. A constant channel becomes zero.

    Parameters
    ----------
    epochs : ndarray, shape (n_flashes, n_chans, n_times)
        EEG in any unit, not changed.
    out : ndarray or None
        Where to write; may be ``epochs`` itself.

    Returns
    -------
    ndarray, shape (n_flashes, n_chans, n_times)

    Examples
    --------
    >>> zscore_epochs(np.array([[[1.0, 3.0], [5.0, 5.0]]]))
    array([[[-1.,  1.],
            [ 0.,  0.]]])
    """
    centered, rounding = _center(epochs, out)
    power = np.einsum("fct,fct->fc", centered, centered) / centered.shape[-1]
    factor = _inverse_root(power, rounding)
    return np.multiply(centered, factor[..., None], out=centered)


def center_epochs(epochs, *, out=None):
    """Subtract from each flash and electrode its mean over time.

    Parameters
    ----------
    epochs : ndarray, shape (n_flashes, n_chans, n_times)
        EEG in any unit, not changed.
    out : ndarray or None
        Where to write; may be ``epochs`` itself.

    Returns
    -------
    ndarray, shape (n_flashes, n_chans, n_times)

    Examples
    --------
    >>> center_epochs(np.array([[[1.0, 3.0]]]))
    array([[[-1.,  1.]]])
    """
    return np.subtract(epochs, _mean_over_time(epochs)[..., None], out=out)


def rms_epochs(epochs, *, out=None):
    """Subtract from each flash and electrode its mean, and divide each flash by one number.

    The number is the root mean square over all electrodes and samples of the flash, so that
    electrodes keep their relative amplitudes. A constant flash becomes zero.

    Parameters
    ----------
    epochs : ndarray, shape (n_flashes, n_chans, n_times)
        EEG in any unit, not changed.
    out : ndarray or None
        Where to write; may be ``epochs`` itself.

    Returns
    -------
    ndarray, shape (n_flashes, n_chans, n_times)

    Examples
    --------
    >>> rms_epochs(np.array([[[-2.0, 2.0], [5.0, 5.0]]])).round(3)
    array([[[-1.414,  1.414],
            [ 0.   ,  0.   ]]])
    """
    centered, rounding = _center(epochs, out)
    power = np.einsum("fct,fct->f", centered, centered) / np.prod(centered.shape[1:])
    factor = _inverse_root(power, rounding.mean(axis=-1))
    return np.multiply(centered, factor[:, None, None], out=centered)


def channel_statistics(epochs, scaling):
    """Learn one centre and one spread per channel from the training flashes.

    Parameters
    ----------
    epochs : ndarray, shape (n_flashes, n_chans, n_times)
        EEG of training flashes only.
    scaling : {"standardize", "robust"}
        Mean and standard deviation, or median and interquartile range.

    Returns
    -------
    center, spread : ndarray of float64, shape (n_chans,)
        A constant channel has spread 1.

    Raises
    ------
    InputError
        If there is no flash to learn from.

    Examples
    --------
    >>> channel_statistics(np.array([[[1.0, 3.0]], [[1.0, 3.0]]]), "standardize")
    (array([2.]), array([1.]))
    """
    if not len(epochs):
        raise InputError(f"scaling {scaling!r} has no flash to learn from; expected at least one")
    if scaling == "standardize":
        center = epochs.mean(axis=(0, 2), dtype=np.float64)
        power = [np.square(epochs[:, c] - center[c]).mean() for c in range(epochs.shape[1])]
        spread = np.sqrt(power)
    else:
        quartiles = [np.percentile(epochs[:, c], [25, 50, 75]) for c in range(epochs.shape[1])]
        q1, center, q3 = np.array(quartiles, np.float64).T
        spread = q3 - q1
    return center, np.where(spread > 0, spread, 1.0)


def scale_channels(epochs, center, spread, *, out=None):
    """Apply what :func:`channel_statistics` learned.

    Parameters
    ----------
    epochs : ndarray, shape (n_flashes, n_chans, n_times)
        EEG, not changed.
    center, spread : ndarray, shape (n_chans,)
        One of each per channel.
    out : ndarray or None
        Where to write; may be ``epochs`` itself.

    Returns
    -------
    ndarray, shape (n_flashes, n_chans, n_times)

    Examples
    --------
    >>> scale_channels(np.array([[[1.0, 3.0]]]), np.array([2.0]), np.array([0.5]))
    array([[[-2.,  2.]]])
    """
    center, spread = (np.asarray(v, epochs.dtype)[:, None] for v in (center, spread))
    centered = np.subtract(epochs, center, out=out)
    return np.divide(centered, spread, out=centered)


def _mean_over_time(epochs) -> np.ndarray:
    """Average over the last axis, as a product several times faster than ``mean``."""
    n_times = epochs.shape[-1]
    return epochs @ np.full(n_times, 1 / n_times, np.result_type(epochs.dtype, np.float32))


def _center(epochs, out) -> tuple[np.ndarray, np.ndarray]:
    """Subtract the mean over time; also give the power that rounding it may have left."""
    mean = _mean_over_time(epochs)
    centered = np.subtract(epochs, mean[..., None], out=out)
    return centered, np.square(8 * np.finfo(centered.dtype).eps * mean)


def _inverse_root(power, rounding) -> np.ndarray:
    """Give one over the root of the power, or 0 where it is rounding alone."""
    return np.where(power > rounding, 1 / np.sqrt(np.where(power > 0, power, 1)), 0)


def check_scaling(scaling) -> None:
    """Validate the name of a scaling."""
    if scaling in RENAMED:
        raise InputError(f"got scaling {scaling!r}; it is now called {RENAMED[scaling]!r}")
    if scaling not in SCALINGS:
        raise InputError(f"scaling {scaling!r}; expected one of {list(SCALINGS)}")
