"""How well the probabilities of single flashes agree with the fractions of targets."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from p300.errors import InputError
from p300.metrics.measures import known_labels


def calibration_error(is_target: ArrayLike, log_odds: ArrayLike, *, n_bins: int = 10) -> float:
    """Compute the expected calibration error of probabilities, given as log odds.

    Parameters
    ----------
    is_target : array-like of bool, shape (n_flashes,)
        Labels.
    log_odds : array-like of float, shape (n_flashes,)
        Log odds of a target, as the detector estimates them.
    n_bins : int
        Bins of equal width between 0 and 1.

    Returns
    -------
    float
        Mean over flashes of |mean probability - fraction of targets| in the flash's bin; 0 is
        perfect.

    Notes
    -----
    C. Guo et al., "On calibration of modern neural networks", ICML 2017, eq. (3).

    Examples
    --------
    >>> calibration_error([True, False], [0.0, 0.0]), calibration_error([True, False], [-99, 99])
    (0.0, 1.0)
    """
    from scipy.special import expit

    wanted, log_odds = _checked(is_target, log_odds)
    probability = expit(log_odds)
    bins = np.minimum((probability * n_bins).astype(int), n_bins - 1)
    excess = np.bincount(bins, probability - wanted)
    return float(np.abs(excess).sum() / len(probability))


def brier_score(is_target: ArrayLike, log_odds: ArrayLike) -> float:
    """Compute the mean squared error of probabilities, given as log odds.

    A constant probability equal to the fraction q of targets scores q (1 - q): 0.139 on a 6 x 6
    matrix.

    Examples
    --------
    >>> brier_score([True, False, False], [0.0, 0.0, 0.0])
    0.25
    """
    from scipy.special import expit

    wanted, log_odds = _checked(is_target, log_odds)
    return float(np.square(expit(log_odds) - wanted).mean())


def _checked(is_target: ArrayLike, log_odds: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and log odds; infinite log odds are probabilities of 0 and 1."""
    wanted, found = known_labels(is_target), np.asarray(log_odds, float)
    if wanted.shape != found.shape or np.isnan(found).any():
        raise InputError(
            f"got log odds of shape {found.shape}, {np.isnan(found).sum()} of them NaN, for "
            f"{len(wanted)} labels; expected one number per flash"
        )
    return wanted, found
