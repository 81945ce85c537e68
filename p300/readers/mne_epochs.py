"""Conversion of MNE Epochs to and from plain arrays and a flash table; helpers for Raw.

MNE keeps EEG in volts and marks flashes by events. Here EEG is in µV and the flash table holds
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


#: Event numbers of epochs converted to MNE; "flash" where the label is not known.
EVENT_ID = {"nontarget": 1, "target": 2, "flash": 3}

LABELS = {"target": True, "nontarget": False, "non-target": False, "non_target": False}


def read_epochs(epochs: mne.BaseEpochs) -> dict:
    """Convert MNE Epochs to plain arrays and a flash table.

    The flash table comes from ``metadata``; missing columns are <NA>. If ``is_target`` and
    ``code`` are missing, they come from the events' names, such as ``"target/7"`` or
    ``"NonTarget"``.

    Parameters
    ----------
    epochs : mne.BaseEpochs
        In volts; EEG channels that are not marked bad are read.

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
    """Convert epochs to MNE, in volts, with the flash table as ``metadata``.

    Parameters
    ----------
    data : ndarray, shape (n_flashes, n_chans, n_times)
        In ``unit``.
    flashes : DataFrame
        The flash table, one row per epoch.
    ch_names : sequence of str
        The channels in order; names of the 10-05 system get their positions.
    sfreq : float
        Samples per second.
    tmin : float
        Seconds from the flash to the first sample.
    unit : str
        Unit of ``data``.
    volts_per_unit : float or None
        Volts per unit of ``data``; required for units of unknown size in volts ("AD", "sd").

    Returns
    -------
    mne.EpochsArray
        Events "nontarget" (1), "target" (2), or "flash" (3) where the label is not known.

    Raises
    ------
    InputError
        If the size of the unit in volts is unknown.

    Examples
    --------
    >>> flashes = flash_table(onset=[0.0, 0.2], code=[1, 7], is_target=[True, False])
    >>> to_epochs(np.zeros((2, 1, 78)), flashes, ["Cz"], 120, 0.0)["target"].get_data().shape
    (1, 1, 78)
    """
    import mne

    volts = volts_per(unit, volts_per_unit, "epochs")
    numbers = np.array([EVENT_ID[kind] for kind in kinds(flashes["is_target"])], int)
    # MNE requires distinct event samples, so they count epochs; metadata has the true onset
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
    """Return the volts per unit; InputError if they are unknown and not given."""
    volts = volts_per_unit or UNITS.get(unit)
    if volts is None:
        raise InputError(
            f"{where}: got unit {unit!r}; expected one of known size in volts, for MNE; set "
            "volts_per_unit."
        )
    return volts


def eeg_picks(
    inst: mne.io.BaseRaw | mne.BaseEpochs, picks: str | Sequence[str], name: str
) -> np.ndarray:
    """Find the indices of the picked EEG channels, by channel type."""
    import mne

    eeg = [inst.ch_names[k] for k in mne.pick_types(inst.info, eeg=True, exclude=())]
    if isinstance(picks, str) and picks == "eeg":
        chosen = mne.pick_types(inst.info, eeg=True, exclude="bads")
    else:
        missing = sorted(set(picks) - set(inst.ch_names))
        other = [c for c in picks if c not in missing and c not in eeg]
        if missing or other:
            raise InputError(
                f"{name}: channels {missing} do not exist and {other} are not EEG; expected some "
                f"of the {len(eeg)} EEG channels {', '.join(eeg)}."
            )
        chosen = np.array([inst.ch_names.index(c) for c in picks], int)
    if not len(chosen):
        kinds = ", ".join(sorted(set(inst.get_channel_types())))
        raise InputError(
            f"{name}: got no usable EEG channel among {len(inst.ch_names)} (types: {kinds}; bad: "
            f"{', '.join(inst.info['bads']) or 'none'}); expected at least one."
        )
    return chosen


def code_of(label: Hashable, codes: Mapping | None) -> int | None:
    """Return the flash code in an event's name, or None if there is none."""
    if codes is not None:
        return codes.get(label)
    if isinstance(label, int):
        return label
    return next((int(part) for part in str(label).split("/") if part.isdigit()), None)


def is_target_of(label: Hashable, targets: Mapping | None) -> bool | None:
    """Return whether an event's name means a target; None if the name has no class."""
    if targets is not None:
        return targets.get(label)
    parts = str(label).lower().split("/")
    return next((LABELS[part] for part in parts if part in LABELS), None)


def kinds(is_target: pd.Series) -> list[str]:
    """Return the name of each flash's event: target, nontarget, or flash if unlabelled."""
    names = {None: "flash", True: "target", False: "nontarget"}
    return [names[label] for label in plain(is_target)]


def plain(column: pd.Series) -> list:
    """List a column's values as Python objects, None for <NA>."""
    return column.to_numpy(object, na_value=None).tolist()
