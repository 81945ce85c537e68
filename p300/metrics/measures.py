"""Metrics of detection and spelling: arrays in, numbers out.

Conventions: a score is larger for flashes that look more like targets; rates are between 0
and 1; a value that cannot be computed (without a target, for example) is ``nan``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from p300.errors import InputError
from p300.flashes import as_labels


def roc_auc(is_target: ArrayLike, scores: ArrayLike) -> float:
    """Compute the area under the ROC curve of single flashes.

    It is the probability that a random target flash scores above a random nontarget flash,
    ties counting one half (Mann-Whitney).

    Parameters
    ----------
    is_target : array-like of bool, shape (n_flashes,)
        Labels.
    scores : array-like of float, shape (n_flashes,)
        Larger = more target-like.

    Returns
    -------
    float
        Between 0 and 1; 0.5 is chance; ``nan`` where one class is missing.

    Raises
    ------
    InputError
        If the lengths differ or a score is not finite.

    Examples
    --------
    >>> roc_auc([False, False, True, True], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    from scipy.stats import rankdata

    is_target, scores = _checked(is_target, scores)
    n_targets = int(is_target.sum())
    n_nontargets = len(is_target) - n_targets
    rank_sum = rankdata(scores)[is_target].sum()
    return _ratio(float(rank_sum) - n_targets * (n_targets + 1) / 2, n_targets * n_nontargets)


def detection_metrics(
    is_target: ArrayLike, scores: ArrayLike, threshold: float = 0.0
) -> dict[str, float]:
    """Compute the paper's metrics for single flashes at a threshold.

    Parameters
    ----------
    is_target : array-like of bool, shape (n_flashes,)
        Labels.
    scores : array-like of float, shape (n_flashes,)
        Larger = more target-like.
    threshold : float
        A flash is called a target where its score exceeds this.

    Returns
    -------
    dict
        ``auc``; the counts ``tp, tn, fp, fn``; ``recognition_rate`` (the paper's Reco.),
        ``recall``, ``precision``, ``f_score`` and ``balanced_accuracy``.

    Notes
    -----
    Cecotti & Graeser 2011, section 4.3. Their eq. (13) prints recall as TP / (TP + TN); their
    own numbers follow TP / (TP + FN), which is used here.

    Examples
    --------
    >>> found = detection_metrics([True, True, False, False, False], [2, -1, 1, -1, -3])
    >>> found["tp"], found["fp"], found["recall"], found["precision"]
    (1, 1, 0.5, 0.5)
    """
    is_target, scores = _checked(is_target, scores)
    called = scores > threshold
    tn, fp, fn, tp = np.bincount(2 * is_target + called, minlength=4).tolist()
    recall = _ratio(tp, tp + fn)
    return {
        "auc": roc_auc(is_target, scores),
        "tp": tp,
        "tn": tn,
        "fp": fp,
        "fn": fn,
        "recognition_rate": _ratio(tp + tn, len(scores)),
        "recall": recall,
        "precision": _ratio(tp, tp + fp),
        "f_score": _ratio(2 * tp, 2 * tp + fp + fn),
        "balanced_accuracy": (recall + _ratio(tn, tn + fp)) / 2,
    }


def on_one_scale(scores: ArrayLike, detector: ArrayLike) -> np.ndarray:
    """Bring the scores of several detectors to one mean and standard deviation.

    They become the averages of those of the detectors. So each detector ranks its flashes as
    before, detectors whose scores have other levels can be pooled, and 0 stays near where they
    have it. No label is read.

    Parameters
    ----------
    scores : array-like of float, shape (n_flashes,)
    detector : array-like, shape (n_flashes,)
        Which detector scored each flash.

    Returns
    -------
    ndarray, shape (n_flashes,)

    Examples
    --------
    >>> on_one_scale([-1, 1, -1, 50, 70, 50], [0, 0, 0, 1, 1, 1]).round(1).tolist()
    [24.5, 35.5, 24.5, 24.5, 35.5, 24.5]
    """
    scores = np.asarray(scores, float)
    _, rows = np.unique(np.asarray(detector), return_inverse=True)
    n = np.bincount(rows)
    mean = np.bincount(rows, scores) / n
    sd = np.sqrt(np.bincount(rows, (scores - mean[rows]) ** 2) / n)
    return (scores - mean[rows]) / np.where(sd > 0, sd, 1)[rows] * sd.mean() + mean.mean()


def bits_per_selection(accuracy: ArrayLike, n_symbols: int) -> np.ndarray:
    """Compute Wolpaw's bits per selection, eq. (19) of Cecotti & Graeser 2011 without its time.

    Parameters
    ----------
    accuracy : array-like of float
        Probability of the right symbol, between 0 and 1.
    n_symbols : int
        Symbols on the screen, at least 2.

    Returns
    -------
    ndarray
        log2(n_symbols) at accuracy 1; 0 at chance, and below chance too, where the formula
        would rise again.

    Examples
    --------
    >>> bits_per_selection([1 / 36, 1], 36).round(3).tolist()
    [0.0, 5.17]
    """
    p = np.asarray(accuracy, float)
    if n_symbols < 2 or np.any((p < 0) | (p > 1)):
        raise InputError(
            f"got accuracy {p} among {n_symbols} symbols; expected an accuracy from 0 to 1 "
            f"and at least 2 symbols"
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        right = p * np.log2(p)  # nan at 0, which is below chance
        wrong = np.where(p < 1, (1 - p) * np.log2((1 - p) / (n_symbols - 1)), 0.0)
    bits = np.log2(n_symbols) + right + wrong
    return np.where(np.isnan(p), np.nan, np.where(p > 1 / n_symbols, bits, 0.0))


def bits_per_minute(
    accuracy: ArrayLike,
    n_repetitions: ArrayLike,
    n_symbols: int = 36,
    *,
    repetition_s: float = 2.1,
    pause_s: float = 2.5,
) -> np.ndarray:
    """Compute the information transfer rate of eqs. (19) and (20), Cecotti & Graeser 2011.

    Parameters
    ----------
    accuracy : array-like of float
        Probability of the right symbol after ``n_repetitions``.
    n_repetitions : array-like of float
        Repetitions used for one symbol, or their mean.
    n_symbols : int
        Symbols on the screen.
    repetition_s, pause_s : float
        Seconds one repetition takes (12 flashes of 175 ms) and between two symbols.

    Returns
    -------
    ndarray
        Bits per minute.

    Examples
    --------
    >>> float(bits_per_minute(0.70, 5).round(2))
    12.69
    """
    seconds = pause_s + repetition_s * np.asarray(n_repetitions, float)
    return 60 * bits_per_selection(accuracy, n_symbols) / seconds


def _checked(is_target: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    is_target, scores = known_labels(is_target), np.asarray(scores, float)
    if is_target.shape != scores.shape or scores.ndim != 1:
        raise InputError(
            f"got labels of shape {is_target.shape} and scores of shape {scores.shape}; expected "
            f"one label and one score per flash"
        )
    if not np.isfinite(scores).all():
        n_broken = (~np.isfinite(scores)).sum()
        raise InputError(f"{n_broken} of {len(scores)} scores are not finite; expected numbers")
    return is_target, scores


def known_labels(is_target: ArrayLike) -> np.ndarray:
    """Return labels as bool: 0 and 1, or -1 and 1 (nontarget, target), are taken too.

    Raises
    ------
    InputError
        If some are not known, or can be read in several ways.
    """
    array = np.asarray(is_target)
    if array.dtype == bool or array.ndim != 1:
        return array.astype(bool)
    labels = as_labels(array, "labels")
    if n_missing := int(labels.isna().sum()):
        raise InputError(
            f"got {n_missing} of {len(labels)} flashes without a label; expected one for each; "
            "leave out flashes without a label"
        )
    return labels.to_numpy(bool)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
