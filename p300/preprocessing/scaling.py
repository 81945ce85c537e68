"""Scale epochs: by their own statistics, or by those of the training epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: Ways to scale; "standardize" and "robust" must be fitted.
SCALINGS = (
    "zscore_epoch", "rms_epoch", "median_epoch", "center", "standardize", "robust", "none",
)  # fmt: skip

#: Old names of three scalings, found in files of earlier versions.
RENAMED = {"flash": "zscore_epoch", "rms": "rms_epoch", "train": "standardize"}


def zscore_epochs(epochs: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """Scale each epoch and electrode to mean 0 and standard deviation 1 over its samples.

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


def center_epochs(epochs: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """Subtract from each epoch and electrode its mean over time.

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
    return _center(epochs, out)[0]


def rms_epochs(epochs: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """Subtract from each epoch and electrode its mean, and divide each epoch by one number.

    The number is the root mean square over all electrodes and samples of the epoch, so that
    electrodes keep their relative amplitudes. A constant epoch becomes zero.

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


def median_epochs(epochs: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """Subtract from each epoch and electrode its mean, and divide each epoch by one number.

    The number is the root of the median over electrodes of the mean square. So an electrode that
    drifts or pops is loud itself and leaves the others as they are, which it does not by
    :func:`rms_epochs`. Constant electrodes do not count; a constant epoch becomes zero.

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
    >>> median_epochs(np.array([[[-2.0, 2.0], [-2.0, 2.0], [-7e4, 7e4]]])).tolist()
    [[[-1.0, 1.0], [-1.0, 1.0], [-35000.0, 35000.0]]]
    """
    centered, rounding = _center(epochs, out)
    power = np.einsum("fct,fct->fc", centered, centered) / centered.shape[-1]
    varies = power > rounding
    ordered = np.sort(np.where(varies, power, np.inf), axis=1)
    n = varies.sum(axis=1, keepdims=True)
    middle = np.take_along_axis(ordered, np.hstack([np.maximum(n - 1, 0) // 2, n // 2]), axis=1)
    factor = 1 / np.sqrt(middle.mean(axis=1))
    return np.multiply(centered, factor[:, None, None], out=centered)


#: Scalings by the statistics of each epoch itself.
BY_EPOCH = {
    "zscore_epoch": zscore_epochs,
    "rms_epoch": rms_epochs,
    "median_epoch": median_epochs,
    "center": center_epochs,
}


def channel_statistics(epochs: np.ndarray, scaling: str) -> tuple[np.ndarray, np.ndarray]:
    """Compute the centre and the scale of each channel over the training epochs.

    Parameters
    ----------
    epochs : ndarray, shape (n_flashes, n_chans, n_times)
        EEG of training epochs only.
    scaling : {"standardize", "robust"}
        Mean and standard deviation, or median and interquartile range.

    Returns
    -------
    center : ndarray of float64, shape (n_chans,)
        Mean or median.
    spread : ndarray of float64, shape (n_chans,)
        Standard deviation or interquartile range; 1 for a constant channel.

    Raises
    ------
    InputError
        If there is no epoch.

    Examples
    --------
    >>> channel_statistics(np.array([[[1.0, 3.0]], [[1.0, 3.0]]]), "standardize")
    (array([2.]), array([1.]))
    """
    if not len(epochs):
        raise InputError(f"got no training epoch for scaling {scaling!r}; expected at least one")
    channels = epochs.swapaxes(0, 1)
    if scaling == "standardize":
        center = epochs.mean(axis=(0, 2), dtype=np.float64)
        spread = np.sqrt([np.square(c - m).mean() for c, m in zip(channels, center, strict=True)])
    else:
        quartiles = [np.percentile(channel, [25, 50, 75]) for channel in channels]
        q1, center, q3 = np.array(quartiles, np.float64).T
        spread = q3 - q1
    return center, np.where(spread > 0, spread, 1.0)


def scale_channels(
    epochs: np.ndarray, center: ArrayLike, spread: ArrayLike, *, out: np.ndarray | None = None
) -> np.ndarray:
    """Subtract ``center`` from each channel and divide it by ``spread``.

    Parameters
    ----------
    epochs : ndarray, shape (n_flashes, n_chans, n_times)
        EEG, not changed.
    center, spread : array_like, shape (n_chans,)
        From :func:`channel_statistics`.
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


def _center(epochs: np.ndarray, out: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Subtract the mean over time; also return an upper limit of the power of rounding errors."""
    n_times = epochs.shape[-1]
    weights = np.full(n_times, 1 / n_times, np.result_type(epochs.dtype, np.float32))
    mean = epochs @ weights  # several times faster than ``mean``
    centered = np.subtract(epochs, mean[..., None], out=out)
    return centered, np.square(8 * np.finfo(centered.dtype).eps * mean)


def _inverse_root(power: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """Return ``1 / sqrt(power)``, or 0 where the power is only rounding error."""
    return np.where(power > rounding, 1 / np.sqrt(np.where(power > 0, power, 1)), 0)
