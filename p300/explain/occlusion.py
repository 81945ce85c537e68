"""Occlusion: how much the AUC falls without an electrode or a time window.

It needs only the scores of a detector, and so works with every detector. M. D. Zeiler, R. Fergus,
"Visualizing and understanding convolutional networks", ECCV 2014, arXiv 1311.2901.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.metrics import (
    Counts,
    auc_counts,
    confidence_interval,
    resampling_units,
    unit_name,
    weighted_auc,
)

if TYPE_CHECKING:
    import pandas as pd

    from p300.detector import Detector
    from p300.preprocessing import Epochs

#: Values that can replace a part of the epochs.
REPLACEMENTS = ("mean", "zero")


@dataclass(frozen=True, eq=False)
class Occlusion:
    """Loss of AUC and of margin when parts of the epochs are replaced, one part at a time.

    Parameters
    ----------
    auc : float
        AUC of the complete epochs.
    auc_loss : ndarray, shape (n_parts,)
        Decrease of the AUC; negative where it rises.
    low, high : ndarray, shape (n_parts,)
        95 % interval of the AUC loss over characters (blocks of 30 s where there are none);
        ``nan`` where there is none.
    margin_loss : ndarray, shape (n_parts,)
        Fraction of the margin that is lost. The margin is the mean score of targets minus that of
        nontargets.
    replacement : str
        What replaced the part: "mean", its mean over all flashes at each sample, or "zero".
    n_flashes : int
        Labelled flashes used.
    n_units, unit : int and str
        Number of characters or blocks, and which of them.
    """

    auc: float
    auc_loss: np.ndarray
    low: np.ndarray
    high: np.ndarray
    margin_loss: np.ndarray
    replacement: str
    n_flashes: int
    n_units: int
    unit: str


def occlude_electrodes(
    detector: Detector, epochs: Epochs, *, replacement: str = "mean"
) -> Occlusion:
    """Compute the loss without each electrode, over the whole epoch.

    Parameters
    ----------
    detector : Detector
        Any detector.
    epochs : Epochs
        Of flashes that it was not trained on, preprocessed as it reads them.
    replacement : {"mean", "zero"}
        See :func:`occlude`.

    Returns
    -------
    Occlusion
        One part per electrode, in the order of the channels. Neighbouring electrodes carry
        similar signals: a detector may use an electrode although its loss is zero.
    """
    n_chans, n_times = epochs.data.shape[1:]
    masks = np.eye(n_chans, dtype=bool)[:, :, np.newaxis].repeat(n_times, axis=2)
    return occlude(detector, epochs, masks, replacement=replacement)


def occlude_windows(
    detector: Detector,
    epochs: Epochs,
    *,
    width_s: float = 0.05,
    replacement: str = "mean",
) -> tuple[Occlusion, np.ndarray]:
    """Compute the loss without each time window, at all electrodes.

    Parameters
    ----------
    detector : Detector
        Any detector.
    epochs : Epochs
        Of flashes that it was not trained on, preprocessed as it reads them.
    width_s : float
        Width of the windows, which follow each other from the first sample. The last one may be
        shorter.
    replacement : {"mean", "zero"}
        See :func:`occlude`.

    Returns
    -------
    Occlusion
        One part per window.
    ndarray, shape (n_windows, 2)
        Start and stop of each, half open, in seconds from the flash.
    """
    n_chans, n_times = epochs.data.shape[1:]
    width = round(width_s * epochs.sfreq)
    if not 0 < width <= n_times:
        raise InputError(
            f"got width_s={width_s:g}: windows of {width} samples; expected 1 to {n_times} "
            f"samples, the length of an epoch"
        )
    starts = np.arange(0, n_times, width)
    which = np.arange(n_times) // width == np.arange(len(starts))[:, np.newaxis]
    masks = which[:, np.newaxis].repeat(n_chans, axis=1)
    edges = epochs.tmin + np.append(starts, n_times) / epochs.sfreq
    found = occlude(detector, epochs, masks, replacement=replacement)
    return found, np.column_stack([edges[:-1], edges[1:]])


def occlude(
    detector: Detector,
    epochs: Epochs,
    masks: np.ndarray,
    *,
    replacement: str = "mean",
) -> Occlusion:
    """Replace parts of the epochs in turn and compute the loss of AUC and of margin.

    Parameters
    ----------
    detector : Detector
        Any detector; it scores the epochs once per part.
    epochs : Epochs
        Of flashes that it was not trained on; unlabelled ones are left out. Not changed.
    masks : ndarray of bool, shape (n_parts, n_chans, n_times)
        True inside the part.
    replacement : {"mean", "zero"}
        What replaces the part in every flash: its mean over all these flashes, or zeros. The mean
        keeps the response to any flash and contains no information about the targets.

    Returns
    -------
    Occlusion
    """
    if replacement not in REPLACEMENTS:
        raise InputError(f"replacement {replacement!r}; expected one of {REPLACEMENTS}")
    data, is_target, flashes = labelled(epochs)
    masks = np.asarray(masks, bool)
    if masks.ndim != 3 or masks.shape[1:] != data.shape[1:]:
        n_chans, n_times = data.shape[1:]
        raise InputError(f"masks of shape {masks.shape}; expected (n_parts, {n_chans}, {n_times})")
    filling = data.mean(axis=0) if replacement == "mean" else np.zeros_like(data[0])
    unit = resampling_units(flashes)
    n_units = int(unit.max()) + 1

    def measure(scores: np.ndarray) -> tuple[Counts, float]:
        counts = auc_counts(is_target, scores, unit)
        return counts, float(scores[is_target].mean() - scores[~is_target].mean())

    whole, margin = measure(detector.score_epochs(data))
    work, without, margins = data.copy(), [], []
    for mask in masks:
        work[:, mask] = filling[mask]
        counts, left = measure(detector.score_epochs(work))
        work[:, mask] = data[:, mask]
        without.append(counts)
        margins.append(1 - left / margin if margin else np.nan)

    def losses(weights: np.ndarray) -> np.ndarray:  # (n_draws, n_parts)
        auc = weighted_auc(*whole, weights)
        return np.stack([auc - weighted_auc(*part, weights) for part in without], axis=1)

    all_units = np.ones((1, n_units))
    kind = unit_name(flashes)
    found = confidence_interval(losses, n_units, unit=kind)
    low, high = (np.broadcast_to(end, len(masks)) for end in found)
    auc, loss = float(weighted_auc(*whole, all_units)[0]), losses(all_units)[0]
    sizes = (len(is_target), n_units, kind)
    return Occlusion(auc, loss, low, high, np.array(margins), replacement, *sizes)


def labelled(epochs: Epochs) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Return epochs, labels and flash table of the labelled flashes.

    Raises
    ------
    InputError
        If targets or nontargets are missing.
    """
    known = epochs.flashes["is_target"].notna().to_numpy()
    flashes = epochs.flashes[known]
    is_target = flashes["is_target"].to_numpy(bool)
    if is_target.all() or not is_target.any():
        raise InputError(
            f"{is_target.sum()} targets among {len(is_target)} labelled flashes; expected both "
            "targets and nontargets"
        )
    return (epochs.data if known.all() else epochs.data[known]), is_target, flashes
