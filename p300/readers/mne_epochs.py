"""MNE Epochs in and out as plain arrays and a flash table, and what Raw shares with them.

MNE keeps EEG in volts and marks flashes by events; here EEG is in µV and the flash table holds
the rest. MNE is imported when one of the functions is called.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from p300.electrodes import make_info
from p300.errors import InputError
from p300.recording import FLASH_COLUMNS, UNITS, flash_table

if TYPE_CHECKING:
    import mne
    import pandas as pd


#: Event numbers of epochs handed to MNE; "flash" where the label is not known.
EVENT_ID = {"nontarget": 1, "target": 2, "flash": 3}

LABELS = {"target": True, "nontarget": False, "non-target": False, "non_target": False}


def read_epochs(epochs: mne.BaseEpochs) -> dict:
    """Take epochs that MNE has cut, as plain arrays.

    The flash table comes from ``metadata``; columns that it lacks are <NA>. ``is_target`` and
    ``code`` then come from the events' names, such as ``"target/7"`` or ``"NonTarget"``.

    Parameters
    ----------
    epochs : mne.BaseEpochs
        In volts; EEG channels that are not marked bad are taken.

    Returns
    -------
    dict
        ``data`` (float32 in µV, shape (n_flashes, n_chans, n_times)), ``flashes``, ``ch_names``,
        ``sfreq``, ``tmin`` and ``unit``: the arguments of :func:`to_epochs`.

    Raises
    ------
    InputError
        If there is no EEG channel.
    """
    picked = eeg_picks(epochs, "eeg", "mne epochs")
    names = {number: label for label, number in epochs.event_id.items()}
    labels = [names[number] for number in epochs.events[:, 2]]
    columns = {
        "onset": epochs.events[:, 0] / epochs.info["sfreq"],
        "code": [code_of(label, None) for label in labels],
        "is_target": [is_target_of(label, None) for label in labels],
    }
    if epochs.metadata is not None:
        columns |= {c: epochs.metadata[c].to_list() for c in FLASH_COLUMNS if c in epochs.metadata}
    return {
        "data": (epochs.get_data(picks=picked, verbose="error") * 1e6).astype(np.float32),
        "flashes": flash_table(**columns),
        "ch_names": tuple(epochs.ch_names[k] for k in picked),
        "sfreq": float(epochs.info["sfreq"]),
        "tmin": float(epochs.tmin),
        "unit": "uV",
    }


def to_epochs(
    data: np.ndarray,
    flashes: pd.DataFrame,
    ch_names: Sequence[str],
    sfreq: float,
    tmin: float,
    unit: str = "uV",
    *,
    volts_per_unit: float | None = None,
) -> mne.EpochsArray:
    """Hand epochs to MNE, in volts, with the flash table as ``metadata``.

    Parameters
    ----------
    data : ndarray, shape (n_flashes, n_chans, n_times)
        In ``unit``.
    flashes : DataFrame
        The flash table, one row an epoch.
    ch_names : sequence of str
        The channels in order; those that the 10-05 system knows get their places.
    sfreq : float
        Samples per second.
    tmin : float
        Seconds from the flash to the first sample.
    unit : str
        Of ``data``.
    volts_per_unit : float or None
        What one unit of ``data`` is; needed where the unit has no volts ("AD", "sd").

    Returns
    -------
    mne.EpochsArray
        Events "nontarget" (1), "target" (2), or "flash" (3) where the label is not known.

    Raises
    ------
    InputError
        If the unit has no volts.

    Examples
    --------
    >>> flashes = flash_table(onset=[0.0, 0.2], code=[1, 7], is_target=[True, False])
    >>> to_epochs(np.zeros((2, 1, 78)), flashes, ["Cz"], 120, 0.0)["target"].get_data().shape
    (1, 1, 78)
    """
    import mne

    volts = volts_per(unit, volts_per_unit, "epochs")
    numbers = np.array([EVENT_ID[kind] for kind in kinds(flashes["is_target"])], int)
    # MNE wants event samples to differ, so they count epochs; the true onset is in the metadata
    events = np.column_stack([np.arange(len(numbers)), np.zeros_like(numbers), numbers])
    return mne.EpochsArray(
        data * volts,
        make_info(ch_names, sfreq),
        events=events,
        event_id={kind: number for kind, number in EVENT_ID.items() if number in numbers},
        tmin=tmin,
        metadata=flashes.reset_index(drop=True),
        verbose="error",
    )


def volts_per(unit: str, volts_per_unit: float | None, where: str) -> float:
    """Return the volts of one unit; InputError where the unit has none and none are given."""
    volts = volts_per_unit or UNITS.get(unit)
    if volts is None:
        raise InputError(
            f"{where}: the unit {unit!r} has no volts, which MNE wants; give volts_per_unit."
        )
    return volts


def eeg_picks(inst, picks, name: str) -> np.ndarray:
    """Find the channels to take; the types say which are EEG."""
    import mne

    eeg = mne.pick_types(inst.info, eeg=True, exclude=())
    if isinstance(picks, str) and picks == "eeg":
        chosen = mne.pick_types(inst.info, eeg=True, exclude="bads")
    else:
        missing = sorted(set(picks) - set(inst.ch_names))
        other = [c for c in picks if c not in missing and inst.ch_names.index(c) not in eeg]
        if missing or other:
            raise InputError(
                f"{name}: channels {missing} are not there and {other} are of another type than "
                f"EEG; the {len(eeg)} EEG channels are "
                f"{', '.join(inst.ch_names[k] for k in eeg)}."
            )
        chosen = np.array([inst.ch_names.index(c) for c in picks], int)
    if not len(chosen):
        kinds = sorted(set(inst.get_channel_types()))
        raise InputError(
            f"{name}: no usable EEG channel among {len(inst.ch_names)} (types: "
            f"{', '.join(kinds)}; bad: {', '.join(inst.info['bads']) or 'none'})."
        )
    return chosen


def code_of(label: Hashable, codes: Mapping | None) -> int | None:
    """Return the flash code that an event's name tells, or None."""
    if codes is not None:
        return codes.get(label)
    if isinstance(label, int):
        return label
    return next((int(part) for part in str(label).split("/") if part.isdigit()), None)


def is_target_of(label: Hashable, targets: Mapping | None) -> bool | None:
    """Tell from an event's name whether it is a target; None where it does not say."""
    if targets is not None:
        return targets.get(label)
    parts = str(label).lower().split("/")
    return next((LABELS[part] for part in parts if part in LABELS), None)


def kinds(is_target: pd.Series) -> list[str]:
    """Name each flash's event: target, nontarget, or flash where unlabelled."""
    names = {None: "flash", True: "target", False: "nontarget"}
    return [names[label] for label in plain(is_target)]


def plain(column: pd.Series) -> list:
    """List a column's values as Python's own, None for <NA>."""
    return [
        None if missing else value
        for value, missing in zip(column.to_list(), column.isna(), strict=True)
    ]
