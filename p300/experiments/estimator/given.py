"""Epochs that were cut elsewhere: as scikit-learn, MNE and MOABB pass them to an estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.flashes import flash_table
from p300.preprocessing import Epochs
from p300.recording import UNITS, Recording
from p300.splits import blocks_of_both_classes

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike


def epochs_of_array(X: np.ndarray, sfreq: float | None, n_chans: int | None) -> Epochs:
    """Return an array of epochs in µV as Epochs; none of its flashes overlap, as far as is known.

    Parameters
    ----------
    X : ndarray, shape (n_flashes, n_chans, n_times) or (n_flashes, n_features)
        Rows of features are ``n_chans`` electrodes, one after the other.
    sfreq : float or None
        Samples per second.
    n_chans : int or None
        Electrodes in a row of features; None for one.

    Raises
    ------
    InputError
        If the rate is not given, or an array cannot be divided into electrodes.
    """
    if sfreq is None or not sfreq > 0:
        raise InputError(
            f"got an array and sfreq={sfreq}; expected the rate of its samples in Hz; set "
            "P300Classifier(sfreq=…), or pass epochs of MNE or p300, which know it"
        )
    if X.ndim == 2:
        n_chans = 1 if n_chans is None else n_chans
        if n_chans < 1 or X.shape[1] % n_chans:
            raise InputError(
                f"got rows of {X.shape[1]} features and n_chans={n_chans}; expected n_chans × "
                "n_times features, electrode after electrode"
            )
        X = X.reshape(len(X), n_chans, -1)
    elif X.ndim != 3 or (n_chans is not None and X.shape[1] != n_chans):
        wanted = "n_chans" if n_chans is None else n_chans
        raise InputError(f"got epochs of shape {X.shape}; expected (n_flashes, {wanted}, n_times)")
    names = tuple(map(str, range(X.shape[1])))
    flashes = flash_table(onset=np.arange(len(X)) * (X.shape[2] / sfreq))
    return Epochs(np.asarray(X, np.float32), flashes, names, float(sfreq), name="array")


def in_units(
    flashes: pd.DataFrame, is_target: np.ndarray, groups: ArrayLike | None
) -> pd.DataFrame:
    """Label flashes, and give them the units that are never divided, as characters.

    Parameters
    ----------
    flashes : DataFrame
        The flash table.
    is_target : ndarray of bool, shape (n_flashes,)
        The labels.
    groups : array_like, shape (n_flashes,), or None
        The unit of each flash. None for the characters of the table, or its runs; where it has
        neither, for blocks of flashes that follow each other.

    Raises
    ------
    InputError
        If the number of groups is not that of the flashes.
    """
    import pandas as pd

    flashes = flashes.assign(is_target=pd.array(is_target, "boolean"))
    runs = flashes[["subject", "session", "run"]].drop_duplicates()
    if groups is None and flashes["character"].isna().all() and len(runs) == 1:
        groups = blocks_of_both_classes(is_target)
    if groups is None:
        return flashes
    if np.shape(groups) != (len(flashes),):
        raise InputError(
            f"got groups of shape {np.shape(groups)}; expected ({len(flashes)},), one per flash"
        )
    character = 1 + pd.factorize(np.asarray(groups))[0]
    character = pd.array(character, "Int64")
    return flashes.assign(subject="1", session="1", run=1, character=character)


def as_recording(epochs: Epochs) -> Recording:
    """Return epochs one after the other as the segment of a recording, from which to cut them."""
    n_flashes, n_chans, n_times = epochs.data.shape
    segment = np.swapaxes(epochs.data, 0, 1).reshape(n_chans, n_flashes * n_times)
    onset = np.arange(n_flashes) * (n_times / epochs.sfreq) - epochs.tmin
    unit = epochs.unit if epochs.unit in UNITS else "AD"  # scaled epochs have none
    flashes = epochs.flashes.assign(segment=0, onset=onset)
    meaning = epochs.ch_names, epochs.sfreq, unit, epochs.speller, epochs.name
    return Recording([segment], flashes, *meaning)
