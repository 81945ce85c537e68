"""Calibrate scores to log odds: Platt scaling, fitted on validation flashes.

Slope and offset never change which flash of a detector scores higher, so AUC and text stay the
same. They make the scores of different detectors, and their sums over repetitions, comparable.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from p300.errors import InputError
from p300.metrics.measures import known_labels


def fit_platt(
    scores: ArrayLike, is_target: ArrayLike, *, temperature_only: bool = False
) -> tuple[float, float]:
    """Fit the slope and offset that turn scores into the log odds of a target.

    Parameters
    ----------
    scores : array-like of float, shape (n_flashes,)
        Scores of flashes that the detector was not trained on.
    is_target : array-like of bool, shape (n_flashes,)
        Their labels.
    temperature_only : bool
        Fit the slope alone (one over the temperature) and leave the offset 0.

    Returns
    -------
    slope, offset : float
        ``slope * score + offset`` is the log odds; the slope is never negative.

    Raises
    ------
    InputError
        If one class is missing.

    Notes
    -----
    J. Platt, "Probabilistic outputs for support vector machines" (1999), with its smoothed
    targets (n + 1) / (n + 2), so that separable scores keep a finite slope.

    Examples
    --------
    >>> slope, offset = fit_platt([-2, -1, 1, 2] * 50, [False, True, False, True] * 50)
    >>> round(offset, 3)
    0.0
    """
    from scipy.optimize import minimize  # deciding live needs none of this
    from scipy.special import expit

    scores, is_target = np.asarray(scores, float), known_labels(is_target)
    n_targets, n_flashes = int(is_target.sum()), len(is_target)
    if not 0 < n_targets < n_flashes:
        raise InputError(
            f"calibration: {n_targets} targets among {n_flashes} flashes; expected both classes"
        )
    n_nontargets = n_flashes - n_targets
    wanted = np.where(is_target, (n_targets + 1) / (n_targets + 2), 1 / (n_nontargets + 2))
    # so that the optimizer sees numbers near 1, whatever the unit and the level of the scores
    centre, scale = 0.0 if temperature_only else scores.mean(), scores.std() or 1.0
    standard = (scores - centre) / scale

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        logits = parameters[0] * standard + parameters[1]
        error = expit(logits) - wanted
        value = np.mean(np.logaddexp(0, logits) - wanted * logits)
        slope = np.mean(error * standard)
        return value, np.array([slope, 0.0 if temperature_only else error.mean()])

    slope, offset = minimize(loss, [1.0, 0.0], jac=True, bounds=[(0, None), (None, None)]).x
    return float(slope / scale), float(offset - slope * centre / scale)
