"""Occlusion: how much worse flashes are told apart without an electrode or a time window.

It asks a detector for scores only, and so works with every one. M. D. Zeiler, R. Fergus,
"Visualizing and understanding convolutional networks", ECCV 2014, arXiv 1311.2901.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.metrics import auc_counts, bootstrap_weights, interval, resampling_units, weighted_auc

if TYPE_CHECKING:
    from p300.detector import Detector
    from p300.preprocessing import Epochs

#: What may stand in for a part.
REPLACEMENTS = ("mean", "zero")


@dataclass(frozen=True, eq=False)
class Occlusion:
    """What is lost when parts of the epochs are taken away, part by part.

    Parameters
    ----------
    auc : float
        Of the untouched epochs.
    auc_loss : ndarray, shape (n_parts,)
        By how much the AUC falls; negative where it rises.
    low, high : ndarray, shape (n_parts,)
        95 % interval of the loss over characters (blocks of 30 s where there are none) drawn
        with replacement, the same draws for every part.
    margin_loss : ndarray, shape (n_parts,)
        Share of the margin, mean score of targets less that of nontargets, that is lost.
    replacement : str
        What stood in for the part: "mean", its mean over all flashes at each instant, or "zero".
    n_flashes : int
        Labelled flashes looked at.
    """

    auc: float
    auc_loss: np.ndarray
    low: np.ndarray
    high: np.ndarray
    margin_loss: np.ndarray
    replacement: str
    n_flashes: int


def occlude_electrodes(
    detector: Detector, epochs: Epochs, *, replacement: str = "mean"
) -> Occlusion:
    """Take each electrode away in turn, during the whole epoch.

    Parameters
    ----------
    detector : Detector
        Any.
    epochs : Epochs
        Of flashes that it was not trained on, preprocessed as it reads them.
    replacement : {"mean", "zero"}
        See :func:`occlude`.

    Returns
    -------
    Occlusion
        One part an electrode, in the order of the channels. Neighbours carry much the same: an
        electrode that costs nothing may still be read.
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
    """Take each time window away in turn, at all electrodes.

    Parameters
    ----------
    detector : Detector
        Any.
    epochs : Epochs
        Of flashes that it was not trained on, preprocessed as it reads them.
    width_s : float
        Width of the windows, which follow each other from the first sample; what is left over
        makes a shorter last one.
    replacement : {"mean", "zero"}
        See :func:`occlude`.

    Returns
    -------
    Occlusion
        One part a window.
    ndarray, shape (n_windows, 2)
        Start and stop of each, half open, in seconds from the flash.
    """
    n_chans, n_times = epochs.data.shape[1:]
    width = round(width_s * epochs.sfreq)
    if not 0 < width <= n_times:
        raise InputError(f"windows of {width} samples; expected 1 to the {n_times} of an epoch")
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
    n_draws: int = 1000,
    seed: int = 0,
) -> Occlusion:
    """Take parts of the epochs away in turn and measure how much worse flashes are told apart.

    Parameters
    ----------
    detector : Detector
        Any; only its scores are asked for, once a part.
    epochs : Epochs
        Of flashes that it was not trained on; unlabelled ones are left out. Not changed.
    masks : ndarray of bool, shape (n_parts, n_chans, n_times)
        True where a part is.
    replacement : {"mean", "zero"}
        What takes its place in every flash: the part's mean over all these flashes, which keeps
        what any flash evokes and says nothing about the wanted ones, or zeros.
    n_draws, seed : int
        Of the interval.

    Returns
    -------
    Occlusion
    """
    if replacement not in REPLACEMENTS:
        raise InputError(f"replacement {replacement!r}; expected one of {REPLACEMENTS}")
    data, is_target, flashes = labelled(epochs)
    masks = np.asarray(masks, bool)
    if masks.ndim != 3 or masks.shape[1:] != data.shape[1:]:
        raise InputError(f"masks of shape {masks.shape}; expected (n_parts, *{data.shape[1:]})")
    filling = data.mean(axis=0) if replacement == "mean" else np.zeros_like(data[0])
    unit = resampling_units(flashes)
    weights = bootstrap_weights(unit.max() + 1, n_draws, np.random.default_rng(seed))
    weights = np.vstack([np.ones_like(weights[0]), weights])  # the first is no draw

    def measure(scores):
        aucs = weighted_auc(*auc_counts(is_target, scores, unit), weights)
        return aucs, scores[is_target].mean() - scores[~is_target].mean()

    whole, margin = measure(detector.score_epochs(data))
    work, losses, margins = data.copy(), [], []
    for mask in masks:
        work[:, mask] = filling[mask]
        aucs, left = measure(detector.score_epochs(work))
        work[:, mask] = data[:, mask]
        losses.append(whole - aucs)
        margins.append(1 - left / margin if margin else np.nan)
    losses = np.array(losses)  # (n_parts, 1 + n_draws)
    low, high = np.array([interval(draws) for draws in losses[:, 1:]]).T
    margins = np.array(margins)
    return Occlusion(
        float(whole[0]), losses[:, 0], low, high, margins, replacement, len(is_target)
    )


def labelled(epochs: Epochs):
    """Give epochs, labels and flash table of the labelled flashes.

    Raises
    ------
    InputError
        Unless there are targets and nontargets.
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
